"""Login: a password, then a code to the account's phone."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import load_backend, login
from django.contrib.auth.views import LoginView as PasswordLoginView
from django.http import HttpResponseBase, HttpResponseRedirect
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from otpverify import ChallengeExpired, Verified
from otpverify.integrations.django import requests
from otpverify.integrations.django.asking import Step, Target
from otpverify.integrations.django.flow import FlowView
from otpverify.integrations.django.signals import login_verified
from otpverify.phone import mask


class LoginView(FlowView, PasswordLoginView):
    """Django's `LoginView`, whose users are signed in once a code was right, too.

    Until then the session holds who passed the password, by primary key, backend and session
    auth hash: a user who is deactivated, or whose password changes, in between is refused. The
    session's key changes with the password and with the code. How often a password may be tried
    is for others to limit, such as django-axes.
    """

    flow = "login"
    purpose = "login"
    public = True
    pages: ClassVar[dict[str, str]] = {
        step: end for step, end in FlowView.pages.items() if step != "done"
    }
    titles: ClassVar[dict[str, Any]] = {**FlowView.titles, "first": _("Sign in")}
    template_name = "otpverify/login.html"

    def needs_code(self, user: Any) -> bool:
        """Whether this user signs in with a code, too; everybody does."""
        return True

    def without_phone(self, form: Any) -> HttpResponseBase:
        """The reply to a user who needs a code and has no phone: nobody is signed in."""
        form.add_error(None, _("This account has no phone number that a code could be sent to."))
        return self.form_invalid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """See `LoginView`; with the address of the password reset, where it is mounted beside."""
        return super().get_context_data(**kwargs, reset_url=self.beside("reset"))

    def show_first(self) -> HttpResponseBase:
        """The password form."""
        if self.redirect_authenticated_user and self.request.user.is_authenticated:
            return HttpResponseRedirect(self.get_success_url())
        return super().show_first()

    def identify(self, form: Any) -> Target | HttpResponseBase:
        """The user whose password was right."""
        user = form.get_user()
        if not self.needs_code(user):
            return PasswordLoginView.form_valid(self, form)
        phone = requests.phone_of(user)
        if phone is None:
            return self.without_phone(form)
        earlier = self.account()
        who = user._meta.pk.value_to_string(user)
        self.request.session.cycle_key()
        if earlier is None or self.kept.get("user") != who:
            self.kept.clear()
        self.kept.put(
            user=who,
            backend=user.backend,
            hash=user.get_session_auth_hash(),
            next=self.get_redirect_url(),
        )
        return Target(who, phone)

    def account(self) -> Any:
        """Who passed the password in this session, unless it or the account changed since."""
        backend = self.kept.get("backend")
        if backend not in settings.AUTHENTICATION_BACKENDS:
            return None
        # The backend's word: it knows nobody who is not active.
        user: Any = load_backend(backend).get_user(self.kept.get("user"))
        known = str(self.kept.get("hash"))
        if user is None or not constant_time_compare(known, user.get_session_auth_hash()):
            return None
        return user

    def phone_of(self, who: str) -> str | None:
        """The account's phone."""
        user = self.account()
        return None if user is None else requests.phone_of(user)

    def shown(self, who: str) -> str:
        """Masked: a password alone must not tell the number."""
        return mask(self.phone_of(who) or "")

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Sign in, and go where the person wanted to."""
        user, backend, wanted = self.account(), self.kept.get("backend"), self.kept.get("next")
        self.kept.clear()
        if user is None:
            return self.begin_again(ChallengeExpired())
        login(self.request, user, backend=backend)
        login_verified.send(type(self), request=self.request, user=user, verified=verified)
        safe = url_has_allowed_host_and_scheme(
            wanted, self.get_success_url_allowed_hosts(), require_https=self.request.is_secure()
        )
        return HttpResponseRedirect(wanted if safe else self.get_default_redirect_url())

    def take_cancel(self) -> Step:
        """Void the challenge; whoever passed the password is forgotten."""
        step = super().take_cancel()
        self.kept.clear()
        return step
