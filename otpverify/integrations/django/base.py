"""A flow's view: it translates a request into a call of the shared flow, and the outcome into a
page, a redirect or JSON.

The sequence is written once, as coroutines. A synchronous view drives them with `run_sync`, an
asynchronous one awaits them. Every POST of a page answers with a redirect, so that a reload repeats
nothing; a first form that is not valid is shown again. The challenge is the session's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any, ClassVar, cast

from asgiref.sync import sync_to_async
from django.dispatch import Signal
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.views import View

from otpverify import AsyncVerifier, ConfigurationError, OtpVerifyError, Verified, Verifier
from otpverify.integrations.django import api, conf, requests, session
from otpverify.integrations.django.conf import averifier_for, verifier_for
from otpverify.integrations.django.forms import CodeForm, PhoneField
from otpverify.integrations.django.pages import FormViewBase, PageView
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.django.signals import code_verified, signals_of_refusal
from otpverify.integrations.web import run_sync, sentences
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.notices import Ahead, Carried, Notice, ahead, held_by
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.problems import Problem, explained
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Delivery, Proof, Recipient, load_end, save_end

_START_HERE = Sentence("Start here.")


class FlowView(PageView, FormViewBase):
    """One flow with a code: its first page, the code page, and the page after a right code.

    The methods that `hooks` names are for you to override. They are synchronous methods; in an
    asynchronous view (`AsyncFlow`) they may be `async def`, too. The same addresses answer JSON to
    requests that bring JSON or prefer it.

    Attributes:
        purpose: What its codes are for.
        concealed: The replies must not show whether there is an account. `get_deliver` says
            whether there is one.
        background: Whether messages are delivered in the background. If left out, those of
            concealed flows are, as the setting `DELIVER_IN_BACKGROUND` says.
        code_template_name, done_template_name: As `template_name`, which is the first page's.
        code_form_class: As `form_class`, which is the first page's.
    """

    purpose: str
    concealed: bool = False
    background: bool | None = None
    pages: ClassVar[dict[str, str]] = {
        "first": "",
        "code": "code/",
        "resend": "resend/",
        "cancel": "cancel/",
        "status": "status/",
        "done": "done/",
    }
    titles: ClassVar[dict[str, Any]] = {"code": _("Enter the code"), "unsent": _("Send a code")}
    hooks: ClassVar[tuple[str, ...]] = (
        "get_verifier",
        "get_binding",
        "get_recipient",
        "get_phone",
        "get_deliver",
        "shown",
        "code_valid",
    )
    after_code: ClassVar[str] = "done"  # the step
    code_form_class = CodeForm
    code_template_name = "otpverify/code.html"
    done_template_name = ""

    # Hooks.

    def get_verifier(self, request: HttpRequest) -> Verifier | AsyncVerifier:
        """The verifier for this request: a `Verifier`, or in an asynchronous view an
        `AsyncVerifier`. That of the settings."""
        make = averifier_for if self.view_is_async else verifier_for
        return make(request, background=self.delivers_in_background)

    def get_human_check(self) -> Callable[[HttpRequest], Any] | None:
        """Says whether a request passed a human check; that of the setting `HUMAN_CHECK`."""
        return conf.function("HUMAN_CHECK")

    def get_binding(self) -> Mapping[str, str] | None:
        """Facts that the code also approves, and that the message names."""
        return None

    def get_recipient(self, form: Any) -> Recipient | HttpResponseBase:
        """The recipient that the first form names, which is valid; or another reply."""
        raise NotImplementedError

    def get_phone(self, subject: str) -> str | None:
        """The phone of the recipient that the session names; `None` if there is none any more. The
        phone that was typed."""
        return subject

    def get_deliver(self, recipient: Recipient) -> bool:
        """In a concealed flow, whether there is an account for the recipient."""
        raise NotImplementedError

    def shown(self, recipient: Recipient) -> str:
        """How the code page names the phone. The whole number, so that the person can see a typing
        error; use `otpverify.phone.hint` if the person did not type it."""
        return recipient.phone

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Answer a right code. It is called once."""
        raise NotImplementedError

    # How a request is answered.

    @classmethod
    def check_hooks(cls) -> None:
        """Check that no hook must be awaited by a synchronous view.

        Raises:
            ConfigurationError: One must.
        """
        for name in cls.hooks if not cls.view_is_async else ():
            if iscoroutinefunction(getattr(cls, name, None)):
                raise ConfigurationError(
                    f"{cls.__name__}.{name} is asynchronous, and the view is not: write it with "
                    "def, or put AsyncFlow before the view's other bases."
                )

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show a page."""
        return run_sync(self.respond())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take a form."""
        return run_sync(self.respond())

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """See `View`. The decorators of a parent's are in `as_view`, for both kinds of views."""
        return View.dispatch(self, request, *args, **kwargs)

    async def respond(self) -> HttpResponseBase:
        """The reply to this request."""
        posted = self.request.method == "POST"
        try:
            await self._open(posted=posted)
            response = await (self._take() if posted else self._show())
        except OtpVerifyError as error:  # such as an account with an invalid phone
            if not posted and self.step == "first":
                raise
            failure = explained(error, expected=False)
            response = self.refuse(failure)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if self.has_notice and self.request.method != "HEAD":
            session.drop_notice(response)
        return response

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function that may block, such as a hook: in the thread of synchronous code if the
        view is asynchronous."""
        if not self.view_is_async:
            found = function(*args)
            if isawaitable(found):
                raise ConfigurationError("A hook of a synchronous view must not be asynchronous.")
            return found
        if iscoroutinefunction(function):
            return await function(*args)
        found = await sync_to_async(function)(*args)
        return await found if isawaitable(found) else found

    async def reply(self, function: Callable[..., Any], *args: Any) -> HttpResponseBase:
        """`call`, for a function that gives a reply."""
        return cast("HttpResponseBase", await self.call(function, *args))

    async def signal(self, signal: Signal, **named: Any) -> None:
        """Send a signal, with this request."""
        send = signal.asend if self.view_is_async else signal.send
        sent = send(sender=named.pop("sender", type(self)), request=self.request, **named)
        if isawaitable(sent):
            await sent

    async def _open(self, *, posted: bool) -> None:
        request = self.request
        if self.view_is_async:
            await request.session.akeys()  # it is loaded, so later reads do not block
        verifier = await self.call(self.get_verifier, request)
        wanted = AsyncVerifier if self.view_is_async else Verifier
        if not isinstance(verifier, wanted):
            kind = "An asynchronous" if self.view_is_async else "A synchronous"
            raise ConfigurationError(f"{kind} view needs a verifier of type {wanted.__name__}.")
        check = self.get_human_check() if posted else None
        self.web_flow: Flow = Flow(
            verifier,
            request.session,
            purpose=self.purpose,
            recipient=self._find,
            concealed=self.concealed,
            client_ip=await self.call(requests.client_ip, request) if posted else None,
            locale=requests.locale(),
            human_check=None if check is None else partial(self.call, check, request),
        )

    async def _show(self) -> HttpResponseBase:
        if self.wants_json:
            return await self.get_status()
        show = getattr(self, f"get_{self.step}", None)
        # Steps that only take forms have no page.
        return await show() if show is not None else self.go("code")

    async def _take(self) -> HttpResponseBase:
        take = getattr(self, f"post_{self.step}", None)
        if take is None:
            return HttpResponseNotAllowed(["GET"])
        data = api.read(self.request)
        if isinstance(data, Problem):
            return api.problem(data)
        self.data: Any = data
        response: HttpResponseBase = await take()
        return response

    # The steps.

    async def get_first(self) -> HttpResponseBase:
        """The form that the flow begins with."""
        carried = self.carried("first")
        if (gone := await self.gone_on(carried)) is not None:
            return gone
        return await self.reply(self._first_page, carried)

    def _first_page(self, carried: Carried) -> HttpResponseBase:
        form = self.get_form()
        if carried.typed and "phone" in form.fields:
            form.initial = {"phone": carried.typed, **form.initial}
        return self.render_form(self.get_template_names(), form, carried)

    async def post_first(self) -> HttpResponseBase:
        """Send the first code, if the form is valid."""
        form = await self.call(self.get_form)
        if not await self.call(form.is_valid):
            return await self.reply(self.form_invalid, form)
        return await self.begin(form)

    async def begin(self, form: BaseForm) -> HttpResponseBase:
        """Send the first code to the recipient that the form names."""
        found: Recipient | HttpResponseBase = await self.call(self.get_recipient, form)
        if not isinstance(found, Recipient):
            return found
        outcome = await self.start(found)
        return self.follow(outcome, found.phone if found.phone == found.subject else "")

    async def start(self, to: Recipient) -> Outcome:
        """Send the first code to a recipient."""
        if to.binding is None:
            to = replace(to, binding=await self._binding())
        deliver = await self.exists(to) if self.concealed else None
        outcome = await self.web_flow.start(to, deliver=deliver)
        if outcome.saved:
            save_end(self.request.session, self.purpose, None)
        return outcome

    async def exists(self, to: Recipient) -> bool:
        """Whether there is an account, for concealed flows."""
        return bool(await self.call(self.get_deliver, to))

    async def get_code(self) -> HttpResponseBase:
        """The form for the code."""
        carried = self.carried("code")
        if (gone := await self.gone_on(carried)) is not None:
            return gone
        entry = await self.web_flow.current()
        if isinstance(entry, Proof):
            return await self.go_next()
        to = None if entry is None else await self._find(entry.subject)
        if entry is None or to is None:
            return self.to("first", Carried(Notice(sentences.NO_CHALLENGE, error=False)))
        now = await self.web_flow.status()
        entry = now.pending or entry  # a status that could not be read changes nothing
        context = {
            "title": self.titles["code" if entry.delivery is not Delivery.NOT_SENT else "unsent"],
            "pending": entry,
            "delivery": entry.delivery.name,
            "wait": max(entry.resend_in, carried.notice.wait if carried.notice else 0),
            "failed": now.reported is not None and now.reported.failed,
            "length": self.web_flow.verifier.policy.code_length,
            "concealed": self.concealed,
            "shown": await self.call(self.shown, to),
            "binding": to.binding or {},
        }
        return await self.reply(self._code_page, carried, context)

    def _code_page(self, carried: Carried, context: dict[str, Any]) -> HttpResponseBase:
        form = self.code_form_class()
        left = {"count": context["pending"].attempts_left}
        said = Sentence("Attempts left: %(count)s", params=left)
        form.fields["code"].help_text = requests.say(said)
        form.fields["code"].widget.attrs["data-length"] = context["length"]
        return self.render_form([self.code_template_name], form, carried, **context)

    async def post_code(self) -> HttpResponseBase:
        """Check the code."""
        form = self.code_form_class(self.data)
        if not form.is_valid():
            if self.wants_json:
                return api.invalid(form, self.web_flow.entry)
            text = " ".join(map(str, form.errors["code"])).replace("%", "%%")
            return self.to("code", Carried(Notice(Sentence(text), "code")))
        typed, user = self.typed_before(), await self.person()
        outcome = await self.web_flow.check(form.cleaned_data["code"])
        if outcome.verified is not None:
            await self.signal(code_verified, user=user, verified=outcome.verified)
            return await self.succeed(outcome, outcome.verified)
        if outcome.error is None:  # it was right before
            return await self.go_next()
        await self.refused(outcome.error, user)
        return self.follow(outcome, typed)

    async def refused(self, error: OtpVerifyError, user: Any) -> None:
        """Report a code that was not accepted."""
        for signal in signals_of_refusal(error):
            await self.signal(signal, user=user, purpose=self.purpose, error=error)

    async def succeed(self, outcome: Outcome, verified: Verified) -> HttpResponseBase:
        """Answer a right code."""
        response: HttpResponseBase = await self.call(self.code_valid, verified)
        await self.call(self.request.session.cycle_key)  # a planted one leads to no proof
        self.finish(verified, response)
        return api.succeeded(outcome, response) if self.wants_json else response

    async def post_resend(self) -> HttpResponseBase:
        """Send another code, or the first one that goes out."""
        typed = self.typed_before()
        return self.follow(await self.web_flow.resend(), typed)

    async def post_cancel(self) -> HttpResponseBase:
        """Void the challenge and start again."""
        return self.follow(await self.web_flow.cancel())

    async def get_status(self) -> HttpResponseBase:
        """Where the flow stands, as JSON. It sets no session: it may come beside other requests."""
        response = api.respond(await self.web_flow.status())
        session.leave_session(self.request, response)
        return response

    async def get_done(self) -> HttpResponseBase:
        """The flow's last page."""
        found = await self.finished()
        if found is None:
            return self.to("first", Carried(Notice(_START_HERE, error=False)))
        return await self.reply(self._done_page, found)

    def _done_page(self, found: Mapping[str, Any]) -> HttpResponseBase:
        return self.render_form([self.done_template_name], phone=found.get("phone"))

    # Parts of the steps.

    async def _find(self, subject: str) -> Recipient | None:
        phone = await self.call(self.get_phone, subject)
        return Recipient(phone, subject, await self._binding()) if phone else None

    async def _binding(self) -> Mapping[str, str] | None:
        if not hasattr(self, "_bound"):
            self._bound: Mapping[str, str] | None = await self.call(self.get_binding)
        return self._bound

    async def person(self) -> Any:
        """The user of this request, for signals."""
        if not hasattr(self.request, "user"):
            return None
        user = await self.request.auser() if self.view_is_async else self.request.user
        return user if user.is_authenticated else None

    @property
    def delivers_in_background(self) -> bool:
        """Whether messages are delivered in the background."""
        if self.background is not None:
            return self.background
        chosen = conf.option("DELIVER_IN_BACKGROUND")
        return self.concealed and (chosen is None or bool(chosen))

    def get_form(self, form_class: Any = None) -> Any:
        """See `FormMixin`. Phone fields read numbers as this request's verifier does."""
        form = super().get_form(form_class)
        for field in form.fields.values():
            if isinstance(field, PhoneField):
                field.verifier = self.web_flow.verifier
        return form

    def get_form_kwargs(self) -> dict[str, Any]:
        """See `FormMixin`. The data may be JSON."""
        kwargs = super().get_form_kwargs()
        return {**kwargs, "data": self.data} if "data" in kwargs else kwargs

    def form_invalid(self, form: BaseForm) -> Any:
        """See `FormMixin`: the form is shown again."""
        if self.wants_json:
            return api.invalid(form, self.web_flow.entry)
        return self.render_form(self.get_template_names(), form)

    def typed_before(self) -> str:
        """The phone that was typed on the first page, to be filled in again."""
        entry = self.web_flow.entry
        fields = getattr(self.form_class, "base_fields", {})
        typed = entry is not None and "phone" in fields and entry.subject.startswith("+")
        return entry.subject if entry is not None and typed else ""

    def follow(self, outcome: Outcome, typed: str = "", step: str = "") -> HttpResponseBase:
        """The reply to an outcome: a redirect to the page that it names, or JSON."""
        held = None
        if outcome.leaves_session:
            held = held_by(self.web_flow.entry, session.lost(self.request))
        if self.wants_json:
            response = api.respond(outcome)
        else:
            step = step or ("code" if outcome.page is Page.CODE else "first")
            response = self.go(step)
            if outcome.notice is not None:
                self._carry(response, step, Carried(outcome.notice, typed, held))
        if outcome.leaves_session:
            session.leave_session(self.request, response)
        return response

    def refuse(self, error: OtpVerifyError, step: str = "") -> HttpResponseBase:
        """The reply to a request that ended with an error and changes nothing."""
        entry = self.web_flow.entry
        return self.follow(Outcome(Page.FIRST, entry, Notice.of(error), error), step=step)

    def to(self, step: str, carried: Carried) -> HttpResponseBase:
        """Redirect to a step whose page shows a notice."""
        response = self.go(step)
        self._carry(response, step, carried)
        return response

    def _carry(self, response: HttpResponseBase, step: str, carried: Carried) -> None:
        session.carry(self.request, response, f"{self.purpose} {step}", carried)

    def carried(self, step: str) -> Carried:
        """The notice and values that a redirect carried to a step, whose page drops them."""
        found = session.carried_to(self.request, f"{self.purpose} {step}")
        self.has_notice: bool = found is not None
        return found or Carried()

    async def gone_on(self, carried: Carried) -> HttpResponseBase | None:
        """The reply after a refused request, if the request that it repeated succeeded: the flow's
        current page."""
        if carried.held is None:
            return None
        match ahead(carried.held, await self.web_flow.current(), await self.finished()):
            case Ahead.CODE:
                return self.go("code") if self.step != "code" else None
            case Ahead.PROOF | Ahead.DONE:
                return await self.go_next()
        return None

    async def go_next(self) -> HttpResponseBase:
        """The page after a right code, for a request that comes again."""
        if self.wants_json:
            return api.respond(await self.web_flow.status())
        if target := (await self.finished() or {}).get("next"):
            return HttpResponseRedirect(target)
        return self.go(self.after_code if self.after_code in self.pages else "first")

    def finish(self, verified: Verified, response: HttpResponseBase, **more: Any) -> None:
        """Record where the flow ended, for requests that come again and for its last page."""
        record = {
            "challenge": verified.challenge,
            "next": getattr(response, "url", None),
            "session": session.digest(self.request),
            "at": time.time(),
            **more,
        }
        save_end(self.request.session, self.purpose, record)

    async def finished(self) -> Mapping[str, Any] | None:
        """The record that `finish` made."""
        return load_end(self.request.session, self.purpose)


class AsyncFlow(FlowView):
    """Put before a flow's other bases, makes its views asynchronous: they await the verifier, and
    hooks that are not asynchronous run in the thread of synchronous code."""

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # it is awaited
        """Show a page."""
        return await self.respond()

    async def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # it is awaited
        """Take a form."""
        return await self.respond()
