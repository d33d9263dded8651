"""Enrolment: a signed-in person adds, changes or removes the phone of the account.

What an attacker with somebody's open session can do decides the steps (OWASP ASVS 5.0, 7.5.1):

- Each change needs the account's password, if it has one, and a code to the number that the account
  has. A backup code stands in for a lost phone. The rule is `otpverify.integrations.web.enrolment`.
- The new number counts once a code to it was right. Only then is it compared with those of other
  accounts, so the pages show nobody whose numbers are known here.
- Afterwards remembered browsers end, and so do pending codes to the old number, since a code is
  checked with the number that the account has. Other sessions of the user end if the user model
  has `EndsSessionsWithPhone` (see `phone_sessions`).
- The person is notified, at the old number, too (ASVS 6.3.7).
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib.auth import HASH_SESSION_KEY
from django.http import HttpResponseBase

from otpverify import ChallengeExpired, Verified
from otpverify.integrations.django import accounts, api, conf, pending_login, requests
from otpverify.integrations.django.account_notices import notify
from otpverify.integrations.django.base import AsyncFlow, FlowView
from otpverify.integrations.django.current_phone import (
    AccountFlow,
    AsyncCurrentPhoneView,
    CurrentPhoneView,
    PasswordForm,
)
from otpverify.integrations.django.forms import PhoneForm
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.django.signals import phone_changed, phone_removed
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.enrolment import (
    NEW_PHONE,
    PHONE_REMOVED,
    SAME_NUMBER,
    TAKEN,
    AfterPassword,
    enrolled,
    enrolling,
    step_after_password,
)
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.outcome import Outcome
from otpverify.integrations.web.problems import INVALID_REQUEST
from otpverify.integrations.web.session import Recipient


class NewPhoneForm(PhoneForm, PasswordForm):
    """Asks for the account's new number, and for the password."""

    field_order: tuple[str, ...] = ("phone", "password")


class EnrolmentView(AccountFlow):
    """Adds, changes and removes the phone of the account. `urls()` mounts `check_view`, too.

    Where the setting `WITHOUT_PHONE` is `"enrol"`, it also serves people whose password was right
    and whose account has no phone: they are signed in once it has one.

    Attributes:
        check_view: The flow that proves again who the person is, before a change, and before the
            first phone of a user who has other ways (its hook `other_ways`).
    """

    flow = "my-phone"
    purpose = NEW_PHONE
    pages: ClassVar[dict[str, str]] = {**FlowView.pages, "remove": "remove/"}
    titles: ClassVar[dict[str, Any]] = {
        **FlowView.titles,
        "first": _("Phone number"),
        "done": _("Phone confirmed"),
    }
    hooks: ClassVar[tuple[str, ...]] = (
        *FlowView.hooks,
        "phone_taken",
        "save_phone",
        "may_remove",
    )
    form_class: type[forms.BaseForm] = NewPhoneForm
    template_name: str = "otpverify/my_phone.html"
    done_template_name = "otpverify/phone_done.html"
    check_view: ClassVar[type[CurrentPhoneView]] = CurrentPhoneView
    enrols: bool = False
    guarded: bool = True
    changed: tuple[AccountChange, str | None] | None = None

    @classmethod
    def urls(cls, **initkwargs: Any) -> list[Any]:
        """All pages, with those of `check_view`."""
        return [*cls.check_view.urls(), *super().urls(**initkwargs)]

    # Hooks.

    def phone_taken(self, phone: str) -> bool:
        """Whether another account has this number, which a code has confirmed by now."""
        return accounts.has_other_owner(phone, self.user)

    def save_phone(self, user: Any, phone: str | None, old: str | None) -> None:
        """Save the number of the account.

        Args:
            user: The account.
            phone: In E.164; `None` to remove it.
            old: The number that the account has to have until now.

        Raises:
            ChallengeExpired: It has another one by now.
            IntegrityError: Another account has this number.
        """
        accounts.save_phone(user, phone, old)

    def may_remove(self) -> bool:
        """Whether the person may remove the number: not if nobody could sign in afterwards. So the
        account needs a password and another user name, and `WITHOUT_PHONE` must not be
        `"refuse"`."""
        can_sign_in = self.user.has_usable_password() and not requests.phone_is_username()
        return bool(can_sign_in and conf.without_phone() != "refuse")

    # Who the person is.

    async def load_user(self) -> None:
        """The user who is signed in, or whose password was right and who must enrol a phone."""
        await super().load_user()
        if self.user is None:
            self.user: Any = await self.call(pending_login.enrolling_user, self.request)
            self.enrols = self.user is not None

    async def _open(self, *, posted: bool) -> None:
        await super()._open(posted=posted)
        self.guarded = await self._has_second_factor()

    async def _has_second_factor(self) -> bool:
        """Whether the account has one, which the person must pass before there is another one: also
        where the person may add the first phone by the password alone, at the login."""
        check = self.check_view()
        check.setup(self.request, *self.args, **self.kwargs)
        check.web_flow = self.web_flow
        ways = await check.ways_of(self.user)
        step = step_after_password(has_phone=self.phone is not None, has_other_way=bool(ways))
        return step is not AfterPassword.NOTHING

    def get_form_kwargs(self) -> dict[str, Any]:
        """See `FlowView`. The password is not asked for again right after it was right."""
        asked = None if self.enrols or self.guarded else self.user
        return {**super().get_form_kwargs(), "request": self.request, "user": asked}

    # The steps.

    def _first_page(self, carried: Carried) -> HttpResponseBase:
        return self._page(self.get_form(), carried)

    def form_invalid(self, form: Any) -> Any:
        """See `FlowView`."""
        return super().form_invalid(form) if self.wants_json else self._page(form)

    def _page(self, form: Any, carried: Carried | None = None) -> HttpResponseBase:
        current = self.phone
        locked = self.guarded and not self.has_proved_again()
        if carried is not None and carried.typed and not locked:
            form.initial = {"phone": carried.typed, **form.initial}
        shown = self.web_flow.shown(current) if current is not None else ""
        context = {
            "current": shown,
            "locked": locked,
            "check_url": self.beside("my-phone-check"),
            "may_remove": current is not None and self.may_remove(),
        }
        return self.render_form(self.get_template_names(), form, carried, **context)

    async def begin(self, form: Any) -> HttpResponseBase:
        """Send a code to the new number."""
        current = await self.call(requests.get_phone, self.user)
        if self.guarded and not await self.call(self.has_proved_again):
            return self.prove_first(self.address("first"))
        if current is not None and form.cleaned_data["phone"] == self._normal(current):
            form.add_error("phone", requests.say(SAME_NUMBER))
            return await self.reply(self.form_invalid, form)
        return await super().begin(form)

    def get_recipient(self, form: Any) -> Recipient | HttpResponseBase:
        """The number, for this account."""
        return enrolling(accounts.key(self.user), form.cleaned_data["phone"])

    def get_phone(self, subject: str) -> str | None:
        """The number that was typed, if it was for this account."""
        found = enrolled(accounts.key(self.user), subject)
        return None if found is None else found.phone

    def typed_before(self) -> str:
        """See `FlowView`."""
        return super().typed_before().partition(" ")[0]

    def shown(self, recipient: Recipient) -> str:
        """In full, since the person typed it."""
        return recipient.phone

    async def succeed(self, outcome: Outcome, verified: Verified) -> HttpResponseBase:
        """See `FlowView`. The account may have got another way since this request began."""
        self.guarded = await self._has_second_factor()
        return await super().succeed(outcome, verified)

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Save the number, unless it belongs to another account.

        Raises:
            ChallengeExpired: The account changed in between, or the proof is too old.
        """
        old = self.phone
        if self.guarded and not self.has_proved_again():
            raise ChallengeExpired
        if self.phone_taken(verified.phone) or not self._saved(verified.phone, old):
            self.web_flow.forget()
            return self._taken()
        if not self.enrols:
            self.end_what_went_to_old_number()
        phone_changed.send(
            type(self), request=self.request, user=self.user, verified=verified, old=old
        )
        self.changed = (AccountChange.to_phone(old), old)
        response = self.go("done")
        if self.enrols:
            response = pending_login.finish(
                self.request, self.user, way="enrolment", verified=verified, sender=type(self)
            )
        super().finish(verified, response, phone=verified.phone)
        return response

    def _saved(self, phone: str, old: str | None) -> bool:
        return accounts.saved_alone(self.save_phone, self.user, phone, old)

    def _taken(self) -> HttpResponseBase:
        if self.wants_json:
            return api.problem(INVALID_REQUEST, errors={"phone": [requests.say(TAKEN)]})
        return self.to("first", Carried(Notice(TAKEN, "phone")))

    async def post_code(self) -> HttpResponseBase:
        """See `FlowView`. The person is notified once the number is saved."""
        response = await super().post_code()
        if self.changed is not None:
            change, old = self.changed
            await notify(self, self.user, change, old)
        return response

    async def post_remove(self) -> HttpResponseBase:
        """Remove the number."""
        current = await self.call(requests.get_phone, self.user)
        if current is None or not await self.call(self.may_remove):
            return api.problem(INVALID_REQUEST) if self.wants_json else self.go("first")
        if not await self.call(self.has_proved_again):
            return self.prove_first(self.address("first"))
        response = await self.reply(self._remove, current)
        await notify(self, self.user, AccountChange.PHONE_REMOVED, current)
        return response

    def _remove(self, old: str) -> HttpResponseBase:
        self.save_phone(self.user, None, old)
        self.end_what_went_to_old_number()
        phone_removed.send(type(self), request=self.request, user=self.user, old=old)
        if self.wants_json:
            return api.done(next=self.address("first"))
        return self.to("first", Carried(Notice(PHONE_REMOVED, error=False)))

    def end_what_went_to_old_number(self) -> None:
        """End the user's other sessions, where the user model does so. This one gets a new key, and
        goes on."""
        self.proved_again.drop()
        self.request.session.cycle_key()
        # Not by `update_session_auth_hash`, which would look at `request.user`. An asynchronous
        # request has none yet, and the session's hash does not fit any more.
        self.request.session[HASH_SESSION_KEY] = self.user.get_session_auth_hash()

    def finish(self, verified: Verified, response: HttpResponseBase, **more: Any) -> None:
        """See `FlowView`. `code_valid` records it, if the number was saved."""

    def _normal(self, phone: str) -> str:
        return self.web_flow.verifier.normalize(phone)


class AsyncEnrolmentView(AsyncFlow, EnrolmentView):
    """`EnrolmentView`, asynchronous."""

    check_view: ClassVar[type[CurrentPhoneView]] = AsyncCurrentPhoneView
