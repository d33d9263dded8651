"""The FastAPI integration: the flows over HTTP, and what no reply, log or session may show."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from datetime import date
from typing import Annotated, Any

import httpx2
import jsonschema_rs
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from freezegun.api import FrozenDateTimeFactory
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from support import OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET, wrong
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from otpverify import (
    AllowCountries,
    AsyncVerifier,
    ConfigurationError,
    DeliveryRejected,
    DeliveryUnavailable,
    Limit,
    MemoryStore,
    Message,
    Policy,
    Receipt,
    StoreError,
    TestNumber,
    Verified,
)
from otpverify.integrations.fastapi import (
    FlowTokens,
    Proof,
    Recipient,
    TypedPhone,
    add_exception_handlers,
    fresh_proof,
    get_verifier,
    held_proof,
    otp_lifespan,
    otp_router,
    proof_responses,
    report_router,
)
from otpverify.testing import OutboxSender

AMOUNTS: dict[int, int] = {}
ACCOUNTS = {"alice": PHONE, "bob": OTHER_PHONE, "carol": PHONE}
KINDS = "urn:otpverify:problem:"


class NewPassword(BaseModel):
    password: str


async def signed_in(request: Request) -> Recipient:
    user = request.session.get("user", "")
    if user not in ACCOUNTS:
        raise HTTPException(401, "Sign in first.")
    return Recipient(ACCOUNTS[user], user)


async def paying(request: Request, payment: int) -> Recipient:
    user = request.session.get("user", "alice")
    amount = AMOUNTS.get(payment, payment)
    return Recipient(ACCOUNTS[user], f"{user}:{payment}", {"amount": f"{amount}.00 EUR"})


async def has_account(phone: TypedPhone) -> bool:
    return phone in ACCOUNTS.values()


TOKENS = FlowTokens(SECRET)


def build(verifier: AsyncVerifier, **options: Any) -> FastAPI:
    """An application with every kind of flow."""
    app = FastAPI(lifespan=otp_lifespan(lambda: verifier))
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.include_router(otp_router("phone", **options), prefix="/phone")
    app.include_router(otp_router("login", recipient=signed_in), prefix="/login")
    app.include_router(
        otp_router("payment", recipient=paying), prefix="/payments/{payment}/approval"
    )
    app.include_router(otp_router("password-reset", deliver=has_account), prefix="/reset")
    app.include_router(otp_router("app", session=TOKENS), prefix="/app")
    app.include_router(report_router())
    add_exception_handlers(app)

    @app.post("/as/{user}")
    async def sign_in(request: Request, user: str) -> None:
        request.session["user"] = user

    @app.post("/phone/confirmed", responses=proof_responses())
    async def confirmed(verified: Annotated[Verified, Depends(fresh_proof("phone"))]) -> str:
        return verified.phone

    @app.post("/login/done")
    async def done(
        verified: Annotated[Verified, Depends(fresh_proof("login", recipient=signed_in))],
    ) -> str:
        return verified.phone

    @app.post("/payments/{payment}")
    async def pay(
        payment: int,
        verified: Annotated[Verified, Depends(fresh_proof("payment", recipient=paying))],
    ) -> int:
        return payment

    @app.post("/reset/password")
    async def reset(
        new: NewPassword, proof: Annotated[Proof, Depends(held_proof("password-reset"))]
    ) -> str:
        if len(new.password) < 8:
            raise HTTPException(422, "Too short.")
        return (await proof.redeem()).phone

    @app.post("/app/done")
    async def app_done(
        verified: Annotated[Verified, Depends(fresh_proof("app", session=TOKENS))],
    ) -> str:
        return verified.phone

    return app


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """One application for all tests: it takes long to build. Each test has its own verifier."""
    verifier = AsyncVerifier(OutboxSender(), hasher=QUICK)
    built = build(verifier)
    with TestClient(built) as browser:  # builds the rest, which it could not while time stands
        for flow in ("phone", "reset", "app", "login", "payments/1/approval"):
            browser.get(f"/{flow}/status")
    return built


@pytest.fixture
def client(app: FastAPI, outbox: OutboxSender) -> Iterator[Callable[..., TestClient]]:
    """Makes browsers. A sender or options make a new verifier for all later requests."""
    made: list[AsyncVerifier] = []

    def make(sender: Any = None, **options: Any) -> TestClient:
        if sender or options or not made:
            verifier = AsyncVerifier(sender or outbox, region="EE", hasher=QUICK, **options)
            made.append(verifier)
            app.dependency_overrides[get_verifier] = lambda: verifier
        return stack.enter_context(TestClient(app, client=("192.0.2.7", 5000)))

    with ExitStack() as stack:  # one event loop for all requests of a browser
        yield make
    app.dependency_overrides.clear()


Client = Callable[..., TestClient]


def problem(response: Any, status: int, kind: str) -> dict[str, Any]:
    """The problem that a reply must be."""
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), response.text
    found: dict[str, Any] = response.json()
    assert found["type"] == KINDS + kind
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert response.headers.get("retry-after") == (
        str(found["retry_after"]) if "retry_after" in found else None
    )
    return found


def hold(browser: TestClient, cookie: str) -> None:
    """Put another session into a browser."""
    browser.cookies.clear()
    browser.cookies.set("session", cookie, domain="testserver.local")


def verify(browser: TestClient, outbox: OutboxSender, at: str, body: Any) -> None:
    assert browser.post(f"{at}/start", json=body).status_code == 202
    reply = browser.post(f"{at}/check", json={"code": outbox.code()})
    assert (reply.status_code, reply.json()["state"]) == (200, "verified")


def test_a_phone_is_confirmed(
    client: Client, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    browser = client()
    assert browser.get("/phone/status").json()["state"] == "none"
    reply = browser.post("/phone/start", json={"phone": "5678 9045"})
    pending = {
        "state": "pending",
        "expires_in": 600,
        "resend_in": 60,
        "attempts_left": 5,
        "delivery": "sent",
    }
    assert (reply.status_code, reply.json()) == (202, pending)
    assert reply.headers["cache-control"] == "no-store"
    code = outbox.code(PHONE)
    found = problem(browser.post("/phone/check", json={"code": wrong(code)}), 400, "incorrect-code")
    assert (found["attempts_left"], found["flow"]["attempts_left"]) == (4, 4)
    found = problem(browser.post("/phone/check", json={"code": "12"}), 400, "incorrect-code")
    assert (found["attempts_left"], found["flow"]["attempts_left"]) == (None, 4)
    assert browser.get("/phone/status").json() == {**pending, "attempts_left": 4}
    problem(browser.post("/phone/confirmed"), 403, "proof-required")
    spaced = f"{code[:3]} {code[3:]}"
    assert browser.post("/phone/check", json={"code": spaced}).json()["state"] == "verified"
    assert browser.get("/phone/status").json()["state"] == "verified"
    reply = browser.post("/phone/confirmed")
    assert (reply.status_code, reply.json()) == (200, PHONE)
    problem(browser.post("/phone/confirmed"), 403, "proof-required")
    assert browser.get("/phone/status").json()["state"] == "none"


def test_a_start_in_the_cooldown_tells_of_the_code_that_is_out(
    client: Client, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    browser = client()
    browser.post("/phone/start", json={"phone": PHONE})
    clock.tick(18)
    found = problem(browser.post("/phone/start", json={"phone": PHONE}), 429, "cooldown-active")
    assert found["retry_after"] == 42
    assert (found["flow"]["state"], found["flow"]["resend_in"]) == ("pending", 42)
    assert browser.get("/phone/status").json() == found["flow"]
    stranger = client()
    found = problem(stranger.post("/phone/start", json={"phone": PHONE}), 429, "cooldown-active")
    assert found["flow"]["state"] == "none"
    stranger.post("/phone/start", json={"phone": OTHER_PHONE})
    found = problem(stranger.post("/phone/start", json={"phone": PHONE}), 429, "cooldown-active")
    assert "flow" not in found, "the challenge that goes on is for another number"
    assert browser.post("/phone/check", json={"code": outbox.code(PHONE)}).status_code == 200


def test_another_code_leaves_the_first_good(
    client: Client, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    browser = client()
    browser.post("/phone/start", json={"phone": PHONE})
    first = outbox.code()
    found = problem(browser.post("/phone/resend", json={}), 429, "cooldown-active")
    assert found["flow"]["state"] == "pending"
    clock.tick(60)
    reply = browser.post("/phone/resend", json={})
    assert (reply.status_code, reply.json()["resend_in"]) == (202, 60)
    assert len(outbox) == 2
    assert browser.post("/phone/check", json={"code": first}).status_code == 200


def test_the_end_of_a_challenge(
    client: Client, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    browser = client()
    for path, body in (("check", {"code": "123456"}), ("resend", {})):
        found = problem(browser.post(f"/phone/{path}", json=body), 410, "challenge-expired")
        assert found["flow"]["state"] == "none"
    browser.post("/phone/start", json={"phone": PHONE})
    cookie = browser.cookies["session"]
    code = outbox.code()
    for left in (4, 3, 2, 1, 0):
        reply = browser.post("/phone/check", json={"code": wrong(code, left + 1)})
        assert problem(reply, 400, "incorrect-code")["attempts_left"] == left
    assert reply.json()["flow"]["state"] == "none"
    problem(browser.post("/phone/check", json={"code": code}), 410, "challenge-expired")
    hold(browser, cookie)  # an old one, from before the wrong codes
    found = problem(browser.post("/phone/check", json={"code": code}), 429, "attempts-exhausted")
    assert found["retry_after"] > 0
    clock.tick(120)
    browser.post("/phone/start", json={"phone": PHONE})
    clock.tick(601)
    assert browser.get("/phone/status").json()["state"] == "none"
    problem(browser.post("/phone/check", json={"code": outbox.code()}), 410, "challenge-expired")


def test_cancelling(client: Client, outbox: OutboxSender) -> None:
    browser = client()
    assert browser.post("/phone/cancel", json={}).json()["state"] == "none"
    browser.post("/phone/start", json={"phone": PHONE})
    cookie = browser.cookies["session"]
    assert browser.post("/phone/cancel", json={}).json()["state"] == "none"
    hold(browser, cookie)
    problem(browser.post("/phone/check", json={"code": outbox.code()}), 410, "challenge-expired")
    verify(browser, outbox, "/phone", {"phone": OTHER_PHONE})
    cookie = browser.cookies["session"]
    assert browser.post("/phone/cancel", json={}).json()["state"] == "none"
    hold(browser, cookie)
    problem(browser.post("/phone/confirmed"), 403, "proof-required")


def test_a_replayed_cookie_gains_nothing(client: Client, outbox: OutboxSender) -> None:
    browser, thief = client(), client()
    browser.post("/phone/start", json={"phone": PHONE})
    hold(thief, browser.cookies["session"])
    assert thief.get("/phone/status").json()["state"] == "pending"
    browser.post("/phone/check", json={"code": outbox.code()})
    problem(thief.post("/phone/check", json={"code": outbox.code()}), 410, "challenge-expired")
    hold(thief, browser.cookies["session"])
    assert browser.post("/phone/confirmed").status_code == 200
    problem(thief.post("/phone/confirmed"), 403, "proof-required")


def test_a_cookie_that_was_changed_holds_nothing(client: Client, outbox: OutboxSender) -> None:
    browser = client()
    browser.post("/phone/start", json={"phone": PHONE})
    data, _, seal = browser.cookies["session"].partition(".")
    held = json.loads(base64.b64decode(data))
    held["otpverify.phone"]["subject"] = OTHER_PHONE
    hold(browser, base64.b64encode(json.dumps(held).encode()).decode() + seal)
    problem(browser.post("/phone/check", json={"code": outbox.code()}), 410, "challenge-expired")


def test_the_request_decides_nothing_but_the_first_number(
    client: Client, outbox: OutboxSender
) -> None:
    """What a body says of phone, challenge, purpose or proof is not read."""
    browser = client()
    browser.post("/phone/start", json={"phone": PHONE})
    body = {"code": outbox.code(), "phone": OTHER_PHONE, "challenge": "x" * 24, "purpose": "login"}
    assert browser.post("/phone/check", json=body).status_code == 200
    assert browser.post("/phone/confirmed", json={"phone": OTHER_PHONE}).json() == PHONE


def test_a_code_for_one_purpose_serves_no_other(client: Client, outbox: OutboxSender) -> None:
    browser = client()
    browser.post("/phone/start", json={"phone": PHONE})
    code = outbox.code()
    browser.post("/reset/start", json={"phone": PHONE})
    problem(browser.post("/reset/check", json={"code": code}), 400, "incorrect-code")
    assert browser.post("/phone/check", json={"code": code}).status_code == 200
    problem(
        browser.post("/reset/password", json={"password": "long enough"}), 403, "proof-required"
    )


def test_a_second_factor_goes_to_the_account(client: Client, outbox: OutboxSender) -> None:
    browser = client()
    assert browser.post("/login/start", json={"phone": OTHER_PHONE}).status_code == 401
    browser.post("/as/alice")
    assert browser.post("/login/start", json={"phone": OTHER_PHONE}).status_code == 202
    assert outbox.last.to == PHONE
    held = base64.b64decode(browser.cookies["session"].partition(".")[0] + "==").decode()
    assert PHONE[1:] not in held
    assert PHONE[4:] not in held
    browser.post("/as/carol")  # the same phone, another account
    problem(browser.post("/login/check", json={"code": outbox.code()}), 410, "challenge-expired")
    assert browser.get("/login/status").json()["state"] == "none"
    browser.post("/as/alice")
    assert browser.post("/login/check", json={"code": outbox.code()}).status_code == 200
    cookie = browser.cookies["session"]
    browser.post("/as/carol")
    assert browser.get("/login/status").json()["state"] == "none"
    problem(browser.post("/login/done"), 403, "proof-required")
    hold(browser, cookie)
    assert browser.post("/login/done").json() == PHONE


def test_an_account_whose_phone_has_changed(
    client: Client, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = client()
    browser.post("/as/alice")
    browser.post("/login/start", json={})
    monkeypatch.setitem(ACCOUNTS, "alice", OTHER_PHONE)
    problem(browser.post("/login/check", json={"code": outbox.code()}), 410, "challenge-expired")


def test_a_payment_is_approved_and_no_other(client: Client, outbox: OutboxSender) -> None:
    browser = client()
    browser.post("/payments/25/approval/start", json={})
    assert "25.00 EUR" in outbox.last.text
    code = {"code": outbox.code()}
    problem(browser.post("/payments/99/approval/check", json=code), 410, "challenge-expired")
    assert browser.post("/payments/25/approval/check", json=code).status_code == 200
    problem(browser.post("/payments/99"), 403, "proof-required")
    problem(browser.get("/payments/x/approval/status"), 422, "invalid-request")
    assert browser.post("/payments/25").json() == 25
    problem(browser.post("/payments/25"), 403, "proof-required")


def test_a_payment_that_was_changed_after_its_code_is_not_approved(
    client: Client, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = client()
    browser.post("/payments/25/approval/start", json={})
    code = {"code": outbox.code()}
    assert browser.post("/payments/25/approval/check", json=code).status_code == 200
    monkeypatch.setitem(AMOUNTS, 25, 5_000)
    problem(browser.post("/payments/25"), 403, "proof-required")


def test_a_mistyped_password_costs_no_other_code(client: Client, outbox: OutboxSender) -> None:
    browser = client()
    verify(browser, outbox, "/reset", {"phone": PHONE})
    for refused in ({"password": "short"}, {"password": 5}, {}):
        assert browser.post("/reset/password", json=refused).status_code == 422
    assert browser.post("/reset/password", json={"password": "long enough"}).json() == PHONE
    problem(
        browser.post("/reset/password", json={"password": "long enough"}), 403, "proof-required"
    )


class Failing:
    """A sender whose next sends fail with these errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def send(self, message: Message) -> Receipt:
        if self.errors:
            raise self.errors.pop(0)
        return Receipt("id")


UNKNOWN = "+37256789099"
FAILURES = [
    None,
    DeliveryRejected("no", provider_code="invalid_phone_number"),
    DeliveryUnavailable("away", maybe_sent=False),
    DeliveryUnavailable("unknown", maybe_sent=True),
]


@pytest.mark.parametrize("failure", [*FAILURES, ValueError("A fault of the sender.")], ids=repr)
def test_nobody_learns_who_has_an_account(
    client: Client, failure: Exception | None, clock: FrozenDateTimeFactory
) -> None:
    """Status, body, headers and the cookie are the same for every failure of the sender."""

    def walk(phone: str) -> list[object]:
        browser = client(Failing(*([failure] if failure else [])))
        found: list[object] = []

        def note(reply: Any, status: int) -> None:
            assert reply.status_code == status
            headers = {k: v for k, v in reply.headers.items() if k != "set-cookie"}
            data = base64.b64decode(browser.cookies["session"].partition(".")[0] + "==")
            held = json.loads(data)["otpverify.password-reset"]
            assert held.pop("subject") == phone
            assert len(held.pop("challenge")) == 24
            found.append((status, headers, reply.json(), held, len(data)))

        note(browser.post("/reset/start", json={"phone": phone}), 202)
        note(browser.post("/reset/start", json={"phone": phone}), 429)
        note(browser.get("/reset/status"), 200)
        note(browser.post("/reset/check", json={"code": "123456"}), 400)
        clock.tick(60)
        note(browser.post("/reset/resend", json={}), 202)
        note(browser.post("/reset/resend", json={}), 429)
        note(browser.get("/reset/status"), 200)
        note(browser.post("/reset/check", json={"code": "123457"}), 400)
        clock.tick(-60)
        return found

    assert walk(PHONE) == walk(UNKNOWN)


def test_a_failed_resend_is_hidden_too(client: Client, clock: FrozenDateTimeFactory) -> None:
    seen = []
    for phone in (PHONE, UNKNOWN):
        sender = Failing()
        browser = client(sender)
        browser.post("/reset/start", json={"phone": phone})
        clock.tick(60)
        sender.errors.append(DeliveryUnavailable("away", maybe_sent=False))
        seen.append(
            [
                (reply.status_code, reply.json())
                for reply in (
                    browser.post("/reset/resend", json={}),
                    browser.post("/reset/resend", json={}),
                    browser.get("/reset/status"),
                )
            ]
        )
        clock.tick(-60)
    assert seen[0] == seen[1]
    assert [status for status, _ in seen[0]] == [202, 429, 200]


def test_what_the_gateway_does_shows_where_it_may(client: Client) -> None:
    browser = client(Failing(*FAILURES[1:]))  # type: ignore[arg-type]  # the errors
    found = problem(
        browser.post("/phone/start", json={"phone": PHONE}), 422, "invalid-phone-number"
    )
    assert found["flow"]["state"] == "none"
    found = problem(browser.post("/phone/start", json={"phone": PHONE}), 503, "delivery-failed")
    assert (found["maybe_sent"], found["flow"]["delivery"]) == (False, "not_sent")
    assert browser.get("/phone/status").json()["delivery"] == "not_sent"
    found = problem(browser.post("/phone/resend", json={}), 503, "delivery-failed")
    assert (found["maybe_sent"], found["flow"]["delivery"]) == (True, "unconfirmed")


class Down(MemoryStore):
    """A store that does not answer while it is down."""

    down = False

    def _refuse(self) -> None:
        if self.down:
            raise StoreError("The store does not answer.")

    def open(self, *args: Any) -> Any:
        self._refuse()
        return super().open(*args)

    def place(self, *args: Any) -> Any:
        self._refuse()
        return super().place(*args)

    def claim(self, *args: Any) -> Any:
        self._refuse()
        return super().claim(*args)

    def check(self, *args: Any) -> Any:
        self._refuse()
        return super().check(*args)

    def cancel(self, *args: Any) -> Any:
        self._refuse()
        return super().cancel(*args)

    def status(self, *args: Any) -> Any:
        self._refuse()
        return super().status(*args)

    def redeem(self, *args: Any) -> Any:
        self._refuse()
        return super().redeem(*args)

    def report(self, *args: Any) -> Any:
        self._refuse()
        return super().report(*args)


def test_a_store_that_is_down_loses_nothing(client: Client, outbox: OutboxSender) -> None:
    store = Down()
    browser = client(store=store)
    browser.post("/phone/start", json={"phone": PHONE})

    def all_refused(*calls: tuple[str, Any]) -> None:
        store.down = True
        for path, body in calls:
            problem(browser.post(path, json=body), 503, "store-unavailable")
        problem(browser.get("/phone/status"), 503, "store-unavailable")
        store.down = False

    all_refused(
        ("/phone/check", {"code": outbox.code()}),
        ("/phone/resend", {}),
        ("/phone/cancel", {}),
        ("/app/start", {"phone": PHONE}),
    )
    assert browser.post("/phone/check", json={"code": outbox.code()}).status_code == 200
    store.down = True
    problem(browser.post("/phone/confirmed"), 503, "store-unavailable")
    store.down = False
    assert browser.post("/phone/confirmed").json() == PHONE


def test_limits_and_blocked_destinations(client: Client) -> None:
    policy = Policy(sends_per_ip=(Limit(1, 3600),))
    browser = client(guards=[AllowCountries(["EE"])], policy=policy)
    found = problem(
        browser.post("/phone/start", json={"phone": "+12025550123"}), 403, "destination-blocked"
    )
    assert found["reason"]
    assert browser.post("/phone/start", json={"phone": PHONE}).status_code == 202
    spoofed = {"X-Forwarded-For": "198.51.100.9", "Forwarded": "for=198.51.100.9"}
    reply = browser.post("/phone/start", json={"phone": OTHER_PHONE}, headers=spoofed)
    assert problem(reply, 429, "rate-limited")["limit"] == "sends_per_ip"


def test_behind_a_proxy_the_server_says_whose_word_counts(client: Client, app: FastAPI) -> None:
    """As `uvicorn --proxy-headers --forwarded-allow-ips 192.0.2.1` does."""
    client(policy=Policy(sends_per_ip=(Limit(1, 3600),)))
    believing: Any = ProxyHeadersMiddleware(app, trusted_hosts="192.0.2.1")  # type: ignore[arg-type]  # uvicorn has types of its own for ASGI
    for proxy, statuses in (("192.0.2.1", [202, 202]), ("192.0.2.2", [202, 429])):
        browser = TestClient(believing, client=(proxy, 5000))
        assert statuses == [
            browser.post(
                "/phone/start",
                json={"phone": f"+37256789{proxy[-1]}{n}0"},
                headers={"X-Forwarded-For": f"198.51.100.{n}"},
            ).status_code
            for n in (1, 2)
        ]


def test_a_test_number_is_read_as_the_verifier_reads_it(client: Client) -> None:
    number = "+37200000766"
    policy = Policy(
        test_numbers={number: TestNumber("123456", date(2030, 1, 1), acknowledge_real=True)}
    )
    browser = client(policy=policy)
    reply = browser.post("/phone/start", json={"phone": number})
    assert reply.status_code == 202, reply.text


def test_the_message_speaks_the_persons_language(client: Client, outbox: OutboxSender) -> None:
    browser = client()
    german = {"Accept-Language": "de-AT, en;q=0.5"}
    browser.post("/phone/start", json={"phone": PHONE}, headers=german)
    assert "Minuten" in outbox.last.text
    odd = {"Accept-Language": "*;q=x, \x01"}
    assert browser.post("/phone/start", json={"phone": OTHER_PHONE}, headers=odd).is_success
    assert "minutes" in outbox.last.text


FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", None]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("route", ["start", "resend", "check", "cancel"])
def test_another_site_can_send_nothing(client: Client, kind: str | None, route: str) -> None:
    """A form's types, and none at all, are what a browser sends across sites unasked."""
    browser = client()
    browser.post("/as/alice")
    headers = {} if kind is None else {"Content-Type": kind}
    for flow in ("phone", "login"):
        reply = browser.post(f"/{flow}/{route}", content=b'{"phone": "1"}', headers=headers)
        problem(reply, 415, "json-required")
    assert "samesite=lax" in browser.post("/as/bob").headers["set-cookie"]


CODE = "918273"
BODIES = [
    f'{{"code": {CODE}, "phone": {PHONE[1:]}}}',
    f'{{"code": ["{CODE}"], "phone": ["{PHONE}"]}}',
    f'"{CODE} {PHONE}"',
    f'["{CODE}", "{PHONE}"]',
    f'{{"{CODE}": "{PHONE}"}}',
    f'{{"code": "{CODE}{"0" * 2000}", "phone": "{PHONE}{"0" * 256}"}}',
    f'{{"code": "{CODE}", "phone": "{PHONE}"',
    f'{{"code": "{CODE}\\ud800", "phone": "{PHONE}\\ud800"}}',
    "[" * 9000 + CODE,
    f"{CODE}{'0' * 5000}",
    f"\N{SNOWMAN}{CODE}{PHONE}",
    "",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_what_was_sent_is_not_repeated(
    client: Client, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    browser = client()
    kind = {"Content-Type": "application/json"}
    for path in ("/phone/start", "/phone/check", "/reset/start", "/app/check"):
        reply = browser.post(path, content=body.encode(), headers=kind)
        problem(reply, 422, "invalid-request")
        shown = reply.text + str(reply.headers) + caplog.text
        assert CODE not in shown
        assert PHONE[4:] not in shown
    for body_ in (b"\xff\xfe", b'{"code": "\xff"}'):
        problem(browser.post("/phone/check", content=body_, headers=kind), 422, "invalid-request")


def test_too_much_is_refused_before_it_is_read(client: Client) -> None:
    kind = {"Content-Type": "application/json"}
    body = b'{"phone": "' + b"5" * 20_000 + b'"}'
    problem(client().post("/phone/start", content=body, headers=kind), 413, "request-too-large")


def test_no_reply_and_no_log_shows_a_secret(
    client: Client, outbox: OutboxSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    browser = client()
    shown: list[str] = []

    def note(reply: Any) -> None:
        shown.append(reply.text + str(reply.url) + str(sorted(reply.headers)))

    browser.post("/as/alice")
    for at, body in (
        ("/phone", {"phone": OTHER_PHONE}),
        ("/login", {}),
        ("/app", {"phone": PHONE}),
    ):
        note(browser.post(f"{at}/start", json=body))
        note(browser.post(f"{at}/start", json=body))
        code = outbox.code()
        note(browser.get(f"{at}/status"))
        note(browser.post(f"{at}/check", json={"code": wrong(code)}))
        note(browser.post(f"{at}/resend", json={}))
        note(browser.post(f"{at}/check", json={"code": code}))
        held = base64.b64decode(browser.cookies["session"].partition(".")[0] + "==").decode()
        assert code not in held
        shown.append(caplog.text)
        for text in shown:
            assert code not in text
            assert PHONE[4:] not in text
            assert OTHER_PHONE[4:] not in text


def test_a_token_is_a_session_for_clients_without_cookies(
    client: Client, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    app = client()
    reply = app.post("/app/start", json={"phone": PHONE})
    assert "set-cookie" not in reply.headers
    first = {"Otp-Flow": reply.headers["Otp-Flow"]}
    code = outbox.code()
    assert app.get("/app/status").json()["state"] == "none", "without the token there is nothing"
    problem(app.post("/app/check", json={"code": code}), 410, "challenge-expired")
    reply = app.post("/app/check", json={"code": wrong(code)}, headers=first)
    newer = {"Otp-Flow": reply.headers["Otp-Flow"]}
    assert problem(reply, 400, "incorrect-code")["attempts_left"] == 4
    assert app.get("/app/status", headers=newer).json()["attempts_left"] == 4
    reply = app.post("/app/check", json={"code": wrong(code, 2)}, headers=first)
    assert problem(reply, 400, "incorrect-code")["attempts_left"] == 3, (
        "an old token resets nothing"
    )
    for spoiled in (first["Otp-Flow"][:-1], "x" + first["Otp-Flow"], ""):
        problem(
            app.post("/app/check", json={"code": code}, headers={"Otp-Flow": spoiled}),
            410,
            "challenge-expired",
        )
    proven = {
        "Otp-Flow": app.post("/app/check", json={"code": code}, headers=first).headers["Otp-Flow"]
    }
    problem(app.post("/app/check", json={"code": code}, headers=first), 410, "challenge-expired")
    problem(app.post("/app/done", headers=first), 403, "proof-required")
    assert app.post("/app/done", headers=proven).json() == PHONE
    problem(app.post("/app/done", headers=proven), 403, "proof-required")
    problem(app.post("/phone/check", json={"code": code}, headers=first), 410, "challenge-expired")


def test_tokens_end_and_their_secrets_rotate(clock: FrozenDateTimeFactory) -> None:
    def read(tokens: FlowTokens, token: str) -> dict[str, Any]:
        return dict(asyncio.run(tokens(Request({"type": "http", "headers": []}), token)))

    async def write(tokens: FlowTokens) -> str:
        request = Request({"type": "http", "headers": []})
        held: MutableMapping[str, Any] = await tokens(request)
        held["x"] = 1
        response = Response()
        for finish in request.scope["otpverify_finishers"]:
            finish(response)
        return response.headers["otp-flow"]

    old, new, both = (
        FlowTokens(SECRET),
        FlowTokens(OTHER_SECRET),
        FlowTokens([OTHER_SECRET, SECRET]),
    )
    token = asyncio.run(write(old))
    assert read(old, token) == read(both, token) == {"x": 1}
    assert read(new, token) == {}
    assert read(new, asyncio.run(write(both))) == {"x": 1}
    clock.tick(3601)
    assert read(old, token) == {}
    for weak in ("short", [], [SECRET, "short"], "a" * 32):
        with pytest.raises(ConfigurationError, match=r"32 bytes|at least one|weak"):
            FlowTokens(weak)


def test_reports(client: Client) -> None:
    store = Down()
    browser = client(store=store)
    for reply in (
        browser.get("/sms/report", params={"id": "1", "status": "delivered"}),
        browser.post("/sms/report", json={"messageId": "1", "status": "failed"}),
        browser.post("/sms/report", content=b"\xff" * 100_000),
        browser.get("/sms/report"),
    ):
        assert (reply.status_code, reply.text) == (200, "OK")


class Reported(OutboxSender):
    takes_reports = True


def test_a_report_shows_in_the_status(client: Client) -> None:
    sender, store = Reported(), Down()
    browser = client(sender, store=store)
    for flow, shown in (("phone", "delivered"), ("reset", "sent")):
        browser.post(f"/{flow}/start", json={"phone": PHONE})
        params = {"report_token": sender.last.report, "status": "delivered", "toNumber": PHONE[1:]}
        store.down = True
        reply = browser.get("/sms/report", params=params)
        assert (reply.status_code, reply.text) == (503, "Later")
        store.down = False
        assert browser.get("/sms/report", params=params).text == "OK"
        assert browser.get(f"/{flow}/status").json()["delivery"] == shown, (
            "a decoy is never delivered, so a reset does not tell"
        )


def test_the_lifespan_closes_what_it_made() -> None:
    class Owned(AsyncVerifier):
        closed = False

        async def aclose(self) -> None:
            self.closed = True

    verifier = Owned(OutboxSender(), hasher=QUICK)
    with TestClient(build(verifier)) as browser:
        assert browser.get("/phone/status").is_success
        assert not verifier.closed
    assert verifier.closed


def test_tests_put_a_verifier_of_their_own_in(otp_outbox: OutboxSender) -> None:
    app = build(AsyncVerifier(OutboxSender(), hasher=QUICK))
    verifier = AsyncVerifier(otp_outbox, hasher=QUICK)
    app.dependency_overrides[get_verifier] = lambda: verifier
    browser = TestClient(app)  # no lifespan
    verify(browser, otp_outbox, "/phone", {"phone": PHONE})
    assert browser.post("/phone/confirmed").json() == PHONE


def test_what_is_missing_is_said() -> None:
    app = FastAPI()
    app.include_router(otp_router("phone"))
    app.include_router(otp_router("app", session=TOKENS), prefix="/app")
    add_exception_handlers(app)
    with pytest.raises(ConfigurationError, match="otp_lifespan"):
        TestClient(app).get("/status")
    verifier = AsyncVerifier(OutboxSender(), hasher=QUICK)
    app.dependency_overrides[get_verifier] = lambda: verifier
    with pytest.raises(ConfigurationError, match="SessionMiddleware"):
        TestClient(app).get("/status")
    reply = TestClient(app, raise_server_exceptions=False).get("/status")
    assert reply.status_code == 500, "the program's own faults are not problem details"

    @app.get("/elsewhere")
    async def elsewhere(phone: TypedPhone) -> None: ...

    with pytest.raises(ConfigurationError, match="otp_router"):
        TestClient(app).request("GET", "/elsewhere", json={"phone": PHONE})


def test_details_are_translated(outbox: OutboxSender) -> None:
    def shout(request: Request, sentence: Any) -> str:
        return str(sentence).upper()

    verifier = AsyncVerifier(outbox, hasher=QUICK)
    app = FastAPI(lifespan=otp_lifespan(lambda: verifier))
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.include_router(otp_router("phone", translate=shout))
    add_exception_handlers(app, translate=shout)

    @app.post("/done")
    async def done(verified: Annotated[Verified, Depends(fresh_proof("phone"))]) -> None: ...

    with TestClient(app) as browser:
        for reply in (
            browser.post("/start", json={"phone": "x"}),
            browser.post("/start", json={}),
            browser.post("/start"),
            browser.post("/done"),
        ):
            assert reply.json()["detail"].isupper()
            assert reply.json()["title"].isupper() is False


def test_one_of_many_at_once_gets_in(outbox: OutboxSender) -> None:
    """An asynchronous client: eight right codes, then eight uses of the proof, at once."""
    app = build(AsyncVerifier(outbox, hasher=QUICK))
    verifier = AsyncVerifier(outbox, hasher=QUICK)
    app.dependency_overrides[get_verifier] = lambda: verifier

    async def statuses(http: httpx2.AsyncClient, path: str, body: Any) -> list[Any]:
        cookies = {"Cookie": f"session={http.cookies['session']}"}
        http.cookies.clear()
        calls = [http.post(path, json=body, headers=cookies) for _ in range(8)]
        return await asyncio.gather(*calls)

    async def run() -> None:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            await http.post("/phone/start", json={"phone": PHONE})
            replies = await statuses(http, "/phone/check", {"code": outbox.code()})
            codes = sorted(reply.status_code for reply in replies)
            assert (codes[0], len(codes)) == (200, 8)
            assert set(codes[1:]) <= {410, 429}, "429: all attempts are claimed at this moment"
            (winner,) = [reply for reply in replies if reply.status_code == 200]
            http.cookies.clear()
            http.cookies.set("session", winner.cookies["session"])
            replies = await statuses(http, "/phone/confirmed", {})
            assert sorted(reply.status_code for reply in replies) == [200] + [403] * 7

    asyncio.run(run())


def test_every_documented_reply_has_examples_that_fit() -> None:
    document = build(AsyncVerifier(OutboxSender(), hasher=QUICK)).openapi()
    expected = {
        "start": {202, 403, 413, 415, 422, 429, 503},
        "resend": {202, 403, 410, 413, 415, 422, 429, 503},
        "check": {200, 400, 410, 413, 415, 422, 429, 503},
        "cancel": {200, 413, 415, 422, 503},
        "status": {200, 422, 503},
    }
    for flow in ("phone", "login", "reset", "app"):
        for name, statuses in expected.items():
            (operation,) = document["paths"][f"/{flow}/{name}"].values()
            assert {int(status) for status in operation["responses"]} == statuses
            assert operation["description"]
            for status, reply in operation["responses"].items():
                ((kind, media),) = reply["content"].items()
                if int(status) < 300:
                    assert kind == "application/json"
                    continue
                assert kind == "application/problem+json"
                assert ("Retry-After" in reply.get("headers", {})) == (status == "429")
                assert media["examples"]
                for example in media["examples"].values():
                    assert media["schema"] == {"$ref": "#/components/schemas/Problem"}
                    jsonschema_rs.validate(
                        {**media["schema"], "components": document["components"]}, example["value"]
                    )
                    assert example["value"]["status"] == int(status)
    (operation,) = document["paths"]["/app/check"].values()
    assert [(one["name"], one["required"]) for one in operation["parameters"]] == [
        ("otp-flow", False)
    ]
    for model in ("OtpStart", "OtpCode", "FlowState"):
        schema = document["components"]["schemas"][model]
        for example in schema["examples"]:
            jsonschema_rs.validate(schema, example)
    confirmed = document["paths"]["/phone/confirmed"]["post"]["responses"]
    assert {"200", "403", "503"} <= set(confirmed)


def test_what_is_held_shows_nothing_in_a_repr() -> None:
    assert repr(Recipient(PHONE, "alice")) == "Recipient(phone='+37*******45')"
