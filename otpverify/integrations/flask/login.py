"""Sign in with a password, then with a code to the account's phone, or in another way.

Some accounts need no second step (`needs_code`), and a remembered browser may skip it. Between the
two steps the session states that the password was right, for half an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from otpverify import ChallengeExpired, ConfigurationError, OtpVerifyError, Verified
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.api import respond
from otpverify.integrations.flask.flows import Begun, FlowPages, Refused
from otpverify.integrations.flask.second_factor import SecondFactor
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync, sentences
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.attempts import is_attempt, is_suspicious
from otpverify.integrations.web.backup_codes import WAY as BACKUP_CODE
from otpverify.integrations.web.enrolment import check_without_phone
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.other_ways import OtherWay, check_answer, is_code_refused
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.problems import explained
from otpverify.integrations.web.sentences import LONGEST_FIELD, NO_PHONE, Sentence
from otpverify.integrations.web.session import Recipient


class Login(FlowPages):
    """A password, then a code to the account's phone. The session holds the account."""

    name = "login"
    purpose = "login"
    first_field = "user"
    signs_in = True
    programs = True

    def __init__(self, site: Site, blueprint: str = "") -> None:
        super().__init__(site, blueprint)
        self.second: SecondFactor = SecondFactor(site)

    def add_to(self, blueprint: Any) -> None:
        """Add all pages of the flow."""
        super().add_to(blueprint)
        self.add_page(blueprint, "other", self.other, "GET", "POST")

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

    def find(self, subject: str) -> Recipient | None:
        """The account, as long as its password counts as right in this session."""
        return self.site.recipient_of(subject) if self.second.half_signed_in == subject else None

    def send(self, begun: Begun) -> Response:
        """Send the first code. If it cannot be sent, offer the account's other ways in.

        What follows is for the person who typed the password, so the session gets a new id. It
        keeps its id where a repeated request meets the cooldown, whose reply leaves the session
        alone."""
        outcome = run_sync(self.flow().start(begun.to, deliver=begun.deliver))
        others = is_code_refused(outcome) and bool(self.second.ways(begun.to.subject))
        if others or outcome.saved:
            pages.renew_id()
        if others and self.wants_json:
            return respond(outcome.reply(self.site.say))  # the session keeps the first step
        if others:
            return self.to("other", Carried(outcome.notice))
        return self.follow(outcome, begun.typed)

    def succeed(self, verified: Verified, subject: str) -> Response:
        """Sign in after a right code."""
        remember = self._asked_to_remember()
        return self.enter(subject, verified.challenge, remember=remember, by_code=True)

    def refused(self, error: OtpVerifyError, subject: str) -> None:
        """Notify the person of many incorrect codes or answers: somebody has the password."""
        if is_attempt(error) and run_sync(is_suspicious(self.site.verifier(), subject)):
            phone = self.site.facts(subject)[1]
            self.second.notify(subject, AccountChange.SIGN_IN_FAILED, phone)

    def cancel(self) -> Response:
        """Void the challenge, and forget the password."""
        self.check_request()
        outcome = run_sync(self.flow().cancel())
        if outcome.saved:
            self.second.first_step.drop()
        return self.follow(outcome)

    def other(self) -> str | Response:
        """Another way in than the code: choose it, and type its answer."""
        account = self.second.half_signed_in
        if request.method == "POST":
            self.check_request()
        elif self.wants_json:
            return self.status()
        if account is None:
            found = self.finished()
            if found is not None:  # the request that this one repeats has signed in
                target = pages.safe_next(found.get("next"))
                return self.answer(Outcome(Page.NEXT), redirect(target or self.url("done"), 303))
            if self.wants_json:
                return self.refuse(ChallengeExpired())
            return self.to("first", Carried(Notice(sentences.NO_CHALLENGE, error=False)))
        ways = self.second.ways(account)
        chosen = self.data.get("way") if self.wants_json else request.args.get("way")
        name = chosen or (ways[0].name if len(ways) == 1 else "")
        way = next((one for one in ways if one.name == name), None)
        if request.method == "POST" and way is not None and way.check is not None:
            return self._answer(way, account)
        if self.wants_json:
            return self.refuse(ChallengeExpired())
        if way is not None and way.check is None:
            return redirect(way.address, 303)
        return self.show("other.html", self.carried("other"), "code", ways=ways, way=way)

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

    def enter_by_way(self, account: str) -> Response:
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

    @property
    def ways(self) -> Sequence[OtherWay]:  # type: ignore[override]  # of the account here
        """The other ways in of the account whose password was right."""
        account = self.second.half_signed_in
        return [] if account is None else self.second.ways(account)

    def _answer(self, way: OtherWay, account: str) -> Response:
        """Judge the answer of a way. A refusal does not write the session."""
        try:
            answer = self.field("code")
            run_sync(check_answer(self.site.verifier(), way, account, answer))
        except OtpVerifyError as error:
            failure = explained(error)
            self.refused(failure, account)
            if self.wants_json:
                return self.refuse(failure)
            notice = Notice.of(failure)
            pages.leave_session()
            pages.carry(f"{self.purpose} other", Carried(notice))
            return redirect(self.url("other", way=way.name), 303)
        phone = self.site.facts(account)[1]
        response = self.enter_by_way(account)
        if way.name == BACKUP_CODE:
            self.second.notify(account, AccountChange.BACKUP_CODE_USED, phone)
        return self.answer(Outcome(Page.NEXT), response)

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
