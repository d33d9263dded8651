"""`send_code` and `confirm`: codes that another library makes and checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from support import OTHER_PHONE, PHONE, SECRET

from otpverify import (
    AsyncVerifier,
    BlockNumberTypes,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryRejected,
    DestinationBlocked,
    Event,
    FraudPolicy,
    HmacHasher,
    IncorrectCode,
    MemoryStore,
    OtpVerifyError,
    Policy,
    Verifier,
)
from otpverify.testing import OutboxSender

QUICK = HmacHasher()


def make(outbox: OutboxSender, **more: Any) -> Verifier:
    return Verifier(outbox, secret=SECRET, hasher=QUICK, **more)


def test_the_message_has_the_code_and_its_lifetime() -> None:
    outbox = OutboxSender()
    challenge = make(outbox).send_code(PHONE, "KX7-22", ttl_seconds=180, purpose="login")
    (message,) = outbox.messages
    assert message.to == challenge.phone == PHONE
    assert "KX7-22" in message.text
    assert "3 minutes" in message.text


@pytest.mark.parametrize("typed", ["123456", "confirmed", "", "000000"])
def test_nothing_that_is_typed_matches(typed: str) -> None:
    """The store has no digest of the code, so that only the other library's check counts."""
    verifier = make(OutboxSender())
    challenge = verifier.send_code(PHONE, "123456", ttl_seconds=180)
    with pytest.raises(IncorrectCode):
        verifier.check(PHONE, typed, challenge=challenge.id)


def test_it_is_confirmed_once() -> None:
    verifier = make(OutboxSender())
    challenge = verifier.send_code(PHONE, "123456", ttl_seconds=180, purpose="login")
    for phone, purpose in [(OTHER_PHONE, "login"), (PHONE, "verify")]:
        with pytest.raises(ChallengeExpired):
            verifier.confirm(phone, challenge=challenge.id, purpose=purpose)
    verified = verifier.confirm(PHONE, challenge=challenge.id, purpose="login")
    assert (verified.phone, verified.purpose) == (PHONE, "login")
    with pytest.raises(ChallengeExpired):
        verifier.confirm(PHONE, challenge=challenge.id, purpose="login")


@pytest.mark.parametrize("deliver", [None, True, False])
def test_a_code_of_ours_is_never_confirmed(deliver: bool | None) -> None:
    verifier = make(OutboxSender())
    challenge = verifier.start(PHONE, deliver=deliver)
    with pytest.raises(ChallengeExpired):
        verifier.confirm(PHONE, challenge=challenge.id)


def test_limits_and_cooldown_are_those_of_start() -> None:
    outbox = OutboxSender()
    verifier = make(outbox, policy=Policy(sends_per_ip=()))
    verifier.send_code(PHONE, "123456", ttl_seconds=180)
    with pytest.raises(CooldownActive):
        verifier.send_code(PHONE, "654321", ttl_seconds=180)
    with pytest.raises(CooldownActive):
        verifier.start(PHONE)
    assert len(outbox.messages) == 1


def test_guards_are_asked() -> None:
    outbox = OutboxSender()
    verifier = make(outbox, guards=[BlockNumberTypes("premium_rate")])
    with pytest.raises(DestinationBlocked):
        verifier.send_code("+19005550123", "123456", ttl_seconds=180)
    assert not outbox.messages


@pytest.mark.parametrize("deliver", [True, False])
def test_a_concealed_code_hides_a_failure_and_an_account(deliver: bool) -> None:
    outbox = OutboxSender(fail_with=DeliveryRejected("no credit", provider_code="no_balance"))
    challenge = make(outbox).send_code(PHONE, "123456", ttl_seconds=180, deliver=deliver)
    assert challenge.sends_left == Policy().sends_per_phone[0].count - 1


def test_a_failure_is_typed_and_shows_no_code() -> None:
    outbox = OutboxSender(fail_with=DeliveryRejected("no credit", provider_code="no_balance"))
    with pytest.raises(DeliveryRejected) as caught:
        make(outbox).send_code(PHONE, "8812-7734", ttl_seconds=180)
    assert "8812" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    ("code", "seconds"), [("", 180), (" ", 180), ("12\n34", 180), (123456, 180), ("123456", 59)]
)
def test_what_no_message_can_show_is_refused(code: Any, seconds: int) -> None:
    outbox = OutboxSender()
    with pytest.raises(ConfigurationError) as caught:
        make(outbox).send_code(PHONE, code, ttl_seconds=seconds)
    assert "1234" not in str(caught.value)
    assert not outbox.messages


def test_a_confirmation_is_a_verification_for_the_fraud_policy() -> None:
    """Otherwise people of the site would look like pumping."""
    events: list[Event] = []
    verifier = make(OutboxSender(), fraud=FraudPolicy(), on_event=events.append)
    challenge = verifier.send_code(PHONE, "123456", ttl_seconds=180)
    assert verifier.inspect(PHONE).known is False
    verifier.confirm(PHONE, challenge=challenge.id)
    assert verifier.inspect(PHONE).known is True
    (row,) = verifier.traffic()
    assert (row.sent, row.verified) == (1, 1)
    assert row.conversion == pytest.approx(1)
    assert [(event.operation, event.outcome) for event in events] == [
        ("start", "sent"),
        ("check", "verified"),
    ]
    assert events[0].cost is None or events[0].cost >= Decimal(0)


def test_both_forms_are_one() -> None:
    async def both(verifier: AsyncVerifier) -> OtpVerifyError:
        challenge = await verifier.send_code(PHONE, "KX7-22", ttl_seconds=180)
        await verifier.confirm(PHONE, challenge=challenge.id)
        with pytest.raises(ChallengeExpired) as caught:
            await verifier.confirm(PHONE, challenge=challenge.id)
        return caught.value

    outbox = OutboxSender()
    store = MemoryStore()
    asyncio.run(both(AsyncVerifier(outbox, store=store, secret=SECRET, hasher=QUICK)))
    assert len(outbox.messages) == 1


CALLS: dict[str, Callable[[Verifier], object]] = {
    "purpose": lambda verifier: verifier.send_code(PHONE, "1234", ttl_seconds=60, purpose=""),
    "trusted": lambda verifier: verifier.send_code(
        PHONE,
        "1234",
        ttl_seconds=60,
        trusted="yes",  # type: ignore[arg-type]  # on purpose
    ),
    "confirm": lambda verifier: verifier.confirm(PHONE, challenge="x", purpose=""),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_mistake_of_the_program_says_so(name: str) -> None:
    with pytest.raises(ConfigurationError):
        CALLS[name](make(OutboxSender()))
