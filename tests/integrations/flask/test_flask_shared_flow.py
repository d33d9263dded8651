"""What Flask has from the shared flow: repeated requests, bindings, JSON, proofs for own views."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, session
from flask.testing import FlaskClient
from flask_support import PASSWORD, PHONE, STRANGER, TYPED, USER, Person, Shop
from flask_wtf.csrf import CSRFProtect
from freezegun.api import FrozenDateTimeFactory
from support import LONG, wrong
from werkzeug.test import TestResponse

from otpverify import (
    ConfigurationError,
    DeliveryRejected,
    DeliveryStatus,
    DeliveryUnavailable,
    Policy,
    RateLimited,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.integrations.flask import pages
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.notices import Carried, ShownNotice
from otpverify.integrations.web.problems import ProofRequired
from otpverify.integrations.web.session import Recipient
from otpverify.testing import OutboxSender

FIRST = {"login": {"user": USER, "password": PASSWORD}, "phone": {"phone": TYPED}}
FIRST["reset"] = {"phone": PHONE}
ENDS = {"login": "/account/login/done", "phone": "/account/phone/done"}
ENDS["reset"] = "/account/reset/password"


class Browser:
    """A browser that sends a form twice before it sees a reply."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def send_twice(self, action: str, **fields: str) -> TestResponse:
        """Both requests bring the cookie of now; the replies come in order.

        Returns:
            The page that the browser shows: where the second reply leads.
        """
        person = self.person
        form = {**person.page.forms[action], **fields}
        before = person.cookie
        first = person.client.post(action, data=form)
        assert first.status_code == 303
        after = person.cookie
        person.cookie = before
        second = person.client.post(action, data=form)
        assert second.status_code == 303
        cookies = [name for name in second.headers.getlist("Set-Cookie") if "session=" in name]
        if not cookies:
            person.cookie = after  # the browser keeps what the first reply set
        return person.client.get(second.location, follow_redirects=True)


@pytest.fixture
def shop() -> Shop:
    return Shop()


# Requests that come twice


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("flow", FIRST)
def test_a_code_sent_twice_signs_in_once(shop: Shop, flow: str, permanent: bool) -> None:
    if permanent:

        @shop.app.before_request
        def stay() -> None:
            session.permanent = True

    person = shop.mount().person()
    person.begin(flow, **FIRST[flow])
    reply = Browser(person).send_twice(f"/account/{flow}/code", code=shop.code(1))
    assert reply.request.path == ENDS[flow]
    assert len(shop.told) == (0 if flow == "reset" else 1)
    if flow == "login":
        assert person.kept["account"] == "7"
    if flow == "reset":
        person.open("/account/reset/password")
        reply = Browser(person).send_twice("/account/reset/password", password="close sesame")
        assert reply.request.path == "/account/reset/done"
        assert shop.told == [("password", "7", "close sesame")]


@pytest.mark.parametrize("flow", FIRST)
def test_a_start_sent_twice_sends_one_code(shop: Shop, flow: str) -> None:
    person = shop.mount().person()
    person.open(f"/account/{flow}")
    reply = Browser(person).send_twice(f"/account/{flow}", **FIRST[flow])
    assert reply.request.path == f"/account/{flow}/code"
    person.open(f"/account/{flow}/code")
    page = person.send(f"/account/{flow}/code", code=shop.code(1))
    assert page.path == ENDS[flow]
    assert len(shop.outbox) == 1


def test_a_code_sent_twice_leads_where_the_person_wanted_to_go(shop: Shop) -> None:
    shop.app.add_url_rule("/orders", view_func=lambda: "<h1>Orders</h1>")
    person = shop.mount().person()
    person.open("/account/login?next=/orders")
    person.send("/account/login", **FIRST["login"])
    reply = Browser(person).send_twice("/account/login/code", code=shop.code(1))
    assert reply.request.path == "/orders"


def test_an_earlier_success_hides_no_later_refusal(
    shop: Shop, clock: FrozenDateTimeFactory
) -> None:
    person = shop.mount().person()
    person.begin("phone", phone=TYPED)
    person.send("/account/phone/code", code=shop.code(1))
    clock.tick(61)
    person.begin("phone", phone=PHONE)
    code = shop.code(2)
    person.send("/account/phone/code", code=code[:-1] + str((int(code[-1]) + 1) % 10))
    clock.tick(601)
    page = person.send("/account/phone/code", code=code)
    assert (page.path, "expired" in page.said) == ("/account/phone", True)


def test_what_is_carried_shows_no_number() -> None:
    carried = Carried(typed=TYPED)
    for shown in (carried, ShownNotice(typed=TYPED)):
        assert TYPED not in repr(shown)


def test_a_refused_reply_sets_no_session(shop: Shop) -> None:
    person = shop.mount().person()
    person.begin("phone", phone=TYPED)
    person.open("/account/phone")
    form = person.page.forms["/account/phone"]
    for fields in ({"phone": TYPED}, {"phone": "12"}):
        reply = person.client.post("/account/phone", data={**form, **fields})
        names = [cookie.partition("=")[0] for cookie in reply.headers.getlist("Set-Cookie")]
        assert names == ["otpverify_notice"]


def test_a_notice_is_said_once_and_not_long(shop: Shop, clock: FrozenDateTimeFactory) -> None:
    person = shop.mount().person()
    person.begin("phone", phone=TYPED)
    form = person.page.forms["/account/phone/resend"]
    person.client.post("/account/phone/resend", data=form)
    clock.tick(20)
    assert person.client.head("/account/phone/code").status_code == 200
    page = person.open("/account/phone/code")
    assert 'data-wait="40"' in page.html, "it is later by now"
    assert person.open("/account/phone/code").said == ""
    person.client.post("/account/phone/resend", data=form)
    person.client.set_cookie("otpverify_notice", "anything")
    assert person.open("/account/phone/code").said == ""
    person.client.post("/account/phone/resend", data=form)
    clock.tick(301)
    assert person.open("/account/phone/code").said == ""


# Concealed


@pytest.mark.parametrize(
    "failure",
    [
        None,
        DeliveryRejected("No.", provider_code="invalid_phone_number"),
        DeliveryUnavailable("Away.", maybe_sent=False),
        DeliveryUnavailable("Late.", maybe_sent=True),
        ValueError("A fault of the sender."),
    ],
    ids=repr,
)
@pytest.mark.parametrize("background", [True, False])
def test_no_page_shows_who_has_an_account(
    failure: Any, background: bool, clock: FrozenDateTimeFactory
) -> None:
    """The same two hours for a number with an account and one without, byte for byte."""
    frozen = clock.time_to_freeze

    def seen(phone: str) -> list[str]:
        clock.move_to(frozen)
        shop = Shop(OutboxSender(failure)).mount()
        state = shop.app.extensions["otpverify"]
        if not background:
            state.reset_verifier = state.verifier
        person = shop.person()
        found: list[str] = []

        def look(reply: TestResponse) -> None:
            for one in (*reply.history, reply):
                csrf = re.compile(r'(?<=otpverify_token" value=")[^"]*')
                headers = {k: v for k, v in one.headers if k != "Set-Cookie"}
                found.append(csrf.sub("", f"{one.status} {headers} {one.text}"))
            found.append(str(person.notice))

        for _ in range(8 if LONG else 4):
            person.open("/account/reset")
            form = {**person.page.forms["/account/reset"], "phone": phone}
            look(person.client.post("/account/reset", data=form, follow_redirects=True))
            for step, code in (("resend", ""), ("code", "letters"), ("code", "0"), ("resend", "")):
                fields = {**form, "code": code}
                path = f"/account/reset/{step}"
                look(person.client.post(path, data=fields, follow_redirects=True))
            clock.tick(600)
        state.close()
        return [text.replace(phone, "<phone>") for text in found]

    assert seen(PHONE) == seen(STRANGER)


# Bindings


@pytest.fixture
def paying(shop: Shop) -> Shop:
    def facts(amount: str) -> dict[str, str]:
        return {"amount": f"{amount}.00 EUR", "payee": "Bob <b>"}

    @shop.app.route("/pay/<amount>", methods=["GET", "POST"])
    @shop.otp.code_required("payment", binding=facts)
    def pay(amount: str, verified: Verified) -> str:
        return f"<h1>Paid {amount} by {verified.phone}</h1>"

    @shop.app.post("/fixed")
    @shop.otp.code_required("fixed", binding={"plan": "gold"}, max_age=30)
    def fixed(verified: Verified) -> str:
        return "<h1>gold</h1>"

    return shop


def member(shop: Shop) -> Person:
    person = shop.person()
    with person.client.session_transaction() as kept:
        kept["account"] = "7"
    return person


def test_a_code_for_one_payment_pays_no_other(paying: Shop) -> None:
    person = member(paying.mount(OTPVERIFY_POLICY=Policy(resend_cooldown_seconds=0)))
    page = person.open("/pay/2500")
    assert page.path == "/account/proof/payment"
    assert "<dt>amount</dt><dd>2500.00 EUR</dd>" in page.html
    assert "Bob &lt;b&gt;" in page.html
    page = person.send("/account/proof/payment")
    assert "2500.00 EUR" in page.text
    assert "2500.00 EUR" in paying.outbox.last.text
    page = person.send("/account/proof/payment/code", code=paying.code(1))
    assert page.heading == "Paid 2500 by +12025550123"
    person.open("/pay/2500")
    person.send("/account/proof/payment")
    form = person.page.forms["/account/proof/payment/code"]
    code = paying.code(2)
    person.client.post("/account/proof/payment/code", data={**form, "code": code})
    reply = person.client.post("/pay/999999")
    assert reply.location.startswith("/account/proof/payment"), "that was not approved"
    assert "999999.00 EUR" in person.open("/account/proof/payment").text
    reply = person.client.post("/pay/2500")
    assert "Paid 2500" in reply.text, "what was approved still is"


def test_a_challenge_for_one_payment_is_not_continued_for_another(paying: Shop) -> None:
    person = member(paying.mount())
    person.open("/pay/2500")
    person.send("/account/proof/payment")
    form = person.page.forms["/account/proof/payment/code"]
    person.open("/pay/999999")
    path = "/account/proof/payment/code"
    reply = person.client.post(path, data={**form, "code": paying.code(1)})
    assert reply.location == "/account/proof/payment"
    assert person.client.post("/pay/999999").status_code == 303


def test_a_proof_for_a_view_has_an_age(paying: Shop, clock: FrozenDateTimeFactory) -> None:
    person = member(paying.mount())
    person.client.post("/fixed")
    for wait, status in ((31, 303), (29, 200)):
        clock.tick(61)
        person.open("/account/proof/fixed")
        sent = len(paying.outbox)
        person.send("/account/proof/fixed")
        person.send("/account/proof/fixed/code", code=paying.code(sent + 1))
        clock.tick(wait)
        assert person.client.post("/fixed").status_code == status


# Views of one's own, which share the session with the pages


def test_views_of_one_s_own_make_proofs(shop: Shop) -> None:
    @shop.app.post("/start")
    def start() -> str:
        shop.otp.start(PHONE, purpose="payment", subject="7")
        return "started"

    @shop.app.post("/check/<code>")
    def check(code: str) -> str:
        return shop.otp.check(PHONE, code, purpose="payment").phone

    @shop.app.post("/redeem")
    def redeem() -> str:
        return shop.otp.redeem(PHONE, purpose="payment").phone

    @shop.app.post("/cancel")
    def cancel() -> str:
        shop.otp.cancel(PHONE, purpose="payment")
        return "cancelled"

    @shop.app.get("/status")
    def status() -> str:
        return shop.otp.status(PHONE, purpose="payment").state

    @shop.app.post("/leave")
    def leave() -> str:
        shop.otp.forget()
        return "left"

    @shop.app.delete("/pay")
    @shop.otp.code_required("payment", ask=False)
    def pay(verified: Verified) -> str:
        return "paid"

    shop.otp.register_error_handlers(shop.app)
    shop.mount(OTPVERIFY_POLICY=Policy(resend_cooldown_seconds=0))
    client = member(shop).client

    def prove() -> None:
        sent = len(shop.outbox)
        client.post("/start")
        assert client.get("/status").text == "pending"
        assert client.post(f"/check/{shop.code(sent + 1)}").text == PHONE
        assert client.get("/status").text == "verified"

    prove()
    assert client.delete("/pay").text == "paid"
    assert client.delete("/pay").status_code == 403
    prove()
    assert client.post(f"/check/{shop.code(2)}").status_code == 410, "checked once"
    assert client.post("/redeem").text == PHONE, "and the proof is still there"
    reply = client.post("/redeem")
    assert (reply.status_code, reply.get_json(force=True)["title"]) == (403, "Proof required")
    for path in ("/cancel", "/leave"):
        prove()
        client.post(path)
        assert client.delete("/pay").status_code == 403
        assert client.get("/status").text == "none"


def test_a_proof_of_a_typed_phone_serves_the_account_that_has_it(shop: Shop) -> None:
    @shop.app.post("/pay")
    @shop.otp.code_required("payment", ask=False)
    def pay(verified: Verified) -> str:
        return "paid"

    shop.app.register_blueprint(shop.otp.json_blueprint("payment"), url_prefix="/otp")
    shop.mount()
    for phone, status in ((TYPED, 403), (PHONE, 200)):
        client = member(shop).client
        sent = len(shop.outbox)
        assert client.post("/otp/start", json={"phone": phone}).status_code == 202
        client.post("/otp/check", json={"code": shop.code(sent + 1)})
        assert client.post("/pay").status_code == status


def test_outcomes_for_views_of_one_s_own(shop: Shop) -> None:
    shop.mount()
    with shop.app.test_request_context():
        outcome = run_sync(shop.otp.flow("signup").start("12"))
        assert outcome.reply().status == 422
        with pytest.raises(ProofRequired):
            shop.otp.redeem(PHONE, purpose="signup")


# JSON


def post(client: FlaskClient, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    reply = client.post(path, json=body)
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.status_code, reply.get_json(force=True)


def test_json_from_start_to_proof(shop: Shop, clock: FrozenDateTimeFactory) -> None:
    shop.app.register_blueprint(shop.otp.json_blueprint("signup"), url_prefix="/otp")
    client = shop.mount().app.test_client()
    assert client.get("/otp/status").get_json()["state"] == "none"
    assert post(client, "/otp/check", code="123456")[0] == 410
    status, body = post(client, "/otp/start", phone="12")
    assert (status, body["type"]) == (422, "urn:otpverify:problem:invalid-phone-number")
    status, body = post(client, "/otp/start", phone=TYPED)
    assert (status, body["state"], body["resend_in"]) == (202, "pending", 60)
    status, body = post(client, "/otp/resend")
    assert (status, body["flow"]["state"]) == (429, "pending")
    status, body = post(client, "/otp/check", code=wrong(shop.code(1)))
    assert (status, body["attempts_left"]) == (400, 4)
    status, body = post(client, "/otp/check", code=shop.code(1))
    assert (status, body["state"]) == (200, "verified")
    assert post(client, "/otp/check", code=shop.code(1)) == (status, body), "a retry is answered"
    assert post(client, "/otp/cancel")[1]["state"] == "none"


def test_a_retry_with_the_old_cookie_loses_nothing(shop: Shop) -> None:
    shop.app.register_blueprint(shop.otp.json_blueprint("signup"), url_prefix="/otp")
    client = shop.mount().app.test_client()
    post(client, "/otp/start", phone=TYPED)
    before = client.get_cookie("session")
    assert before is not None
    post(client, "/otp/check", code=shop.code(1))
    after = client.get_cookie("session")
    assert after is not None
    client.set_cookie("session", before.value)
    reply = client.post("/otp/check", json={"code": shop.code(1)})
    assert reply.status_code == 410
    assert "Set-Cookie" not in reply.headers
    client.set_cookie("session", after.value)
    assert client.get("/otp/status").get_json()["state"] == "verified"


def test_json_for_an_account_and_a_payment(shop: Shop) -> None:
    def recipient(amount: str) -> Recipient:
        account = session.get("account")
        if account is None:
            abort(401)
        return Recipient(PHONE, account, {"amount": amount})

    blueprint = shop.otp.json_blueprint("payment", recipient=recipient)
    shop.app.register_blueprint(blueprint, url_prefix="/payments/<amount>/otp")

    @shop.app.post("/payments/<amount>")
    @shop.otp.code_required("payment", ask=False, binding=lambda amount: {"amount": amount})
    def pay(amount: str, verified: Verified) -> str:
        return f"paid {amount}"

    shop.mount()
    assert shop.app.test_client().post("/payments/25/otp/start", json={}).status_code == 401
    client = member(shop).client
    assert post(client, "/payments/25/otp/start")[0] == 202
    assert post(client, "/payments/999/otp/check", code=shop.code(1))[0] == 410
    assert post(client, "/payments/25/otp/check", code=shop.code(1))[0] == 200
    assert client.post("/payments/999").status_code == 403
    assert client.post("/payments/25").text == "paid 25"


def test_json_that_conceals(shop: Shop) -> None:
    asked: list[str] = []

    def deliver(phone: str) -> bool:
        asked.append(phone)
        return phone == PHONE

    blueprint = shop.otp.json_blueprint("enter", deliver=deliver)
    shop.app.register_blueprint(blueprint, url_prefix="/otp")
    shop.mount()
    bodies = [
        post(shop.app.test_client(), "/otp/start", phone=phone) for phone in (PHONE, STRANGER)
    ]
    assert bodies[0] == bodies[1]
    assert asked == [PHONE, STRANGER]
    shop.app.extensions["otpverify"].close()
    assert [message.to for message in shop.outbox.messages] == [PHONE]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": {"phone": TYPED}}, 415),
        ({"data": b"{}", "content_type": "text/plain"}, 415),
        ({"data": b"", "content_type": "application/json"}, 422),
        ({"data": b"[" * 10_000, "content_type": "application/json"}, 422),
        ({"data": b"x" * 20_000, "content_type": "application/json"}, 413),
        ({"json": []}, 422),
        ({"json": {}}, 422),
        ({"json": {"phone": 5}}, 422),
        ({"json": {"phone": "5" * 257}}, 422),
    ],
)
def test_json_takes_json_alone(shop: Shop, sent: dict[str, Any], status: int) -> None:
    shop.app.register_blueprint(shop.otp.json_blueprint("signup"), url_prefix="/otp")
    reply = shop.mount().app.test_client().post("/otp/start", **sent)
    assert (reply.status_code, reply.content_type) == (status, "application/problem+json")


def test_flask_wtf_asks_programs_for_no_token(shop: Shop) -> None:
    CSRFProtect(shop.app)
    shop.app.register_blueprint(shop.otp.json_blueprint("signup"), url_prefix="/otp")
    assert post(shop.mount().app.test_client(), "/otp/start", phone=TYPED)[0] == 202


# What goes wrong, and what is forgiven


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("192.0.2.7:5678", True),
        ("[2001:db8::1]:80", True),
        ("2001:db8::1", True),
        ("<local>", True),
        ("", True),
        ("/run/app.sock", True),
        ("somewhere", False),
    ],
)
def test_addresses_are_understood_or_raised(shop: Shop, address: str, taken: bool) -> None:
    person = shop.mount().person()
    person.open("/account/phone")
    form = {**person.page.forms["/account/phone"], "phone": TYPED}

    def send() -> TestResponse:
        return person.client.post(
            "/account/phone", data=form, environ_overrides={"REMOTE_ADDR": address}
        )

    if taken:
        assert send().location == "/account/phone/code"
    else:
        with pytest.raises(ConfigurationError):
            send()


def test_the_program_s_fault_reaches_the_log(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConfigurationError("MemoryStore serves one process.")

    shop.app.config["PROPAGATE_EXCEPTIONS"] = False
    person = shop.mount().person()
    monkeypatch.setattr(shop.app.extensions["otpverify"].verifier, "start", refuse)
    assert person.begin("phone", phone=TYPED).status == 500
    assert "MemoryStore serves one process" in caplog.text


def test_a_whole_message_can_be_pasted(shop: Shop) -> None:
    person = shop.mount(OTPVERIFY_ORIGIN="shop.example", OTPVERIFY_BRAND="Shop").person()
    person.begin("phone", phone=TYPED)
    page = person.send("/account/phone/code", code=shop.outbox.last.text.replace("\n", " "))
    assert page.path == "/account/phone/done"


def test_hooks_may_be_asynchronous(shop: Shop) -> None:
    def later(value: Any) -> Callable[..., Any]:
        async def hook(*_: object) -> Any:
            return value

        return hook

    shop.otp.authenticate(later("7"))
    shop.otp.get_phone(later(PHONE))
    person = shop.mount().person()
    person.begin("login")
    assert person.send("/account/login/code", code=shop.code(1)).path == "/account/login/done"


def test_pages_speak_the_person_s_language(shop: Shop) -> None:
    shop.otp.locale(lambda: "et")
    page = shop.mount().person().begin("phone", phone=TYPED)
    assert page.heading == "Sisestage kood"


def test_an_application_without_a_secret_key() -> None:
    app = Flask("shop")
    with app.test_request_context(), pytest.raises(ConfigurationError, match="secret_key"):
        pages.carry("phone first", Carried())


# Delivery reports


@pytest.fixture
def undelivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports say that no message arrived; of concealed ones they say nothing."""
    status = Verifier.status

    def failed(self: Verifier, phone: str, **options: Any) -> DeliveryStatus:
        known = status(self, phone, **options)
        return known if options["purpose"] == "password-reset" else DeliveryStatus.UNDELIVERED

    monkeypatch.setattr(Verifier, "status", failed)


@pytest.mark.usefixtures("undelivered")
@pytest.mark.parametrize("flow", ["login", "phone"])
def test_the_code_page_learns_that_a_message_was_not_delivered(
    shop: Shop, clock: FrozenDateTimeFactory, flow: str
) -> None:
    person = shop.mount().person()
    page = person.begin(flow, **FIRST[flow])
    assert "could not be delivered" in page.said
    assert "data-wait" not in page.html
    assert person.client.get(f"/account/{flow}/status").json == {
        "state": "pending",
        "expires_in": 600,
        "resend_in": 0,
        "attempts_left": 5,
        "delivery": "undelivered",
    }


@pytest.mark.usefixtures("undelivered")
@pytest.mark.parametrize("phone", [PHONE, STRANGER])
def test_a_concealed_page_learns_nothing(shop: Shop, phone: str) -> None:
    person = shop.mount().person()
    page = person.begin("reset", phone=phone)
    assert not page.said
    assert "data-undelivered hidden" in page.html
    assert re.search(r'data-wait="(59|60)" data-status="/account/reset/status"', page.html)
    assert person.client.get("/account/reset/status").get_json()["resend_in"] > 50


@pytest.mark.parametrize("permanent", [False, True])
def test_asking_for_the_status_sets_no_session(shop: Shop, permanent: bool) -> None:
    if permanent:

        @shop.app.before_request
        def stay() -> None:
            session.permanent = True

    person = shop.mount().person()
    assert person.client.get("/account/phone/status").get_json()["state"] == "none"
    person.begin("phone", phone=TYPED)
    for state in ("pending", "verified"):
        reply = person.client.get("/account/phone/status")
        assert reply.get_json()["state"] == state
        assert reply.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in reply.headers
        person.client.post(
            "/account/phone/code",
            data={**person.page.forms["/account/phone/code"], "code": shop.code(1)},
        )


def test_a_status_that_cannot_be_read_leaves_the_code_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("Away.")

    monkeypatch.setattr(Verifier, "status", away)
    page = shop.mount().person().begin("phone", phone=TYPED)
    assert (page.path, page.heading, page.said) == ("/account/phone/code", "Enter the code", "")
    assert "data-wait" in page.html


def test_too_many_passwords_have_a_sentence_and_a_wait(shop: Shop) -> None:
    @shop.otp.authenticate
    def authenticate(user: str, password: str) -> str | None:
        raise RateLimited("Too many passwords.", retry_after=300, scope="passwords")

    page = shop.mount().person().begin("login")
    assert page.said == "Too many incorrect passwords. You can try again in 5 minutes."
    assert re.search(r'<button[^>]* data-wait="(300|299)"', page.html)
    assert f'value="{USER}"' in page.html
    assert "aria-invalid" not in page.html
