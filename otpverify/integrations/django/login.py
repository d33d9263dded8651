"""Login: a password, then a code to the account's phone, or another second factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from django.contrib.auth import logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import LoginView as PasswordLoginView
from django.http import HttpResponseBase, HttpResponseRedirect

from otpverify import ChallengeExpired, OtpVerifyError, Verified
from otpverify.integrations.django import (
    accounts,
    api,
    conf,
    pending_login,
    remembered,
    requests,
)
from otpverify.integrations.django.account_notices import notify
from otpverify.integrations.django.backends import PhoneAuthenticationForm
from otpverify.integrations.django.other_ways import OtherWaysFlow
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.attempts import count_failed_sign_in, is_attempt
from otpverify.integrations.web.enrolment import check_without_phone
from otpverify.integrations.web.other_ways import OtherWay, is_code_refused
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.sentences import NO_PHONE
from otpverify.integrations.web.session import Recipient


class LoginView(OtherWaysFlow, PasswordLoginView):
    """Django's `LoginView`, whose users are signed in once a code was right, too.

    Until then the session holds the user whose password was right (`pending_login`): a user who is
    deactivated, or whose password changes, in between is refused. The session's key changes with
    the password and with the code, and the login drops all other flows of the session. Limit how
    often a password may be tried, such as with django-axes.

    The setting `WITHOUT_PHONE`, or the hook `without_phone`, says what happens to users without a
    phone who have no other way, `REMEMBER_DAYS` how long a browser may skip the code. A browser
    that is remembered signs in without `login_verified`, since no second factor was checked.
    """

    flow = "login"
    purpose = "login"
    public = True
    pages: ClassVar[dict[str, str]] = {
        step: end for step, end in OtherWaysFlow.pages.items() if step != "done"
    }
    titles: ClassVar[dict[str, Any]] = {**OtherWaysFlow.titles, "first": _("Sign in")}
    hooks: ClassVar[tuple[str, ...]] = (
        *OtherWaysFlow.hooks,
        "needs_code",
        "without_phone",
        "phone_missing",
    )
    code_form_class = remembered.LoginCodeForm
    template_name: str = "otpverify/login.html"

    def needs_code(self, user: Any) -> bool:
        """Whether this user signs in with a code, too. All users do."""
        return True

    def without_phone(self, user: Any) -> str:
        """What happens to a user who needs a code, and has no phone and no other way: `"refuse"`,
        `"sign_in"` or `"enrol"`. What the setting `WITHOUT_PHONE` says."""
        return conf.without_phone()

    def phone_missing(self, form: Any) -> HttpResponseBase:
        """The reply to a user whom `without_phone` refuses: the user is not signed in."""
        form.add_error(None, requests.say(NO_PHONE))
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
        redirects = self.redirect_authenticated_user and not pending_login.asks_again(self.request)
        if redirects and await self.signed_in() is not None:
            return HttpResponseRedirect(self.get_success_url())
        return await super().get_first()

    async def begin(self, form: Any) -> HttpResponseBase:
        """Send a code to the user whose password was right, unless the browser is remembered."""
        user = form.get_user()
        if not await self.call(self.needs_code, user):
            return await self._sign_in(form)
        if await self.call(self._remembered, user):
            response = await self._sign_in(form)
            await self.call(pending_login.save_second_factor, self.request, user)
            return response
        found: Recipient | HttpResponseBase | None = await self.call(self.get_recipient, form)
        if found is None:
            return await self._without_phone(form, user)
        if not isinstance(found, Recipient):
            return found
        if await self.call(self.get_phone, found.subject) is None:
            self.web_flow.forget()  # it is of another account, or of before a change
        outcome = await self.start(found)
        if outcome.saved:
            await self.call(self._hold, user)
            return self.follow(outcome)
        ways = await self.ways_of(user) if is_code_refused(outcome) else []
        return await self._another_way(user, ways, outcome) if ways else self.follow(outcome)

    async def _sign_in(self, form: Any) -> HttpResponseBase:
        """Sign in by the password alone."""
        response: HttpResponseBase = await self.call(PasswordLoginView.form_valid, self, form)
        return api.signed_in(response) if self.wants_json else response

    async def _another_way(
        self, user: Any, ways: Sequence[OtherWay], outcome: Outcome
    ) -> HttpResponseBase:
        """Lead a user to whom no code can be sent to another way."""
        self.web_flow.forget()
        await self.call(self._hold, user)
        if self.wants_json:
            if outcome.error is not None:
                return api.respond(outcome)
            return api.succeeded(outcome, HttpResponseRedirect(self.address_of(ways[0])))
        return self.to_way(ways[0], outcome.notice)

    async def _without_phone(self, form: Any, user: Any) -> HttpResponseBase:
        if ways := await self.ways_of(user):
            return await self._another_way(user, ways, Outcome(Page.NEXT))
        said = await self.call(self.without_phone, user)
        choice = check_without_phone(said, f"{type(self).__name__}.without_phone()")
        enrolment = self.beside("my-phone") if choice == "enrol" else ""
        if choice == "sign_in":
            return await self._sign_in(form)
        if not enrolment:
            return await self.reply(self.phone_missing, form)
        await self.call(partial(self._hold, user, enrols=True))
        response = HttpResponseRedirect(enrolment)
        return api.signed_in(response) if self.wants_json else response

    def _remembered(self, user: Any) -> bool:
        return remembered.is_remembered(self.request, user, self.web_flow.verifier)

    def _hold(self, user: Any, *, enrols: bool = False) -> None:
        """Let the second factor follow."""
        if enrols and self.request.user.is_authenticated:
            logout(self.request)  # or the enrolment would be about the user who was signed in
        self.request.session.cycle_key()
        pending_login.hold(
            self.request,
            user,
            wanted=self.get_redirect_url(),
            default=self.get_default_redirect_url(),
            enrols=enrols,
        )

    def get_recipient(self, form: Any) -> Any:
        """The user whose password was right; `None` without a phone."""
        user = form.get_user()
        phone = requests.get_phone(user)
        return Recipient(phone, accounts.key(user)) if phone else None

    def account(self) -> Any:
        """The user whose password was right in this session, unless the session or the account
        changed since."""
        return pending_login.pending_user(self.request)

    def get_phone(self, subject: str) -> str | None:
        """The account's phone."""
        user = self.account()
        same = user is not None and accounts.key(user) == subject
        return requests.get_phone(user) if same else None

    def shown(self, recipient: Recipient) -> str:
        """Not in full: a password alone must not show the number."""
        return self.web_flow.shown(recipient.phone)

    def code_valid(self, verified: Verified) -> HttpResponseBase:
        """Sign in, and redirect to the page that the person wanted.

        Raises:
            ChallengeExpired: The account changed in between.
        """
        return self._finish("sms", verified)

    async def account_of_way(self) -> Any:
        """The user whose password was right."""
        return await self.call(self.account)

    def way_passed(self, way: str) -> HttpResponseBase:
        """Sign in, as `code_valid`."""
        return self._finish(way)

    def _finish(self, way: str, verified: Verified | None = None) -> HttpResponseBase:
        user = self.account()
        if user is None:
            raise ChallengeExpired
        response = pending_login.finish(
            self.request,
            user,
            way=way,
            verified=verified,
            sender=type(self),
            hosts=self.get_success_url_allowed_hosts(),
        )
        if remembered.is_chosen(self.data):
            remembered.remember(self.request, response, user, self.web_flow.verifier)
        return response

    async def refused(self, error: OtpVerifyError, user: Any) -> None:
        """See `FlowView`. An attempt is a failed login, too; of many the user is notified."""
        await super().refused(error, user)
        if user is not None and is_attempt(error):
            credentials = {user.USERNAME_FIELD: user.get_username()}
            await self.signal(user_login_failed, sender=__name__, credentials=credentials)
            report = partial(self._report_failures, user)
            await count_failed_sign_in(self.web_flow.verifier, error, accounts.key(user), report)

    async def _report_failures(self, user: Any) -> bool:
        phone = await self.call(requests.get_phone, user)
        return await notify(self, user, AccountChange.SIGN_IN_FAILED, phone)

    async def post_cancel(self) -> HttpResponseBase:
        """Void the challenge, and forget the password."""
        response = await super().post_cancel()
        pending_login.drop(self.request)
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
