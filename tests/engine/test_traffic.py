"""`Verifier.traffic`: what was sent, entered and refused, by country."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
from support import PHONE, SECRET, Face

from otpverify import (
    ConfigurationError,
    DeliveryRejected,
    DeliveryUnavailable,
    DestinationBlocked,
    FraudPolicy,
    MemoryStore,
    Policy,
    Prices,
    SpendLimit,
    StoreError,
    Verifier,
)
from otpverify.core.traffic import Counts, Totals
from otpverify.testing import OutboxSender

Make = Callable[..., Face]
FREE = Policy(resend_cooldown_seconds=0, sends_per_ip=(), sends_per_phone=())
PRICES = Prices({"EE": Decimal("0.1"), "UZ": Decimal("0.434")}, default=Decimal("0.2"))
SPEND = SpendLimit(prices=PRICES)
OBSERVED = FraudPolicy(spend=SPEND)
ENFORCED = FraudPolicy(mode="enforce", spend=SPEND)
ATTACKED = [f"+99890123{number:04}" for number in range(40)]


def figures(verifier: Face, hours: int = 24) -> list[tuple[Any, ...]]:
    return [
        (one.country, one.sent, one.verified, one.refused, one.would_refuse, one.cost)
        for one in verifier.traffic(hours)
    ]


def attack(verifier: Face) -> int:
    """How many of the messages went out."""
    sent = 0
    for phone in ATTACKED:
        try:
            verifier.start(phone)
        except DestinationBlocked:
            continue
        sent += 1
    return sent


def test_people_and_an_attack(
    make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    clock.move_to("2026-03-01 12:34:00")
    verifier = make(policy=FREE, fraud=ENFORCED)
    for _ in range(3):
        challenge = verifier.start(PHONE)
        verifier.check(PHONE, outbox.code(PHONE), challenge=challenge.id)
    verifier.resend(PHONE, challenge=verifier.start(PHONE).id)
    sent = attack(verifier)
    assert 8 <= sent < 20
    assert figures(verifier) == [
        ("UZ", sent, 0, 40 - sent, 0, sent * Decimal("0.434")),
        ("EE", 5, 3, 0, 0, Decimal("0.5")),
    ]
    uz, ee = verifier.traffic()
    assert (uz.conversion, ee.conversion) == (0, 0.6)
    assert uz.since == datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert verifier.traffic(hours=49)[0].since == datetime(2026, 2, 27, tzinfo=UTC)
    clock.tick(3600 * 2)
    assert verifier.traffic(1) == []
    assert len(verifier.traffic(2)) == 2


def test_what_is_only_observed_is_sent_and_said(make: Make) -> None:
    verifier = make(policy=FREE, fraud=OBSERVED)
    assert attack(verifier) == 40
    (uz,) = verifier.traffic()
    assert (uz.sent, uz.refused, uz.cost) == (40, 0, 40 * Decimal("0.434"))
    assert uz.would_refuse == 32
    assert uz.suspicious


def test_a_message_that_was_not_sent_is_not_counted(make: Make, outbox: OutboxSender) -> None:
    verifier = make(policy=FREE, fraud=ENFORCED)
    for error, counted in (
        (DeliveryRejected("no"), 0),
        (DeliveryUnavailable("?", maybe_sent=False), 0),
        (DeliveryUnavailable("?", maybe_sent=True), 1),
    ):
        outbox.fail_with = error
        with pytest.raises(type(error)):
            verifier.start(PHONE)
        assert sum(one.sent for one in verifier.traffic()) == counted


def test_what_a_limit_of_the_phone_refuses_is_not_counted(make: Make) -> None:
    verifier = make(fraud=ENFORCED)
    verifier.start(PHONE)
    for _ in range(3):
        with pytest.raises(Exception, match="moment"):
            verifier.start(PHONE)
    assert figures(verifier) == [("EE", 1, 0, 0, 0, Decimal("0.1"))]


def test_numbers_of_no_country_are_apart(make: Make) -> None:
    verifier = make(policy=FREE, fraud=ENFORCED)
    verifier.start("+881612345678")
    assert figures(verifier) == [(None, 1, 0, 0, 0, Decimal("0.2"))]


def test_nothing_is_counted_without_a_policy(make: Make) -> None:
    verifier = make()
    with pytest.raises(ConfigurationError, match=r"pass fraud=FraudPolicy\(\)"):
        verifier.traffic()


@pytest.mark.parametrize("hours", [0, 337, "24", 1.5])
def test_hours_are_checked(make: Make, hours: Any) -> None:
    with pytest.raises(ConfigurationError, match="hours"):
        make(fraud=OBSERVED).traffic(hours)


@pytest.mark.parametrize("name", ["charge", "credit", "refund", "traffic"])
def test_a_store_without_the_operation_is_refused(make: Make, name: str) -> None:
    store = MemoryStore()
    setattr(store, name, None)
    with pytest.raises(ConfigurationError, match=f"it has no {name}"):
        make(store=store, fraud=OBSERVED)


counts: st.SearchStrategy[Any] = st.builds(Counts, *[st.integers(-5, 2**70)] * 5)
counts |= st.tuples(st.none())
countries = st.lists(st.tuples(st.text(max_size=3) | st.none(), counts), max_size=3).map(tuple)
lies: list[Any] = [None, [], (0, ()), True, Totals(0, []), Totals(True, ())]  # type: ignore[arg-type]  # what no store should say
answers = st.builds(Totals, st.integers(-(2**70), 2**70), countries) | st.sampled_from(lies)


@given(answers)
def test_a_store_that_lies_gives_a_result_or_a_typed_error(answer: Any) -> None:
    class Liar(MemoryStore):
        def traffic(self, hours: int) -> Any:
            return answer

    verifier = Verifier(OutboxSender(), store=Liar(), secret=SECRET, fraud=OBSERVED)
    try:
        found = verifier.traffic()
    except StoreError:
        return
    assert all(one.sent >= 0 and one.cost >= 0 for one in found)
