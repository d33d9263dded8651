"""Login: a password, then a code to the account's phone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import load_backend, login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import LoginView as PasswordLoginView
from django.http import HttpResponseBase, HttpResponseRedirect
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    IncorrectCode,
    OtpVerifyError,
    Verified,
)
from otpverify.integrations.django import api, requests, session
from otpverify.integrations.django.backends import PhoneAuthenticationForm
from otpverify.integrations.django.base import FlowView
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.django.signals import login_verified
from otpverify.integrations.web.session import Recipient
from otpverify.phone import hint

_ENTRY = "login"


class LoginView(FlowView, PasswordLoginView):
    """Django's `LoginView`, whose users are signed in once a code was right, too.

    Until then the session holds the user whose password was right, by primary key, backend and
    session auth hash: a user who is deactivated, or whose password changes, in between is refused.
    The session's key changes with the password and with the code, and the login drops all other
    flows of the session. Limit how often a password may be tried, such as with django-axes.
    """

    flow = "login"
    purpose = "login"
    public = True
    pages: ClassVar[dict[str, str]] = {
        step: end for step, end in FlowView.pages.items() if step != "done"
    }
    titles: ClassVar[dict[str, Any]] = {**FlowView.titles, "first": _("Sign in")}
    hooks: ClassVar[tuple[str, ...]] = (*FlowView.hooks, "needs_code", "without_phone")
    template_name = "otpverify/login.html"

    def needs_code(self, user: Any) -> bool:
        """Whether this user signs in with a code, too. All users do."""
        return True

    def without_phone(self, form: Any) -> HttpResponseBase:
        """The reply to a user who needs a code and has no phone: the user is not signed in."""
        form.add_error(None, _("This account has no phone number to send a code to."))
        return self.form_invalid(form)  # type: ignore[no-any-return]  # a reply

    def get_form_class(self) -> Any:
        """See `LoginView`. Where the user name is the phone, Django's form gives way to one that
        takes it in every spelling."""
        chosen = super().get_form_class()
        plain = chosen is AuthenticationForm and requests.phone_is_username()
        return PhoneAuthenticationForm if plain else chosen

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """See `LoginView`; with the address of the password reset, where it is mounted beside."""
        return super().get_context_data(**kwargs, reset_url=self.beside("reset"))

    async def get_first(self) -> HttpResponseBase:
        """The password form."""
        if self.redirect_authenticated_user and await self.signed_in() is not None:
            return HttpResponseRedirect(self.get_success_url())
        return await super().get_first()

    async def begin(self, form: Any) -> HttpResponseBase:
        """Send a code to the user whose password was right."""
        user = form.get_user()
        if not await self.call(self.needs_code, user):
            response: HttpResponseBase = await self.call(PasswordLoginView.form_valid, self, form)
            return api.signed_in(response) if self.wants_json else response
        found: Recipient | HttpResponseBase | None = await self.call(self.get_recipient, form)
        if found is None:
            return await self.reply(self.without_phone, form)
        if not isinstance(found, Recipient):
            return found
        held = self._held()
        if held.get("user") != found.subject or await self.call(self.account) is None:
            self.web_flow.forget()
        outcome = await self.start(found)
        if outcome.saved:
            await self.call(self.request.session.cycle_key)
            entry = {
                "user": found.subject,
                "backend": user.backend,
                "hash": user.get_session_auth_hash(),
                "next": self.get_redirect_url(),
            }
            session.put(self.request.session, _ENTRY, entry)
        return self.follow(outcome)

    def get_recipient(self, form: Any) -> Any:
        """The user whose password was right; `None` without a phone."""
        user = form.get_user()
        phone = requests.phone_of(user)
        return Recipient(phone, user._meta.pk.value_to_string(user)) if phone else None

    def account(self) -> Any:
        """The user whose password was right in this session, unless the session or the account
        changed since."""
        held = self._held()
        backend = str(held.get("backend"))
        if backend not in settings.AUTHENTICATION_BACKENDS:
            return None
        # The backend does not return users who are not active.
        user: Any = load_backend(backend).get_user(held.get("user"))
        known = str(held.get("hash"))
        if user is None or not constant_time_compare(known, user.get_session_auth_hash()):
            return None
        return user

    def phone_of(self, subject: str) -> str | None:
        """The account's phone."""
        user = self.account() if self._held().get("user") == subject else None
        return None if user is None else requests.phone_of(user)

    def shown(self, recipient: Recipient) -> str:
        """Not in full: a password alone must not show the number."""
        return hint(self.web_flow.verifier.normalize(recipient.phone))

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Sign in, and redirect to the page that the person wanted.

        Raises:
            ChallengeExpired: The account changed in between.
        """
        held, user = self._held(), self.account()
        if user is None:
            raise ChallengeExpired
        login(self.request, user, backend=held.get("backend"))
        login_verified.send(type(self), request=self.request, user=user, verified=verified)
        wanted = str(held.get("next") or "")
        safe = url_has_allowed_host_and_scheme(
            wanted, self.get_success_url_allowed_hosts(), require_https=self.request.is_secure()
        )
        return HttpResponseRedirect(wanted if safe else self.get_default_redirect_url())

    async def refused(self, error: OtpVerifyError, user: Any) -> None:
        """See `FlowView`. An attempt is a failed login, too."""
        await super().refused(error, user)
        attempt = isinstance(error, IncorrectCode) and error.attempts_left is not None
        if user is not None and (attempt or isinstance(error, AttemptsExhausted)):
            credentials = {user.USERNAME_FIELD: user.get_username()}
            await self.signal(user_login_failed, sender=__name__, credentials=credentials)

    async def post_cancel(self) -> HttpResponseBase:
        """Void the challenge, and forget the password."""
        response = await super().post_cancel()
        session.put(self.request.session, _ENTRY, None)
        return response

    async def person(self) -> Any:
        """The user whose password was right."""
        return await self.call(self.account)

    async def signed_in(self) -> Any:
        """The user who is signed in, or `None`."""
        return await super().person()

    async def finished(self) -> Mapping[str, Any] | None:
        """See `FlowView`. It ended only as long as the person is signed in."""
        return await super().finished() if await self.signed_in() is not None else None

    def _held(self) -> Mapping[str, Any]:
        found = session.get(self.request.session, _ENTRY)
        return found if isinstance(found, Mapping) else {}
