"""Promise 12 as a property: an attacker who enters no codes never costs more than
`FraudPolicy.worst_case` says. Random strategies against a verifier, in time that is moved."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st
from support import LONG, SECRET

from otpverify import (
    ChallengeExpired,
    DestinationBlocked,
    FraudPolicy,
    HmacHasher,
    Limit,
    MemoryStore,
    Message,
    Policy,
    Prices,
    Receipt,
    SpendLimit,
    Verifier,
)
from otpverify.core.fraud import prefix_of
from otpverify.core.phone import country_of
from otpverify.testing.outbox import code_in

FREE = Policy(resend_cooldown_seconds=0, sends_per_ip=(), sends_per_phone=())
PREFIXES = {
    "UZ": ("+99890123", "+99890124", "+99891123", "+99893777"),
    "EE": ("+3725678", "+3725344", "+3725012"),
    "DE": ("+491512345", "+491601234", "+491761234"),
    "MA": ("+21261234", "+21266123"),
}
PRICES = Prices(
    {"UZ": Decimal("0.434"), "EE": Decimal("0.04"), "DE": Decimal("0.1"), "MA": Decimal("0.186")},
    default=Decimal("0.5"),
)
HIGHEST = Decimal("0.434")
HOUR = 3600


class Move(NamedTuple):
    """What an attacker does next.

    Attributes:
        country: Which country is attacked.
        prefix: Which of its prefixes; the next one for each message if it is negative.
        messages: How many are asked for.
        pause: How many seconds pass between two of them.
        human: The attacker passes a human check.
        concealed: The form conceals accounts.
        resends: The messages are resends of one challenge, where one was started.
    """

    country: str
    prefix: int
    messages: int
    pause: float
    human: bool
    concealed: bool
    resends: bool


class Sent(NamedTuple):
    """A message that went out."""

    at: float
    country: str | None
    prefix: str
    price: Decimal


MOVES = st.lists(
    st.builds(
        Move,
        country=st.sampled_from(sorted(PREFIXES)),
        prefix=st.integers(-1, 3),
        messages=st.integers(1, 20),
        pause=st.sampled_from([0, 0.1, 5, 60, 600, HOUR, 5 * HOUR, 20 * HOUR]),
        human=st.booleans(),
        concealed=st.booleans(),
        resends=st.booleans(),
    ),
    max_size=12,
)


class Attack:
    """A verifier under attack, and what the messages cost."""

    def __init__(self, fraud: FraudPolicy) -> None:
        self.now = 1_800_000_000.0
        self.sent: list[Sent] = []
        self.text = ""
        self.numbers = iter(range(10_000_000))
        self.began: float | None = None
        self.verifier = Verifier(
            self,
            store=MemoryStore(clock=lambda: self.now),
            secret=SECRET,
            hasher=HmacHasher(),
            policy=FREE,
            fraud=fraud,
        )

    def send(self, message: Message) -> Receipt:
        """Count a message."""
        self.text = message.text
        country = country_of(message.to)
        prefix = prefix_of(message.to)
        self.sent.append(Sent(self.now, country, prefix, PRICES.of(country)))
        return Receipt()

    def do(self, move: Move) -> None:
        prefixes = PREFIXES[move.country]
        going = None
        for turn in range(move.messages):
            prefix = prefixes[(turn if move.prefix < 0 else move.prefix) % len(prefixes)]
            phone = f"{prefix}{next(self.numbers) % 10_000:04}"
            try:
                if going is not None and move.resends:
                    self.verifier.resend(going.phone, challenge=going.id, human_checked=move.human)
                else:
                    deliver = True if move.concealed else None
                    going = self.verifier.start(phone, deliver=deliver, human_checked=move.human)
            except (DestinationBlocked, ChallengeExpired):
                pass
            self.now += move.pause

    def cost(self, **where: str) -> Decimal:
        """Of all messages, or those of a country or a prefix."""
        found = (
            one.price
            for one in self.sent
            if all(getattr(one, name) == value for name, value in where.items())
        )
        return sum(found, Decimal(0))


@pytest.mark.parametrize("over", ["refuse", "human_check"])
@given(moves=MOVES, at_risk=st.sampled_from([1, 10, 30]))
@settings(max_examples=200 if LONG else 6)
def test_no_strategy_costs_more(over: str, moves: list[Move], at_risk: int) -> None:
    fraud = FraudPolicy(
        mode="enforce", over=over, at_risk=Decimal(at_risk), spend=SpendLimit(prices=PRICES)
    )
    attack = Attack(fraud)
    began = attack.now
    for move in moves:
        attack.do(move)
    worst = fraud.worst_case(price=HIGHEST, price_abroad=HIGHEST)
    # Each day that begins is counted: the first, and the further ones.
    further = int((attack.now - began) // (24 * HOUR))

    def most(loss: object) -> Decimal:
        return Decimal(loss.first_day + further * loss.further_day)  # type: ignore[attr-defined]  # a Loss

    assert attack.cost() <= most(worst.abroad)
    for country in PREFIXES:
        assert attack.cost(country=country) <= most(worst.country)
    for prefix in {one.prefix for one in attack.sent}:
        assert attack.cost(prefix=prefix) <= most(worst.prefix)


@pytest.mark.parametrize(
    ("trusted_days", "vouched", "people"),
    [
        (90, False, {"known_per_day": 200}),
        (90, False, {"strangers_per_day": 200}),
        (0, True, {"known_per_day": 200}),
    ],
    ids=["known numbers", "strangers who become known", "numbers that the caller vouches for"],
)
def test_known_numbers_cost_no_more(
    trusted_days: int, vouched: bool, people: dict[str, Any]
) -> None:
    """Everybody enters a code; then messages that nobody answers go to the same numbers."""
    price = Decimal("0.1")
    fraud = FraudPolicy(
        mode="enforce",
        trusted_days=trusted_days,
        spend=SpendLimit(prices=Prices({}, default=price)),
    )
    attack = Attack(fraud)
    phones = [f"+3725678{number:04}" for number in range(200)]
    for _ in range(2):  # once as strangers, and once as known numbers
        for phone in phones:
            challenge = attack.verifier.start(phone, trusted=vouched)
            attack.verifier.check(phone, code_in(attack.text), challenge=challenge.id)
    attack.sent.clear()
    for phone in 3 * phones:
        with contextlib.suppress(DestinationBlocked):
            attack.verifier.start(phone, trusted=vouched)
    lost = len(attack.sent) * price
    assert 25 < lost <= fraud.worst_case(price=price, **people).home.first_day


@given(moves=MOVES, count=st.integers(1, 30), budget=st.integers(1, 9))
@settings(max_examples=200 if LONG else 6)
def test_no_strategy_passes_a_cap(moves: list[Move], count: int, budget: int) -> None:
    fraud = FraudPolicy(
        total=(Limit(count, 5 * HOUR),),
        spend=SpendLimit(per_hour=Decimal(budget), per_day=Decimal(3 * budget), prices=PRICES),
    )
    attack = Attack(fraud)
    for move in moves:
        attack.do(move)
    for first in attack.sent:
        for window, bound in ((HOUR, budget), (24 * HOUR, 3 * budget)):
            end = first.at + window
            assert sum(one.price for one in attack.sent if first.at <= one.at < end) <= bound
        end = first.at + 5 * HOUR
        assert sum(first.at <= one.at < end for one in attack.sent) <= count
