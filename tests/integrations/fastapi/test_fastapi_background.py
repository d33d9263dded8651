"""Delivery after the reply: what a concealed flow answers does not wait for the gateway."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import MutableMapping
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware
from support import OTHER_PHONE, PHONE, QUICK, SECRET

from otpverify import AsyncVerifier, DeliveryUnavailable, Message, Receipt
from otpverify.integrations.fastapi import (
    OtpFlow,
    TypedPhone,
    get_background_verifier,
    get_verifier,
)


class Gateway:
    """Takes a message only when it is let: after the reply, or never."""

    def __init__(self, error: Exception | None = None) -> None:
        self.replied = asyncio.Event()
        self.error = error
        self.sent: list[str] = []

    async def send(self, message: Message) -> Receipt:
        await self.replied.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(message.to)
        return Receipt("id")


class SyncGateway:
    """The same for the sandbox's synchronous client and the like, which a thread must call."""

    prices = None

    def __init__(self) -> None:
        self.replied = threading.Event()
        self.sent: list[str] = []

    def send(self, message: Message) -> Receipt:
        assert self.replied.wait(60)
        self.sent.append(message.to)
        return Receipt("id")


async def has_account(phone: TypedPhone) -> bool:
    return phone == PHONE


def reset_app(gateway: Gateway | SyncGateway) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    flow = OtpFlow("password-reset", deliver=has_account, verifier=get_background_verifier)
    app.include_router(flow.router())
    verifier = AsyncVerifier(gateway, hasher=QUICK)
    app.dependency_overrides[get_verifier] = lambda: verifier
    return app


async def start(app: FastAPI, gateway: Gateway | SyncGateway, phone: str) -> tuple[Any, ...]:
    """Start as a server calls it: the reply is out as soon as its last part is sent."""
    body = json.dumps({"phone": phone}).encode()
    reply: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        reply.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            gateway.replied.set()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/start",
        "raw_path": b"/start",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("192.0.2.7", 5000),
    }
    # It would wait for ever if it waited for the gateway.
    await asyncio.wait_for(app(scope, receive, send), 60)
    names = sorted(name for name, _ in reply[0]["headers"])
    return reply[0]["status"], names, json.loads(reply[1]["body"])


@pytest.mark.parametrize("kind", [Gateway, SyncGateway])
def test_the_reply_does_not_wait_for_the_gateway(kind: type[Gateway | SyncGateway]) -> None:
    async def run() -> None:
        gateway = kind()
        app = reset_app(gateway)
        known = await start(app, gateway, PHONE)
        assert gateway.sent == [PHONE]
        gateway.replied.clear()
        unknown = await start(app, gateway, OTHER_PHONE)
        assert gateway.sent == [PHONE]
        assert known[:2] == unknown[:2]
        assert known[0] == 202
        for name in ("expires_in", "resend_in"):
            assert known[2].pop(name) - unknown[2].pop(name) < 60  # seconds may have passed
        assert known[2] == unknown[2]

    asyncio.run(run())


@pytest.mark.parametrize(
    "error", [DeliveryUnavailable("Not now."), ValueError(f"{PHONE} 123456")], ids=repr
)
def test_what_fails_after_the_reply_is_logged_without_secrets(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        gateway = Gateway(error)
        app = reset_app(gateway)
        assert (await start(app, gateway, PHONE))[0] == 202

    asyncio.run(run())
    shown = [record for record in caplog.records if record.name == "otpverify.integrations"]
    assert len(shown) == 1
    assert PHONE[1:] not in caplog.text
    assert "123456" not in caplog.text
