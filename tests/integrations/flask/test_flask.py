"""The Flask integration: three flows, proofs, and what a session tells."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from flask import session
from flask_support import PASSWORD, PHONE, STRANGER, TYPED, USER, Person, ServerSessions, Shop
from flask_wtf.csrf import CSRFProtect
from freezegun.api import FrozenDateTimeFactory
from support import wrong
from werkzeug.middleware.proxy_fix import ProxyFix

from otpverify import (
    ConfigurationError,
    DeliveryUnavailable,
    Limit,
    Message,
    Policy,
    Receipt,
    StoreError,
)

FIRST = {"login": {"user": USER, "password": PASSWORD}, "phone": {"phone": TYPED}}
FIRST["reset"] = {"phone": PHONE}
NO_COOLDOWN = Policy(resend_cooldown_seconds=0)


@pytest.fixture
def shop() -> Shop:
    return Shop().mount()


@pytest.fixture
def person(shop: Shop) -> Person:
    return shop.person()


def sign_in(shop: Shop, person: Person) -> None:
    person.begin("login")
    person.send("/account/login/code", code=shop.code(len(shop.outbox)))


# From beginning to end


def test_login(shop: Shop, person: Person) -> None:
    page = person.begin("login")
    assert page.path == "/account/login/code"
    assert PHONE not in page.html, "a password alone tells nobody the number"
    page = person.send("/account/login/code", code=shop.code(1))
    assert (page.path, page.heading.strip()) == ("/account/login/done", "You are signed in")
    assert shop.told == [("login", "7")]
    assert person.kept["account"] == "7"


def test_a_wrong_password_sends_nothing(shop: Shop, person: Person) -> None:
    for user, password in ((USER, "sesame open"), ("nobody", PASSWORD)):
        page = person.begin("login", user=user, password=password)
        assert (page.path, page.said) == (
            "/account/login",
            "The user name or password is incorrect.",
        )
        assert f'value="{user}"' in page.html
        assert password not in page.html + str(person.kept)
    assert len(shop.outbox) == 0


def test_the_password_is_taken_as_it_was_typed(shop: Shop) -> None:
    given = []
    shop.otp.authenticate(lambda user, password: given.append((user, password)))
    person = shop.person()
    person.begin("login", user=" customer ", password=f" {'x' * 300} ")
    assert given == [("customer", f" {'x' * 300} ")]


def test_an_account_without_a_phone_does_not_get_in(shop: Shop, person: Person) -> None:
    shop.phones.clear()
    page = person.begin("login")
    assert (page.path, page.said) == (
        "/account/login",
        "This account has no phone number to send a code to.",
    )
    shop.phones["7"] = PHONE
    person.begin("login")
    shop.phones.clear()
    page = person.send("/account/login/code", code=shop.code(1))
    assert page.path == "/account/login"
    assert "expired" in page.said
    assert shop.told == []


def test_phone_confirmation(shop: Shop, person: Person) -> None:
    page = person.begin("phone", phone="12")
    assert 'aria-invalid="true"' in page.html
    assert 'aria-describedby="otpverify-error otpverify-hint"' in page.html
    page = person.send("/account/phone", phone="+372 5678 9045")
    assert TYPED in page.text
    code = shop.code(1)
    page = person.send("/account/phone/code", code=f" {code[:3]} {code[3:]} ")
    assert page.path == "/account/phone/done"
    assert shop.told == [("confirmed", TYPED)]


def test_the_phone_that_is_confirmed_is_the_one_that_was_verified(
    shop: Shop, person: Person
) -> None:
    person.begin("phone", phone=TYPED)
    person.send("/account/phone/code", code=shop.code(1), phone=PHONE, who=PHONE)
    assert shop.told == [("confirmed", TYPED)]


def test_password_reset(shop: Shop, person: Person) -> None:
    person.begin("reset", phone=PHONE)
    page = person.send("/account/reset/code", code=shop.code(1))
    assert page.path == "/account/reset/password"
    page = person.send("/account/reset/password", password="short")
    assert "at least 8" in page.said
    assert 'aria-invalid="true"' in page.html
    page = person.send("/account/reset/password", password=" close sesame ")
    assert (page.path, page.heading.strip()) == ("/account/reset/done", "Password changed")
    assert shop.told == [("password", "7", " close sesame ")]
    assert len(shop.outbox) == 1, "a password that would not do cost no second message"


def test_the_application_judges_passwords(shop: Shop, person: Person) -> None:
    @shop.otp.password_fault
    def password_fault(account: str, password: str) -> str | None:
        return f"{account}: too common" if password == "password" else None

    person.begin("reset", phone=PHONE)
    person.send("/account/reset/code", code=shop.code(1))
    assert person.send("/account/reset/password", password="password").said == "7: too common"
    assert "too long" in person.send("/account/reset/password", password="x" * 257).said
    person.send("/account/reset/password", password="close sesame")
    assert shop.told == [("password", "7", "close sesame")]


@pytest.mark.parametrize("flow", FIRST)
def test_wrong_codes(shop: Shop, person: Person, flow: str) -> None:
    person.begin(flow, **FIRST[flow])
    code = shop.code(1)
    page = person.send(f"/account/{flow}/code", code="letters")
    assert "did not count" in page.said
    for left in (4, 3, 2, 1):
        page = person.send(f"/account/{flow}/code", code=wrong(code, left))
        assert f"{left} attempt" in page.said
        assert page.html.count('role="alert"') == 1
        assert 'aria-describedby="otpverify-error otpverify-attempts"' in page.html
        assert "<title>Error: " in page.html
    page = person.send(f"/account/{flow}/code", code=wrong(code))
    assert page.path == f"/account/{flow}"
    assert "Too many incorrect codes" in page.said
    assert shop.told == []


def test_expired(clock: FrozenDateTimeFactory) -> None:
    for flow in FIRST:
        shop = Shop().mount()
        person = shop.person()
        person.begin(flow, **FIRST[flow])
        code = shop.code(1)
        clock.tick(601)
        page = person.send(f"/account/{flow}/code", code=code)
        assert page.path == f"/account/{flow}"
        assert "expired" in page.said
        assert "There is no code to enter" in person.open(f"/account/{flow}/code").said


def test_resend(clock: FrozenDateTimeFactory) -> None:
    for flow in FIRST:
        shop = Shop().mount()
        person = shop.person()
        page = person.begin(flow, **FIRST[flow])
        assert 'data-wait="60"' in page.html
        assert "(1:00)" in page.html
        first = shop.code(1)
        clock.tick(10)
        page = person.send(f"/account/{flow}/resend")
        assert page.said.strip().endswith("in 50 seconds.")
        assert len(shop.outbox) == 1
        clock.tick(50)
        page = person.send(f"/account/{flow}/resend")
        assert page.said == "Another code is on its way."
        assert shop.code(2) != first
        page = person.send(f"/account/{flow}/code", code=first)
        assert page.path == f"/account/{flow}/{'password' if flow == 'reset' else 'done'}"


def test_a_start_within_the_cooldown_leads_to_the_code(clock: FrozenDateTimeFactory) -> None:
    for flow in FIRST:
        shop = Shop().mount()
        person = shop.person()
        person.begin(flow, **FIRST[flow])
        code = shop.code(1)
        clock.tick(15)
        page = person.begin(flow, **FIRST[flow])
        assert page.path == f"/account/{flow}/code"
        assert page.said.strip().endswith("in 45 seconds.")
        assert '<span data-wait="45">in 45 seconds</span>' in page.html
        assert len(shop.outbox) == 1
        other = shop.person()
        page = other.begin(flow, **FIRST[flow])
        assert page.path == f"/account/{flow}", "without a challenge one waits on the first page"
        assert "in 45 seconds" in page.said
        assert 'data-wait="45"' in page.html
        assert flow != "login" or PHONE not in page.html, "it says what was typed, and no more"
        page = person.send(f"/account/{flow}/code", code=code)
        assert page.path != f"/account/{flow}/code"


@pytest.mark.parametrize("flow", FIRST)
def test_cancel(shop: Shop, person: Person, flow: str) -> None:
    page = person.begin(flow, **FIRST[flow])
    form = page.forms[f"/account/{flow}/code"]
    code = shop.code(1)
    before = person.cookie
    assert person.send(f"/account/{flow}/cancel").path == f"/account/{flow}"
    for cookie in (person.cookie, before):
        person.cookie = cookie
        reply = person.client.post(f"/account/{flow}/code", data={**form, "code": code})
        assert reply.location == f"/account/{flow}"
    assert shop.told == []


@pytest.mark.parametrize("flow", FIRST)
def test_a_gateway_that_is_away(shop: Shop, person: Person, flow: str) -> None:
    shop.outbox.fail_with = DeliveryUnavailable("Away.", maybe_sent=False)
    page = person.begin(flow, **FIRST[flow])
    assert page.path == f"/account/{flow}/code"
    if flow == "reset":
        assert page.said == "", "nobody learns that there was anything to send"
    else:
        assert "We could not send the message" in page.said
        shop.outbox.fail_with = None
        page = person.send(f"/account/{flow}/resend")
        assert page.said == "A code is on its way."
        assert person.send(f"/account/{flow}/code", code=shop.code(1)).path.endswith("/done")


@pytest.mark.parametrize("operation", ["open", "check", "redeem", "cancel"])
def test_a_store_that_is_away_lets_nobody_in(
    shop: Shop,
    person: Person,
    operation: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("The store is away.")

    shop = Shop()
    monkeypatch.setattr(shop.store, operation, away)
    person = shop.mount().person()
    page = person.begin("reset", phone=PHONE)
    if operation == "open":
        assert "went wrong on our side" in page.said
    elif operation == "cancel":
        assert "went wrong on our side" in person.send("/account/reset/cancel").said
    else:
        page = person.send("/account/reset/code", code=shop.code(1))
        if operation == "redeem":
            page = person.send("/account/reset/password", password="close sesame")
            assert page.path == "/account/reset/password", "the proof may yet be good"
        assert "went wrong on our side" in page.said
    assert shop.told == []
    assert "The store is away" in caplog.text, "it is in the log"


def test_a_hook_that_fails_ends_nothing_well(shop: Shop, person: Person) -> None:
    @shop.otp.on_login
    def on_login(account: str) -> None:
        raise LookupError("The database is away.")

    shop.app.config["PROPAGATE_EXCEPTIONS"] = False
    person.begin("login")
    assert person.send("/account/login/code", code=shop.code(1)).status == 500
    assert person.open("/account/login/done").path == "/account/login"
    assert "account" not in person.kept


def test_who_has_signed_out_is_not_signed_in(shop: Shop, person: Person) -> None:
    sign_in(shop, person)
    assert person.open("/account/login/done").heading.strip() == "You are signed in"
    with person.client.session_transaction() as kept:
        del kept["account"]
    assert person.open("/account/login/done").path == "/account/login"


# Who is who


def test_the_reset_does_not_wait_for_the_gateway() -> None:
    delivered, go = threading.Event(), threading.Event()

    class Slow:
        def send(self, message: Message) -> Receipt:
            go.wait(60)
            delivered.set()
            return Receipt()

    shop = Shop(sender=Slow()).mount()
    page = shop.person().begin("reset", phone=PHONE)
    assert page.path == "/account/reset/code"
    assert not delivered.is_set()
    go.set()
    assert delivered.wait(60)


def test_nobody_s_code_opens_an_account_that_is_not_there(shop: Shop, person: Person) -> None:
    shop.person().begin("reset", phone=PHONE)
    code = shop.code(1)
    person.begin("reset", phone=STRANGER)
    page = person.send("/account/reset/code", code=code)
    assert "incorrect" in page.said
    assert person.open("/account/reset/password").path == "/account/reset"


# The session


@pytest.mark.parametrize("flow", FIRST)
def test_the_cookie_tells_only_what_its_owner_typed(shop: Shop, person: Person, flow: str) -> None:
    seen = []
    person.begin(flow, **FIRST[flow])
    seen.append(str(person.kept))
    code = shop.code(1)
    person.send(f"/account/{flow}/code", code=wrong(code))
    person.send(f"/account/{flow}/resend")
    seen.append(str(person.kept))
    page = person.send(f"/account/{flow}/code", code=code)
    seen.append(str(person.kept))
    if flow == "reset":
        person.send("/account/reset/password", password="close sesame")
        seen.append(str(person.kept))
        assert "'proof'" not in seen[-1]
    assert page.path != f"/account/{flow}/code"
    for text in seen:
        assert code not in text
        assert PASSWORD not in text
        assert "close sesame" not in text
        if flow == "login":
            assert PHONE[3:] not in text
    assert "resend_at" not in seen[-1], "what is over is forgotten"


def test_login_begins_a_new_session(shop: Shop) -> None:
    shop.app.config["OTPVERIFY_KEEP_AT_LOGIN"] = ("cart",)
    person = shop.person()
    with person.client.session_transaction() as planted:
        planted.update(cart=[1], account="another", planted="by somebody")
    person.begin("phone", phone=TYPED)
    person.begin("login")
    token = person.kept["_otpverify"]["csrf"]
    person.send("/account/login/code", code=shop.code(2))
    kept = person.kept
    assert kept.pop("_otpverify")["csrf"] != token
    assert kept == {"cart": [1], "account": "7"}


def test_a_session_on_the_server_gets_a_new_id(shop: Shop, person: Person) -> None:
    calls: list[dict[str, Any]] = []
    # As Flask-Session has it.
    shop.app.session_interface.regenerate = lambda found: calls.append(dict(found))  # type: ignore[attr-defined]
    sign_in(shop, person)
    assert len(calls) == 3, "after the password, after the code, and at the sign-in"
    assert not any("account" in call for call in calls)
    assert all(calls), "an empty one would not get a new id"


def test_a_login_that_is_sent_again_keeps_the_session(shop: Shop) -> None:
    """It meets the cooldown, and its reply leaves the session on the server alone."""
    shop.app.session_interface = ServerSessions()
    person = shop.person()
    person.begin("login")
    before = person.cookie
    page = person.begin("login")
    assert page.path == "/account/login/code"
    assert person.cookie == before
    person.send(page.path, code=shop.code(1))
    assert shop.told == [("login", "7")]


@pytest.mark.parametrize("flow", FIRST)
def test_a_planted_id_of_a_session_leads_nowhere(shop: Shop, flow: str) -> None:
    """Somebody who planted a session's id gains nothing by what the person proves in it."""
    shop.app.session_interface = ServerSessions()
    attacker, person = shop.person(), shop.person()
    attacker.open(f"/account/{flow}")
    planted = person.cookie = attacker.cookie
    page = person.begin(flow, **FIRST[flow])
    if flow == "login":
        assert attacker.open("/account/login/code").path == "/account/login"
    attacker.cookie = person.cookie
    person.send(page.path, code=shop.code(1))
    assert person.cookie not in (planted, attacker.cookie)
    for end in ("code", "done", "password") if flow == "reset" else ("code", "done"):
        assert attacker.open(f"/account/{flow}/{end}").path == f"/account/{flow}"


@pytest.mark.parametrize("flow", FIRST)
def test_an_old_cookie_proves_nothing(shop: Shop, person: Person, flow: str) -> None:
    page = person.begin(flow, **FIRST[flow])
    before, form = person.cookie, page.forms[f"/account/{flow}/code"]
    code = shop.code(1)
    person.send(f"/account/{flow}/code", code=code)
    told = list(shop.told)
    thief = shop.person()
    thief.cookie = before
    reply = thief.client.post(f"/account/{flow}/code", data={**form, "code": code})
    assert reply.location == f"/account/{flow}"
    assert "already used" in thief.open(f"/account/{flow}").said
    assert shop.told == told
    assert "account" not in thief.kept


def test_an_old_cookie_does_not_bring_attempts_back(shop: Shop, person: Person) -> None:
    person.begin("phone", phone=TYPED)
    fresh, code = person.cookie, shop.code(1)
    for nth in range(1, 6):
        person.cookie = fresh
        person.send("/account/phone/code", code=wrong(code, nth))
        person.open("/account/phone/code")
    person.cookie = fresh
    person.open("/account/phone/code")
    page = person.send("/account/phone/code", code=code)
    assert page.path == "/account/phone"
    assert shop.told == []


def test_a_proof_sets_one_password(shop: Shop, person: Person) -> None:
    person.begin("reset", phone=PHONE)
    person.send("/account/reset/code", code=shop.code(1))
    before = person.cookie
    person.send("/account/reset/password", password="close sesame")
    person.cookie = before
    person.open("/account/reset/password")
    page = person.send("/account/reset/password", password="the thief's own")
    assert page.path == "/account/reset"
    assert "already used" in page.said
    assert shop.told == [("password", "7", "close sesame")]


def test_a_proof_expires(shop: Shop, clock: FrozenDateTimeFactory) -> None:
    person = shop.person()
    person.begin("reset", phone=PHONE)
    person.send("/account/reset/code", code=shop.code(1))
    clock.tick(601)
    page = person.send("/account/reset/password", password="close sesame")
    assert page.path == "/account/reset"
    assert "expired" in page.said
    assert shop.told == []


def test_the_challenge_is_the_session_s(shop: Shop, person: Person) -> None:
    """A challenge and its code of somebody's own lead nowhere in a form."""
    shop.app.config["OTPVERIFY_POLICY"] = NO_COOLDOWN
    thief = shop.person()
    thief.begin("phone", phone=TYPED)
    own = thief.kept["otpverify.phone"]["challenge"]
    code = shop.code(1)
    person.begin("login")
    page = person.send(
        "/account/login/code", code=code, challenge=own, phone=TYPED, purpose="phone"
    )
    assert "4 attempts left" in page.said
    page = person.open(f"/account/login/code?challenge={own}&code={code}")
    assert page.path == "/account/login/code"
    assert shop.told == []


def test_a_code_is_for_one_flow(shop: Shop, person: Person) -> None:
    person.begin("reset", phone=PHONE)
    code = shop.code(1)
    person.begin("phone", phone=PHONE)
    shop.code(2)
    assert "incorrect" in person.send("/account/phone/code", code=code).said
    with person.client.session_transaction() as kept:
        kept["otpverify.phone"] = kept["otpverify.password-reset"]
    person.open("/account/phone/code")
    assert person.send("/account/phone/code", code=code).path == "/account/phone"
    assert shop.told == []


@pytest.mark.parametrize(
    "rubbish",
    [1, [], {"pending phone": 1, "next": 2, "done phone": 3, "csrf": 4}],
)
def test_a_session_of_an_older_release(shop: Shop, person: Person, rubbish: object) -> None:
    with person.client.session_transaction() as kept:
        kept["_otpverify"] = rubbish
    assert person.open("/account/phone").status == 200
    assert person.open("/account/phone/code").path == "/account/phone"


# Forms and addresses


@pytest.mark.parametrize("flow", FIRST)
def test_every_form_needs_the_session_s_token(shop: Shop, person: Person, flow: str) -> None:
    other = shop.person()
    other.open("/account/phone")
    foreign = other.page.forms["/account/phone"]["otpverify_token"]
    person.begin(flow, **FIRST[flow])
    code = shop.code(1)
    before = person.kept
    steps = ["", "/code", "/resend", "/cancel", *(["/password"] if flow == "reset" else [])]
    for step in steps:
        for token in ({}, {"otpverify_token": ""}, {"otpverify_token": foreign}):
            fields = {**FIRST[flow], "code": code, **token}
            reply = person.client.post(f"/account/{flow}{step}", data=fields)
            assert reply.status_code == 400
            assert "This form has expired" in reply.text
    assert len(shop.outbox) == 1
    assert person.kept == before
    stranger = shop.person()
    reply = stranger.client.post(f"/account/{flow}", data={**FIRST[flow], "otpverify_token": ""})
    assert reply.status_code == 400, "no session has no token, and not an empty one"


@pytest.mark.parametrize(
    ("secure", "scheme", "explained"),
    [(True, "http", True), (True, "https", False), (False, "http", False)],
)
def test_the_log_says_that_the_session_s_cookie_needs_https(
    caplog: pytest.LogCaptureFixture, secure: bool, scheme: str, explained: bool
) -> None:
    """Over http the cookie stays behind, and each form looks as if it were too old."""
    client = Shop().mount(SESSION_COOKIE_SECURE=secure).app.test_client(use_cookies=False)
    for _ in range(2):
        reply = client.post(
            "/account/phone",
            base_url=f"{scheme}://localhost",
            data={"phone": PHONE, "otpverify_token": "of a page"},
        )
        assert reply.status_code == 400
    assert caplog.text.count("SESSION_COOKIE_SECURE is True") == explained


@pytest.mark.parametrize("early", [True, False])
def test_flask_wtf_guards_the_forms_too(early: bool) -> None:
    shop = Shop()
    if early:
        CSRFProtect(shop.app)
    shop.mount(OTPVERIFY_POLICY=NO_COOLDOWN)
    if not early:
        CSRFProtect(shop.app)
    person = shop.person()
    for flow in FIRST:
        person.begin(flow, **FIRST[flow])
        sent = len(shop.outbox) if flow != "reset" else 3
        page = person.send(f"/account/{flow}/code", code=shop.code(sent))
        assert page.path != f"/account/{flow}/code"
    assert len(shop.told) == 2
    page = person.open("/account/phone")
    fields = page.forms["/account/phone"]
    assert set(fields) == {"otpverify_token", "csrf_token"}
    for name in fields:
        fewer = {key: value for key, value in fields.items() if key != name}
        assert person.client.post("/account/phone", data=fewer).status_code == 400
    assert person.client.post("/account/sms/report", json={"status": "sent"}).text == "OK"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "/\n/evil.example",
        " //evil.example",
        "/a\r\nSet-Cookie: session=planted",
        "javascript:alert(1)",
        "evil.example",
        "http:/evil.example",
        "///evil.example",
        "/" + "x" * 1000,
        "//[",
        "",
    ],
)
def test_nobody_is_led_elsewhere(shop: Shop, person: Person, target: str) -> None:
    person.open("/account/login", query_string={"next": target})
    person.send("/account/login", user=USER, password=PASSWORD, next=target)
    page = person.send("/account/login/code", code=shop.code(1), next=target)
    assert page.path == "/account/login/done"
    assert not [place for place in person.locations if place and not place.startswith("/account/")]


def test_next_leads_on(shop: Shop, person: Person) -> None:
    shop.app.add_url_rule("/orders", view_func=lambda: "<h1>Orders</h1>")
    person.open("/account/login?next=/orders?page=2%26all=1")
    person.send("/account/login", user=USER, password="wrong")
    person.send("/account/login", user=USER, password=PASSWORD)
    assert person.send("/account/login/code", code=shop.code(1)).path == "/orders"
    assert person.locations[-2] == "/orders?page=2&all=1"


def test_an_application_s_own_answer_comes_first(shop: Shop, person: Person) -> None:
    shop.app.add_url_rule("/welcome", view_func=lambda: "<h1>Welcome</h1>")

    @shop.otp.on_login
    def on_login(account: str) -> Any:
        session["account"] = account
        return shop.app.redirect("/welcome", 303)

    person.open("/account/login?next=/account/phone")
    person.send("/account/login", user=USER, password=PASSWORD)
    assert person.send("/account/login/code", code=shop.code(1)).path == "/welcome"


def test_addresses_hold_no_secrets(shop: Shop, person: Person) -> None:
    shop.app.config["OTPVERIFY_POLICY"] = NO_COOLDOWN
    secrets: set[str] = set()
    for flow, fields in FIRST.items():
        person.begin(flow, **fields)
        code = shop.code(len(secrets) // 2 + 1)
        purpose = "password-reset" if flow == "reset" else flow
        secrets |= {code, person.kept[f"otpverify.{purpose}"]["challenge"]}
        person.send(f"/account/{flow}/code", code=code)
    secrets.add(person.kept["otpverify.password-reset"]["proof"])
    assert len(secrets) == 7
    for place in person.locations:
        assert not [secret for secret in secrets if secret in place]


def test_every_post_answers_with_a_redirect(shop: Shop, person: Person) -> None:
    page = person.begin("phone", phone=TYPED)
    token = page.forms["/account/phone/code"]
    for step in ("code", "code", "resend", "cancel", "cancel", "resend", ""):
        path = f"/account/phone/{step}".rstrip("/")
        reply = person.client.post(path, data={**token, "code": "12", "phone": "12"})
        assert reply.status_code == 303


def test_a_head_request_is_answered(shop: Shop, person: Person) -> None:
    person.begin("reset", phone=PHONE)
    for path in ("/account/reset", "/account/reset/code", "/account/login"):
        reply = person.client.head(path)
        assert (reply.status_code, reply.data) == (200, b"")


def test_the_cookie_stays_small(shop: Shop, person: Person) -> None:
    """A browser drops one of more than 4,096 bytes, and the session with it."""
    long = "".join(str(nth) for nth in range(400))
    shop.app.config["OTPVERIFY_POLICY"] = NO_COOLDOWN
    for flow, fields in FIRST.items():
        person.open(f"/account/{flow}", query_string={"next": f"/{long[:790]}"})
        person.send(f"/account/{flow}", **fields)
        person.begin(flow, **{**fields, next(iter(fields)): long})
        person.open(f"/account/{flow}/code")
        person.send(f"/account/{flow}/code", code="letters")
    flows = {f"otpverify.{name}" for name in ("login", "phone", "password-reset")}
    assert flows <= set(person.kept)
    assert len(person.cookie) < 3500


def test_every_page_has_its_headers(shop: Shop, person: Person) -> None:
    person.begin("reset", phone=PHONE)
    for path in ("/login", "/phone", "/reset", "/reset/code", "/login/code", "/phone/done"):
        reply = person.client.get(f"/account{path}")
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "same-origin"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert "unsafe" not in reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "style=" not in reply.text
        assert "<script>" not in reply.text
    for name in ("otpverify.css", "otpverify.js"):
        reply = person.client.get(f"/account/otpverify-static/{name}")
        assert reply.status_code == 200
        assert "no-store" not in reply.headers.get("Cache-Control", "")
        reply.close()


def test_the_code_field_takes_what_phones_offer(shop: Shop, person: Person) -> None:
    page = person.begin("phone", phone=TYPED)
    (field,) = re.findall(r'<input class="otpverify-code"[^>]*>', page.html)
    assert 'inputmode="numeric"' in field
    assert 'autocomplete="one-time-code"' in field
    assert "maxlength" not in field


def test_what_was_typed_is_escaped(shop: Shop, person: Person) -> None:
    page = person.begin("login", user='"><script>alert(1)</script>')
    assert "<script>alert" not in page.html
    page = person.begin("phone", phone='"><script>alert(1)</script>')
    assert "<script>alert" not in page.html


# Where somebody is


def test_no_header_is_believed() -> None:
    policy = Policy(sends_per_ip=(Limit(1, 3600),))
    shop = Shop().mount(OTPVERIFY_POLICY=policy)
    for nth in range(2):
        client = shop.person()
        client.client.environ_base["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{nth}"
        page = client.begin("phone", phone=f"+3725678904{nth}")
    assert "from your network" in page.said
    elsewhere = shop.person()
    elsewhere.client.environ_base["REMOTE_ADDR"] = "198.51.100.1"
    assert elsewhere.begin("phone", phone="+37256789042").path == "/account/phone/code"


def test_behind_a_proxy_that_is_named() -> None:
    shop = Shop().mount(OTPVERIFY_POLICY=Policy(sends_per_ip=(Limit(1, 3600),)))
    shop.app.wsgi_app = ProxyFix(shop.app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    paths = []
    for nth, address in enumerate(("203.0.113.1", "203.0.113.2", "203.0.113.2")):
        client = shop.person()
        client.client.environ_base["HTTP_X_FORWARDED_FOR"] = f"198.51.100.{nth}, {address}"
        paths.append(client.begin("phone", phone=f"+3725678904{nth}").path)
    assert paths == ["/account/phone/code", "/account/phone/code", "/account/phone"]


def test_there_may_be_no_address(shop: Shop, person: Person, recwarn: object) -> None:
    person.client.environ_base["REMOTE_ADDR"] = ""
    assert person.begin("phone", phone=TYPED).path == "/account/phone/code"


@pytest.mark.parametrize("address", ["192.0.2.7:5678", "[2001:db8::7]:443", "fe80::1%eth0"])
def test_an_address_may_have_a_port_or_a_zone(shop: Shop, person: Person, address: str) -> None:
    person.client.environ_base["REMOTE_ADDR"] = address
    assert person.begin("phone", phone=TYPED).path == "/account/phone/code"


def test_an_error_of_the_program_is_never_a_notice(
    shop: Shop, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as an address that is none: it is raised in tests, and logged with its cause."""
    person.client.environ_base["REMOTE_ADDR"] = "192.0.2.7, 192.0.2.8"
    with pytest.raises(ConfigurationError, match="client_ip"):
        person.begin("phone", phone=TYPED)
    shop.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    caplog.clear()
    person.begin("phone", phone=TYPED)
    assert any(record.exc_info for record in caplog.records)
    assert "client_ip must be one IP address" in caplog.text
