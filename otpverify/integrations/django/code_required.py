"""Views that need a code first.

    @code_required("settings", within=600)      # a code within the last ten minutes
    def change_name(request): ...

    @code_required("payment", binding=facts)    # a code for exactly this, used up
    def pay(request, invoice, verified): ...

What both kinds mean, and what is kept of a form that was sent, says
`otpverify.integrations.web.step_up`. `StepUpView` has the pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any, ClassVar, Final, TypeAlias, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

from otpverify import (
    AsyncVerifier,
    ChallengeExpired,
    ConfigurationError,
    Verified,
    Verifier,
)
from otpverify.engine.operations import check_words
from otpverify.integrations.django import accounts, api, requests, session
from otpverify.integrations.django.conf import averifier_for, verifier_for
from otpverify.integrations.django.step_up import (
    Facts,
    in_window,
    purposes_needed,
    safe_path,
    windows_needed,
)
from otpverify.integrations.web import enrolment, run_sync
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.problems import SIGN_IN_REQUIRED, ProofRequired, problem_of
from otpverify.integrations.web.requests import SAFE_METHODS
from otpverify.integrations.web.session import Proof, Recipient
from otpverify.integrations.web.sign_in import PURPOSE as SIGN_IN
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
    sent_fields,
)

Call: TypeAlias = Callable[..., Awaitable[Any]]

_OTHERS: Final = frozenset(
    {"login", "phone", "password-reset", SIGN_IN, enrolment.NEW_PHONE, enrolment.OLD_PHONE}
)


@dataclass(frozen=True)
class CodeNeed:
    """What a view needs: the arguments of `code_required`."""

    purpose: str
    within: int | None = None
    bound: bool = False
    max_age: float | None = None
    methods: Collection[str] | None = None

    def __post_init__(self) -> None:
        check_words(self.purpose, None)
        if self.purpose in _OTHERS:
            raise ConfigurationError(f"The purpose {self.purpose!r} has a flow of its own.")
        check_window(self.within, bound=self.bound, aged=self.max_age is not None)
        object.__setattr__(self, "methods", guarded_methods(self.methods))
        purposes_needed.add(self.purpose)
        if self.within is not None:
            windows_needed.add(self.purpose)

    async def meet(
        self, request: HttpRequest, verifier: Verifier | AsyncVerifier, call: Call, facts: Any
    ) -> Verified | HttpResponseBase | None:
        """See whether the request brings what the view needs.

        Args:
            request: The request.
            verifier: That of the request; asynchronous for an asynchronous view.
            call: Calls a function that may block.
            facts: Gives the binding.

        Returns:
            `None` for a view that is called as it is, what the code proved for one that uses the
            proof up, or the reply that leads to the code.
        """
        if self.methods is not None and request.method not in self.methods:
            return None
        to: Recipient | None = await call(_person, request)
        if to is None:
            return cast("HttpResponseBase", await call(_signed_out, request))
        bound: Facts = await call(facts) if callable(facts) else facts
        to = replace(to, binding=bound)
        used = False
        if self.within is not None:
            if await call(in_window, request, verifier, self.purpose, self.within):
                if request.method not in SAFE_METHODS:
                    self._step_up(request, to).end()
                return None
        elif to.phone:
            flow = Flow(verifier, cast("Any", request.session), purpose=self.purpose, recipient=to)
            outcome = await flow.redeem(max_age=self.max_age)
            if outcome.error is not None and not isinstance(outcome.error, ProofRequired):
                raise outcome.error
            if outcome.verified is not None:
                self._step_up(request, to).end(await call(_kept, request))
                return outcome.verified
            used = isinstance(await flow.current(max_age=self.max_age), Proof)
        return cast("HttpResponseBase", await call(self._asked, request, to, bound, used))

    def _step_up(self, request: HttpRequest, to: Recipient) -> StepUp:
        return StepUp(cast("Any", request.session), self.purpose, to.subject)

    def _asked(
        self, request: HttpRequest, to: Recipient, bound: Facts, used: bool
    ) -> HttpResponseBase:
        """The reply without a code: programs get a problem detail that names the flow to start,
        people the page for the code, and after the code the way back.

        A request that comes again after the view acted leads to the page, too, but leaves no form
        that one press would send once more; nor does it set the session, which may be an old one.
        The same holds for a binding that is too long for every message.
        """
        address, step = _address(request, self.purpose), self._step_up(request, to)
        too_long = refused_binding(bound)
        if api.wants_json(request):
            if too_long is not None:
                return api.problem(problem_of(too_long))
            step.begin(binding=bound)
            return api.problem(problem_of(ProofRequired(self.purpose, address)))
        response = HttpResponseRedirect(address)
        form = _kept(request)
        refused = ChallengeExpired() if used or step.repeats(form) else too_long
        if refused is not None:
            carried = Carried(Notice.of(refused))
            session.carry(request, response, f"{self.purpose} first", carried)
            session.leave_session(request, response)
            return response
        sent = request.method == "POST" and bool(request.POST or request.FILES)
        step.begin(binding=bound, target=_back(request), form=form, lost=sent and form is None)
        return response


def code_required(
    purpose: str,
    *,
    within: int | None = None,
    binding: Facts | Callable[..., Mapping[str, str] | Awaitable[Mapping[str, str]]] = None,
    max_age: float | None = None,
    methods: Collection[str] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for views, synchronous or asynchronous, that need a code first. Without one, the
    user is redirected to `StepUpView` and, after the code, back; a form that was sent is kept, and
    one press sends it again. Requests that bring or prefer JSON get a problem detail (403) that
    names the flow to start and its address. People who are not signed in are sent to the login.

    There are two kinds. A code for exactly this: the proof is used up, and the view is called with
    `verified=Verified(...)`. Or with `within=`, a code within the last so many seconds: it serves
    several requests of the user, in this session, and the view is called as it is.

    Args:
        purpose: What the code is for, such as `"payment"`.
        within: How many seconds one code serves, from 1 to 86400. It ends before at a login or
            logout, and when the user's password or phone changes. Not with `binding` or `max_age`.
        binding: The facts that the code approves and the message names: a mapping, or a function of
            the request and the variables of its address; it may be `async def` for an asynchronous
            view. A proof for one binding is never valid for another, so a form that was changed
            after the code needs another one.
        max_age: How many seconds a proof is valid after the right code; the policy's
            `proof_ttl_seconds` if left out.
        methods: The HTTP methods that need the code, such as `["POST"]` for a view that shows its
            form, too; all if left out. For the others, `verified` is `None`.

    Raises:
        ConfigurationError: The purpose is not a text, or is that of a login, a phone confirmation
            or a password reset; or the arguments do not fit together.
    """
    need = CodeNeed(purpose, within, binding is not None, max_age, methods)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        def facts(request: HttpRequest, args: Any, kwargs: Any) -> Any:
            made = cast("Callable[..., Any]", binding)
            return (lambda: made(request, *args, **kwargs)) if callable(binding) else binding

        def more(found: Any) -> dict[str, Any]:
            return {} if need.within is not None else {"verified": found}

        if iscoroutinefunction(view):

            @wraps(view)
            async def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                found = await _met(need, request, facts(request, args, kwargs))
                if isinstance(found, HttpResponseBase):
                    return found
                return await view(request, *args, **more(found), **kwargs)

            return checked

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            found = _met_now(need, request, facts(request, args, kwargs))
            if isinstance(found, HttpResponseBase):
                return found
            return view(request, *args, **more(found), **kwargs)

        return guarded

    return decorate


class CodeRequiredMixin:
    """`code_required` for class-based views, synchronous or asynchronous. Put it before the view's
    other bases.

    Attributes:
        code_purpose, code_within, code_max_age, code_methods: As `purpose`, `within`, `max_age` and
            `methods` of `code_required`.
        verified: The facts that the code proved, where its proof is used up.
    """

    code_purpose: ClassVar[str]
    code_within: ClassVar[int | None] = None
    code_max_age: ClassVar[float | None] = None
    code_methods: ClassVar[Collection[str] | None] = None
    verified: Verified | None = None
    request: HttpRequest
    kwargs: dict[str, Any]

    def get_code_binding(self) -> Facts:
        """The facts that the code approves; none if it is not overridden."""
        return None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """See `View`.

        Raises:
            ConfigurationError: As `code_required`.
        """
        cls._need()
        return super().as_view(**initkwargs)  # type: ignore[misc]  # the view has it

    @classmethod
    def _need(cls) -> CodeNeed:
        bound = cls.get_code_binding is not CodeRequiredMixin.get_code_binding
        return CodeNeed(
            cls.code_purpose, cls.code_within, bound, cls.code_max_age, cls.code_methods
        )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """See `View`."""
        go_on = super().dispatch  # type: ignore[misc]  # the view has it
        if not self.view_is_async:  # type: ignore[attr-defined]  # the view has it
            found = _met_now(self._need(), request, self.get_code_binding)
            if isinstance(found, HttpResponseBase):
                return found
            self.verified = found
            return go_on(request, *args, **kwargs)

        async def checked() -> Any:
            found = await _met(self._need(), request, self.get_code_binding)
            if isinstance(found, HttpResponseBase):
                return found
            self.verified = found
            return await go_on(request, *args, **kwargs)

        return checked()


def _met_now(need: CodeNeed, request: HttpRequest, facts: Any) -> Any:
    async def call(function: Callable[..., Any], *args: Any) -> Any:
        found = function(*args)
        if isawaitable(found):
            found.close()  # type: ignore[attr-defined]  # it is a coroutine
            raise ConfigurationError("The binding of a synchronous view must not be asynchronous.")
        return found

    return run_sync(need.meet(request, verifier_for(request), call, facts))


async def _met(need: CodeNeed, request: HttpRequest, facts: Any) -> Any:
    async def call(function: Callable[..., Any], *args: Any) -> Any:
        if iscoroutinefunction(function):
            return await function(*args)
        found = await sync_to_async(function)(*args)
        return await found if isawaitable(found) else found

    verifier = await call(averifier_for, request)
    return await need.meet(request, verifier, call, facts)


def _person(request: HttpRequest) -> Recipient | None:
    """The user as recipient, whose phone is empty if there is none; `None` if nobody is signed
    in."""
    list(request.session.keys())  # it is loaded, so later reads do not block
    user = request.user
    return (
        Recipient(requests.get_phone(user) or "", accounts.key(user))
        if user.is_authenticated
        else None
    )


def _signed_out(request: HttpRequest) -> HttpResponseBase:
    if api.wants_json(request):
        return api.problem(SIGN_IN_REQUIRED)
    return redirect_to_login(request.get_full_path())


def _address(request: HttpRequest, purpose: str) -> str:
    """Where the step-up for a purpose begins.

    Raises:
        ConfigurationError: It is not mounted.
    """
    for name in ("otpverify:step-up", "step-up"):
        for kwargs in ({"purpose": purpose}, _variables(request, purpose)):
            try:
                return reverse(name, kwargs=kwargs)
            except NoReverseMatch:
                continue
    raise ConfigurationError(
        "code_required needs the pages of StepUpView: include otpverify.integrations.django.urls, "
        "or add *StepUpView.urls() to the URL patterns."
    )


def _variables(request: HttpRequest, purpose: str) -> dict[str, Any]:
    """The variables of this request's address, for pages that are mounted below the same ones."""
    match = request.resolver_match
    return {**(match.kwargs if match is not None else {}), "purpose": purpose}


def _back(request: HttpRequest) -> str:
    """The page to return to: this one; for a form, the page that it was on."""
    if request.method in ("GET", "HEAD"):
        return safe_path(request.get_full_path())
    page = request.headers.get("Referer", "")
    host, secure = request.get_host(), request.is_secure()
    if not url_has_allowed_host_and_scheme(page, {host}, require_https=secure):
        return ""
    return safe_path("/" + page.partition("://")[2].partition("/")[2])


def _kept(request: HttpRequest) -> KeptForm | None:
    """The form of this request, if it is one that can be kept."""
    if request.method != "POST":
        return None
    action = iri_to_uri(request.get_full_path())
    if not safe_path(action):
        return None
    sent = SentForm(
        action=action,
        fields=sent_fields(request.POST.lists()),
        files=bool(request.FILES),
        content_type=request.headers.get("Content-Type", ""),
        headers=request.headers,
        host=request.get_host(),
    )
    in_cookie = settings.SESSION_ENGINE == "django.contrib.sessions.backends.signed_cookies"
    return keep_form(sent, largest=LARGEST_IN_COOKIE if in_cookie else LARGEST_FORM)
