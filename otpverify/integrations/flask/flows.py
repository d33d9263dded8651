"""The pages: what all flows share, and phone confirmation.

Every POST answers with a redirect, so that a reload never sends or checks anything again. The
challenge is the session's, never a form's; addresses hold neither code, challenge nor proof.

A form that is sent twice has the same result as a form that is sent once. The second request may
bring an old cookie and be refused. Its reply then sets no session, and the next page reads the
session that the browser has by then: if the first request succeeded, the page continues.

Some flows answer programs at the same addresses (`programs`): a JSON object in place of the form,
and as reply the flow's state, or a problem detail (RFC 9457).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from flask import Blueprint, abort, current_app, redirect, request, session, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from otpverify import (
    OtpVerifyError,
    Verified,
)
from otpverify.integrations.flask import api, pages
from otpverify.integrations.flask.api import respond_to
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync, sentences
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.notices import Ahead, Carried, Notice, ahead, held_by
from otpverify.integrations.web.other_ways import OtherWay
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    NOT_JSON,
    SendRefused,
    explained,
)
from otpverify.integrations.web.sentences import LONGEST_FIELD, LONGEST_PASTE, Sentence
from otpverify.integrations.web.session import (
    Proof,
    Recipient,
    get_value,
    load_end,
    put_value,
    save_end,
)

_START_HERE: Final = Sentence("Start here.")


class Refused(Exception):
    """The form's input is not accepted.

    Args:
        sentence: What the person reads.
        typed: The text to fill in again.
        field: The field that it is about, for programs.
    """

    def __init__(self, sentence: Sentence, typed: str = "", *, field: str = api.WHOLE_FORM) -> None:
        super().__init__(sentence.text)
        self.sentence = sentence
        self.typed = typed
        self.field = field


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """The input of the first form.

    Attributes:
        to: The recipient.
        typed: The text to fill in again.
        deliver: In concealed flows, whether there is an account.
    """

    to: Recipient
    typed: str = ""
    deliver: bool | None = None


class Pages(ABC):
    """Pages at one path, which may answer programs, too.

    Args:
        site: The application.
        blueprint: The name of the blueprint that has the pages, for a request outside of it.
    """

    name: ClassVar[str]
    path: ClassVar[str] = ""
    programs: ClassVar[bool] = False  # whether its addresses answer JSON, too
    first_field: ClassVar[str] = "phone"  # in the first form

    def __init__(self, site: Site, blueprint: str = "") -> None:
        self.site = site
        self.blueprint = blueprint
        self._endpoints: list[Callable[..., Any]] = []

    @abstractmethod
    def add_to(self, blueprint: Blueprint) -> None:
        """Add all pages."""

    @abstractmethod
    def refuse(self, error: OtpVerifyError) -> Response:
        """Answer a request that a page cannot serve."""

    def add_page(
        self, blueprint: Blueprint, step: str, view: Callable[[], Any], *methods: str
    ) -> None:
        """Add one page."""
        path = self.path or f"/{self.name}"

        def endpoint(**_: str) -> Any:
            if self.programs and (problem := api.take_json()) is not None:
                return self.site.problem(problem)
            try:
                response = current_app.make_response(view())
            except OtpVerifyError as error:  # such as an account with an invalid phone
                response = current_app.make_response(self.refuse(explained(error, expected=False)))
            if self.programs:
                response.vary.add("Accept")
            return response

        if self.programs and not self._endpoints:  # `check_request` calls Flask-WTF for forms
            blueprint.record(lambda state: api.exempt(state, *self._endpoints))
        self._endpoints.append(endpoint)
        endpoint.__name__ = f"{self.name}_{step}" if step else self.name
        blueprint.add_url_rule(
            f"{path}/{step}".rstrip("/"), endpoint.__name__, endpoint, methods=methods
        )

    @property
    def wants_json(self) -> bool:
        """Whether this request is answered with JSON."""
        return self.programs and api.wants_json()

    @property
    def data(self) -> Mapping[str, Any]:
        """The fields of the form that was sent, or the JSON object in its place."""
        return api.sent()

    def check_request(self) -> None:
        """Check that another site did not make the browser send this: a form by its token, JSON by
        its type."""
        if api.is_sent():
            return
        try:
            pages.check_csrf()
            if self.programs:
                pages.check_flask_wtf()
        except BadRequest:
            if self.wants_json:
                abort(self.site.problem(NOT_JSON))
            raise

    def carry(self, page: str, carried: Carried) -> None:
        """Let a page show a notice, if the person is led to it."""
        if not self.wants_json:
            pages.carry(page, carried)

    def field(self, name: str) -> str:
        """A field as it was sent; empty if a form lacks it. JSON must have it."""
        value = self.data.get(name, None if api.is_sent() else "")
        if not isinstance(value, str):
            abort(self.site.problem(INVALID_REQUEST))
        return value

    def show(self, template: str, carried: Carried, step: str, **more: Any) -> str:
        """A page."""
        notice = carried.shown(self.site.say, self.first_field if step == "first" else step)
        return pages.show(self.site, template, notice, flow=self, **more)


class FlowPages(Pages):
    """The pages of one flow: start, enter the code, resend, cancel, and the end."""

    purpose: str
    concealed: bool = False
    signs_in: ClassVar[bool] = False
    remember_days: int = 0  # for which the code's page offers to remember the browser
    ways: Sequence[OtherWay] = ()  # that the code's page offers

    # The parts that differ between flows.

    @abstractmethod
    def begin(self) -> Begun | Response:
        """The recipient that the first form names; or the answer, if no code is needed.

        Raises:
            Refused, InvalidPhoneNumber: The form's input is not accepted.
        """

    @abstractmethod
    def succeed(self, verified: Verified, subject: str) -> Response:
        """Answer a right code. It is called once."""

    def find(self, subject: str) -> Recipient | None:
        """The recipient that the session names; `None` if it no longer exists."""
        return self.site.recipient_of(subject)

    def shown(self, to: Recipient) -> str:
        """How the code page names the phone."""
        return self.flow().shown(to.phone)

    def after_code(self) -> str:
        """The address that follows a right code."""
        return self.url("done")

    # The steps.

    def add_to(self, blueprint: Blueprint) -> None:
        """Add all pages of the flow."""
        self.add_page(blueprint, "", self.first, "GET", "POST")
        self.add_page(blueprint, "code", self.code, "GET", "POST")
        self.add_page(blueprint, "resend", self.resend, "POST")
        self.add_page(blueprint, "cancel", self.cancel, "POST")
        self.add_page(blueprint, "status", self.status, "GET")
        self.add_page(blueprint, "done", self.done, "GET")

    def first(self) -> str | Response:
        """The form that the flow begins with; send the first code."""
        if request.method != "POST":  # a HEAD, too, is answered like a GET
            if self.wants_json:
                return self.status()
            self.want(request.args.get("next"))
            carried = self.carried("first")
            return self.gone_on(carried) or self.show(f"{self.name}.html", carried, "first")
        self.check_request()
        if self.wants_json:  # its sender opened no page before
            self.want(request.args.get("next"))
        try:
            self.site.allow_sending(self.purpose)
            begun = self.begin()
        except Refused as refused:
            if self.wants_json:
                errors = {refused.field: [refused.sentence]}
                return api.invalid(self.site, errors, self.flow().entry)
            carried = Carried(Notice(refused.sentence), refused.typed, of_field=True)
            return self.to("first", carried)
        except OtpVerifyError as error:
            typed = "" if self.wants_json else self.typed(self.first_field)
            return self.refuse(explained(error), typed)
        if isinstance(begun, Response):
            return self.answer(Outcome(Page.NEXT), begun)
        return self.send(begun)

    def send(self, begun: Begun) -> Response:
        """Send the first code."""
        outcome = run_sync(self.flow().start(begun.to, deliver=begun.deliver))
        return self.follow(outcome, begun.typed)

    def code(self) -> str | Response:
        """The form for the code; check it."""
        if request.method != "POST":
            return self.status() if self.wants_json else self.code_page()
        self.check_request()
        flow = self.flow()
        subject = flow.entry.subject if flow.entry is not None else ""
        outcome = run_sync(flow.check(self.typed("code", LONGEST_PASTE)))
        if outcome.verified is not None:
            pages.renew_id()  # a planted one must not lead to the proof
            return self.answer(outcome, self.succeed(outcome.verified, subject))
        if outcome.repeated:
            return self.answer(outcome, redirect(self.after_code(), 303))
        if outcome.error is not None:
            self.refused(outcome.error, subject)
        return self.follow(outcome, self.typed_for(subject))

    def refused(self, error: OtpVerifyError, subject: str) -> None:
        """React to a code that was not accepted."""

    def code_page(self) -> str | Response:
        """The form for the code."""
        flow = self.flow()
        entry = run_sync(flow.current())
        if isinstance(entry, Proof):
            return redirect(self.after_code(), 303)
        to = None if entry is None else self.find(entry.subject)
        if entry is None or to is None:
            return self.to("first", Carried(Notice(sentences.NO_CHALLENGE, error=False)))
        carried, now = self.carried("code"), run_sync(flow.status())
        entry = now.pending or entry  # a status that could not be read changes nothing
        wait = carried.notice.wait if carried.notice else 0
        return self.show(
            "code.html",
            carried,
            "code",
            pending=entry,
            wait=max(wait, entry.resend_in),
            failed=now.reported is not None and now.reported.failed,
            shown=self.shown(to),
            length=flow.verifier.policy.code_length,
            binding=to.binding or {},
        )

    def resend(self) -> Response:
        """Send another code, or the first one that goes out."""
        self.check_request()
        try:
            self.site.allow_sending(self.purpose)
        except SendRefused as refused:
            return self.refuse(refused, step="code")
        return self.follow(run_sync(self.flow().resend()))

    def cancel(self) -> Response:
        """Void the challenge and start again."""
        self.check_request()
        return self.follow(run_sync(self.flow().cancel()))

    def status(self) -> Response:
        """Where the flow stands, for the page's script. It may cross another request of the page,
        so it never sets the session."""
        reply = respond_to(self.site, run_sync(self.flow().status()))
        pages.leave_session()
        return reply

    def done(self) -> str | Response:
        """The flow's end, where the application has no page of its own for it."""
        found = self.finished()
        if found is None:
            return self.to("first", Carried(Notice(_START_HERE, error=False)))
        return self.show("done.html", Carried(), "done", done=found)

    # Parts of the steps.

    def flow(self) -> Flow:
        """The flow in this request's session."""
        return self.site.flow(self.purpose, recipient=self.find, concealed=self.concealed)

    def answer(self, outcome: Outcome, response: Response) -> Response:
        """The reply to a request that succeeded: the page's, or JSON in place of its redirect."""
        return api.succeeded(self.site, outcome, response) if self.wants_json else response

    # Fields and addresses.

    def typed(self, name: str, longest: int = LONGEST_FIELD) -> str:
        """A field without white space around it. One that is too long stays too long, so that its
        beginning is not taken for the whole."""
        return self.field(name).strip()[: longest + 1]

    def url(self, step: str, **values: Any) -> str:
        """The address of a step."""
        name = f"{self.name}_{step}" if step not in ("", "first") else self.name
        given = {} if self.blueprint else request.view_args or {}
        return url_for(f"{self.blueprint}.{name}", **given, **values)

    def to(self, step: str, carried: Carried) -> Response:
        """Redirect to a step whose page shows a notice."""
        self.carry(f"{self.purpose} {step}", carried)
        return redirect(self.url(step), 303)

    def follow(self, outcome: Outcome, typed: str = "") -> Response:
        """Redirect to the page that an outcome names, or answer with JSON."""
        if self.wants_json:
            return respond_to(self.site, outcome)
        step = "code" if outcome.page is Page.CODE else "first"
        held = None
        if outcome.leaves_session:
            held = self.held()
            pages.leave_session()
        if outcome.notice is None:
            return redirect(self.url(step), 303)
        return self.to(step, Carried(outcome.notice, typed or self.typed_before(outcome), held))

    def refuse(self, error: OtpVerifyError, typed: str = "", step: str = "first") -> Response:
        """Redirect to a step that shows the error, or answer with JSON. The browser's session does
        not change."""
        if self.wants_json:
            entry = self.flow().entry
            return respond_to(self.site, Outcome(Page.FIRST, entry, Notice.of(error), error))
        carried = Carried(Notice.of(error), typed, self.held())
        pages.leave_session()
        return self.to(step, carried)

    def carried(self, step: str) -> Carried:
        """The notice and values that a redirect carried to a step."""
        return pages.carried_to(f"{self.purpose} {step}")

    def gone_on(self, carried: Carried) -> Response | None:
        """Answer after a refused request: the flow's current page, if the request that it repeated
        succeeded."""
        entry = run_sync(self.flow().current()) if carried.held is not None else None
        found = self.finished()
        match ahead(carried.held, entry, found):
            case Ahead.CODE:
                return redirect(self.url("code"), 303)
            case Ahead.PROOF:
                return redirect(self.after_code(), 303)
            case Ahead.DONE:
                target = pages.safe_next(found.get("next")) if found is not None else None
                return redirect(target or self.url("done"), 303)
        return None

    def held(self) -> str:
        """The kind of the session's entry, a challenge or its proof, and the challenge's id."""
        return held_by(self.flow().entry)

    def typed_before(self, outcome: Outcome) -> str:
        """The text typed on the first page, to be filled in again."""
        entry = outcome.entry or self.flow().entry
        return self.typed_for(entry.subject) if entry is not None else ""

    def typed_for(self, subject: str) -> str:
        """The text of the first page that led to a recipient, where the person typed the phone."""
        return subject if self.first_field == "phone" else ""

    def finish(
        self, verified: Verified, response: Any, target: str | None, **more: Any
    ) -> Response:
        """Record that the flow ended, and answer with the application's response, or a redirect to
        the page that the person wanted, or to the flow's last page."""
        return self.end(verified.challenge, response, target, **more)

    def end(self, challenge: str, response: Any, target: str | None, **more: Any) -> Response:
        """As `finish`, where no code was entered for the challenge, or there was none."""
        save_end(session, self.purpose, {"challenge": challenge, "next": target, **more})
        if response is not None:
            made: Response = current_app.make_response(response)
            return made
        return redirect(target or self.url("done"), 303)

    def finished(self) -> Mapping[str, Any] | None:
        """The record that `finish` made; that of signing in only while it is still true."""
        if self.signs_in and "account_loader" in self.site.hooks and self.site.account() is None:
            return None
        return load_end(session, self.purpose)

    def want(self, target: str | None) -> None:
        """Keep the address that the person wants, if it is one of this site."""
        if found := pages.safe_next(target):
            put_value(session, "next", [self.purpose, found])

    def target(self) -> str | None:
        """Return and remove the address that the person wanted when this flow began."""
        found = get_value(session, "next")
        if not isinstance(found, list) or found[:1] != [self.purpose]:
            return None
        put_value(session, "next", None)
        return pages.safe_next(found[-1])


class PhoneConfirmation(FlowPages):
    """A number is typed and confirmed. The session holds the number, in E.164."""

    name = "phone"
    purpose = "phone"

    def begin(self) -> Begun:
        """The number."""
        typed = self.typed("phone")
        return Begun(Recipient.typed(self.flow().verifier.normalize(typed)), typed)

    def find(self, subject: str) -> Recipient | None:
        """The number itself."""
        return Recipient.typed(subject)

    def shown(self, to: Recipient) -> str:
        """The full number, so that the person can see a typing error."""
        return to.phone

    def succeed(self, verified: Verified, _: str) -> Response:
        """The confirmed number is the verified one, never a form's value."""
        response = self.site.call("on_confirmed", verified)
        return self.finish(verified, response, self.target(), phone=verified.phone)
