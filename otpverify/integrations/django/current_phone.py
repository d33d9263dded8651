"""A person who is signed in proves again who they are: by the account's password, if it has one,
and by a code to its phone, or another way that stands in for it."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext_lazy

from otpverify import IncorrectAnswer, OtpVerifyError, Verified
from otpverify.integrations.django import accounts, api, requests
from otpverify.integrations.django.base import AsyncFlow, FlowView
from otpverify.integrations.django.other_ways import OtherWaysFlow
from otpverify.integrations.django.requests import lazy_sentence
from otpverify.integrations.web.attempts import count_password
from otpverify.integrations.web.enrolment import (
    OLD_PHONE,
    PROVE_AGAIN,
    AfterPassword,
    step_after_password,
)
from otpverify.integrations.web.notices import Carried
from otpverify.integrations.web.other_ways import is_code_refused
from otpverify.integrations.web.problems import PROOF_REQUIRED, SIGN_IN_REQUIRED, explained
from otpverify.integrations.web.sentences import LONGEST_FIELD
from otpverify.integrations.web.session import Recipient, get_value, put_value
from otpverify.integrations.web.session_stamp import REPROVED, SessionStamp, password_right

_WANTED = "wanted after check"


class PasswordForm(forms.Form):
    """Asks for the password of the account, if it has one.

    Args:
        request: The request.
        user: The account; `None`: the password is not needed.
    """

    password: forms.CharField = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=LONGEST_FIELD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, request: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request: Any = request
        self.user: Any = user
        if user is None or not user.has_usable_password():
            del self.fields["password"]

    def clean_password(self) -> str:
        """The password, if it is right. A wrong one is a failed login, for django-axes and the
        like."""
        typed = str(self.cleaned_data["password"])
        found = authenticate(self.request, username=self.user.get_username(), password=typed)
        if found is None or found.pk != self.user.pk:
            raise forms.ValidationError(
                PasswordChangeForm.error_messages["password_incorrect"], code="password_incorrect"
            )
        return typed


class AccountFlow(FlowView):
    """A flow of the person who is signed in. Others are led to the login."""

    public = True  # it leads to the login itself
    user: Any = None

    async def respond(self) -> HttpResponseBase:
        """The reply to this request."""
        await self.load_user()
        if self.user is None:
            if self.wants_json:
                return api.problem(SIGN_IN_REQUIRED)
            return redirect_to_login(self.request.get_full_path())
        return await super().respond()

    async def load_user(self) -> None:
        """Find out whose account it is about."""
        if self.view_is_async:
            await self.request.session.akeys()
        self.user = await FlowView.person(self)
        if self.user is not None:
            await self.call(requests.get_phone, self.user)  # loads what an event loop must not

    async def person(self) -> Any:
        """The user whose account it is about."""
        return self.user

    async def post_first(self) -> HttpResponseBase:
        """See `FlowView`. Wrong passwords are counted in the verifier's store, for each account."""
        form = await self.call(self.get_form)
        if "password" not in form.fields:
            return await self._judged(form)

        async def judge() -> None:
            await self.call(form.is_valid)
            if form.has_error("password", "password_incorrect"):
                raise IncorrectAnswer

        try:
            await count_password(self.web_flow.verifier, judge, accounts.key(self.user))
        except IncorrectAnswer:
            pass  # the form says so
        except OtpVerifyError as error:
            return self.refuse(explained(error))
        return await self._judged(form)

    async def _judged(self, form: Any) -> HttpResponseBase:
        valid = await self.call(form.is_valid)
        return await self.begin(form) if valid else await self.reply(self.form_invalid, form)

    def shown(self, recipient: Recipient) -> str:
        """Not in full: an open session must not show the number."""
        return self.web_flow.shown(recipient.phone)

    @property
    def phone(self) -> str | None:
        """The account's phone."""
        return requests.get_phone(self.user)

    @property
    def proved_again(self) -> SessionStamp:
        """The session's statement that the person proved who they are, by password and phone."""
        return SessionStamp(self.web_flow.verifier, self.request.session, REPROVED)

    def has_proved_again(self) -> bool:
        """Whether the person did so within the last minutes, for the account as it is now."""
        return accounts.has_stamp(self.proved_again, self.user)

    def prove_again(self) -> None:
        """State that the person did so. The session gets a new key, as it gains rights."""
        self.request.session.cycle_key()
        accounts.save_stamp(self.proved_again, self.user)

    def prove_first(self, wanted: str) -> HttpResponseBase:
        """The reply to a request that needs the proof: go and prove it, then go to `wanted`."""
        if self.wants_json:
            return api.problem(PROOF_REQUIRED)
        put_value(self.request.session, _WANTED, wanted)
        return HttpResponseRedirect(self.beside("my-phone-check"))


class CurrentPhoneView(OtherWaysFlow, AccountFlow):
    """A person who is signed in proves again who they are: by the password, and by a code to the
    account's phone. It allows one change of the phone, or new backup codes, for ten minutes."""

    flow = "my-phone/check"
    purpose = OLD_PHONE
    after_code: ClassVar[str] = "first"
    pages: ClassVar[dict[str, str]] = {
        **{step: end for step, end in FlowView.pages.items() if step != "done"},
        **OtherWaysFlow.pages,
    }
    titles: ClassVar[dict[str, Any]] = {
        **FlowView.titles,
        **OtherWaysFlow.titles,
        "first": lazy_sentence(PROVE_AGAIN),
    }
    form_class: type[forms.BaseForm] = PasswordForm
    template_name: str = "otpverify/current_phone.html"

    @classmethod
    def url_name(cls, step: str) -> str:
        """See `PageView`."""
        return "my-phone-check" if step == "first" else f"my-phone-check-{step}"

    def get_form_kwargs(self) -> dict[str, Any]:
        """See `FlowView`."""
        return {**super().get_form_kwargs(), "request": self.request, "user": self.user}

    def _first_page(self, carried: Carried) -> HttpResponseBase:
        return self._page(self.get_form(), carried)

    def form_invalid(self, form: Any) -> Any:
        """See `FlowView`."""
        return super().form_invalid(form) if self.wants_json else self._page(form)

    def _page(self, form: Any, carried: Carried | None = None) -> HttpResponseBase:
        current = self.phone
        shown = self.web_flow.shown(current) if current is not None else ""
        return self.render_form(self.get_template_names(), form, carried, current=shown)

    async def begin(self, form: Any) -> HttpResponseBase:
        """Send a code to the account's phone. Without one, another way takes its place; if there
        is none, either, the password is all there is."""
        await self.call(accounts.save_stamp, self._password_was_right, self.user)
        ways = await self.ways_of(self.user)
        step = step_after_password(has_phone=self.phone is not None, has_other_way=bool(ways))
        if step is not AfterPassword.CODE:
            other = step is AfterPassword.OTHER_WAY
            go = self.to_way(ways[0]) if other else await self.reply(self.way_passed, "password")
            return api.done(next=go.headers["Location"]) if self.wants_json else go
        outcome = await self.start(self._recipient())
        if not is_code_refused(outcome):
            ways = []
        if ways and not self.wants_json:
            return self.to_way(ways[0], outcome.notice)
        return self.follow(outcome)

    def _recipient(self) -> Recipient:
        return Recipient(str(self.phone), accounts.key(self.user))

    def get_phone(self, subject: str) -> str | None:
        """The account's phone, as long as the password counts as right in this flow."""
        mine = subject == accounts.key(self.user)
        return self.phone if mine and self._knows_password() else None

    def _knows_password(self) -> bool:
        return accounts.has_stamp(self._password_was_right, self.user)

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Allow what needs the proof."""
        return self.way_passed("sms")

    async def account_of_way(self) -> Any:
        """The person, whose password was right in this flow."""
        return self.user if self._knows_password() else None

    def way_passed(self, way: str) -> HttpResponseBase:
        """Allow what needs the proof."""
        self._password_was_right.drop()
        self.prove_again()
        return self._back()

    async def go_next(self) -> HttpResponseBase:
        """The page that needed the proof."""
        return api.respond(await self.web_flow.status()) if self.wants_json else self._back()

    @property
    def _password_was_right(self) -> SessionStamp:
        return password_right(self.web_flow.verifier, self.request.session)

    def _back(self) -> HttpResponseBase:
        wanted = get_value(self.request.session, _WANTED)
        put_value(self.request.session, _WANTED, None)
        return HttpResponseRedirect(str(wanted or self.beside("my-phone")))


class AsyncCurrentPhoneView(AsyncFlow, CurrentPhoneView):
    """`CurrentPhoneView`, asynchronous."""
