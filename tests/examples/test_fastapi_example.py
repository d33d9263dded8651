"""What the page and the example show of FastAPI: that it works, and that replies do not wait."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.middleware.sessions import SessionMiddleware
from support import OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET

from examples.fastapi_app.background import BackgroundTasksSender, after_the_reply
from otpverify import AsyncVerifier, DeliveryUnavailable, Message, Receipt
from otpverify.integrations.fastapi import TypedPhone, otp_router
from otpverify.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs/how-to/fastapi.md").read_text()


def test_what_the_page_shows_confirms_a_phone(
    smspm_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if "# AsyncVerifier.from_env()" in block]
    for name, value in smspm_sandbox.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTPVERIFY_SECRET", OTHER_SECRET)
    names: dict[str, Any] = {"__name__": "a_page"}
    exec(compile(block, "a page", "exec"), names)
    with TestClient(names["app"], base_url="https://testserver") as browser:
        assert browser.put("/account/phone").status_code == 403
        assert browser.post("/phone/start", json={"phone": PHONE}).status_code == 202
        code = {"code": smspm_sandbox.messages[0].code}
        assert browser.post("/phone/check", json=code).json()["state"] == "verified"
        assert browser.put("/account/phone").json() == PHONE
        assert browser.put("/account/phone").json()["type"].endswith(":proof-required")


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


async def has_account(phone: TypedPhone) -> bool:
    return phone == PHONE


def reset_app(verifier: AsyncVerifier) -> FastAPI:
    async def later(_: Annotated[None, Depends(after_the_reply)]) -> AsyncVerifier:
        return verifier

    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.include_router(otp_router("password-reset", deliver=has_account, verifier=later))
    return app


async def start(app: FastAPI, gateway: Gateway, phone: str) -> tuple[Any, ...]:
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


def test_the_reply_does_not_wait_for_the_gateway() -> None:
    async def run() -> None:
        gateway = Gateway()
        app = reset_app(AsyncVerifier(BackgroundTasksSender(gateway), hasher=QUICK))
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
        app = reset_app(AsyncVerifier(BackgroundTasksSender(gateway), hasher=QUICK))
        assert (await start(app, gateway, PHONE))[0] == 202

    asyncio.run(run())
    shown = [record for record in caplog.records if record.name.startswith("examples")]
    assert len(shown) == 1
    assert PHONE[1:] not in caplog.text
    assert "123456" not in caplog.text


def test_without_a_request_nothing_is_promised() -> None:
    async def run() -> None:
        verifier = AsyncVerifier(BackgroundTasksSender(Gateway()), hasher=QUICK)
        with pytest.raises(DeliveryUnavailable, match="no request") as caught:
            await verifier.start(PHONE)
        assert not caught.value.maybe_sent

    asyncio.run(run())
