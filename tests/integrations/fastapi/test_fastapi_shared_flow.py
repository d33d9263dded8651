"""What FastAPI has of the shared flow: requests that come twice, recipients that were left out,
sessions that do not come back, and what OpenAPI says of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from support import PHONE, QUICK, SECRET, wrong

from otpverify import AsyncVerifier, ConfigurationError, Verified
from otpverify.integrations.fastapi import (
    FlowTokens,
    Recipient,
    fresh_proof,
    get_verifier,
    otp_router,
)
from otpverify.integrations.web.session import Recipient as SharedRecipient
from otpverify.testing import OutboxSender

TOKENS = FlowTokens(SECRET)


async def account() -> Recipient:
    return Recipient(PHONE, "alice")


async def payment() -> Recipient:
    return Recipient(PHONE, PHONE, {"amount": "25.00 EUR"})


async def seen(request: Request) -> None:
    """The application writes something of its own into the session of every request."""
    request.session["seen"] = request.session.get("seen", 0) + 1


def build(outbox: OutboxSender, *, https_only: bool = False) -> FastAPI:
    verifier = AsyncVerifier(outbox, region="EE", hasher=QUICK)
    app = FastAPI()
    app.dependency_overrides[get_verifier] = lambda: verifier
    app.add_middleware(SessionMiddleware, secret_key=SECRET, https_only=https_only)
    app.include_router(otp_router("phone"), prefix="/phone")
    app.include_router(otp_router("seen", dependencies=[Depends(seen)]), prefix="/seen")
    app.include_router(otp_router("app", session=TOKENS), prefix="/app")
    app.include_router(otp_router("login", recipient=account), prefix="/login")
    app.include_router(otp_router("payment", recipient=payment), prefix="/payment")
    needs: dict[str, Any] = {
        "phone": fresh_proof("phone"),
        "seen": fresh_proof("seen"),
        "app": fresh_proof("app", session=TOKENS),
        "login": fresh_proof("login"),
        "payment": fresh_proof("payment"),
    }
    for name, need in needs.items():

        def done(verified: Annotated[Verified, Depends(need)]) -> str:
            return verified.phone

        done.__annotations__["verified"] = Annotated[Verified, Depends(need)]
        app.post(f"/{name}/done")(done)
    return app


@pytest.fixture
def app(outbox: OutboxSender) -> FastAPI:
    return build(outbox)


@pytest.fixture
def browser(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("flow", ["phone", "seen"])
def test_a_refused_repeat_sets_no_cookie(
    browser: TestClient, outbox: OutboxSender, flow: str
) -> None:
    started = browser.post(f"/{flow}/start", json={"phone": PHONE})
    assert "set-cookie" in started.headers
    old = browser.cookies["session"]
    code = {"code": outbox.code()}
    checked = browser.post(f"/{flow}/check", json=code)
    assert (checked.status_code, "set-cookie" in checked.headers) == (200, True)
    new = browser.cookies["session"]
    browser.cookies.clear()
    # The code was used, so its cooldown is over; another browser's start has one.
    assert browser.post(f"/{flow}/start", json={"phone": PHONE}).status_code == 202
    browser.cookies.clear()
    repeats: list[tuple[str, Any, int]] = [
        ("check", code, 410),
        ("resend", {}, 429),
        ("start", {"phone": PHONE}, 429),
    ]
    for path, body, status in repeats:
        reply = browser.post(f"/{flow}/{path}", json=body, headers={"Cookie": f"session={old}"})
        assert reply.status_code in (status, 410)
        assert "set-cookie" not in reply.headers
    browser.cookies.set("session", new)
    assert browser.post(f"/{flow}/check", json=code).json()["state"] == "verified"
    assert browser.post(f"/{flow}/done", json={}).json() == PHONE


def test_a_start_sent_twice_keeps_the_first_session(
    browser: TestClient, outbox: OutboxSender
) -> None:
    browser.post("/phone/start", json={"phone": PHONE})
    first = browser.cookies["session"]
    browser.cookies.clear()
    reply = browser.post("/phone/start", json={"phone": PHONE})
    assert (reply.status_code, "set-cookie" in reply.headers) == (429, False)
    browser.cookies.set("session", first)
    assert browser.post("/phone/check", json={"code": outbox.code()}).status_code == 200


def test_a_refused_repeat_brings_no_token(browser: TestClient, outbox: OutboxSender) -> None:
    old = {"Otp-Flow": browser.post("/app/start", json={"phone": PHONE}).headers["otp-flow"]}
    code = outbox.code()
    reply = browser.post("/app/check", json={"code": wrong(code)}, headers=old)
    assert "otp-flow" in reply.headers, "an incorrect code changes what is left"
    new = {
        "Otp-Flow": browser.post("/app/check", json={"code": code}, headers=old).headers["otp-flow"]
    }
    reply = browser.post("/app/check", json={"code": code}, headers=old)
    assert (reply.status_code, "otp-flow" in reply.headers) == (410, False)
    assert browser.post("/app/done", headers=new).json() == PHONE


@pytest.mark.parametrize("flow", ["login", "payment"])
def test_a_recipient_that_was_left_out_is_an_error(
    browser: TestClient, outbox: OutboxSender, flow: str
) -> None:
    assert browser.post(f"/{flow}/done").status_code == 403
    browser.post(f"/{flow}/start", json={})
    assert browser.post(f"/{flow}/check", json={"code": outbox.code()}).status_code == 200
    with pytest.raises(ConfigurationError, match=rf"'{flow}'.*recipient="):
        browser.post(f"/{flow}/done")


def test_a_session_that_does_not_come_back_is_named(outbox: OutboxSender) -> None:
    app = build(outbox, https_only=True)
    with TestClient(app) as browser:
        browser.post("/phone/start", json={"phone": PHONE})
        found = browser.post("/phone/check", json={"code": outbox.code()}).json()
        assert found["session_empty"] is True
    with TestClient(app, base_url="https://testserver") as browser:
        browser.post("/phone/start", json={"phone": "+37256789046"})
        code = outbox.code()
        found = browser.post("/phone/check", json={"code": wrong(code)}).json()
        assert "session_empty" not in found
        assert browser.post("/phone/check", json={"code": code}).status_code == 200


def test_the_token_is_documented_where_it_is_used(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    for name, status in (("start", "202"), ("resend", "202"), ("check", "200"), ("cancel", "200")):
        (operation,) = paths[f"/app/{name}"].values()
        assert operation["responses"][status]["headers"]["Otp-Flow"]["description"]
        assert [one["name"] for one in operation["parameters"]] == ["otp-flow"]
        (operation,) = paths[f"/phone/{name}"].values()
        assert "headers" not in operation["responses"][status]


def test_the_recipient_is_that_of_all_frameworks() -> None:
    assert Recipient is SharedRecipient
