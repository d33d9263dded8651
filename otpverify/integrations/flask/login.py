"""Sign in with a password, then with a code to the account's phone, or in another way.

Some accounts need no second step (`needs_code`), and a remembered browser may skip it. Between the
two steps the session states that the password was right, for half an hour.
"""

from __future__ import annotations

from flask import redirect, url_for
from werkzeug.wrappers import Response

from otpverify import ConfigurationError, OtpVerifyError, Verified
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.flows import Begun, Refused
from otpverify.integrations.flask.other_ways import OtherWaysFlow
from otpverify.integrations.flask.second_factor import SecondFactor
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.enrolment import check_without_phone
from otpverify.integrations.web.notices import Carried
from otpverify.integrations.web.sentences import LONGEST_FIELD, NO_PHONE, Sentence


class Login(OtherWaysFlow):
    """A password, then a code to the account's phone. The session holds the account."""

    name = "login"
    purpose = "login"
    first_field = "user"
    signs_in = True

    def begin(self) -> Begun | Response:
        """The account, if the password is right."""
        user = self.typed("user")
        password = self.field("password")
        known = len(user) <= LONGEST_FIELD
        found = self.site.call("authenticate", user, password) if known else None
        if found is None:
            raise Refused(Sentence("The user name or password is incorrect."), user)
        account = str(found)
        if not self.second.needed(account) or self.second.remembered(account) is not None:
            return self.enter(account)
        to, ways = self.site.recipient_of(account), self.second.ways(account)
        choice = "" if to is not None or ways else without_phone(self.site, account)
        if choice == "sign_in":
            return self.enter(account)
        if choice == "refuse":
            self.second.first_step.drop()  # that of another account
            raise Refused(NO_PHONE, user)
        self.second.first_step.save(account, *self.site.facts(account))
        if to is not None:
            return Begun(to, user)
        pages.renew_id()
        if ways:
            return self.to("other", Carried())
        return redirect(enrolment_address(self.site), 303)

    def account_of_way(self) -> str | None:
        """The account whose password was right in this session."""
        return self.second.half_signed_in

    def succeed(self, verified: Verified, subject: str) -> Response:
        """Sign in after a right code."""
        remember = self._asked_to_remember()
        return self.enter(subject, verified.challenge, remember=remember, by_code=True)

    def refused(self, error: OtpVerifyError, subject: str) -> None:
        """Notify the person of many incorrect codes or answers: somebody has the password."""
        self.second.count_failure(error, subject)

    def cancel(self) -> Response:
        """Void the challenge, and forget the password."""
        self.check_request()
        outcome = run_sync(self.flow().cancel())
        if outcome.saved:
            self.second.first_step.drop()
        return self.follow(outcome)

    def enter(
        self, account: str, challenge: str = "", *, remember: bool = False, by_code: bool = False
    ) -> Response:
        """Sign in, in a new session: it drops anything planted in the old one.

        Args:
            account: The account.
            challenge: The challenge of the code that was sent, if one was.
            remember: The person wants this browser to be remembered.
            by_code: The person entered the code; the last page says so.
        """
        target = self.target()
        pages.rotate()
        made = self.site.call("on_login", account)
        response = self.end(challenge, made, target, by_code=by_code)
        if remember:
            self.second.remember(response, account)
        return response

    def pass_by_way(self, account: str) -> Response:
        """Sign in after another way in was right. The code that was sent is void."""
        flow = self.flow()
        challenge = flow.entry.challenge if flow.entry is not None else ""
        run_sync(flow.cancel())
        return self.enter(account, challenge, remember=self._asked_to_remember())

    # For the templates.

    @property
    def remember_days(self) -> int:  # type: ignore[override]  # by the settings here
        """For how many days the page offers to remember the browser."""
        return self.second.remember_days

    def _asked_to_remember(self) -> bool:
        return self.data.get("remember") in ("1", True)


def without_phone(site: Site, account: str) -> str:
    """What happens to an account without a phone and another way, by the hook: one of
    `WITHOUT_PHONE`.

    Raises:
        ConfigurationError: The hook says something else.
    """
    said = site.call("without_phone", account) if "without_phone" in site.hooks else None
    return check_without_phone(said, "What @otp.without_phone returns")


def may_enrol(site: Site, account: str) -> bool:
    """Whether an account without a phone may add one between the password and the sign-in. One that
    has another way in may not: a password alone would replace the second factor that it has."""
    if site.recipient_of(account) is not None or SecondFactor(site).ways(account):
        return False
    return without_phone(site, account) == "enrol"


def enrolment_address(site: Site) -> str:
    """The page on which a phone is added.

    Raises:
        ConfigurationError: The flow `"enrolment"` is not mounted.
    """
    found = site.state.mounted.get("enrolment")
    if found is None:
        raise ConfigurationError('@otp.without_phone needs the flow: otp.blueprint("enrolment").')
    return url_for(f"{found}.enrolment_phone")
