"""Senders in a row, in both modes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from clients import Client
from faulty_gateways import GOOD, recording, unused_url
from freezegun.api import FrozenDateTimeFactory
from support import PHONE, AsyncMode, Face, Mode

from otpverify import (
    AsyncFallbackSender,
    ConfigurationError,
    CooldownActive,
    DeliveryAttempt,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    FallbackSender,
    Message,
    Receipt,
)
from otpverify.sandbox import Sandbox
from otpverify.testing import OutboxSender

NOT_REACHED = DeliveryUnavailable(provider_code="unreachable", maybe_sent=False)
UNKNOWN = DeliveryUnavailable(provider_code="timeout")
NO_BALANCE = DeliveryRejected(provider_code="no_balance")
NO_NUMBER = DeliveryRejected(provider_code="invalid_phone_number")
TAKEN = Receipt("m-1")


class Scripted:
    """A synchronous sender with a given outcome."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.asked = 0
        self.closed = False

    def send(self, message: Message) -> Receipt:
        self.asked += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome  # type: ignore[return-value]  # a test gives nonsense, too

    def close(self) -> None:
        self.closed = True


class AsyncScripted(Scripted):
    async def send(self, message: Message) -> Receipt:  # type: ignore[override]  # the other mode
        return super().send(message)

    async def aclose(self) -> None:
        self.closed = True


Row = Callable[..., Any]
Send = Callable[[Any], Receipt]


@pytest.fixture
def scripted(mode: Mode) -> type[Scripted]:
    return AsyncScripted if isinstance(mode, AsyncMode) else Scripted


@pytest.fixture
def row(mode: Mode) -> Row:
    return AsyncFallbackSender if isinstance(mode, AsyncMode) else FallbackSender


@pytest.fixture
def send(mode: Mode) -> Send:
    """Sends a message through a sender of the test's mode."""

    def one(sender: Any) -> Receipt:
        if not isinstance(mode, AsyncMode):
            return sender.send(GOOD)  # type: ignore[no-any-return]  # of either mode

        async def call() -> Any:
            return await sender.send(GOOD)

        return mode.runner.run(call())  # type: ignore[no-any-return]  # of either mode

    return one


@pytest.mark.parametrize(
    ("outcomes", "when_unknown", "asked", "result"),
    [
        ([TAKEN, TAKEN], False, 1, TAKEN),
        ([NOT_REACHED, TAKEN], False, 2, TAKEN),
        ([NO_BALANCE, TAKEN], False, 2, TAKEN),
        ([NO_BALANCE, NOT_REACHED, TAKEN], False, 3, TAKEN),
        ([NO_NUMBER, TAKEN], False, 1, NO_NUMBER),
        ([DeliveryRejected(provider_code="invalid_text"), TAKEN], False, 1, "invalid_text"),
        ([UNKNOWN, TAKEN], False, 1, UNKNOWN),
        ([UNKNOWN, TAKEN], True, 2, TAKEN),
        ([NO_BALANCE, NOT_REACHED], False, 2, NOT_REACHED),
        ([NOT_REACHED, NO_BALANCE], False, 2, NO_BALANCE),
        ([NOT_REACHED, UNKNOWN], False, 2, UNKNOWN),
        # An earlier sender may have taken it, also if the last one refused it.
        ([UNKNOWN, NO_BALANCE], True, 2, "no_balance"),
        ([UNKNOWN, NOT_REACHED], True, 2, "unreachable"),
        ([UNKNOWN, NO_NUMBER, TAKEN], True, 2, "invalid_phone_number"),
        # An unexpected answer leaves it open, too.
        ([ValueError("904817"), TAKEN], False, 1, None),
        ([ValueError("904817"), TAKEN], True, 2, TAKEN),
        (["nonsense", TAKEN], False, 1, None),
        ([None, NO_BALANCE], True, 2, "no_balance"),
    ],
)
def test_who_is_asked_and_what_comes_of_it(
    outcomes: list[object],
    when_unknown: bool,
    asked: int,
    result: object,
    row: Row,
    scripted: type[Scripted],
    send: Send,
) -> None:
    senders = [scripted(outcome) for outcome in outcomes]
    told: list[DeliveryAttempt] = []
    sender = row(*senders, when_unknown=when_unknown, on_attempt=told.append)
    if isinstance(result, Receipt):
        assert send(sender) is result
    else:
        with pytest.raises(DeliveryError) as raised:
            send(sender)
        error = raised.value
        if isinstance(result, DeliveryError):
            assert error is result
        else:
            assert error.provider_code == result
            assert error.maybe_sent or result == "invalid_text"
            assert isinstance(error, DeliveryUnavailable) or result == "invalid_text"
        assert "904817" not in f"{error!r} {error.__cause__!r}"
    assert [sender.asked for sender in senders] == [1] * asked + [0] * (len(senders) - asked)
    assert [attempt.number for attempt in told] == list(range(1, asked + 1))
    assert [attempt.next_in_seconds for attempt in told] == [0.0] * (asked - 1) + [None]
    assert told[-1].outcome == "ok" or not isinstance(result, Receipt)


def test_each_is_an_event(row: Row, scripted: type[Scripted], send: Send) -> None:
    told: list[DeliveryAttempt] = []
    send(row(*map(scripted, (NO_BALANCE, NOT_REACHED, TAKEN)), on_attempt=told.append))
    name = scripted.__name__
    assert told == [
        DeliveryAttempt("send", name, 1, "rejected", "no_balance", False, 0.0),
        DeliveryAttempt("send", name, 2, "unavailable", "unreachable", False, 0.0),
        DeliveryAttempt("send", name, 3, "ok"),
    ]
    assert all(attempt.duration is not None and attempt.duration >= 0 for attempt in told)


def test_an_observer_that_fails_changes_nothing(
    row: Row, scripted: type[Scripted], send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(attempt: DeliveryAttempt) -> None:
        raise RuntimeError("broken")

    assert send(row(scripted(NO_BALANCE), scripted(TAKEN), on_attempt=fail)) is TAKEN
    failed = [record for record in caplog.records if "on_attempt failed" in record.getMessage()]
    assert [record.levelno for record in failed] == [logging.ERROR] * 2


def test_both_modes_stand_in_an_asynchronous_row() -> None:
    mode = AsyncMode()
    outbox = OutboxSender()
    sender = AsyncFallbackSender(AsyncScripted(NO_BALANCE), Scripted(NOT_REACHED), outbox)
    verifier: Face = mode.make(sender)
    challenge = verifier.start(PHONE)
    assert verifier.check(PHONE, outbox.code(), challenge=challenge.id).phone == PHONE
    mode.close()


@pytest.mark.parametrize(
    ("senders", "options", "said"),
    [
        ((Scripted(TAKEN), object()), {}, "object is not a sender"),
        ((AsyncScripted(TAKEN), Scripted(TAKEN)), {}, "use AsyncFallbackSender"),
        ((Scripted(TAKEN), Scripted(TAKEN)), {"on_attempt": 1}, "on_attempt"),
        ((Scripted(TAKEN), Scripted(TAKEN)), {"on_attempt": AsyncScripted(1).send}, "on_attempt"),
    ],
)
def test_what_does_not_fit_is_refused(
    senders: tuple[Any, ...], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        FallbackSender(*senders, **options)


def test_reports_are_asked_for_if_one_sender_does(row: Row, scripted: type[Scripted]) -> None:
    plain, asking = scripted(TAKEN), scripted(TAKEN)
    assert not row(plain, scripted(TAKEN)).takes_reports
    asking.takes_reports = True  # type: ignore[attr-defined]  # as a sender may have it
    assert row(plain, asking).takes_reports


def test_closing_it_closes_them(row: Row, scripted: type[Scripted], mode: Mode) -> None:
    senders = scripted(TAKEN), scripted(TAKEN)
    if isinstance(mode, AsyncMode):

        async def use() -> None:
            async with AsyncFallbackSender(*senders, OutboxSender()):
                pass

        mode.runner.run(use())
    else:
        with FallbackSender(*senders, OutboxSender()):
            pass
    assert [sender.closed for sender in senders] == [True, True]


def test_a_second_gateway_delivers_what_the_first_cannot(
    row: Row, mode: Mode, make: Callable[..., Face], smspm_sandbox: Sandbox
) -> None:
    account = dict(zip(("hash", "token", "url"), smspm_sandbox.environ.values(), strict=True))
    with (
        Client(mode, url=unused_url()) as away,
        Client(mode, **{**account, "token": "wrong"}) as refused,
        Client(mode, **account) as good,
    ):
        sender = row(away.real, refused.real, good.real)
        assert "wrong" not in repr(sender)
        verifier = make(sender)
        challenge = verifier.start(PHONE)
        assert challenge.message_id == smspm_sandbox.messages[0].id
        code = smspm_sandbox.messages[0].code
        assert verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE


@pytest.mark.parametrize(("status", "moves_on"), [(429, True), (503, True), (504, False)])
def test_it_moves_on_from_a_gateway_that_is_too_busy(
    status: int, moves_on: bool, row: Row, scripted: type[Scripted], send: Send, mode: Mode
) -> None:
    second = scripted(TAKEN)
    with recording() as gateway, Client(mode, url=gateway.url) as busy:
        gateway.status = status
        sender = row(busy.real, second)
        if moves_on:
            assert send(sender) is TAKEN
        else:
            with pytest.raises(DeliveryUnavailable):
                send(sender)
    assert second.asked == moves_on


def test_what_is_joined_is_two_sentences(row: Row, scripted: type[Scripted], send: Send) -> None:
    for said in ("Sender ID no", "Sender ID no."):
        sender = row(scripted(UNKNOWN), scripted(DeliveryRejected(said)), when_unknown=True)
        with pytest.raises(DeliveryUnavailable) as raised:
            send(sender)
        assert str(raised.value) == (
            "Sender ID no. It is unknown whether an earlier attempt was taken."
        )


def test_an_asynchronous_row_ends_its_threads_and_opens_anew() -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("otpverify")}

    async def run() -> None:
        before = threads()
        sender = AsyncFallbackSender(Scripted(NOT_REACHED), Scripted(TAKEN))
        for _ in range(2):
            assert await sender.send(GOOD) is TAKEN
            own = threads() - before
            assert own
            await sender.aclose()
            for thread in own:
                await asyncio.to_thread(thread.join, 20)
            assert not any(thread.is_alive() for thread in own)

    asyncio.run(run())


@pytest.mark.parametrize("last", [NO_BALANCE, NOT_REACHED])
def test_what_may_have_been_taken_is_not_given_back(
    last: DeliveryError,
    row: Row,
    scripted: type[Scripted],
    make: Callable[..., Face],
    clock: FrozenDateTimeFactory,
) -> None:
    verifier = make(row(scripted(UNKNOWN), scripted(last), when_unknown=True))
    with pytest.raises(DeliveryUnavailable) as raised:
        verifier.start(PHONE)
    assert raised.value.challenge is not None
    with pytest.raises(CooldownActive):
        verifier.start(PHONE)
    verifier = make(row(scripted(NO_BALANCE), scripted(last), when_unknown=True))
    for _ in range(2):
        with pytest.raises(type(last)):
            verifier.start(PHONE)
