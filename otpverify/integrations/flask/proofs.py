"""A fresh proof for people who are signed in: the pages for it, and the views that need it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, TypeAlias

from flask import (
    Blueprint,
    abort,
    after_this_request,
    current_app,
    redirect,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from werkzeug.routing import BuildError
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response

from otpverify import ChallengeExpired, ConfigurationError, Verified
from otpverify.engine.operations import check_words
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.api import json_name, wants_json
from otpverify.integrations.flask.flows import Begun, FlowPages, Refused
from otpverify.integrations.flask.site import Binding, Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.problems import ProofRequired
from otpverify.integrations.web.requests import SAFE_METHODS
from otpverify.integrations.web.sentences import NO_PHONE
from otpverify.integrations.web.session import Proof, Recipient
from otpverify.integrations.web.step_up import (
    LARGEST_FORM,
    LARGEST_IN_COOKIE,
    KeptForm,
    SentForm,
    StepUp,
    check_window,
    guarded_methods,
    keep_form,
    refused_binding,
)

BoundBy: TypeAlias = Mapping[str, str] | Callable[..., Mapping[str, str]] | None
View: TypeAlias = Callable[..., Any]


class FreshProof(FlowPages):
    """A person who is signed in proves the account's phone once more, for a purpose of the
    application's. The session holds the account, and what a view asked for: see `StepUp`."""

    name = "proof"
    path = "/proof/<purpose>"
    first_field = ""

    @property
    def purpose(self) -> str:  # type: ignore[override]  # it is in the address here
        """What the proof is for; one that some view needs."""
        purpose = str((request.view_args or {})["purpose"])
        if purpose not in self.site.proof_purposes:
            abort(404)
        return purpose

    def add_to(self, blueprint: Blueprint) -> None:
        """Add all pages of the flow."""
        super().add_to(blueprint)
        self.add_page(blueprint, "continue", self.continued, "GET")

    def first(self) -> str | Response:
        """For people who are signed in."""
        if self.site.account() is None:
            mounted = self.site.state.mounted
            way = next((name for name in ("login", "signin") if name in mounted), None)
            if way is None:
                abort(401)
            again = self.url("", next=request.args.get("next"))
            return redirect(url_for(f"{mounted[way]}.{way}", next=again), 303)
        return super().first()

    def begin(self) -> Begun:
        """The account that is signed in."""
        to = self.site.recipient_of(self.site.account(), self.step_up.binding)
        if to is None:
            raise Refused(NO_PHONE)
        return Begun(to)

    def find(self, subject: str) -> Recipient | None:
        """The account that is signed in; it cannot continue another account's challenge."""
        account = self.site.account()
        if account != subject:
            return None
        return self.site.recipient_of(account, self.step_up.binding)

    def succeed(self, verified: Verified, subject: str) -> Response:
        """Leave the proof for the view that needs it."""
        self.site.open_window(verified, subject, bound=bool(self.step_up.binding))
        return self.finish(verified, None, self.target())

    def target(self) -> str | None:
        """The page that continues the form that was sent, or the one that the person wanted."""
        wanted = super().target() or pages.safe_next(self.step_up.target)
        return self.url("continue") if self.step_up.form is not None else wanted

    def after_code(self) -> str:
        """The same for a code that is sent again."""
        found = self.finished() or {}
        return pages.safe_next(found.get("next")) or self.url("done")

    def continued(self) -> str | Response:
        """The form that was sent before the code: one press sends it. It only shows what the
        session holds, and no other request sends it."""
        step, form = self.step_up, self.step_up.form
        if not self.proven():
            return redirect(self.url(""), 303)
        if form is None or pages.safe_next(form.action) is None:
            return redirect(pages.safe_next(step.target) or self.url("done"), 303)
        return self.show("continue.html", Carried(), "continue", form=form)

    def proven(self) -> bool:
        """Whether a right code waits for the view that needs it."""
        account = self.site.account()
        if account is None:
            return False
        if isinstance(run_sync(self.flow().current()), Proof):
            return True
        return self.step_up.binding is None and self.site.in_window(self.purpose, account)

    def show(self, template: str, carried: Carried, step: str, **more: Any) -> str:
        """A page that shows the binding that the code approves."""
        held = {"binding": self.step_up.binding or {}, "lost": self.step_up.lost}
        return super().show(template, carried, step, **{**held, **more})

    @property
    def step_up(self) -> StepUp:
        """What the view that needs the proof left in the session."""
        return StepUp(session, self.purpose, self.site.account() or "")


def require_code(
    site: Site,
    purpose: str,
    *,
    ask: bool,
    binding: BoundBy,
    max_age: float | None,
    within: int | None,
    methods: Collection[str] | None,
    ours: frozenset[str],
) -> Callable[[View], View]:
    """See `OtpVerify.code_required`."""
    check_words(purpose, None)
    if purpose in ours:
        raise ConfigurationError(f"The purpose {purpose!r} has a flow of its own.")
    check_window(within, bound=binding is not None, aged=max_age is not None)
    guarded = guarded_methods(methods)
    site.proof_purposes.add(purpose)
    if within is not None:
        site.window_purposes.add(purpose)

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            act = current_app.ensure_sync(view)
            if guarded is not None and request.method not in guarded:
                return act(*args, **kwargs) if within else act(*args, verified=None, **kwargs)
            account = _account(site)
            if within is not None:
                if account is not None and site.in_window(purpose, account, within):
                    if request.method not in SAFE_METHODS:
                        StepUp(session, purpose, account).end()
                    return act(*args, **kwargs)
                return _asked(site, purpose, account, None, ask=ask)
            bound = binding(**(request.view_args or {})) if callable(binding) else binding
            used = False
            if account is not None:
                verified, used = _redeem(site, purpose, account, bound, max_age)
                if verified is not None:
                    sent = _sent()
                    StepUp(session, purpose, account).end(None if sent is None else _kept(sent))
                    return act(*args, verified=verified, **kwargs)
            return _asked(site, purpose, account, bound, ask=ask, used=used)

        return checked

    return decorate


def _account(site: Site) -> str | None:
    if not {"account_loader", "get_phone"} <= set(site.hooks):
        raise ConfigurationError("code_required needs @otp.account_loader and @otp.get_phone.")
    return site.account()


def _redeem(
    site: Site, purpose: str, account: str, binding: Binding, max_age: float | None
) -> tuple[Verified | None, bool]:
    """The facts that the session's proof proves; or whether its proof was used before."""

    def find(subject: str) -> Recipient | None:
        to = site.recipient_of(account, binding)
        # One of the application's views may have started it for the phone that was typed.
        known = to is not None and subject in (to.subject, to.phone)
        return Recipient(to.phone, subject, binding) if to is not None and known else None

    flow = site.flow(purpose, recipient=find)
    outcome = run_sync(flow.redeem(max_age=max_age))
    if outcome.error is not None and not isinstance(outcome.error, ProofRequired):
        raise outcome.error
    used = outcome.verified is None and isinstance(run_sync(flow.current(max_age=max_age)), Proof)
    return outcome.verified, used


def _asked(
    site: Site,
    purpose: str,
    account: str | None,
    binding: Binding,
    *,
    ask: bool,
    used: bool = False,
) -> Response:
    """The reply without a proof: programs get a problem detail that names the flow to start, people
    the page for the code, and after the code the way back.

    A request that comes again after the view acted leads to the page, too, but leaves no form that
    one press would send once more; nor does it set the session, which may be an old one. The same
    holds for a binding that is too long for every message.
    """
    too_long = refused_binding(binding)
    if not ask or wants_json():
        return site.problem(too_long or ProofRequired(purpose, _start(purpose)))
    found = site.state.mounted.get("proof")
    if found is None:
        raise ConfigurationError('code_required needs the flow "proof": otp.blueprint("proof").')
    target = pages.here()
    if account is not None:
        sent, step = _sent(), StepUp(session, purpose, account)
        form = _kept(sent) if sent is not None else None
        refused = ChallengeExpired() if used or step.repeats(form) else too_long
        if refused is not None:
            pages.carry(f"{purpose} first", Carried(Notice.of(refused)))
            after_this_request(pages.set_notice_cookie)
            pages.leave_session()
        else:
            lost = sent is not None and form is None and bool(sent.fields or sent.files)
            step.begin(binding=binding, target=target, form=form, lost=lost)
    return redirect(url_for(f"{found}.proof", purpose=purpose, next=target), 303)


def _sent() -> SentForm | None:
    """The form of this request, if it is one."""
    if request.method != "POST":
        return None
    sent = SentForm(
        action=iri_to_uri(request.script_root + request.full_path.rstrip("?")),
        fields=list(request.form.items(multi=True)),
        files=any(file.filename for file in request.files.values()),
        content_type=request.content_type or "",
        headers=dict(request.headers),
        host=request.host,
    )
    return sent if sent.readable else None


def _kept(sent: SentForm) -> KeptForm | None:
    in_cookie = isinstance(current_app.session_interface, SecureCookieSessionInterface)
    name = current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token")
    if pages.safe_next(sent.action) is None:
        return None
    largest = LARGEST_IN_COOKIE if in_cookie else LARGEST_FORM
    return keep_form(sent, largest=largest, csrf_fields={pages.TOKEN_FIELD, name})


def _start(purpose: str) -> str:
    """The address that starts the flow for programs; empty if there is none."""
    ours = json_name(purpose)
    found = next((at for at, one in current_app.blueprints.items() if one.name == ours), None)
    if found is None:
        return ""
    endpoint, given = f"{found}.start", request.view_args or {}
    names = {name for rule in current_app.url_map.iter_rules(endpoint) for name in rule.arguments}
    try:
        return url_for(endpoint, **{name: given[name] for name in names & set(given)})
    except BuildError:  # it is below a variable that this view does not have
        return ""
