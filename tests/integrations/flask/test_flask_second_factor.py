"""The second factor in Flask: who needs it, remembered browsers, and other ways in; and what an
attacker makes of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
from flask import Flask, redirect, session
from flask_support import PASSWORD, PHONE, USER, Person, Shop
from freezegun.api import FrozenDateTimeFactory
from servers import Server, binary
from support import QUICK, SECRET, wrong

from otpverify import (
    ConfigurationError,
    DeliveryRejected,
    Limit,
    Policy,
    RedisStore,
)
from otpverify.demo.script import Page
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.account_notices import AccountNotice
from otpverify.integrations.web.backup_codes import BackupCodes, MemoryBackupCodes
from otpverify.integrations.web.notices import NOTICE_COOKIE
from otpverify.integrations.web.other_ways import OtherWay
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Recipient
from otpverify.testing import OutboxSender

DAY = 86_400
NO_WAIT = Policy(resend_cooldown_seconds=0)
REMEMBERED = "otpverify_remembered"
PASSWORDS = {"customer": "7", "neighbour": "8"}


class Site(Shop):
    """A shop with two accounts and everything of the second factor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.phones["8"] = "+12025550124"
        self.hashes = {"7": "hash of 7", "8": "hash of 8"}
        self.storage = MemoryBackupCodes()
        self.notices: list[AccountNotice] = []
        otp = self.otp

        @otp.authenticate
        def authenticate(user: str, password: str) -> str | None:
            return PASSWORDS.get(user) if password == PASSWORD else None

        @otp.auth_hash
        def auth_hash(account: str) -> str:
            return self.hashes[account]

        @otp.on_account_change
        def on_account_change(notice: AccountNotice) -> None:
            self.notices.append(notice)

    def backup(self, account: str = "7") -> list[str]:
        self.otp.use_backup_codes(self.storage)
        with self.app.app_context():
            return run_sync(BackupCodes(self.otp.verifier, self.storage).make(account))


@pytest.fixture
def site() -> Site:
    return Site().mount(OTPVERIFY_REMEMBER_DAYS=30, OTPVERIFY_POLICY=NO_WAIT)  # type: ignore[return-value]  # it is a Site


@pytest.fixture
def person(site: Site) -> Person:
    return site.person()


def enter(site: Shop, person: Person, **fields: str) -> None:
    """Sign in with password and code."""
    person.begin("login")
    person.send("/account/login/code", code=site.code(1), **fields)
    assert person.page.path == "/account/login/done"


def remembered(person: Person) -> str:
    found = person.client.get_cookie(REMEMBERED)
    return "" if found is None else found.value


def with_cookie(site: Shop, value: str) -> Person:
    """A new browser that has this cookie alone."""
    person = site.person()
    person.client.set_cookie(REMEMBERED, value)
    return person


class TestWhoNeedsOne:
    def test_accounts_that_need_none_sign_in_by_password(self, site: Site, person: Person) -> None:
        site.otp.needs_code(lambda account: account == "8")
        assert person.begin("login").path == "/account/login/done"
        assert site.told == [("login", "7")]
        assert person.begin("login", user="neighbour").path == "/account/login/code"
        assert len(site.outbox) == 1

    @pytest.mark.parametrize("answer", [None, 0, "", True, "no"])
    def test_only_false_spares_the_code(self, site: Site, person: Person, answer: Any) -> None:
        site.otp.needs_code(lambda _: answer)
        assert person.begin("login").path == "/account/login/code"
        assert not site.told

    def test_the_password_is_needed_in_any_case(self, site: Site, person: Person) -> None:
        site.otp.needs_code(lambda _: False)
        person.begin("login", password="wrong")
        assert not site.told

    def test_the_session_is_new_and_next_is_followed(self, site: Site, person: Person) -> None:
        site.otp.needs_code(lambda _: False)
        person.open("/account/login?next=/basket")
        before = person.kept["_otpverify"]["csrf"]
        person.send("/account/login", user=USER, password=PASSWORD)
        assert person.page.path == "/basket"
        assert person.kept["_otpverify"]["csrf"] != before


class TestTheLastPage:
    """It names the phone only to a person who entered a code."""

    BY_CODE = "You signed in with your password and your phone."

    def test_a_code(self, site: Site, person: Person) -> None:
        enter(site, person)
        assert self.BY_CODE in person.page.text

    def test_the_password_alone(self, site: Site, person: Person) -> None:
        site.otp.needs_code(lambda _: False)
        self.says_no_more_than_is_true(person.begin("login"))

    def test_a_remembered_browser(self, site: Site, person: Person) -> None:
        enter(site, person, remember="1")
        again = with_cookie(site, remembered(person))
        self.says_no_more_than_is_true(again.begin("login"))

    def test_a_backup_code(self, site: Site, person: Person) -> None:
        code = site.backup()[0]
        person.begin("login")
        person.open("/account/login/other?way=backup-code")
        person.send("/account/login/other?way=backup-code", code=code)
        self.says_no_more_than_is_true(person.page)

    def says_no_more_than_is_true(self, page: Any) -> None:
        assert page.path == "/account/login/done"
        assert "You are signed in" in page.text
        assert "You can continue now." in page.text
        assert self.BY_CODE not in page.text


class TestRememberedBrowsers:
    def test_it_is_off_by_default(self) -> None:
        site = Site().mount()
        person = site.person()
        page = person.begin("login")
        assert "remember" not in page.html
        person.send("/account/login/code", code=site.code(1), remember="1")
        assert not remembered(person)

    def test_it_is_asked_and_off(self, site: Site, person: Person) -> None:
        page = person.begin("login")
        assert "Remember this browser for 30 days" in page.text
        box = re.search(r"<input[^>]*remember[^>]*>", page.html)
        assert box is not None
        assert "checked" not in box[0]
        person.send("/account/login/code", code=site.code(1))
        assert not remembered(person)

    def test_the_browser_skips_the_code(
        self, site: Site, person: Person, clock: FrozenDateTimeFactory
    ) -> None:
        enter(site, person, remember="1")
        person.client.delete_cookie("session")
        assert person.begin("login").path == "/account/login/done"
        assert len(site.outbox) == 1
        assert [kind for kind, _ in site.told] == ["login", "login"]
        other = with_cookie(site, remembered(person))
        clock.tick(30 * DAY)
        assert other.begin("login").path == "/account/login/code"

    def test_the_cookie_has_its_attributes(self, site: Site, person: Person) -> None:
        site.app.config["SESSION_COOKIE_SECURE"] = False
        enter(site, person, remember="1")
        cookie = person.client.get_cookie(REMEMBERED)
        assert cookie is not None
        assert cookie.http_only
        assert cookie.same_site == "Lax"
        assert cookie.max_age == 30 * DAY
        for known in ("7", USER, PHONE):
            assert known != cookie.value
        assert PHONE[1:] not in cookie.value

    def test_a_wrong_code_remembers_nothing(self, site: Site, person: Person) -> None:
        person.begin("login")
        person.send("/account/login/code", code="000000", remember="1")
        assert not remembered(person)

    def test_the_password_is_needed_in_any_case(self, site: Site, person: Person) -> None:
        enter(site, person, remember="1")
        other = with_cookie(site, remembered(person))
        other.begin("login", password="wrong")
        assert len(site.told) == 1

    def test_a_cookie_of_another_account_is_of_no_use(self, site: Site, person: Person) -> None:
        enter(site, person, remember="1")
        victim = with_cookie(site, remembered(person))
        page = victim.begin("login", user="neighbour")
        assert page.path == "/account/login/code"
        assert len(site.told) == 1

    @pytest.mark.parametrize("change", ["password", "phone", "secret"])
    def test_a_copy_ends_with_what_it_depends_on(
        self, site: Site, person: Person, change: str
    ) -> None:
        enter(site, person, remember="1")
        copied = with_cookie(site, remembered(person))
        if change == "password":
            site.hashes["7"] = "another"
        elif change == "phone":
            site.phones["7"] = "+12025550125"
        else:
            site = Site().mount(OTPVERIFY_REMEMBER_DAYS=30)  # type: ignore[assignment]  # it is a Site
            copied = with_cookie(site, remembered(person))
        assert copied.begin("login").path == "/account/login/code"

    @pytest.mark.parametrize("value", ["", ".", "x" * 46, "." * 400, "x" * 5000, "\udcff", "ä"])
    def test_a_planted_cookie_is_nothing(self, site: Site, person: Person, value: str) -> None:
        header = {
            "Cookie": f"{REMEMBERED}={value}".encode("utf-8", "surrogateescape").decode("latin-1")
        }
        page = person.open("/account/login", headers=header)
        assert page.status == 200
        form = {**page.forms["/account/login"], "user": USER, "password": PASSWORD}
        session_cookie = f"session={person.cookie}; {header['Cookie']}"
        reply = person.app.test_client(use_cookies=False).post(
            "/account/login", data=form, headers={"Cookie": session_cookie}
        )
        assert reply.headers["Location"] == "/account/login/code"

    def test_it_needs_the_hash_of_accounts(self) -> None:
        with pytest.raises(ConfigurationError, match="auth_hash"):
            Shop().mount(OTPVERIFY_REMEMBER_DAYS=30)

    @pytest.mark.parametrize("days", [-1, 366, "30", 1.5])
    def test_days_out_of_range_are_refused(self, days: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"REMEMBER_DAYS.*, in days, must"):
            Site().mount(OTPVERIFY_REMEMBER_DAYS=days)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_cookie_that_came_by_https_leaves_by_https_alone(site: Site, scheme: str) -> None:
    client, origin = site.app.test_client(), f"{scheme}://localhost"
    page = Page("", 200, client.get("/account/login", base_url=origin).text)
    form = {**page.forms["/account/login"], "user": USER, "password": PASSWORD}
    client.post("/account/login", data=form, base_url=origin)
    page = Page("", 200, client.get("/account/login/code", base_url=origin).text)
    form = {**page.forms["/account/login/code"], "code": wrong(site.code(1)), "remember": "1"}
    refused = client.post("/account/login/code", data=form, base_url=origin)
    form["code"] = site.code(1)
    reply = client.post("/account/login/code", data=form, base_url=origin)
    for made, name in ((refused, NOTICE_COOKIE), (reply, REMEMBERED)):
        (cookie,) = (one for one in made.headers.getlist("Set-Cookie") if one.startswith(name))
        assert ("; Secure" in cookie) is (scheme == "https")


class TestBackupCodes:
    def test_a_backup_code_signs_in_once(self, site: Site, person: Person) -> None:
        codes = site.backup()
        page = person.begin("login")
        assert "Use a backup code" in page.text
        person.open("/account/login/other?way=backup-code")
        page = person.send("/account/login/other?way=backup-code", code=f" {codes[0].upper()} ")
        assert page.path == "/account/login/done"
        assert site.told == [("login", "7")]
        other = site.person()
        other.begin("login")
        other.open("/account/login/other?way=backup-code")
        page = other.send("/account/login/other?way=backup-code", code=codes[0])
        assert page.path == "/account/login/other"
        assert page.said == "That is incorrect, or it was used before."
        assert len(site.told) == 1

    def test_who_starts_again_needs_the_password_again(self, site: Site, person: Person) -> None:
        codes = site.backup()
        person.begin("login")
        page = person.open("/account/login/other")
        form = page.forms["/account/login/other?way=backup-code"]
        person.open("/account/login/code")
        assert person.send("/account/login/cancel").path == "/account/login"
        assert person.open("/account/login/other").path == "/account/login"
        person.client.post("/account/login/other?way=backup-code", data={**form, "code": codes[0]})
        assert not site.told

    def test_the_code_that_was_sent_is_void_then(self, site: Site, person: Person) -> None:
        codes = site.backup()
        person.begin("login")
        old, sent = person.cookie, site.code(1)
        person.open("/account/login/other")
        person.send("/account/login/other?way=backup-code", code=codes[0])
        replayed = site.person()
        replayed.cookie = old
        page = replayed.open("/account/login/code")
        page = replayed.send("/account/login/code", code=sent)
        assert page.path == "/account/login"
        assert len(site.told) == 1

    def test_the_person_gets_a_notice(self, site: Site, person: Person) -> None:
        codes = site.backup()
        person.begin("login")
        person.open("/account/login/other")
        person.send("/account/login/other?way=backup-code", code=codes[0])
        assert [notice.change.name for notice in site.notices] == ["BACKUP_CODE_USED"]
        assert wait_for(site, 2).startswith("The way you sign in was changed.")

    def test_it_may_remember_the_browser(self, site: Site, person: Person) -> None:
        codes = site.backup()
        person.begin("login")
        person.open("/account/login/other")
        person.send("/account/login/other?way=backup-code", code=codes[0], remember="1")
        person.client.delete_cookie("session")
        assert person.begin("login").path == "/account/login/done"

    def test_without_a_right_password_there_is_nothing(self, site: Site, person: Person) -> None:
        codes = site.backup()
        for password in ("", "wrong"):
            if password:
                person.begin("login", password=password)
            page = person.open("/account/login/other?way=backup-code")
            assert page.path == "/account/login"
            token = page.forms["/account/login"]
            person.client.post(
                "/account/login/other?way=backup-code", data={**token, "code": codes[0]}
            )
        assert not site.told
        assert len(site.storage.load("7")) == 10

    def test_the_first_step_ends(
        self, site: Site, person: Person, clock: FrozenDateTimeFactory
    ) -> None:
        codes = site.backup()
        person.begin("login")
        person.open("/account/login/other")
        clock.tick(1800)
        page = person.send("/account/login/other?way=backup-code", code=codes[0])
        assert page.path == "/account/login"
        assert not site.told

    def test_the_first_step_ends_when_the_password_changes(
        self, site: Site, person: Person
    ) -> None:
        codes = site.backup()
        person.begin("login")
        person.open("/account/login/other")
        site.hashes["7"] = "another"
        person.send("/account/login/other?way=backup-code", code=codes[0])
        assert not site.told

    @pytest.mark.parametrize("changed", ["the password", "the phone", "nothing"])
    def test_a_code_does_not_sign_in_when_the_account_changed(
        self, site: Site, person: Person, changed: str
    ) -> None:
        person.begin("login")
        if changed == "the password":
            site.hashes["7"] = "another"
        elif changed == "the phone":
            site.phones["7"] = "+12025550125"
        person.send("/account/login/code", code=site.code(1))
        assert bool(site.told) is (changed == "nothing")

    def test_guesses_are_limited_and_the_code_still_works(self, site: Site, person: Person) -> None:
        codes = site.backup()
        person.begin("login")
        sent = site.code(1)
        person.open("/account/login/other")
        for _ in range(6):
            page = person.send("/account/login/other?way=backup-code", code="00000-00000")
        assert page.said.startswith("Too many incorrect answers.")
        page = person.send("/account/login/other?way=backup-code", code=codes[0])
        assert page.said.startswith("Too many incorrect answers.")
        assert not site.told
        person.open("/account/login/code")
        page = person.send("/account/login/code", code=sent)
        assert page.path == "/account/login/done"

    def test_every_form_needs_the_sessions_token(self, site: Site, person: Person) -> None:
        codes = site.backup()
        person.begin("login")
        reply = person.client.post("/account/login/other?way=backup-code", data={"code": codes[0]})
        assert reply.status_code == 400
        assert not site.told

    def test_it_helps_where_no_message_can_be_sent(self) -> None:
        class Rejecting(OutboxSender):
            def send(self, message: Any) -> Any:
                raise DeliveryRejected("no", provider_code="no_balance")

        site = Site(sender=Rejecting()).mount()
        assert isinstance(site, Site)
        codes, person = site.backup(), site.person()
        page = person.begin("login")
        assert page.path == "/account/login/other"
        assert "We cannot send messages" in page.said
        page = person.send("/account/login/other?way=backup-code", code=codes[0])
        assert page.path == "/account/login/done"

    def test_an_account_without_a_phone_may_use_them(self, site: Site, person: Person) -> None:
        codes = site.backup()
        site.phones.pop("7")
        page = person.begin("login")
        assert page.path == "/account/login/other"
        page = person.send("/account/login/other?way=backup-code", code=codes[0])
        assert page.path == "/account/login/done"

    def test_of_two_requests_with_one_code_one_signs_in(self, site: Site) -> None:
        codes = site.backup()
        people = [site.person() for _ in range(4)]
        for person in people:
            person.begin("login")
            person.open("/account/login/other")

        def send(person: Person) -> str:
            return person.send("/account/login/other?way=backup-code", code=codes[0]).path

        with ThreadPoolExecutor(4) as threads:
            paths = sorted(threads.map(send, people))
        assert paths == ["/account/login/done"] + ["/account/login/other"] * 3
        assert len(site.told) == 1

    def test_a_form_that_is_sent_twice_signs_in(self, site: Site, person: Person) -> None:
        codes = site.backup()
        person.begin("login")
        person.open("/account/login/other")
        form = person.page.forms["/account/login/other?way=backup-code"]
        before = person.cookie
        person.send("/account/login/other?way=backup-code", code=codes[0])
        after = person.cookie
        person.cookie = before
        path = "/account/login/other?way=backup-code"
        reply = person.client.post(path, data={**form, "code": codes[0]})
        assert "session=" not in str(reply.headers.getlist("Set-Cookie"))
        person.cookie = after
        assert person.open(reply.headers["Location"]).path == "/account/login/done"
        assert len(site.told) == 1


class TestFailedSignIns:
    """The person is notified when somebody who has the password fails at the second factor."""

    def guess(self, site: Site, person: Person, times: int) -> None:
        """Guess codes, with a new challenge whenever one ends."""
        for nth in range(times):
            if not nth % 5:
                person.begin("login")
                code = codes_of(site)[-1]
            person.send("/account/login/code", code=wrong(code, nth % 5 + 1))

    def notified(self, site: Site) -> list[str]:
        return [notice.change.name for notice in site.notices]

    def test_many_incorrect_codes_are_reported_once(self, site: Site, person: Person) -> None:
        self.guess(site, person, 4)
        assert self.notified(site) == []
        self.guess(site, person, 10)
        assert self.notified(site) == ["SIGN_IN_FAILED"]
        assert site.notices[0].phone == PHONE
        assert site.notices[0].account == "7"
        with suppress(LookupError):  # the report has no code
            site.code(4)
        texts = [message.text for message in site.outbox.messages if message.to == PHONE]
        reports = [text for text in texts if text.startswith("Somebody entered your password")]
        assert len(reports) == 1
        assert not re.search(r"\d", reports[0])

    def test_the_json_endpoints_of_a_login_report_them_too(self) -> None:
        """Those of a site that has a login of its own."""
        site = Site()
        blueprint = site.otp.json_blueprint("login", recipient=lambda: Recipient(PHONE, "7"))
        site.app.register_blueprint(blueprint, url_prefix="/api/login")
        site.mount(OTPVERIFY_POLICY=NO_WAIT)
        client = site.app.test_client()
        for nth in range(6):
            if not nth % 5:
                client.post("/api/login/start", json={})
                code = codes_of(site)[-1]
            client.post("/api/login/check", json={"code": wrong(code, nth % 5 + 1)})
        assert self.notified(site) == ["SIGN_IN_FAILED"]
        assert (site.notices[0].account, site.notices[0].phone) == ("7", PHONE)

    def test_codes_and_other_answers_count_together(self, site: Site, person: Person) -> None:
        site.backup()
        self.guess(site, person, 3)
        person.open("/account/login/other")
        for _ in range(2):
            person.send("/account/login/other?way=backup-code", code="00000-00000")
        assert self.notified(site) == ["SIGN_IN_FAILED"]

    def test_without_the_password_nobody_causes_one(self, site: Site, person: Person) -> None:
        for _ in range(9):
            person.begin("login", password="wrong")
        person.begin("reset", phone=PHONE)
        code = site.code(1)
        for nth in range(1, 6):
            person.send("/account/reset/code", code=wrong(code, nth))
        assert self.notified(site) == []

    def test_who_guesses_sees_nothing_of_it(self, site: Site, person: Person) -> None:
        """The reply to the code that causes a notice is that to any other last code."""
        pages = []
        for _ in range(2):
            self.guess(site, person, 5)
            pages.append((person.page.path, person.page.said))
        assert pages[0] == pages[1]
        assert self.notified(site) == ["SIGN_IN_FAILED"]


def test_a_new_password_is_reported_by_another_channel(site: Site, person: Person) -> None:
    """Not by SMS: the person who reset it holds the phone."""
    person.begin("reset", phone=PHONE)
    person.send("/account/reset/code", code=site.code(1))
    person.send("/account/reset/password", password="close sesame")
    assert site.told == [("password", "7", "close sesame")]
    [notice] = site.notices
    assert (notice.change.name, notice.account, notice.phone) == ("PASSWORD_RESET", "7", None)
    assert len(site.outbox) == 1


def codes_of(site: Shop) -> list[str]:
    """The codes that were sent."""
    found = (re.search(r"\d{6}", message.text) for message in site.outbox.messages)
    return [match[0] for match in found if match]


def test_many_processes_share_the_attempts() -> None:
    """Each application has a store of its own on one server, as processes have."""
    storage = MemoryBackupCodes()
    with ExitStack() as stack:
        server = stack.enter_context(Server(binary("valkey9")))
        people = []
        for _ in range(4):
            store = stack.enter_context(closing(RedisStore.from_url(server.url)))
            otp = OtpVerify(sender=OutboxSender(), store=store, hasher=QUICK, policy=NO_WAIT)
            otp.authenticate(lambda *_: "7")
            otp.get_phone(lambda _: PHONE)
            otp.on_login(lambda account: session.update(account=account))
            otp.use_backup_codes(storage)
            app = Flask("shop")
            app.config.update(SECRET_KEY="key", OTPVERIFY_SECRET=SECRET, TESTING=True)
            otp.init_app(app)
            app.register_blueprint(otp.blueprint("login"), url_prefix="/account")
            with app.app_context():
                run_sync(BackupCodes(otp.verifier, storage).make("7"))
            people += [Person(app) for _ in range(2)]
        for person in people:
            person.begin("login")
            person.open("/account/login/other?way=backup-code")

        def guess(person: Person) -> str:
            return person.send("/account/login/other?way=backup-code", code="00000-00000").said

        with ThreadPoolExecutor(len(people)) as threads:
            said = list(threads.map(guess, people * 1))
        assert sum(one.startswith("That is incorrect") for one in said) == 5
        assert sum(one.startswith("Too many") for one in said) == 3


class TestOtherWays:
    def ways(self, site: Site) -> None:
        site.otp.add_way(
            OtherWay(
                "app",
                Sentence("Use your authenticator app"),
                check=lambda account, answer: (account, answer) == ("7", "123456"),
                limits=(Limit(2, 60),),
            )
        )
        site.otp.add_way(OtherWay("passkey", Sentence("Use a passkey"), url="/passkey"))

        @site.app.get("/passkey")
        def passkey() -> Any:
            account = site.otp.pending_account()
            return redirect("/") if account is None else f"passkey of {account}"

        @site.app.post("/passkey")
        def passed() -> Any:
            return site.otp.complete_login()

        site.app.register_error_handler(Exception, lambda error: (type(error).__name__, 500))

    def test_an_answer_of_the_sites_own(self, site: Site, person: Person) -> None:
        self.ways(site)
        page = person.begin("login")
        assert "Use your authenticator app" in page.text
        person.open("/account/login/other?way=app")
        page = person.send("/account/login/other?way=app", code="000000")
        assert page.said == "That is incorrect, or it was used before."
        page = person.send("/account/login/other?way=app", code="123456")
        assert page.path == "/account/login/done"

    def test_its_functions_may_be_asynchronous(self, site: Site, person: Person) -> None:
        async def check(account: str, answer: str) -> bool:
            await asyncio.sleep(0)
            return (account, answer) == ("7", "right")

        async def available(account: str) -> bool:
            await asyncio.sleep(0)
            return account == "7"

        label = Sentence("Use the app")
        site.otp.add_way(OtherWay("app", label, check=check, available=available))
        assert "Use the app" in person.begin("login").text
        person.open("/account/login/other?way=app")
        person.send("/account/login/other?way=app", code="wrong")
        assert not site.told
        person.send("/account/login/other?way=app", code="right")
        assert site.told == [("login", "7")]

    def test_guesses_at_it_are_limited(self, site: Site, person: Person) -> None:
        self.ways(site)
        person.begin("login")
        person.open("/account/login/other?way=app")
        for _ in range(2):
            person.send("/account/login/other?way=app", code="000000")
        page = person.send("/account/login/other?way=app", code="123456")
        assert page.said.startswith("Too many")
        assert not site.told

    def test_a_page_of_the_sites_own(self, site: Site, person: Person) -> None:
        self.ways(site)
        assert person.open("/passkey").path == "/"
        assert person.client.post("/passkey").text == "ProofRequired"
        person.begin("login")
        page = person.open("/account/login/other?way=passkey")
        assert (page.path, page.html) == ("/passkey", "passkey of 7")
        reply = person.client.post("/passkey")
        assert reply.headers["Location"] == "/account/login/done"
        assert site.told == [("login", "7")]
        assert person.client.post("/passkey").text == "ProofRequired"

    def test_several_ways_are_listed(self, site: Site, person: Person) -> None:
        self.ways(site)
        site.phones.pop("7")
        page = person.begin("login")
        assert page.path == "/account/login/other"
        assert "Use a passkey" in page.text
        assert not page.forms

    @pytest.mark.parametrize("way", ["nothing", "", "../x", "passkey2"])
    def test_an_unknown_way_is_not_one(self, site: Site, person: Person, way: str) -> None:
        self.ways(site)
        person.begin("login")
        assert person.open(f"/account/login/other?way={way}").status == 200

    def test_a_name_is_there_once(self, site: Site) -> None:
        self.ways(site)
        with pytest.raises(ConfigurationError):
            site.otp.add_way(OtherWay("app", Sentence("x"), url="/"))
        with pytest.raises(ConfigurationError, match="use_backup_codes"):
            site.otp.add_way(OtherWay("backup-code", Sentence("x"), url="/"))


def wait_for(site: Shop, count: int) -> str:
    """The text of the newest message, once so many came."""
    with pytest.raises(LookupError):  # it has no code
        site.code(count)
    return site.outbox.messages[-1].text


@pytest.fixture(autouse=True)
def closed(site: Site) -> Iterator[None]:
    yield
    site.app.extensions["otpverify"].close()
