"""Routes of a FastAPI application that need a code first: one within the last minutes, which serves
several requests, and one for exactly this request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from freezegun.api import FrozenDateTimeFactory
from starlette.middleware.sessions import SessionMiddleware
from support import QUICK, SECRET

from otpverify import AsyncVerifier, Verified
from otpverify.integrations.fastapi import (
    Proof,
    Recipient,
    add_exception_handlers,
    fresh_proof,
    get_verifier,
    held_proof,
    otp_router,
)
from otpverify.testing import OutboxSender

PHONE = "+12025550123"


async def member(request: Request) -> Recipient:
    """The account of the request. Its subject changes with the password."""
    return Recipient(PHONE, request.headers.get("x-account", "7/first password"))


Recent = Annotated[Proof, Depends(held_proof("settings", recipient=member, max_age=300))]
Fresh = Annotated[Verified, Depends(fresh_proof("settings", recipient=member, max_age=30))]


@cache
def application() -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.include_router(otp_router("settings", recipient=member), prefix="/settings")
    add_exception_handlers(app)

    @app.put("/name")
    async def rename(proof: Recent) -> str:
        return proof.phone

    @app.put("/once")
    async def once(verified: Fresh) -> str:
        return verified.phone

    app.dependency_overrides[get_verifier] = lambda: AsyncVerifier(OutboxSender(), hasher=QUICK)
    with TestClient(app) as client:
        client.put("/once")
    return app


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    application()  # it cannot be built while time stands


@pytest.fixture
def browser(outbox: OutboxSender, clock: FrozenDateTimeFactory) -> Iterator[TestClient]:
    verifier = AsyncVerifier(outbox, hasher=QUICK)
    application().dependency_overrides[get_verifier] = lambda: verifier
    with TestClient(application()) as client:
        yield client


def prove(browser: TestClient, outbox: OutboxSender) -> None:
    assert browser.post("/settings/start", json={}).status_code == 202
    reply = browser.post("/settings/check", json={"code": outbox.code()})
    assert reply.json()["state"] == "verified"


def refused(reply: Any) -> dict[str, Any]:
    body: dict[str, Any] = reply.json()
    assert (reply.status_code, body["type"]) == (403, "urn:otpverify:problem:proof-required")
    return body


def test_one_code_serves_several_requests_for_a_while(
    browser: TestClient, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    assert refused(browser.put("/name"))["purpose"] == "settings", "the flow to start"
    prove(browser, outbox)
    clock.tick(299)
    assert [browser.put("/name").json() for _ in range(3)] == [PHONE] * 3
    other = {"x-account": "8/first password"}
    refused(browser.put("/name", headers=other))
    refused(browser.put("/name", headers={"x-account": "7/second password"}))
    clock.tick(1)
    refused(browser.put("/name"))


def test_a_proof_that_is_used_up_has_an_age(
    browser: TestClient, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    prove(browser, outbox)
    clock.tick(30)
    assert refused(browser.put("/once"))["purpose"] == "settings"
    clock.tick(31)
    prove(browser, outbox)
    clock.tick(29)
    assert browser.put("/once").json() == PHONE
    refused(browser.put("/once"))
    refused(browser.put("/name"))
