"""Verifiers that share everything: with another sender, or as an async counterpart."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from support import OTHER_PHONE, PHONE, QUICK, SECRET, wrong

from otpverify import (
    AllowCountries,
    AsyncVerifier,
    ConfigurationError,
    CooldownActive,
    Event,
    Guard,
    IncorrectCode,
    MemoryStore,
    Message,
    Policy,
    Receipt,
    Verifier,
)
from otpverify.core.phone import SendRequest
from otpverify.core.tokens import PARAMETER
from otpverify.testing import OutboxSender


class Reported(OutboxSender):
    takes_reports = True


class AwaitedSender:
    async def send(self, message: Message) -> Receipt:
        return Receipt()


class Allowing:
    """A guard that lets a number through that others refuse."""

    def refuse(self, request: SendRequest) -> None:
        return None

    def allows(self, request: SendRequest) -> bool:
        return request.phone == PHONE


class ThreadStore(MemoryStore):
    """Where a store that blocks is called."""

    process_local = False

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def open(self, *args: Any) -> Any:
        self.threads.add(threading.get_ident())
        return super().open(*args)


def test_another_sender_delivers_and_everything_else_is_shared() -> None:
    first, second = OutboxSender(), Reported()
    events: list[Event] = []
    verifier = Verifier(
        first,
        hasher=QUICK,
        policy=Policy(max_attempts=2),
        guards=[AllowCountries({"EE"})],
        region="EE",
        on_event=events.append,
    )
    other = verifier.with_sender(second)
    assert (verifier.sender, other.sender) == (first, second)
    assert other.policy is verifier.policy
    challenge = other.start("5678 9045")
    assert (len(first), len(second)) == (0, 1)
    assert second.last.report, "the other sender takes reports"
    with pytest.raises(CooldownActive):
        verifier.start(PHONE)
    with pytest.raises(IncorrectCode) as caught:
        verifier.check(PHONE, wrong(second.code()), challenge=challenge.id)
    assert caught.value.attempts_left == 1
    verified = verifier.check(PHONE, second.code(), challenge=challenge.id)
    assert other.redeem(PHONE, verified.proof).phone == PHONE
    assert len(events) == 5
    verifier.start(OTHER_PHONE)
    assert (len(first), first.last.report) == (1, None), "the first verifier did not change"


@pytest.mark.parametrize("sender", [object(), OutboxSender, AwaitedSender()])
def test_a_sender_that_does_not_fit(sender: Any) -> None:
    with pytest.raises(ConfigurationError):
        Verifier(OutboxSender()).with_sender(sender)
    if isinstance(sender, AwaitedSender):
        assert AsyncVerifier(OutboxSender()).with_sender(sender).sender is sender
    else:
        with pytest.raises(ConfigurationError):
            AsyncVerifier(OutboxSender()).with_sender(sender)


def test_the_async_counterpart_shares_everything_and_blocks_no_loop() -> None:
    store, outbox = ThreadStore(), Reported()
    guards: list[Guard] = [AllowCountries({"LV"}), Allowing()]
    verifier = Verifier(outbox, store=store, secret=SECRET, hasher=QUICK, guards=guards)

    async def use() -> None:
        other = AsyncVerifier.of(verifier)
        assert other.sender is outbox
        challenge = await other.start(PHONE)
        assert store.threads
        assert threading.get_ident() not in store.threads
        report = {PARAMETER: outbox.last.report or "", "status": "undelivered"}
        await other.delivery_report(report)
        assert (await other.status(PHONE, challenge=challenge.id)).failed
        resent = await other.resend(PHONE, challenge=challenge.id)
        assert verifier.check(PHONE, outbox.code(), challenge=resent.id).phone == PHONE

    asyncio.run(use())


def test_a_gateway_that_is_slow_holds_up_no_check_of_the_counterpart() -> None:
    released, waiting = threading.Event(), threading.Semaphore(0)
    outbox = OutboxSender()

    class Slow:
        def send(self, message: Message) -> Receipt:
            if message.to != PHONE:
                waiting.release()
                released.wait(10)
            return outbox.send(message)

    verifier = Verifier(Slow(), secret=SECRET, hasher=QUICK)

    async def use() -> None:
        other = AsyncVerifier.of(verifier)
        challenge = await other.start(PHONE)
        slow = [asyncio.create_task(other.start(f"+372567891{n:02d}")) for n in range(40)]
        for _ in range(32):
            assert await asyncio.to_thread(waiting.acquire, timeout=10)
        code = outbox.code()
        done = await asyncio.wait_for(other.check(PHONE, code, challenge=challenge.id), 10)
        assert done.phone == PHONE
        released.set()
        await asyncio.gather(*slow)

    asyncio.run(use())
    assert len(outbox) == 41
