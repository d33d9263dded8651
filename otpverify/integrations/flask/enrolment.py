"""Enrolment: pages on which a signed-in person adds, changes and removes the phone, makes backup
codes, and ends remembered browsers.

Each change needs the person to prove again who they are, by the password and a code to the
account's phone: a session that was left open does not suffice. The rule is
`otpverify.integrations.web.enrolment`.
"""

from __future__ import annotations

from typing import Final, NoReturn

from flask import Blueprint, abort, redirect, request, url_for
from werkzeug.wrappers import Response

from otpverify import IncorrectAnswer, OtpVerifyError, Verified
from otpverify.integrations.flask import api, pages
from otpverify.integrations.flask.flows import Begun, FlowPages, Pages, Refused
from otpverify.integrations.flask.login import Login, may_enrol
from otpverify.integrations.flask.other_ways import OtherWaysFlow
from otpverify.integrations.flask.second_factor import SecondFactor
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.attempts import count_password
from otpverify.integrations.web.enrolment import (
    BROWSERS_FORGOTTEN,
    NEW_PHONE,
    OLD_PHONE,
    PHONE_REMOVED,
    PROVE_AGAIN,
    SAME_NUMBER,
    TAKEN,
    AfterPassword,
    PhoneTaken,
    enrolled,
    enrolling,
    step_after_password,
)
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    SIGN_IN_REQUIRED,
    ProofRequired,
    problem_of,
)
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Recipient

_FORGOTTEN: Final = Sentence("This browser is not remembered any more.")
_INCORRECT: Final = Sentence("The password is incorrect.")


class _OfAccount(Pages):
    """Pages for the person who is signed in."""

    programs = True

    def __init__(self, site: Site, blueprint: str = "") -> None:
        super().__init__(site, blueprint)
        self.second: SecondFactor = SecondFactor(site)

    def person(self) -> str | None:
        """The account that is signed in."""
        return self.site.account()

    def signed_in(self) -> str:
        """The account that is signed in. Others are sent to the login."""
        account = self.person()
        if account is None:
            if self.wants_json:
                abort(self.site.problem(SIGN_IN_REQUIRED))
            login = self.site.state.mounted.get("login")
            if login is None:
                abort(401)
            here = pages.here() or url_for(".enrolment")
            abort(redirect(url_for(f"{login}.login", next=here), 303))
        return account

    def reproved(self, account: str) -> bool:
        """Whether the person proved again who they are, a moment ago."""
        return self.second.reproved.account(self.site.facts) == account

    def prove_again(self) -> Response:
        """Redirect to the page on which the person proves it, and then back here. Programs are told
        its address."""
        if self.wants_json:
            return self.site.problem(ProofRequired(OLD_PHONE, url_for(".enrolment_prove")))
        pages.carry(f"{OLD_PHONE} first", Carried(Notice(PROVE_AGAIN, error=False)))
        back = pages.here() or url_for(".enrolment")
        return redirect(url_for(".enrolment_prove", next=back), 303)

    def overview(self, notice: Notice) -> Response:
        """Redirect to the overview, with a notice."""
        self.carry("enrolment", Carried(notice))
        return redirect(url_for(".enrolment"), 303)


class _FlowOfAccount(_OfAccount, FlowPages):
    """A flow for the person who is signed in."""

    def code(self) -> str | Response:
        """The form for the code."""
        self.signed_in()
        return super().code()


class ProveAgain(OtherWaysFlow, _FlowOfAccount):
    """A signed-in person proves who they are: by the password, and by a code to the account's phone
    or another way."""

    name = "enrolment_prove"
    purpose = OLD_PHONE
    path = "/enrolment/prove"
    first_field = ""  # a password is never filled in again

    def first(self) -> str | Response:
        """The form for the password."""
        self.signed_in()
        return super().first()

    def begin(self) -> Begun | Response:
        """Check the password, if the account has one. Then a code goes to its phone, or another way
        takes its place; without either, the password is all there is."""
        account = self.signed_in()
        if self.has_password:
            self._check_password(account, self.field("password"))
        self.second.password_right.save(account, *self.site.facts(account))
        to, ways = self.site.recipient_of(account), self.second.ways(account)
        step = step_after_password(has_phone=to is not None, has_other_way=bool(ways))
        if step is AfterPassword.CODE and to is not None:
            return Begun(to)
        pages.renew_id()
        if step is AfterPassword.OTHER_WAY:
            return self.to("other", Carried())
        return self._proved(account, "")

    def account_of_way(self) -> str | None:
        """The account that is signed in, if its password was right in this flow."""
        account = self.person()
        right = account is not None and self.second.password_right.account(self.site.facts)
        return account if right == account else None

    def pass_by_way(self, account: str) -> Response:
        """Remember the proof. The code that was sent is void."""
        flow = self.flow()
        challenge = flow.entry.challenge if flow.entry is not None else ""
        run_sync(flow.cancel())
        pages.renew_id()
        return self._proved(account, challenge)

    def succeed(self, verified: Verified, subject: str) -> Response:
        """Remember the proof for some minutes, and go back to what the person wanted."""
        self.flow().forget()
        return self._proved(subject, verified.challenge)

    # For the template.

    @property
    def has_password(self) -> bool:
        """Whether the account has a password."""
        return self.second.has_password(self.signed_in())

    @property
    def has_phone(self) -> bool:
        """Whether a code is sent."""
        return self.site.recipient_of(self.person()) is not None

    def _check_password(self, account: str, password: str) -> None:
        async def check() -> None:
            if self.site.call("confirm_password", account, password) is not True:
                raise IncorrectAnswer

        try:
            run_sync(count_password(self.site.verifier(), check, account))
        except IncorrectAnswer:
            raise Refused(_INCORRECT, field="password") from None

    def _proved(self, account: str, challenge: str) -> Response:
        self.second.password_right.drop()
        self.second.reproved.save(account, *self.site.facts(account))
        return self.end(challenge, None, self.target() or url_for(f"{self.blueprint}.enrolment"))


class NewPhone(_FlowOfAccount):
    """A number is typed, confirmed by a code, and becomes the account's phone."""

    name = "enrolment_phone"
    purpose = NEW_PHONE
    path = "/enrolment/phone"

    def person(self) -> str | None:
        """The account that is signed in; or the one that may add a phone before it is."""
        account = super().person()
        if account is not None:
            return account
        half = self.second.half_signed_in
        return half if half is not None and may_enrol(self.site, half) else None

    def allowed(self, account: str) -> bool:
        """Whether the person may set the account's phone now. Between the password and the sign-in,
        the right password suffices for an account that has none."""
        return self.reproved(account) or super().person() is None

    def first(self) -> str | Response:
        """The form for the number."""
        account = self.signed_in()
        if request.method != "POST" and not self.allowed(account) and not self.wants_json:
            return self.gone_on(self.carried("first")) or self.prove_again()
        return super().first()

    def begin(self) -> Begun | Response:
        """The number."""
        account, typed = self.signed_in(), self.typed("phone")
        if not self.allowed(account):
            return self.prove_again()
        phone = self.flow().verifier.normalize(typed)
        to = self.site.recipient_of(account)
        if to is not None and to.phone == phone:
            raise Refused(SAME_NUMBER, typed, field="phone")
        return Begun(enrolling(account, phone), typed)

    def find(self, subject: str) -> Recipient | None:
        """The number, for the account that is signed in."""
        return enrolled(self.person(), subject)

    def shown(self, to: Recipient) -> str:
        """The full number, so that the person can see a typing error."""
        return to.phone

    def typed_for(self, subject: str) -> str:
        """The number."""
        return subject.partition(" ")[0]

    def succeed(self, verified: Verified, subject: str) -> Response:  # noqa: ARG002 - `find` judged it
        """Store the number, if the person may still do so and no other account has it."""
        account = self.signed_in()
        self.flow().forget()
        if not self.allowed(account):  # another session changed the phone meanwhile
            return self.prove_again()
        old = self.site.recipient_of(account)
        at_once = super().person() is None
        taken = "phone_taken" in self.site.hooks and self.site.call(
            "phone_taken", verified.phone, account
        )
        try:
            if taken:
                raise PhoneTaken
            self.site.call("save_phone", account, verified)
        except PhoneTaken:
            if self.wants_json:
                return api.invalid(self.site, {"phone": [TAKEN]}, self.flow().entry)
            return self.to("first", Carried(Notice(TAKEN), verified.phone, of_field=True))
        self.second.reproved.drop()
        before = None if old is None else old.phone
        self.second.notify(account, AccountChange.to_phone(before), before)
        if at_once:
            return self.end(verified.challenge, Login(self.site).enter(account), None)
        confirmed = Sentence("%(phone)s is confirmed.", params={"phone": verified.phone})
        self.carry("enrolment", Carried(Notice(confirmed, error=False)))
        return self.finish(verified, None, self.target() or url_for(".enrolment"))


class Enrolment(_OfAccount):
    """All pages of enrolment, and the overview that leads to them."""

    name = "enrolment"
    path = "/enrolment"

    def add_to(self, blueprint: Blueprint) -> None:
        """Add all pages."""
        self.add_page(blueprint, "", self.first, "GET")
        self.add_page(blueprint, "remove", self.remove, "GET", "POST")
        self.add_page(blueprint, "codes", self.backup_codes, "GET", "POST")
        self.add_page(blueprint, "forget", self.forget, "POST")
        NewPhone(self.site).add_to(blueprint)
        ProveAgain(self.site).add_to(blueprint)

    def absent(self) -> NoReturn:
        """Refuse what the site does not offer, or not to this account."""
        abort(self.site.problem(INVALID_REQUEST) if self.wants_json else 404)

    def refuse(self, error: OtpVerifyError) -> NoReturn:
        """Refuse with the error's status: there is no form to show the error in."""
        abort(self.site.problem(error) if self.wants_json else problem_of(error).status)

    def shown(self, to: Recipient) -> str:
        """The account's phone, as the flow shows it that sends a code to it."""
        return self.site.flow(OLD_PHONE).shown(to.phone)

    def first(self) -> str | Response:
        """The overview."""
        account = self.signed_in()
        to, backup = self.site.recipient_of(account), self.second.backup_codes
        shown = None if to is None else self.shown(to)
        removable = to is not None and self.removable(account)
        left = None if backup is None else run_sync(backup.left(account))
        remembered = self.second.remembered(account)
        if self.wants_json:
            here = remembered is not None
            return api.done(phone=shown, may_remove=removable, codes_left=left, remembered=here)
        return self.show(
            "enrolment.html",
            pages.carried_to("enrolment"),
            "first",
            shown=shown,
            removable=removable,
            codes_left=left,
            remembered=remembered,
            forgets_all=self.second.remember_days and "forget_browsers" in self.site.hooks,
        )

    def removable(self, account: str) -> bool:
        """Whether the site lets the account remove its phone."""
        hooks = self.site.hooks
        if "remove_phone" not in hooks:
            return False
        return "may_remove" not in hooks or self.site.call("may_remove", account) is True

    def remove(self) -> str | Response:
        """Remove the phone."""
        account = self.signed_in()
        to = self.site.recipient_of(account)
        if not self.removable(account):
            self.absent()
        if request.method == "POST":
            self.check_request()
        elif self.wants_json:
            return self.first()
        if to is None:
            if self.wants_json:
                self.absent()
            return redirect(url_for(".enrolment"), 303)
        if not self.reproved(account):
            return self.prove_again()
        if request.method != "POST":
            return self.show("enrolment_remove.html", Carried(), "first", shown=self.shown(to))
        self.site.call("remove_phone", account)
        self.second.reproved.drop()
        self.second.notify(account, AccountChange.PHONE_REMOVED, to.phone)
        if self.wants_json:
            return api.done(next=url_for(".enrolment"))
        return self.overview(Notice(PHONE_REMOVED, error=False))

    def backup_codes(self) -> str | Response:
        """Make backup codes, and show them once: in the reply itself, since no session or cookie
        may hold them."""
        account = self.signed_in()
        backup = self.second.backup_codes
        if backup is None:
            self.absent()
        if request.method == "POST":
            self.check_request()
        elif self.wants_json:
            return api.done(left=run_sync(backup.left(account)))
        if not self.reproved(account):
            return self.prove_again()
        codes: list[str] = []
        if request.method == "POST":
            codes = run_sync(backup.make(account))
            self.second.reproved.drop()  # a reload of this page makes no further codes
            phone = self.site.facts(account)[1]
            self.second.notify(account, AccountChange.BACKUP_CODES_MADE, phone)
            if self.wants_json:
                return api.done(codes=codes)
        left = run_sync(backup.left(account))
        return self.show("backup_codes.html", Carried(), "first", codes=codes, left=left)

    def forget(self) -> Response:
        """Forget this browser, or all browsers."""
        account = self.signed_in()
        self.check_request()
        everywhere = self.data.get("which") == "all"
        if everywhere and "forget_browsers" not in self.site.hooks:
            self.absent()
        if everywhere:
            self.site.call("forget_browsers", account)
            phone = self.site.facts(account)[1]
            self.second.notify(account, AccountChange.BROWSERS_FORGOTTEN, phone)
        notice = Notice(BROWSERS_FORGOTTEN if everywhere else _FORGOTTEN, error=False)
        response = api.done() if self.wants_json else self.overview(notice)
        self.second.forget(response, account)
        return response
