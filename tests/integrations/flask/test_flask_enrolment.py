"""Enrolment in Flask: add, confirm, change and remove the phone; and what an attacker makes of a
session that was left open."""

from __future__ import annotations

from typing import Any

import pytest
from flask import session
from flask_support import PASSWORD, PHONE, STRANGER, Person, ServerSessions, Shop
from freezegun.api import FrozenDateTimeFactory

from otpverify import ConfigurationError, Policy, Verified
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.account_notices import AccountNotice
from otpverify.integrations.web.backup_codes import BackupCodes, MemoryBackupCodes
from otpverify.integrations.web.enrolment import OLD_PHONE, PhoneTaken
from otpverify.integrations.web.other_ways import OtherWay
from otpverify.integrations.web.sentences import Sentence

BASE = "/account/enrolment"
NEW = "+37256789045"
NO_WAIT = Policy(resend_cooldown_seconds=0)


class Site(Shop):
    """A shop whose accounts can change their phone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hashes = {"7": "hash of 7", "8": "hash of 8"}
        self.browsers = 0
        self.notices: list[AccountNotice] = []
        self.asked: list[str] = []
        self.storage = MemoryBackupCodes()
        self.otp.use_backup_codes(self.storage)
        otp = self.otp

        @otp.auth_hash
        def auth_hash(account: str) -> str:
            return f"{self.hashes[account]} {self.browsers}"

        @otp.confirm_password
        def confirm_password(account: str, password: str) -> bool:
            self.asked.append(account)
            return password == PASSWORD

        @otp.phone_taken
        def phone_taken(phone: str, account: str) -> bool:
            return any(known == phone for who, known in self.phones.items() if who != account)

        @otp.save_phone
        def save_phone(account: str, verified: Verified) -> None:
            self.phones[account] = verified.phone

        @otp.remove_phone
        def remove_phone(account: str) -> None:
            del self.phones[account]

        @otp.forget_browsers
        def forget_browsers(account: str) -> None:
            assert account
            self.browsers += 1

        @otp.on_account_change
        def on_account_change(notice: AccountNotice) -> None:
            self.notices.append(notice)

        @self.app.get("/as/<account>")
        def sign_in_as(account: str) -> str:
            session["account"] = account
            return ""

        @self.app.get("/passkey")
        def passkey() -> Any:
            asked = otp.pending_account()
            return otp.complete_login() if asked == "7" else "nobody"

        @self.app.get("/send")
        def send() -> str:
            otp.start(PHONE, purpose=OLD_PHONE, subject="7")
            return ""

    @property
    def changes(self) -> list[str]:
        return [notice.change.name for notice in self.notices]


@pytest.fixture
def site() -> Site:
    return Site().mount(OTPVERIFY_REMEMBER_DAYS=30, OTPVERIFY_POLICY=NO_WAIT)  # type: ignore[return-value]  # it is a Site


@pytest.fixture
def person(site: Site) -> Person:
    """Signed in as 7."""
    person = site.person()
    person.client.get("/as/7")
    return person


def prove(site: Site, person: Person, password: str = PASSWORD) -> None:
    """By the password and a code to the old number, which is gone from the outbox then."""
    person.open(f"{BASE}/prove")
    page = person.send(f"{BASE}/prove", password=password)
    if page.path == f"{BASE}/prove/code":
        person.send(f"{BASE}/prove/code", code=site.outbox.code())
        site.outbox.clear()


def enter_number(person: Person, phone: str = NEW) -> None:
    person.open(f"{BASE}/phone")
    person.send(f"{BASE}/phone", phone=phone)


def change(site: Site, person: Person, phone: str = NEW) -> None:
    enter_number(person, phone)
    assert person.page.path == f"{BASE}/phone/code", person.page.html
    person.send(f"{BASE}/phone/code", code=site.code(1))


def test_an_account_with_an_invalid_phone_is_refused_and_not_sent_around(
    site: Site, person: Person
) -> None:
    site.phones["7"] = "not a number"
    reply = person.client.get(BASE)
    assert (reply.status_code, reply.headers.get("Location")) == (422, None)
    reply = person.client.get(BASE, headers={"Accept": "application/json"})
    assert (reply.status_code, reply.mimetype) == (422, "application/problem+json")


class TestChange:
    def test_it_takes_password_and_a_code_to_each_number(self, site: Site, person: Person) -> None:
        page = person.open(BASE)
        assert "••" in page.text
        assert PHONE not in page.html
        page = person.open(f"{BASE}/phone")
        assert page.path == f"{BASE}/prove"
        assert page.said == "First confirm that it is you."
        page = person.send(f"{BASE}/prove", password=PASSWORD)
        assert (page.path, site.outbox.messages[-1].to) == (f"{BASE}/prove/code", PHONE)
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove", "the password alone"
        person.open(f"{BASE}/prove/code")
        page = person.send(f"{BASE}/prove/code", code=site.code(1))
        assert page.path == f"{BASE}/phone"
        page = person.send(f"{BASE}/phone", phone="+372 5678 9045")
        assert site.outbox.messages[-1].to == NEW
        page = person.send(f"{BASE}/phone/code", code=site.code(2))
        assert (page.path, page.said) == (BASE, f"{NEW} is confirmed.")
        assert site.phones["7"] == NEW

    def test_the_page_for_the_number_names_the_risk_of_codes_by_sms(
        self, site: Site, person: Person
    ) -> None:
        prove(site, person)
        page = person.open(f"{BASE}/phone")
        assert "A person who takes over your number also receives your codes." in page.text
        assert "An authenticator app or a passkey is safer." in page.text

    def test_an_account_without_a_password_needs_the_code_alone(
        self, site: Site, person: Person
    ) -> None:
        site.otp.auth_hash(lambda _: None)
        person.open(f"{BASE}/phone")
        assert 'name="password"' not in person.page.html
        page = person.send(f"{BASE}/prove")
        assert (page.path, site.outbox.messages[-1].to) == (f"{BASE}/prove/code", PHONE)
        page = person.send(f"{BASE}/prove/code", code=site.code(1))
        assert page.path == f"{BASE}/phone"
        assert not site.asked

    def test_a_backup_code_stands_in_for_a_lost_phone(self, site: Site, person: Person) -> None:
        with site.app.test_request_context():
            first, second = run_sync(BackupCodes(site.otp.verifier, site.storage).make("7"))[:2]
        other = f"{BASE}/prove/other"
        assert person.open(other).path == f"{BASE}/prove", "the password comes first"
        person.open(f"{BASE}/remove")
        person.send(f"{BASE}/prove", password=PASSWORD)
        assert f"{other}?way=backup-code" in person.page.html
        assert person.open(other).heading == "Use a backup code"
        wrong = person.send(f"{other}?way=backup-code", code="4x8hq-27mzc")
        assert wrong.said == "That is incorrect, or it was used before."
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"
        person.open(other)
        assert person.send(f"{other}?way=backup-code", code=first).path == f"{BASE}/phone"
        assert site.changes == ["BACKUP_CODE_USED"]
        site.phones.pop("7")  # and for one that is gone
        person.open(f"{BASE}/prove")
        page = person.send(f"{BASE}/prove", password=PASSWORD)
        assert page.path == other, "a password alone adds no phone beside another way"
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"
        person.open(other)
        assert person.send(f"{other}?way=backup-code", code=second).path == f"{BASE}/phone"

    def test_a_way_with_pages_of_the_sites_own(self, site: Site, person: Person) -> None:
        site.otp.add_way(OtherWay("passkey", Sentence("Use a passkey"), url="/passkey"))

        assert person.client.get("/passkey").text == "nobody"
        person.open(f"{BASE}/phone")
        person.send(f"{BASE}/prove", password=PASSWORD)
        assert person.open(f"{BASE}/prove/other").path == f"{BASE}/phone"

    def test_the_old_number_gets_a_notice_without_a_code(self, site: Site, person: Person) -> None:
        prove(site, person)
        change(site, person)
        assert site.changes == ["PHONE_CHANGED"]
        with pytest.raises(LookupError):
            site.code(2)
        message = site.outbox.messages[-1]
        assert message.to == PHONE
        assert message.text.startswith("The phone number of your account was changed.")
        assert NEW not in message.text

    def test_notices_by_sms_can_be_off(self) -> None:
        site = Site()
        site.mount(OTPVERIFY_NOTICES=False)
        person = site.person()
        person.client.get("/as/7")
        prove(site, person)
        change(site, person)
        site.app.extensions["otpverify"].close()
        assert site.changes == ["PHONE_CHANGED"]
        assert len(site.outbox) == 1

    def test_a_hook_that_fails_changes_nothing_of_it(
        self, site: Site, person: Person, caplog: pytest.LogCaptureFixture
    ) -> None:
        @site.otp.on_account_change
        def fails(notice: AccountNotice) -> None:
            raise OSError("the mail server is away")

        prove(site, person)
        change(site, person)
        assert site.phones["7"] == NEW
        assert "The person was not notified" in caplog.text
        assert PHONE not in caplog.text

    def test_a_phone_is_added_by_password(self, site: Site, person: Person) -> None:
        del site.phones["7"]
        person.open(f"{BASE}/phone")
        assert len(person.page.forms) == 1
        person.send(f"{BASE}/prove", password=PASSWORD)
        person.send(f"{BASE}/phone", phone=NEW)
        person.send(f"{BASE}/phone/code", code=site.code(1))
        assert site.phones["7"] == NEW
        assert site.changes == ["PHONE_ADDED"]
        assert len(site.outbox) == 1

    def test_the_same_number_is_not_a_change(self, site: Site, person: Person) -> None:
        prove(site, person)
        enter_number(person, PHONE)
        assert person.page.said == "Your account has this number already."
        assert len(site.outbox) == 0


class TestRepeatedRequests:
    """The second request brings the session of before the first, as a double click does."""

    def repeat(self, person: Person, path: str, **fields: str) -> str:
        """Send a form twice, and say where the reply to the second one leads."""
        form = {**person.page.forms[path], **fields}
        before = person.cookie
        person.send(path, **fields)
        after, person.cookie = person.cookie, before
        reply = person.client.post(path, data=form)
        if not any("session=" in one for one in reply.headers.getlist("Set-Cookie")):
            person.cookie = after
        return person.open(reply.headers["Location"]).path

    def test_the_code_for_the_new_number(self, site: Site, person: Person) -> None:
        prove(site, person)
        enter_number(person)
        assert self.repeat(person, f"{BASE}/phone/code", code=site.code(1)) == BASE
        assert site.phones["7"] == NEW
        assert site.changes == ["PHONE_CHANGED"]

    def test_the_code_to_the_old_number(self, site: Site, person: Person) -> None:
        person.open(f"{BASE}/phone")
        person.send(f"{BASE}/prove", password=PASSWORD)
        where = self.repeat(person, f"{BASE}/prove/code", code=site.code(1))
        assert where == f"{BASE}/phone"

    def test_the_removal(self, site: Site, person: Person) -> None:
        prove(site, person)
        person.open(f"{BASE}/remove")
        assert self.repeat(person, f"{BASE}/remove") == BASE
        assert site.changes == ["PHONE_REMOVED"]


class TestRemoval:
    def test_it_is_removed(self, site: Site, person: Person) -> None:
        page = person.open(f"{BASE}/remove")
        assert page.path == f"{BASE}/prove"
        person.send(f"{BASE}/prove", password=PASSWORD)
        page = person.send(f"{BASE}/prove/code", code=site.code(1))
        assert page.path == f"{BASE}/remove"
        site.outbox.clear()
        page = person.send(f"{BASE}/remove")
        assert (page.path, page.said) == (BASE, "The phone number was removed.")
        assert "7" not in site.phones
        assert site.changes == ["PHONE_REMOVED"]
        with pytest.raises(LookupError):
            site.code(1)
        assert site.outbox.messages[-1].to == PHONE

    def test_without_the_hook_there_is_no_such_page(self, site: Site, person: Person) -> None:
        del site.otp._hooks["remove_phone"]
        prove(site, person)
        assert person.open(f"{BASE}/remove").status == 404
        assert "Remove" not in person.open(BASE).text

    @pytest.mark.parametrize("answer", [False, None, 0, "no"])
    def test_an_account_that_may_not_keeps_its_phone(
        self, site: Site, person: Person, answer: object
    ) -> None:
        prove(site, person)
        token = person.open(f"{BASE}/remove").forms[f"{BASE}/remove"]
        asked: list[str] = []

        @site.otp.may_remove
        def may_remove(account: str) -> object:
            asked.append(account)
            return answer

        assert "Remove" not in person.open(BASE).text
        assert person.open(f"{BASE}/remove").status == 404
        assert person.client.post(f"{BASE}/remove", data=token).status_code == 404
        assert site.phones["7"] == PHONE
        assert set(asked) == {"7"}

    def test_an_account_that_may_removes_its_phone(self, site: Site, person: Person) -> None:
        site.otp.may_remove(lambda account: account == "7")
        prove(site, person)
        person.open(f"{BASE}/remove")
        person.send(f"{BASE}/remove")
        assert "7" not in site.phones


class TestAttackers:
    def test_an_open_session_does_not_suffice(self, site: Site, person: Person) -> None:
        token = person.open(f"{BASE}/prove").forms[f"{BASE}/prove"]
        for path, fields in (
            ("phone", {"phone": STRANGER}),
            ("phone/code", {"code": "123456"}),
            ("remove", {}),
            ("codes", {}),
            ("prove", {}),
            ("prove/code", {"code": "123456"}),
            ("prove/resend", {}),
        ):
            person.client.post(f"{BASE}/{path}", data={**token, **fields})
        assert site.phones == {"7": PHONE}
        assert len(site.outbox) == 0
        assert not site.storage.load("7")
        assert not site.notices

    def test_passwords_are_counted(self, site: Site, person: Person) -> None:
        for _ in range(5):
            prove(site, person, "wrong")
            assert person.page.said == "The password is incorrect."
        prove(site, person)
        assert person.page.said.startswith("Too many incorrect passwords.")
        assert len(site.asked) == 5
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"

    def test_the_password_alone_changes_nothing(self, site: Site, person: Person) -> None:
        token = person.open(f"{BASE}/prove").forms[f"{BASE}/prove"]
        person.send(f"{BASE}/prove", password=PASSWORD)
        assert person.page.path == f"{BASE}/prove/code"
        fields = {"phone": STRANGER, "code": "123456"}
        for path in ("phone", "phone/code", "remove", "codes", "prove/code"):
            person.client.post(f"{BASE}/{path}", data={**token, **fields})
        assert site.phones == {"7": PHONE}
        assert [message.to for message in site.outbox.messages] == [PHONE]
        assert not site.storage.load("7")

    def test_a_code_without_the_password_changes_nothing(self, site: Site, person: Person) -> None:
        """Also where the site itself sends a code of this purpose."""
        token = person.open(f"{BASE}/prove").forms[f"{BASE}/prove"]
        person.client.get("/send")
        person.client.post(f"{BASE}/prove/code", data={**token, "code": site.code(1)})
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"

    @pytest.mark.parametrize("answer", [None, 1, "yes"])
    def test_only_true_confirms_a_password(self, site: Site, person: Person, answer: Any) -> None:
        site.otp.confirm_password(lambda *_: answer)
        prove(site, person)
        assert person.page.path == f"{BASE}/prove"

    def test_a_password_is_in_no_cookie(self, site: Site, person: Person) -> None:
        for password in ["wrong-password"] * 7:
            person.open(f"{BASE}/prove")
            token = person.page.forms[f"{BASE}/prove"]
            person.client.post(f"{BASE}/prove", data={**token, "password": password})
            assert password not in str(person.notice) + str(person.kept)
            person.open(f"{BASE}/prove")
            assert password not in person.page.html

    def test_the_proof_ends_after_minutes(
        self, clock: FrozenDateTimeFactory, site: Site, person: Person
    ) -> None:
        prove(site, person)
        clock.tick(600)
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"
        assert site.phones["7"] == PHONE

    def test_one_proof_serves_one_change_also_in_old_cookies(
        self, site: Site, person: Person
    ) -> None:
        prove(site, person)
        old = person.cookie
        change(site, person)
        person.cookie = old
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"

    def test_the_proof_ends_with_the_password(self, site: Site, person: Person) -> None:
        prove(site, person)
        site.hashes["7"] = "another"
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"

    def test_the_proof_is_for_one_account(self, site: Site, person: Person) -> None:
        site.phones["8"] = STRANGER
        prove(site, person)
        person.client.get("/as/8")
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"

    def test_a_code_for_one_account_sets_no_phone_of_another(
        self, site: Site, person: Person
    ) -> None:
        site.phones["8"] = STRANGER
        prove(site, person)
        enter_number(person)
        form = person.page.forms[f"{BASE}/phone/code"]
        code = site.code(1)
        person.client.get("/as/8")
        prove(site, person)
        person.client.post(f"{BASE}/phone/code", data={**form, "code": code})
        assert site.phones == {"7": PHONE, "8": STRANGER}

    def test_a_change_elsewhere_meanwhile_ends_it(self, site: Site, person: Person) -> None:
        prove(site, person)
        enter_number(person)
        site.phones["7"] = STRANGER  # in another session
        page = person.send(f"{BASE}/phone/code", code=site.code(1))
        assert page.path == f"{BASE}/prove"
        assert site.phones["7"] == STRANGER
        assert not site.notices

    def test_a_code_to_the_old_number_is_nothing_after_a_change(
        self, site: Site, person: Person
    ) -> None:
        person.open(f"{BASE}/prove")
        person.send(f"{BASE}/prove", password=PASSWORD)
        site.phones["7"] = STRANGER
        page = person.send(f"{BASE}/prove/code", code=site.code(1))
        assert page.path == f"{BASE}/prove"
        assert person.open(f"{BASE}/phone").path == f"{BASE}/prove"

    def test_a_number_of_another_account_is_told_after_the_code_only(
        self, site: Site, person: Person
    ) -> None:
        site.phones["8"] = NEW
        prove(site, person)
        enter_number(person)
        assert person.page.path == f"{BASE}/phone/code"
        page = person.send(f"{BASE}/phone/code", code=site.code(1))
        assert page.path == f"{BASE}/phone"
        assert page.said == "This number belongs to another account. Use another number."
        assert site.phones == {"7": PHONE, "8": NEW}

    def test_the_database_has_the_last_word(self, site: Site, person: Person) -> None:
        @site.otp.save_phone
        def save_phone(account: str, verified: Verified) -> None:
            raise PhoneTaken

        prove(site, person)
        change(site, person)
        assert person.page.said == "This number belongs to another account. Use another number."
        assert not site.notices

    def test_strangers_are_sent_to_the_login(self, site: Site) -> None:
        stranger = site.person()
        for path in ("", "/phone", "/prove", "/remove", "/codes"):
            assert stranger.open(BASE + path).path == "/account/login"
        token = stranger.page.forms["/account/login"]
        for path in ("/phone", "/prove", "/remove", "/codes", "/forget"):
            fields = {**token, "phone": NEW, "password": PASSWORD}
            assert stranger.client.post(BASE + path, data=fields).status_code == 303
        assert site.phones == {"7": PHONE}
        assert len(site.outbox) == 0

    def test_every_form_needs_the_sessions_token(self, site: Site, person: Person) -> None:
        prove(site, person)
        for path in ("phone", "prove", "remove", "codes", "forget", "phone/code", "prove/code"):
            data = {"phone": NEW, "password": PASSWORD, "which": "all", "code": "123456"}
            assert person.client.post(f"{BASE}/{path}", data=data).status_code == 400, path
        assert site.phones == {"7": PHONE}
        assert site.browsers == 0
        assert not site.storage.load("7")

    def test_the_session_is_for_the_flows_of_the_account_alone(
        self, site: Site, person: Person
    ) -> None:
        """A code to a new number, which anybody may type, signs nobody in."""
        prove(site, person)
        enter_number(person)
        form = person.page.forms[f"{BASE}/phone/code"]
        for path in ("/account/login/code", "/account/phone/code", f"{BASE}/prove/code"):
            person.client.post(path, data={**form, "code": site.code(1)})
        assert site.told == []
        assert site.phones["7"] == PHONE


class TestWithoutPhone:
    def test_an_account_without_a_phone_adds_one_and_is_signed_in(self, site: Site) -> None:
        site.otp.without_phone(lambda _: "enrol")
        del site.phones["7"]
        person = site.person()
        page = person.begin("login")
        assert page.path == f"{BASE}/phone"
        person.send(f"{BASE}/phone", phone=NEW)
        assert not site.told
        page = person.send(f"{BASE}/phone/code", code=site.code(1))
        assert page.path == "/account/login/done"
        assert site.told == [("login", "7")]
        assert site.phones["7"] == NEW
        assert site.changes == ["PHONE_ADDED"]

    def test_it_leads_to_no_other_page(self, site: Site) -> None:
        site.otp.without_phone(lambda _: "enrol")
        del site.phones["7"]
        person = site.person()
        person.begin("login")
        for path in ("", "/prove", "/remove", "/codes"):
            assert person.open(BASE + path).path == "/account/login"

    def test_it_does_not_replace_a_phone(self, site: Site) -> None:
        site.otp.without_phone(lambda _: "enrol")
        del site.phones["7"]
        person = site.person()
        person.begin("login")
        person.send(f"{BASE}/phone", phone=STRANGER)
        site.phones["7"] = PHONE  # another session was faster
        person.send(f"{BASE}/phone/code", code=site.code(1))
        assert site.phones["7"] == PHONE
        assert not site.told

    def test_an_account_with_another_way_in_passes_that_first(self, site: Site) -> None:
        """A password alone must not replace the second factor that the account has."""
        site.otp.without_phone(lambda _: "enrol")
        del site.phones["7"]
        with site.app.test_request_context():
            run_sync(BackupCodes(site.otp.verifier, site.storage).make("7"))
        person = site.person()
        assert person.begin("login").path == "/account/login/other"
        assert person.open(f"{BASE}/phone").path == "/account/login"
        assert not site.told

    def test_one_that_gets_another_way_meanwhile_does_not_finish(self, site: Site) -> None:
        site.otp.without_phone(lambda _: "enrol")
        del site.phones["7"]
        person = site.person()
        person.begin("login")
        person.send(f"{BASE}/phone", phone=NEW)
        with site.app.test_request_context():
            run_sync(BackupCodes(site.otp.verifier, site.storage).make("7"))
        person.send(f"{BASE}/phone/code", code=site.code(1))
        assert "7" not in site.phones
        assert not site.told

    def test_a_planted_id_of_a_session_enrols_nobody(self, site: Site) -> None:
        site.app.session_interface = ServerSessions()
        site.otp.without_phone(lambda _: "enrol")
        del site.phones["7"]
        attacker, person = site.person(), site.person()
        attacker.open("/account/login")
        person.cookie = attacker.cookie
        assert person.begin("login").path == f"{BASE}/phone"
        assert attacker.open(f"{BASE}/phone").path == "/account/login"

    def test_the_password_of_another_account_ends_it(self, site: Site) -> None:
        site.otp.without_phone(lambda account: "enrol" if account == "7" else "refuse")
        del site.phones["7"]
        person = site.person()
        person.begin("login")
        site.otp.authenticate(lambda *_: "8")
        site.phones["8"] = STRANGER
        assert person.begin("login").path == "/account/login/code"
        assert person.open(f"{BASE}/phone").path == "/account/login"

    def test_the_password_can_be_enough(self, site: Site) -> None:
        site.otp.without_phone(lambda account: "sign_in" if account == "7" else "refuse")
        del site.phones["7"]
        assert site.person().begin("login").path == "/account/login/done"
        assert site.told == [("login", "7")]

    @pytest.mark.parametrize("answer", [True, 1, "yes"])
    def test_an_answer_that_is_none_of_the_three_is_an_error(self, site: Site, answer: Any) -> None:
        site.otp.without_phone(lambda _: answer)
        del site.phones["7"]
        with pytest.raises(ConfigurationError, match=r"without_phone.* must be refuse, sign_in"):
            site.person().begin("login")
        assert not site.told

    @pytest.mark.parametrize("answer", [None, False, "", "refuse"])
    def test_otherwise_such_an_account_is_refused(self, site: Site, answer: Any) -> None:
        site.otp.without_phone(lambda _: answer)
        del site.phones["7"]
        person = site.person()
        page = person.begin("login")
        assert page.said == "This account has no phone number to send a code to."
        assert person.open(f"{BASE}/phone").path == "/account/login"

    def test_a_wrong_password_enrols_nobody(self, site: Site) -> None:
        site.otp.without_phone(lambda _: "enrol")
        del site.phones["7"]
        person = site.person()
        person.begin("login", password="wrong")
        assert person.open(f"{BASE}/phone").path == "/account/login"


class TestBackupCodesPage:
    def test_they_are_made_and_shown_once(self, site: Site, person: Person) -> None:
        page = person.open(BASE)
        assert "Codes left: 0" in page.text
        prove(site, person)
        person.open(f"{BASE}/codes")
        page = person.send(f"{BASE}/codes")
        assert page.html.count("<code>") == 10
        assert page.headers["Cache-Control"] == "no-store"
        assert "<code>" not in person.open(f"{BASE}/codes").html
        assert "Codes left: 10" in person.open(BASE).text
        assert site.changes == ["BACKUP_CODES_MADE"]
        kept = str(person.kept)
        for line in page.html.split("<code>")[1:]:
            assert line[:11] not in kept

    def test_a_reload_of_the_form_makes_no_others(self, site: Site, person: Person) -> None:
        prove(site, person)
        person.open(f"{BASE}/codes")
        form = person.page.forms[f"{BASE}/codes"]
        person.send(f"{BASE}/codes")
        stored = site.storage.load("7")
        assert person.client.post(f"{BASE}/codes", data=form).status_code == 303
        assert site.storage.load("7") == stored

    def test_there_are_none_without_a_storage(self, site: Site, person: Person) -> None:
        site.otp._site.backup_storage = None
        assert person.open(f"{BASE}/codes").status == 404
        assert "Backup codes" not in person.open(BASE).text


class TestRememberedBrowsersPage:
    def remember(self, site: Site) -> Person:
        person = site.person()
        person.begin("login")
        person.send("/account/login/code", code=site.code(1), remember="1")
        return person

    def test_without_the_function_not_all_are_forgotten(self, site: Site) -> None:
        person = self.remember(site)
        del site.otp._site.hooks["forget_browsers"]
        form = person.open(BASE).forms[f"{BASE}/forget"]
        reply = person.client.post(f"{BASE}/forget", data={**form, "which": "all"})
        assert reply.status_code == 404

    def test_this_browser_is_forgotten(self, site: Site) -> None:
        person = self.remember(site)
        page = person.open(BASE)
        assert "This browser needs no code until" in page.text
        page = person.send(f"{BASE}/forget", which="this")
        assert page.said == "This browser is not remembered any more."
        assert person.client.get_cookie("otpverify_remembered") is None
        assert site.browsers == 0

    def test_all_browsers_are_forgotten(self, site: Site) -> None:
        person = self.remember(site)
        cookie = person.client.get_cookie("otpverify_remembered")
        assert cookie is not None
        person.open(BASE)
        page = person.send(f"{BASE}/forget", which="all")
        assert page.said == "No browser is remembered any more."
        assert site.changes == ["BROWSERS_FORGOTTEN"]
        copied = site.person()
        copied.client.set_cookie("otpverify_remembered", cookie.value)
        assert copied.begin("login").path == "/account/login/code"

    def test_a_new_phone_ends_them(self, site: Site) -> None:
        person = self.remember(site)
        prove(site, person)
        enter_number(person)
        person.send(f"{BASE}/phone/code", code=site.code(1))
        person.client.delete_cookie("session")
        assert person.begin("login").path == "/account/login/code"


def test_the_flow_needs_its_functions() -> None:
    site = Shop()
    site.otp.save_phone(lambda *_: None)
    with pytest.raises(ConfigurationError, match="confirm_password"):
        site.mount()


def test_without_the_function_for_phones_there_are_no_such_pages() -> None:
    site = Shop().mount()
    assert site.person().open(BASE).status == 404
    assert isinstance(site.otp, OtpVerify)
