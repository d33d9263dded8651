"""Conformance: the accounts against SMS pumping, for a store that offers `FraudStore`."""

# ruff: noqa: S101, S311 - tests assert, and draw from a seed

from __future__ import annotations

import random
from typing import Any

from otpverify.core import fraud
from otpverify.core.fraud import (
    DAY,
    Charge,
    FraudKey,
    Group,
    Kept,
    KeptRecords,
    Overdrawn,
    Rates,
    Request,
)
from otpverify.testing.conformance.base import Base, Driven

RATES = Rates(10.0, 1 / 3)
HERE = FraudKey("prefix 1", "EE")
STRANGER = Request(0.1)
NEW = Charge(Group.NEW, True)
HOUR = DAY // 24


class Reference:
    """The pure functions, and a table of what is kept."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}

    def charge(self, key: FraudKey, request: Request, rates: Rates, now: int) -> Any:
        """See `fraud.charge`."""
        answer, kept = fraud.charge_kept(self._load(key, now), request, rates, now)
        self._save(key, kept)
        return answer

    def credit(self, key: FraudKey, paid: Charge, price: float, rates: Rates, now: int) -> None:
        """See `fraud.credit`."""
        self._save(key, fraud.credit_kept(self._load(key, now), paid, price, rates, now))

    def refund(self, key: FraudKey, paid: Charge, price: float, rates: Rates, now: int) -> None:
        """See `fraud.refund`."""
        self._save(key, fraud.refund_kept(self._load(key, now), paid, price, rates, now))

    def _load(self, key: FraudKey, now: int) -> KeptRecords:
        self.kept = {name: one for name, one in self.kept.items() if one.expires > now}
        prefix, country, world = (self.kept.get(name) for name in self._names(key))
        return prefix, country, world

    def _save(self, key: FraudKey, kept: KeptRecords) -> None:
        for name, one in zip(self._names(key), kept, strict=True):
            if one is not None:
                self.kept[name] = one

    def _names(self, key: FraudKey) -> tuple[str, str, str]:
        return f"p{key.prefix}", f"c{key.country}", "w"


def step(rng: random.Random) -> tuple[Any, ...]:
    """One call. Few prefixes and countries, so that accounts are soon exhausted."""
    key = FraudKey(f"prefix {rng.randrange(4)}", rng.choice(["EE", "UZ", ""]))
    price = rng.choice([0.001, 0.001, 0.04, 0.1, 0.434, 1.3, 6.0])
    rates = rng.choice([RATES, Rates(30.0, 0.5)])
    if rng.random() < 0.75:
        request = Request(price, rng.random() < 0.3, rng.random() < 0.1, rng.random() < 0.05)
        return "charge", key, request, rates
    paid = Charge(rng.choice(list(Group)), rng.random() < 0.5)
    return rng.choice(["credit", "credit", "refund"]), key, paid, price, rates


class FraudStoreConformance(Base):
    """Inherit this beside `StoreConformance` for a store that offers `FraudStore`; override
    `make_store` in the same way."""

    def test_a_random_walk_answers_as_the_rule_does(self, store: Driven) -> None:
        rng, reference = random.Random(20_261_130), Reference()
        refused, paid = set(), set()
        for _ in range(self.steps):
            if rng.random() < 0.1:
                store.pass_time(rng.choice([1, 999, HOUR // 10, HOUR, 5 * HOUR, 20 * HOUR]))
            operation, *args = step(rng)
            answer = getattr(store, operation)(*args)
            assert answer == getattr(reference, operation)(*args, store.clock.ms)
            if isinstance(answer, Overdrawn):
                refused.add(answer.reason)
            elif isinstance(answer, Charge):
                paid.add(answer.group)
        if self.steps >= 500:
            assert (refused, paid) == ({"prefix", "country", "world"}, set(Group))

    def test_starts_at_once_take_no_more_than_there_is(self, store: Driven) -> None:
        for number in range(self.repeats):
            key = FraudKey(f"prefix {number}", "EE")
            cheap = Request(0.001)
            answers = store.together([("charge", key, cheap, RATES)] * self.crowd)
            assert answers.count(NEW) == 8
            others = [answer for answer in answers if answer != NEW]
            assert {answer.reason for answer in others} == {"prefix"}
            assert all(0 < answer.retry_in <= 3 * HOUR for answer in others)

    def test_codes_at_once_each_give_back(self, store: Driven) -> None:
        for number in range(self.repeats):
            key = FraudKey(f"prefix {number}", "EE")
            for _ in range(8):
                assert store.charge(key, Request(0.001), RATES) == NEW
            back = [("credit", key, NEW, 0.001, RATES)] * 2 + [("refund", key, NEW, 0.001, RATES)]
            store.together(back)
            # 8 owed, 7 back: one is owed, and the record of two codes admits 8.
            taken = store.together([("charge", key, Request(0.001), RATES)] * self.crowd)
            assert sum(isinstance(answer, Charge) for answer in taken) == 7

    def test_accounts_are_apart(self, store: Driven) -> None:
        for _ in range(8):
            assert store.charge(HERE, Request(0.001), RATES) == NEW
        refused = store.charge(HERE, Request(0.001), RATES)
        assert isinstance(refused, Overdrawn)
        assert refused.reason == "prefix"
        assert store.charge(FraudKey("prefix 2", "EE"), Request(0.001), RATES) == NEW
        assert store.charge(HERE, Request(0.001, known=True), RATES) == Charge(Group.KNOWN, False)
        assert store.charge(HERE, Request(0.001, human=True), RATES) == Charge(Group.HUMAN, True)

    def test_a_country_that_is_exhausted_leaves_others_alone(self, store: Driven) -> None:
        for number in range(50):
            assert store.charge(FraudKey(f"prefix {number}", "EE"), STRANGER, RATES) == NEW
        refused = store.charge(FraudKey("prefix 99", "EE"), STRANGER, RATES)
        assert isinstance(refused, Overdrawn)
        assert refused.reason == "country"
        assert store.near(refused.retry_in, HOUR // 2)
        assert store.charge(FraudKey("prefix 99", "LV"), STRANGER, RATES) == NEW

    def test_who_waits_as_long_as_is_said_is_admitted(self, store: Driven) -> None:
        for _ in range(8):
            store.charge(HERE, STRANGER, RATES)
        refused = store.charge(HERE, STRANGER, RATES)
        assert isinstance(refused, Overdrawn)
        store.pass_time(refused.retry_in - 1000)
        assert isinstance(store.charge(HERE, STRANGER, RATES), Overdrawn)
        store.pass_time(1000)
        assert isinstance(store.charge(HERE, STRANGER, RATES), Charge)

    def test_what_is_forgotten_makes_no_difference(self, store: Driven) -> None:
        for _ in range(8):
            store.charge(HERE, STRANGER, RATES)
        store.pass_time(40 * DAY)
        for _ in range(8):
            assert store.charge(HERE, STRANGER, RATES) == NEW
