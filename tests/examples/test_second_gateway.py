"""Whole verifications through the example of a second gateway, with faults; nothing leaks."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otpverify import (
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    Message,
    Receipt,
    Retry,
    Sender,
    Verifier,
)
from otpverify.gateways import HttpSettings

FOLDER = Path(__file__).parents[2] / "examples/second_gateway"
PHONE = "+37256789045"
TOKEN = "Qwertyuiop"


def loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"second_gateway_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


twilio, fakes = loaded("twilio"), loaded("fake")
FAST = HttpSettings(
    read_timeout_seconds=1,  # a busy machine needs it
    retry=Retry(attempts=2, total_seconds=5, first_wait_seconds=0, longest_wait_seconds=0),
)


class Awaited:
    """The asynchronous sender, for a synchronous verifier."""

    def __init__(self, account: Any, settings: HttpSettings) -> None:
        self._arguments = account, settings

    def send(self, message: Message) -> Receipt:
        async def run() -> Receipt:
            sender = twilio.AsyncTwilioSender(*self._arguments)
            try:
                return await sender.send(message)  # type: ignore[no-any-return]  # loaded by path
            finally:
                await sender.aclose()

        return asyncio.run(run())


@pytest.fixture
def fake() -> Iterator[Any]:
    with fakes.FakeTwilio() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def sender(request: pytest.FixtureRequest, fake: Any) -> Sender:
    account = twilio.Account("AC0", TOKEN, "+12025550123", url=fake.url)
    kind: Callable[..., Sender] = twilio.TwilioSender if request.param == "sync" else Awaited
    return kind(account, FAST)


@pytest.mark.parametrize("faults", [[], [fakes.BUSY], [(503, {}, b"")]])
def test_a_verification(
    fake: Any, sender: Sender, faults: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.faults = list(faults)
    verifier = Verifier(sender)
    challenge = verifier.start(PHONE)
    (message,) = fake.messages
    assert (message["To"], message["From"]) == (PHONE, "+12025550123")
    assert challenge.message_id == f"SM{1:032d}"
    code = re.findall(r"[0-9]{6}", message["Body"])[0]
    assert verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE
    assert fake.requests == [
        ("/2010-04-01/Accounts/AC0/Messages.json", "Basic QUMwOlF3ZXJ0eXVpb3A=")
    ] * (1 + len(faults))
    assert not any(part in caplog.text for part in (code, TOKEN, PHONE[1:], "QUMwOlF3"))


@pytest.mark.parametrize(
    ("fault", "kind", "reason", "maybe_sent"),
    [
        ((429, {"Retry-After": "60"}, b"{}"), DeliveryUnavailable, "rate_limited", False),
        (fakes.BROKEN, DeliveryUnavailable, "http_500", True),
        (None, DeliveryUnavailable, "timeout", True),
        (fakes.UNREADABLE, DeliveryUnavailable, "unreadable_reply", True),
        ((201, {}, b'{"sid": "+37256789045"}'), DeliveryUnavailable, "unreadable_reply", True),
        ((401, {}, b'{"code": 20003}'), DeliveryRejected, "unauthorized", False),
        ((418, {}, b"[]"), DeliveryRejected, "http_418", False),
        (fakes.refusal(PHONE), DeliveryRejected, "invalid_phone_number", False),
    ],
)
def test_a_fault_is_typed_and_leaks_nothing(
    fake: Any,
    sender: Sender,
    fault: Any,
    kind: type[DeliveryError],
    reason: str,
    maybe_sent: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.faults = [fault]
    text = "904817 is your code."
    with pytest.raises(kind) as raised:
        sender.send(Message(PHONE, text))
    error = raised.value
    assert (error.provider_code, error.maybe_sent) == (reason, maybe_sent)
    if isinstance(error, DeliveryUnavailable):
        assert error.retry_after == (60 if reason == "rate_limited" else None)
    shown = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    assert not any(part in shown for part in ("904817", TOKEN, PHONE[1:], "QUMwOlF3"))
    assert fake.messages == []


def test_the_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / "verification.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "the gateway was busy: tried again, and arrived",
        "signed in",
        "refused: invalid_phone_number",
    ], done.stderr
