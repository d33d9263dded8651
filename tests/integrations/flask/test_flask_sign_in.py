"""Sign in or up by phone, in Flask: pages and JSON."""

from __future__ import annotations

import re
import sqlite3
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort, redirect, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_support import PHONE, STRANGER, Person, ServerSessions, Shop
from flask_wtf import FlaskForm
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, QUICK, fixture_secret, wrong
from wtforms import Form, StringField, validators

from otpverify import (
    ChallengeExpired,
    ConfigurationError,
    FraudPolicy,
    MemoryStore,
    Policy,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.web.sentences import SIGN_IN_REFUSED, explain
from otpverify.sandbox import Sandbox
from otpverify.testing import OutboxSender

SIGN_IN, CODE, ACCOUNT = "/account/sign-in", "/account/sign-in/code", "/account/sign-in/account"
DONE = "/account/sign-in/done"


class NameForm(Form):  # type: ignore[misc]  # the package has no types
    name = StringField("Your name", [validators.InputRequired(), validators.Length(max=20)])


class Club(Shop):
    """A site whose members sign in by phone. Its accounts are in a database that holds phones
    unique, unless `shared` is set.

    Attributes:
        closed: The accounts that may not sign in.
    """

    def __init__(self, *, shared: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.closed: set[str] = set()
        self._lock = threading.Lock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self.database.close)
        unique = "" if shared else "UNIQUE"
        self.database.execute(
            f"CREATE TABLE member (id INTEGER PRIMARY KEY, phone TEXT {unique}, name TEXT)"
        )
        self.otp.find_accounts(self.find)
        self.otp.may_sign_in(lambda account: account not in self.closed)

        @self.otp.on_sign_in
        def on_sign_in(account: str) -> None:
            self.told.append(("sign-in", account))
            session["account"] = account

    def find(self, phone: str) -> list[int]:
        with self._lock:
            found = self.database.execute("SELECT id FROM member WHERE phone = ?", [phone])
            return [row[0] for row in found]

    def add(self, phone: str, name: str = "") -> int | None:
        with self._lock:
            try:
                made = self.database.execute(
                    "INSERT INTO member (phone, name) VALUES (?, ?)", [phone, name]
                )
            except sqlite3.IntegrityError:
                return None
            return made.lastrowid

    def lets_new_numbers_in(self, form: type[Any] | None = None) -> Club:
        if form is None:
            self.otp.create_account(lambda verified: self.add(verified.phone))
        else:
            self.otp.sign_up_form(form)
            self.otp.create_account(lambda verified, form: self.add(verified.phone, form.name.data))
        return self

    @property
    def members(self) -> list[tuple[int, str, str]]:
        with self._lock:
            return list(self.database.execute("SELECT id, phone, name FROM member"))

    def mount(self, **config: Any) -> Club:
        super().mount(**config)
        return self


@pytest.fixture
def club() -> Club:
    made = Club()
    made.add(PHONE, "Ann")
    return made


def begin(club: Club, phone: str = PHONE, person: Person | None = None) -> Person:
    person = club.person() if person is None else person
    person.open(SIGN_IN)
    assert person.send(SIGN_IN, phone=phone).path == CODE
    return person


def sign_in(club: Club, phone: str = PHONE, person: Person | None = None) -> Person:
    sent = len(club.outbox)
    person = begin(club, phone, person)
    person.send(CODE, code=club.code(sent + 1))
    return person


# Existing accounts only


def test_a_phone_and_a_code_sign_in(club: Club) -> None:
    club.mount()
    person = begin(club, "+1 202 555 0123")
    assert "If there is an account with the number" in person.page.text
    club.code(1)
    assert "is your sign-in code" in club.outbox.last.text
    page = person.send(CODE, code=wrong(club.code(1)))
    assert "4 attempts left" in page.said
    page = person.send(CODE, code=club.code(1))
    assert (page.path, page.heading.strip()) == (DONE, "You are signed in")
    assert club.told == [("sign-in", "1")]
    assert person.kept["account"] == "1"


def test_an_unknown_number_gets_the_same_page_and_no_message(club: Club) -> None:
    club.mount()
    known, unknown = begin(club), begin(club, STRANGER)
    club.code(1)
    assert len(club.outbox) == 1
    pages = [re.sub(r"\+\d+|value=\"[^\"]*\"", "", one.page.html) for one in (known, unknown)]
    assert pages[0] == pages[1]
    assert "incorrect" in unknown.send(CODE, code="123456").said
    assert club.told == []


@pytest.mark.parametrize("change", ["closed", "gone", "doubled"])
def test_an_account_that_changed_since_the_code_went_out_is_refused(change: str) -> None:
    club = Club(shared=True)
    club.add(PHONE)
    club.mount()
    person = begin(club)
    code = club.code(1)
    if change == "closed":
        club.closed.add("1")
    elif change == "gone":
        club.database.execute("DELETE FROM member")
    else:
        club.add(PHONE)
    second = club.person()
    second.cookie, second.page = person.cookie, person.page  # the form is sent twice
    page = person.send(CODE, code=code)
    for _ in range(2):
        assert (page.path, page.said.strip()) == (ACCOUNT, str(SIGN_IN_REFUSED))
        page = person.open(CODE)
    second.send(CODE, code=code)
    person.open(SIGN_IN)
    assert club.told == []
    assert "account" not in person.kept
    page = person.send("/account/sign-in/cancel") if person.page.path == ACCOUNT else person.page
    assert page.path == SIGN_IN


@pytest.mark.parametrize("accounts", [[], ["closed"], ["a", "b"]])
def test_no_message_goes_to_a_number_that_signs_nobody_in(accounts: list[str]) -> None:
    club = Club(shared=True)
    for name in accounts:
        number = club.add(PHONE, name)
        if name == "closed":
            club.closed.add(str(number))
    club.mount()
    begin(club)
    club.app.extensions["otpverify"].close()
    assert len(club.outbox) == 0


def test_a_site_may_choose_among_two_accounts(club: Club) -> None:
    club.otp.find_accounts(lambda phone: "9" if phone == PHONE else None)
    club.mount()
    assert sign_in(club).page.path == DONE
    assert club.told == [("sign-in", "9")]


def test_the_reset_knows_the_same_accounts() -> None:
    """One account with the number gets the message; two, or one that may not sign in, none."""
    for accounts, closed, sent in ((1, set(), 1), (2, set(), 0), (1, {"1"}, 0)):
        club = Club(shared=True)
        for _ in range(accounts):
            club.add(PHONE)
        club.closed = closed
        club.mount()
        club.person().begin("reset", phone=PHONE)
        club.app.extensions["otpverify"].close()
        assert len(club.outbox) == sent


# Sign-up


def test_a_new_number_gets_an_account_at_once(club: Club) -> None:
    club.lets_new_numbers_in().mount()
    person = begin(club, STRANGER)
    assert f"We sent a code to {STRANGER}." in person.page.text
    page = person.send(CODE, code=club.code(1))
    assert (page.path, page.heading.strip()) == (DONE, "You are signed in")
    assert club.members[1:] == [(2, STRANGER, "")]
    assert club.told == [("sign-in", "2")]
    assert sign_in(club).kept["account"] == "1", "a known number signs in"


def test_a_new_account_may_need_more(club: Club) -> None:
    club.lets_new_numbers_in(NameForm).mount()
    person = sign_in(club, STRANGER)
    page = person.page
    assert (page.path, page.heading.strip()) == (ACCOUNT, "Create your account")
    assert f"{STRANGER} is confirmed." in page.text
    assert '<label for="name">Your name</label>' in page.html
    for name in ("", "x" * 21):
        page = person.send(ACCOUNT, name=name)
        assert (page.path, page.status) == (ACCOUNT, 200)
        assert 'aria-describedby="otpverify-error-name"' in page.html
        assert page.said
    assert len(club.outbox) == 1, "a form that is not valid costs no second message"
    page = person.send(ACCOUNT, name="<b>Bo</b>", phone=PHONE)
    assert page.path == DONE
    assert club.members[1:] == [(2, STRANGER, "<b>Bo</b>")], "the number is the proved one"
    assert person.kept["account"] == "2"
    assert sign_in(club).page.path == DONE, "a known number needs no form"


def test_nothing_shows_who_has_an_account_before_the_code(club: Club) -> None:
    club.lets_new_numbers_in(NameForm).mount()
    asked: list[str] = []
    club.otp.find_accounts(lambda phone: asked.append(phone) or club.find(phone))  # type: ignore[func-returns-value]  # append gives None
    seen = [begin(club, phone).page.html for phone in (PHONE, STRANGER)]
    seen = [re.sub(r"\+\d+|value=\"[^\"]*\"", "", html) for html in seen]
    assert seen[0] == seen[1]
    assert asked == []


def test_the_proof_waits_ten_minutes_for_the_form(club: Club, clock: FrozenDateTimeFactory) -> None:
    club.lets_new_numbers_in(NameForm).mount()
    person = sign_in(club, STRANGER)
    clock.tick(599)
    assert person.open(ACCOUNT).path == ACCOUNT
    clock.tick(2)
    page = person.send(ACCOUNT, name="Bo")
    assert (page.path, "expired" in page.said) == (SIGN_IN, True)
    assert person.open(ACCOUNT).path == SIGN_IN
    assert len(club.members) == 1


def test_a_planted_id_of_a_session_leads_to_no_proof_that_waits(club: Club) -> None:
    """Somebody who planted a session's id must not create the account of the person's number."""
    club.app.session_interface = ServerSessions()
    club.lets_new_numbers_in(NameForm).mount()
    attacker = club.person()
    attacker.open(SIGN_IN)
    person = club.person()
    person.cookie = attacker.cookie
    assert sign_in(club, STRANGER, person).page.path == ACCOUNT
    assert attacker.open(ACCOUNT).path == SIGN_IN
    person.send(ACCOUNT, name="Bob")
    assert club.members[-1][1:] == (STRANGER, "Bob")


def test_a_session_with_a_new_id_is_not_lost(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right code whose proof was used elsewhere leaves what else the session holds."""

    def used(*_: Any, **__: Any) -> Verified:
        raise ChallengeExpired

    sessions = club.app.session_interface = ServerSessions()
    club.mount()
    person = begin(club)
    sessions.kept[person.cookie]["cart"] = "full"
    monkeypatch.setattr(Verifier, "redeem", used)
    assert person.send(CODE, code=club.code(1)).path == SIGN_IN
    assert sessions.kept[person.cookie]["cart"] == "full"


def test_an_account_page_without_a_proof_leads_to_the_first_page(club: Club) -> None:
    club.lets_new_numbers_in(NameForm).mount()
    person = begin(club, STRANGER)
    page = person.open(ACCOUNT)
    assert (page.path, page.said) == (SIGN_IN, "Confirm your phone first. Start here.")
    response = person.client.post(ACCOUNT, data={"name": "Bo"})
    assert response.status_code == 400, "without the form's token"
    assert len(club.members) == 1


def test_a_form_with_a_token_of_its_own(club: Club) -> None:
    """A form of Flask-WTF."""

    class WtfForm(FlaskForm):  # type: ignore[misc]  # the package has no types
        name = StringField("Your name", [validators.InputRequired()])

    club.lets_new_numbers_in(WtfForm).mount()
    person = sign_in(club, STRANGER)
    assert "csrf_token" in person.page.forms[ACCOUNT]
    assert person.send(ACCOUNT, name="", csrf_token="forged").path == ACCOUNT
    person.open(ACCOUNT)
    assert person.send(ACCOUNT, name="Bo").path == DONE
    assert club.members[1][2] == "Bo"


@pytest.mark.parametrize("form", [None, NameForm])
def test_two_sign_ups_with_one_number_make_one_account(form: type[Form] | None) -> None:
    """At the same time, from two browsers: both looked, and found none."""
    club = Club().lets_new_numbers_in(form)
    barrier = threading.Barrier(2)
    meets = threading.local()
    find = club.find

    def slow(phone: str) -> list[int]:
        found = find(phone)
        if getattr(meets, "once", False):
            meets.once = False
            barrier.wait(10)
        return found

    club.otp.find_accounts(slow)
    club.mount(OTPVERIFY_POLICY=Policy(resend_cooldown_seconds=0))
    people = []
    for nth in (1, 2):
        person = begin(club, STRANGER)
        code = club.code(nth)
        if form is not None:
            person.send(CODE, code=code)
        people.append((person, code))

    def end(person: Person, code: str) -> None:
        meets.once = True
        if form is None:
            person.send(CODE, code=code)
        else:
            # The page looks once, and the rule again.
            person.send(ACCOUNT, name="Bo")

    threads = [threading.Thread(target=end, args=one) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(club.members) == 1
    assert [person.page.path for person, _ in people] == [DONE, DONE]
    assert club.told == [("sign-in", "1")] * 2


def test_an_account_that_cannot_be_created_signs_nobody_in(club: Club) -> None:
    """`None` says that another request was faster, so the person may begin again."""
    club.otp.create_account(lambda verified: None)
    club.mount()
    page = sign_in(club, STRANGER).page
    assert (page.path, page.said) == (SIGN_IN, str(explain(ChallengeExpired())))
    assert club.told == []


# The session


def test_signing_in_begins_a_new_session_without_what_was_planted(club: Club) -> None:
    club.mount(OTPVERIFY_KEEP_AT_LOGIN=("cart",))
    person = club.person()
    person.begin("phone", phone=OTHER_PHONE)
    with person.client.session_transaction() as planted:
        planted.update({"cart": ["book"], "role": "planted"})
    sign_in(club, person=person)
    assert {"cart", "account"} <= set(person.kept)
    assert not {"role", "otpverify.phone", "otpverify.sign-in"} & set(person.kept)


@pytest.mark.parametrize("form", [None, NameForm])
def test_an_old_cookie_signs_nobody_in(club: Club, form: type[Form] | None) -> None:
    club.lets_new_numbers_in(form).mount()
    person = begin(club, STRANGER)
    cookies, code = [person.cookie], club.code(1)
    page = person.send(CODE, code=code)
    if form is not None:
        cookies.append(person.cookie)
        page = person.send(ACCOUNT, name="Bo")
    assert page.path == DONE
    for cookie in cookies:
        thief = club.person()
        thief.cookie = cookie
        thief.open(CODE)
        for action in (CODE, ACCOUNT):
            if action in thief.page.forms:
                thief.send(action, code=code, name="Eve")
        assert thief.page.path == SIGN_IN
        assert "account" not in thief.kept
    assert len(club.told) == 1
    assert len(club.members) == 2


@pytest.mark.parametrize("step", [CODE, ACCOUNT])
def test_a_form_that_is_sent_twice_ends_as_one_that_is_sent_once(club: Club, step: str) -> None:
    club.lets_new_numbers_in(NameForm).mount()
    person = begin(club, STRANGER)
    code = club.code(1)
    if step == ACCOUNT:
        person.send(CODE, code=code)
    old, page = person.cookie, person.page
    fields = {"code": code, "name": "Bo"}
    first = person.send(step, **fields)
    new = person.cookie
    person.cookie = old  # as it was sent, both left before a reply came
    form = {**page.forms[step], **fields}
    reply = person.client.post(step, data=form)
    assert not [c for c in reply.headers.getlist("Set-Cookie") if c.startswith("session=")]
    person.cookie = new  # the first reply's
    again = person.open(reply.location)
    assert (again.path, again.said) == (first.path, first.said)
    assert len(club.members) == (2 if step == ACCOUNT else 1)


@pytest.mark.parametrize(
    ("target", "lands"),
    [
        ("/welcome?a=b", "/welcome"),
        ("https://evil.example", DONE),
        ("//evil.example", DONE),
        ("/\\evil.example", DONE),
    ],
)
@pytest.mark.parametrize("new", [False, True])
def test_next_is_a_page_of_this_site(club: Club, target: str, lands: str, new: bool) -> None:
    club.lets_new_numbers_in(NameForm).mount()
    club.app.add_url_rule("/welcome", view_func=lambda: "welcome", endpoint="welcome")
    person = club.person()
    person.client.get(SIGN_IN, query_string={"next": target})
    sign_in(club, STRANGER if new else PHONE, person)
    if new:
        person.send(ACCOUNT, name="Bo")
    assert person.page.path == lands
    assert "evil" not in "".join(person.locations)


def test_someone_who_is_signed_in_is_sent_on(club: Club) -> None:
    club.mount()
    club.app.add_url_rule("/", view_func=lambda: "home", endpoint="home")
    club.app.add_url_rule("/welcome", view_func=lambda: "welcome", endpoint="welcome")
    person = sign_in(club)
    assert person.open(SIGN_IN).path == "/"
    assert person.open(f"{SIGN_IN}?next=/welcome").path == "/welcome"
    assert person.open(f"{SIGN_IN}?next=//evil.example").path == "/"
    assert len(club.outbox) == 1


def test_someone_who_is_signed_in_signs_in_as_another_account(club: Club) -> None:
    """From a page that was opened before, in another tab."""
    club.add(STRANGER)
    club.mount()
    person = club.person()
    form = person.open(SIGN_IN)
    sign_in(club, person=person)
    with person.client.session_transaction() as held:
        held["basket"] = "of the first account"
        form.forms[SIGN_IN]["otpverify_token"] = held["_otpverify"]["csrf"]
    person.page = form
    assert person.send(SIGN_IN, phone=STRANGER).path == CODE
    page = person.send(CODE, code=club.code(2))
    assert page.path == DONE
    assert person.kept["account"] == "2"
    assert "basket" not in person.kept


def test_the_store_may_be_away_between_the_code_and_the_sign_in(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    redeem, away = MemoryStore.redeem, True

    def may_be_away(self: MemoryStore, *args: Any, **options: Any) -> Any:
        if away:
            raise StoreError("away")
        return redeem(self, *args, **options)

    monkeypatch.setattr(MemoryStore, "redeem", may_be_away)
    club.mount()
    person = begin(club)
    page = person.send(CODE, code=club.code(1))
    assert (page.path, "went wrong" in page.said) == (ACCOUNT, True)
    assert club.told == []
    away = False
    page = person.send(ACCOUNT)
    assert page.path == DONE, "the proof was kept"


# A number that may have a new owner


def held_up(club: Club) -> Club:
    """Old accounts need their password, too."""
    club.otp.before_sign_in(lambda account: redirect("/prove") if account == "1" else None)

    @club.app.route("/prove", methods=["GET", "POST"])
    def prove() -> Any:
        account = club.otp.signing_in()
        if account is None:
            abort(403)
        if request.form.get("password") != "open sesame":
            return f"account {account}: your password, please"
        return club.otp.continue_sign_in()

    return club


def test_a_site_may_ask_for_more(club: Club) -> None:
    club.add(STRANGER)
    held_up(club).mount()
    person = club.person()
    assert person.client.get("/prove").status_code == 403
    person.client.get(f"{SIGN_IN}?next=/account/sign-in/done")
    sign_in(club, person=person)
    assert (person.page.path, person.page.html) == ("/prove", "account 1: your password, please")
    assert person.open(CODE).path == ACCOUNT
    assert person.send(ACCOUNT).path == "/prove", "the flow's own button leads to the same page"
    assert person.client.post("/prove", data={"password": "wrong"}).status_code == 200
    assert club.told == []
    old = person.cookie
    person._see(
        person.client.post("/prove", data={"password": "open sesame"}, follow_redirects=True)
    )
    assert (person.page.path, club.told) == (DONE, [("sign-in", "1")])
    thief = club.person()
    thief.cookie = old
    reply = thief.client.post("/prove", data={"password": "open sesame"}, follow_redirects=True)
    assert "already used" in reply.text
    assert club.told == [("sign-in", "1")]
    assert sign_in(club, STRANGER).page.path == DONE, "other accounts need no more"


def test_an_account_that_is_closed_meanwhile_is_not_continued(club: Club) -> None:
    held_up(club).mount()
    person = sign_in(club)
    club.closed.add("1")
    assert person.client.get("/prove").status_code == 403
    reply = person.client.post("/prove", data={"password": "open sesame"})
    assert (reply.status_code, club.told) == (403, [])


# Before a code is sent


def test_a_check_before_every_code(club: Club, clock: FrozenDateTimeFactory) -> None:
    asked: list[str] = []

    @club.otp.before_send
    def before_send(purpose: str) -> str | None:
        asked.append(purpose)
        return None if request.form.get("captcha") == "passed" else "Solve the puzzle (100%)."

    club.mount()
    club.app.jinja_loader = None
    person = club.person()
    person.open(SIGN_IN)
    old = person.cookie
    page = person.send(SIGN_IN, phone=PHONE)
    assert (page.path, page.said) == (SIGN_IN, "Solve the puzzle (100%).")
    assert f'value="{PHONE}"' in page.html
    assert person.cookie == old, "a refusal sets no session"
    assert person.send(SIGN_IN, phone=PHONE, captcha="passed").path == CODE
    club.code(1)
    clock.tick(61)
    page = person.send("/account/sign-in/resend")
    assert (page.path, page.said) == (CODE, "Solve the puzzle (100%).")
    page = person.send("/account/sign-in/resend", captcha="passed")
    assert page.said == "Another code is on its way."
    page = club.person().begin("login")
    assert "Solve the puzzle" in page.said, "before the password is looked at"
    assert asked == ["sign-in"] * 4 + ["login"]


def test_its_template_is_in_the_forms(club: Club, tmp_path: Any) -> None:
    (tmp_path / "otpverify").mkdir()
    (tmp_path / "otpverify" / "before_send.html").write_text('<input name="captcha">')
    club.app.template_folder = str(tmp_path)
    club.otp.before_send(lambda purpose: None)
    club.mount()
    person = begin(club)
    assert '<input name="captcha">' in club.person().open(SIGN_IN).html
    assert '<input name="captcha">' in person.page.html


# JSON


class Program:
    """A program with a session."""

    def __init__(self, club: Club) -> None:
        club.app.register_blueprint(club.otp.json_blueprint("sign-in"), url_prefix="/api")
        self.club = club
        self.client = club.app.test_client()

    def __call__(self, operation: str, **body: Any) -> tuple[int, dict[str, Any]]:
        reply = self.client.post(f"/api/{operation}", json=body)
        return reply.status_code, reply.json or {}


def test_json_signs_in(club: Club) -> None:
    club.mount()
    program = Program(club)
    status, body = program("start", phone=PHONE)
    assert (status, body["state"]) == (202, "pending")
    status, body = program("check", code=wrong(club.code(1)))
    assert (status, body["type"]) == (400, "urn:otpverify:problem:incorrect-code")
    status, body = program("check", code=club.code(1))
    assert (status, body["state"], body["sign_in"]) == (200, "none", "signed_in")
    assert club.told == [("sign-in", "1")]
    assert program("check", code=club.code(1))[0] == 410
    assert program("account") == (410, program("account")[1])


def test_json_signs_up(club: Club) -> None:
    club.lets_new_numbers_in(NameForm).mount()
    program = Program(club)
    program("start", phone=STRANGER)
    status, body = program("check", code=club.code(1))
    assert (status, body["state"], body["sign_in"]) == (200, "verified", "sign_up")
    again = program("check", code=club.code(1))
    assert again == (status, body), "a repeat gets the same answer"
    status, body = program("account", name="")
    assert (status, body["type"]) == (422, "urn:otpverify:problem:invalid-request")
    assert body["errors"] == {"name": ["This field is required."]}
    assert body["flow"]["state"] == "verified"
    assert program("account", name=5)[0] == 422
    status, body = program("account", name="Bo")
    assert (status, body["sign_in"]) == (200, "signed_in")
    assert club.members[1] == (2, STRANGER, "Bo")
    assert program.client.post("/api/account", data={"name": "Bo"}).status_code == 415


def test_json_refuses_holds_up_and_checks_before_sending(club: Club) -> None:
    club.lets_new_numbers_in()
    club.otp.before_sign_in(lambda account: redirect("/prove"))
    club.otp.before_send(
        lambda purpose: None if request.headers.get("X-Captcha") == "ok" else "Solve it."
    )
    club.mount()
    program = Program(club)
    status, body = program("start", phone=PHONE)
    assert (status, body["type"], body["detail"]) == (
        403,
        "urn:otpverify:problem:sending-refused",
        "Solve it.",
    )
    assert len(club.outbox) == 0
    program.client.environ_base["HTTP_X_CAPTCHA"] = "ok"
    assert program("start", phone=PHONE)[0] == 202
    status, body = program("check", code=club.code(1))
    assert (status, body["sign_in"], body["next"]) == (200, "held", "/prove")
    club.closed.add("1")
    status, body = program("account")
    assert (status, body["type"], body["sign_in"]) == (
        403,
        "urn:otpverify:problem:sign-in-refused",
        "refused",
    )


def test_json_of_a_concealed_flow_is_the_same_for_an_unknown_number(club: Club) -> None:
    club.mount()
    program = Program(club)
    replies = []
    for phone in (PHONE, STRANGER):
        program.client = club.app.test_client()
        replies.append([program("start", phone=phone), program("check", code="letters")])
    assert replies[0] == replies[1]


def test_json_alone_continues_a_sign_in() -> None:
    """The site has no pages of the flow."""
    club = Club()
    club.add(PHONE)
    held_up(club)
    club.otp.init_app(club.app)
    program = Program(club)
    program("start", phone=PHONE)
    assert program("check", code=club.code(1))[1]["sign_in"] == "held"
    for status, step, told in ((200, "signed_in", 1), (403, None, 1)):
        reply = program.client.post("/prove", data={"password": "open sesame"})
        assert reply.status_code == status
        assert (reply.json or {}).get("sign_in") == step
        assert len(club.told) == told


def test_json_needs_the_same_hooks() -> None:
    shop = Shop()
    shop.otp.init_app(shop.app)
    with pytest.raises(ConfigurationError, match=r"@otp\.on_sign_in"):
        shop.app.register_blueprint(shop.otp.json_blueprint("sign-in"))


def test_json_takes_no_recipient(club: Club) -> None:
    with pytest.raises(ConfigurationError, match="neither recipient nor deliver"):
        club.otp.json_blueprint("sign-in", deliver=lambda phone: True)


# Set up


def test_hooks_that_are_needed() -> None:
    shop = Shop()
    shop.otp.init_app(shop.app)
    with pytest.raises(ConfigurationError, match=r"@otp\.on_sign_in"):
        shop.app.register_blueprint(shop.otp.blueprint("signin"))


def test_existing_accounts_only_needs_a_background_sender() -> None:
    outbox = OutboxSender()
    for signs_up in (False, True):
        app = Flask("shop")
        app.secret_key = "a key of the session's cookie"
        otp = OtpVerify(app, verifier=Verifier(outbox, store=MemoryStore(), hasher=QUICK))
        otp.find_accounts(lambda phone: None)
        otp.on_sign_in(lambda account: None)
        if signs_up:
            otp.create_account(lambda verified: "1")
            app.register_blueprint(otp.blueprint("signin"))
        else:
            with pytest.raises(ConfigurationError, match="'signin' sends in the background"):
                app.register_blueprint(otp.blueprint("signin"))


def test_a_view_that_needs_a_proof_leads_to_the_sign_in_of_a_site_without_passwords() -> None:
    club = Club()
    club.add(PHONE)
    club.phones = {"1": PHONE}

    @club.app.get("/pay")
    @club.otp.code_required("payment")
    def pay(verified: Verified) -> str:
        return "paid"

    club.otp.init_app(club.app)
    club.app.register_blueprint(club.otp.blueprint("signin", "proof"), url_prefix="/account")
    person = club.person()
    assert person.open("/pay").path == SIGN_IN
    person.send(SIGN_IN, phone=PHONE)
    assert person.send(CODE, code=club.code(1)).path == "/account/proof/payment"


def test_login_and_sign_in_lead_to_each_other(club: Club) -> None:
    club.mount()
    person = club.person()
    assert 'href="/account/sign-in"' in person.open("/account/login").html
    assert 'href="/account/login"' in person.open(SIGN_IN).html


@pytest.mark.parametrize(
    ("hook", "flows", "warned"),
    [
        ("", ("login", "signin"), True),
        ("may_sign_in", ("login", "signin"), False),
        ("before_sign_in", ("login", "signin"), False),
        ("", ("signin",), False),
        ("", ("login",), False),
    ],
)
def test_a_way_around_the_password_is_logged(
    caplog: pytest.LogCaptureFixture, hook: str, flows: tuple[str, ...], warned: bool
) -> None:
    shop = Shop()
    shop.otp.on_sign_in(lambda account: None)
    if hook:
        getattr(shop.otp, hook)(lambda account: True)
    shop.otp.init_app(shop.app)
    for name in flows:
        shop.app.register_blueprint(shop.otp.blueprint(name), url_prefix=f"/{name}")
    assert ("A code alone signs in" in caplog.text) is warned


def test_a_policy_against_pumping_asks_strangers_whether_they_are_human() -> None:
    """Sign-up is public: the docs show it with both."""
    club = Club().lets_new_numbers_in()
    club.otp = OtpVerify(
        sender=club.outbox,
        store=club.store,
        hasher=QUICK,
        policy=Policy(sends_per_ip=()),
        fraud=FraudPolicy(mode="enforce", over="human_check"),
    )
    club.otp.find_accounts(club.find)
    club.otp.on_sign_in(lambda account: None)
    club.otp.create_account(lambda verified: club.add(verified.phone))
    club.otp.human_check(lambda: request.form.get("human") == "yes")
    club.otp.init_app(club.app)
    club.app.register_blueprint(club.otp.blueprint("signin"), url_prefix="/account")
    for nth in range(100, 140):
        person = club.person()
        person.open(SIGN_IN)
        page = person.send(SIGN_IN, phone=f"+12025550{nth}")
        if page.path == SIGN_IN:
            break
    assert page.said == "Please confirm that you are human."
    assert person.send(SIGN_IN, phone=f"+12025550{nth}", human="yes").path == CODE


# What the documentation shows


@pytest.mark.parametrize("mark", ["phones = {", "members: dict", "LoginManager"])
def test_what_the_page_shows_works(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[3] / "docs/how-to/flask.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    block = next(one for one in blocks if mark in one and "signin" in one)
    with Sandbox() as sandbox:
        for name, value in sandbox.environ.items():
            monkeypatch.setenv(name, value)
        for name in ("SECRET_KEY", "OTPVERIFY_SECRET"):
            monkeypatch.setenv(name, fixture_secret(name))
        names: dict[str, Any] = {"__name__": "a page"}
        exec(compile(block, "a page", "exec"), names)
        app: Flask = names["app"]
        person = Person(app)
        person.open(SIGN_IN)
        person.send(SIGN_IN, phone=PHONE)
        app.extensions["otpverify"].close()  # the message may be on its way
        page = person.send(CODE, code=sandbox.messages[0].code or "")
        if "SignUpForm" in block:
            page = person.send(ACCOUNT, name="Ann")
            assert names["members"] == {PHONE: "Ann"}
        assert page.heading.strip() == "You are signed in"
        assert person.kept.get("account") or person.kept.get("_user_id")


# With Flask-Login


class Member(UserMixin):  # type: ignore[misc]  # the package has no types
    def __init__(self, account: str) -> None:
        self.id = account


def test_with_flask_login(club: Club) -> None:
    manager = LoginManager(club.app)
    manager.login_view = "otpverify_signin.signin"
    manager.user_loader(lambda account: Member(account))
    otp = club.otp
    otp.on_sign_in(lambda account: login_user(Member(account)) and None)
    otp.account_loader(lambda: current_user.get_id())
    otp.init_app(club.app)
    club.app.register_blueprint(otp.blueprint("signin"), url_prefix="/account")

    @club.app.get("/mine")
    def mine() -> Any:
        if not current_user.is_authenticated:
            return manager.unauthorized()
        return f"account {current_user.get_id()}"

    @club.app.post("/out")
    def out() -> str:
        logout_user()
        otp.forget()
        return "out"

    person = club.person()
    person.client.get("/mine")
    assert person.open("/mine").path == SIGN_IN
    assert person.send(SIGN_IN, phone=PHONE).path == CODE
    page = person.send(CODE, code=club.code(1))
    assert (page.path, page.html) == ("/mine", "account 1")
    person.client.post("/out")
    assert person.open("/mine").path == SIGN_IN
