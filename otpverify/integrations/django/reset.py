"""Password reset by phone."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.translation import gettext_lazy as _

from otpverify import (
    ChallengeExpired,
    OtpVerifyError,
    VerificationFailed,
    Verified,
)
from otpverify.integrations.django import conf, requests
from otpverify.integrations.django.asking import Step, Target
from otpverify.integrations.django.flow import FlowView
from otpverify.integrations.django.forms import PhoneForm
from otpverify.integrations.django.signals import password_reset_done
from otpverify.integrations.web import steps
from otpverify.integrations.web.pending import Pending


class PasswordResetView(FlowView):
    """A code to the account's phone allows one new password, which `AUTH_PASSWORD_VALIDATORS`
    judge. A refused one costs no other message: the code's proof is redeemed when the form is
    valid. Everybody who was signed in to the account is signed out, as Django does.

    Whether there is an account shows nowhere: for a number without one a decoy is started, what
    befalls only real messages is not told, and they are delivered in the background, so that the
    reply takes as long.
    """

    flow = "reset"
    purpose = "password-reset"
    public = True
    conceal = True
    pages: ClassVar[dict[str, str]] = {**FlowView.pages, "password": "password/"}
    titles: ClassVar[dict[str, Any]] = {
        **FlowView.titles,
        "first": _("Reset your password"),
        "password": _("Choose a new password"),
        "done": _("Password changed"),
    }
    form_class = PhoneForm
    password_form_class = SetPasswordForm
    template_name = "otpverify/reset.html"
    password_template_name = "otpverify/password.html"  # noqa: S105 - a template
    done_template_name = "otpverify/reset_done.html"

    @property
    def background(self) -> bool:  # type: ignore[override]  # read only, and a setting here
        """As `DELIVER_IN_BACKGROUND` says."""
        return bool(conf.given().get("DELIVER_IN_BACKGROUND", True))

    def find_user(self, phone: str) -> Any:
        """Who may reset a password with this phone, or `None`."""
        return requests.find_user(phone)

    def identify(self, form: PhoneForm) -> Target | HttpResponseBase:
        """The number, and whether it has an account."""
        phone = form.cleaned_data["phone"]
        known = self.find_user(phone) is not None
        return Target(phone, phone, deliver=known, typed=phone)

    def phone_of(self, who: str) -> str | None:
        """The number itself."""
        return who

    def typed(self, pending: Pending) -> str:
        """The number."""
        return pending.who

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Allow one new password."""
        self.kept.put(phone=verified.phone, proof=verified.proof)
        return self.go("password")

    def show_password(self) -> HttpResponseBase:
        """The form for the new password."""
        user = self._proved()
        if user is None:
            return self.follow(steps.no_challenge())
        return self._ask_password(self.password_form_class(user))

    def take_password(self) -> Step:
        """Set it, once, if it will do."""
        user = self._proved()
        if user is None:
            return self.begin_again(ChallengeExpired())
        form = self.password_form_class(user, self.request.POST)
        if not form.is_valid():
            return self._ask_password(form)
        return self.ask(
            "redeem",
            lambda verified: self.password_valid(form, verified),
            self._not_redeemed,
            phone=self.kept.get("phone"),
            proof=self.kept.get("proof"),
            purpose=self.purpose,
            binding=self.get_binding(),
        )

    def password_valid(self, form: Any, verified: Verified) -> HttpResponseBase:
        """Set the password."""
        user = form.save()
        self.kept.clear()
        password_reset_done.send(type(self), request=self.request, user=user, verified=verified)
        return self.go("done")

    def show_done(self) -> HttpResponseBase:
        """The password was changed."""
        return self.render_form(
            [self.done_template_name], login_url=resolve_url(settings.LOGIN_URL)
        )

    def _proved(self) -> Any:
        """The account whose phone was proved in this session."""
        phone = self.kept.get("phone")
        return self.find_user(phone) if isinstance(phone, str) else None

    def _ask_password(self, form: Any) -> HttpResponseBase:
        next(iter(form.fields.values())).widget.attrs["autofocus"] = True
        return self.render_form(
            [self.password_template_name], form, self.kept.heard("password"), account=form.user
        )

    def _not_redeemed(self, error: OtpVerifyError) -> Step:
        if not isinstance(error, VerificationFailed):
            return self.tell("password", steps.notice_of(error))
        self.kept.clear()
        return self.begin_again(error)
