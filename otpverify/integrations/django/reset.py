"""Password reset by phone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpResponseBase
from django.shortcuts import resolve_url

from otpverify import ChallengeExpired, VerificationFailed, Verified
from otpverify.integrations.django import api, requests
from otpverify.integrations.django.account_notices import notify
from otpverify.integrations.django.base import FlowView
from otpverify.integrations.django.forms import PhoneForm
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.django.signals import password_reset_done
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.sentences import CONFIRM_FIRST
from otpverify.integrations.web.session import Proof, Recipient
from otpverify.integrations.web.sign_in import Match, match_account

_REPEAT_SECONDS = 60


class PasswordResetView(FlowView):
    """A code to the account's phone allows one new password, which `AUTH_PASSWORD_VALIDATORS`
    check. A refused password does not cost another message: the code's proof is redeemed when the
    form is valid. Everyone who was signed in to the account is signed out, as Django does.

    The pages do not show whether there is an account: the flow is concealed, and messages are
    delivered in the background, so that the reply takes as long. No account is looked up before a
    code was right, except to decide whether to send one.
    """

    flow = "reset"
    purpose = "password-reset"
    public = True
    concealed: bool = True
    after_code: ClassVar[str] = "password"
    pages: ClassVar[dict[str, str]] = {**FlowView.pages, "password": "password/"}
    titles: ClassVar[dict[str, Any]] = {
        **FlowView.titles,
        "first": _("Reset your password"),
        "password": _("Choose a new password"),
        "done": _("Password changed"),
    }
    hooks: ClassVar[tuple[str, ...]] = (
        *FlowView.hooks,
        "find_users",
        "may_reset",
        "password_valid",
    )
    form_class: type[forms.BaseForm] = PhoneForm
    password_form_class = SetPasswordForm
    template_name: str = "otpverify/reset.html"
    password_template_name = "otpverify/password.html"  # noqa: S105 - a template
    done_template_name = "otpverify/reset_done.html"

    def find_users(self, phone: str) -> list[Any]:
        """All accounts with this phone, in E.164: by `FIND_USERS`, or else by `PHONE_FIELD`. Two
        that may reset a password with it are never guessed at: neither can."""
        return requests.find_users(phone)

    def may_reset(self, user: Any) -> bool:
        """Whether a code to the account's phone allows a new password. Active accounts with a
        password may. It is called before a code is sent, and before the password is set."""
        return bool(user.is_active and user.has_usable_password())

    def password_valid(self, form: Any, verified: Verified) -> HttpResponseBase:
        """Set the password."""
        user = form.save()
        password_reset_done.send(type(self), request=self.request, user=user, verified=verified)
        return self.go("done")

    def get_recipient(self, form: Any) -> Recipient | HttpResponseBase:
        """The number."""
        return Recipient.typed(form.cleaned_data["phone"])

    async def exists(self, to: Recipient) -> bool:
        """Whether the number has an account."""
        return await self._user(to.phone) is not None

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Allow one new password."""
        return self.go("password")

    async def get_password(self) -> HttpResponseBase:
        """The form for the new password."""
        carried = self.carried("password")
        if not isinstance(await self.web_flow.current(), Proof):
            return self.to("first", Carried(Notice(CONFIRM_FIRST, error=False)))
        form = self.password_form_class(get_user_model()())
        return await self.reply(self._password_page, form, carried)

    async def post_password(self) -> HttpResponseBase:
        """Set the new password, once, if it is valid."""
        proof = await self.web_flow.current()
        if not isinstance(proof, Proof):
            if await self._was_set():
                return await self.go_next()
            return self.refuse(ChallengeExpired())
        user = await self._user(proof.subject)
        form = self.password_form_class(user or get_user_model()(), self.data)
        if not await self.call(form.is_valid):
            if self.wants_json:
                return api.invalid(form, proof)
            return await self.reply(self._password_page, form)
        outcome = await self.web_flow.redeem()
        if outcome.verified is None:
            error = outcome.error or ChallengeExpired()
            if isinstance(error, VerificationFailed):
                return self.refuse(ChallengeExpired())
            return self.refuse(error, step="password")
        if user is None:  # it was removed since
            return self.refuse(ChallengeExpired())
        response = await self.call(self.password_valid, form, outcome.verified)
        await notify(self, user, AccountChange.PASSWORD_RESET, None)
        self.finish(outcome.verified, response, ended=True)
        return api.succeeded(outcome, response) if self.wants_json else response

    async def _user(self, phone: str) -> Any:
        """The one user who may reset a password with this phone; `None` without one."""
        match: Match[Any] = await match_account(
            phone,
            lambda number: self.call(self.find_users, number),
            lambda user: self.call(self.may_reset, user),
        )
        return match.account

    async def _was_set(self) -> bool:
        """Whether this form was sent a moment ago, and set the password that it has."""
        found = await self.finished() or {}
        phone, at = found.get("phone"), found.get("at")
        if not isinstance(at, float) or time.time() - at > _REPEAT_SECONDS or not phone:
            return False
        user = await self._user(phone)
        password = self.data.get("new_password1")
        return user is not None and bool(await self.call(user.check_password, password))

    def finish(self, verified: Verified, response: HttpResponseBase, **more: Any) -> None:
        """See `FlowView`. It ends with the new password, not with the code."""
        if more.pop("ended", False):
            super().finish(verified, response, phone=verified.phone, **more)

    def _password_page(self, form: Any, carried: Carried | None = None) -> HttpResponseBase:
        next(iter(form.fields.values())).widget.attrs["autofocus"] = True
        return self.render_form([self.password_template_name], form, carried)

    def _done_page(self, found: Mapping[str, Any]) -> HttpResponseBase:
        return self.render_form(
            [self.done_template_name], login_url=resolve_url(settings.LOGIN_URL)
        )
