"""The accounts against SMS pumping, in every store and on every server."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis_support import stop_servers
from support import REPEATS

from otpverify import MemoryStore, SqliteStore, StoreError
from otpverify.core.fraud import DAY, Overdrawn, Rates, Request
from otpverify.core.fraud_ledger import Charged, Credited, FraudKey, Rules
from otpverify.protocols import Clock
from otpverify.testing.conformance import FraudStoreConformance, Timeline

__all__ = ["stop_servers"]

RULES = Rules(Rates(10.0, 1 / 3), trusted=90 * DAY, remember=660_000)


class TestMemoryStore(FraudStoreConformance):
    def make_store(self, clock: Clock) -> MemoryStore:
        return MemoryStore(clock=clock)


class TestSqliteStore(FraudStoreConformance):
    crowd = 12
    steps = max(150, 5 * REPEATS)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self, clock: Clock) -> SqliteStore:
        return SqliteStore(self.folder / "codes.db", clock=clock, timeout_seconds=60)

    def close_store(self, store: SqliteStore) -> None:
        store.close()


def test_a_full_store_refuses_and_forgets_nothing() -> None:
    """It refuses to count, so that an attacker who invents prefixes gets no message for it."""
    store = MemoryStore(clock=Timeline(), counter_capacity=3)
    here = FraudKey("prefix 1", "EE", challenge="challenge")
    assert isinstance(store.charge(here, Request(0.1), RULES), Charged)
    with pytest.raises(StoreError, match="full"):
        store.charge(FraudKey("prefix 2", "EE", challenge="challenge"), Request(0.1), RULES)
    for _ in range(7):
        assert isinstance(store.charge(here, Request(0.1), RULES), Charged)
    assert not isinstance(store.charge(here, Request(0.1), RULES), Charged)


def test_refusals_leave_marks_where_there_is_room() -> None:
    """Known numbers and prefixes that are there already go on beside an attack that fills the
    table of prefixes."""
    store = MemoryStore(clock=Timeline(), counter_capacity=60)
    for number in range(50):
        key = FraudKey(f"prefix {number}", "EE", challenge=f"challenge {number}")
        assert isinstance(store.charge(key, Request(0.1), RULES), Charged)
    for number in range(50, 200):
        key = FraudKey(f"prefix {number}", "EE", challenge="challenge")
        assert isinstance(store.charge(key, Request(0.1), RULES), Overdrawn)
    friend = FraudKey("prefix 1", "EE", "number", "challenge 1")
    assert store.credit(friend, RULES) == Credited()
    assert isinstance(store.charge(friend, Request(0.1), RULES), Charged)


def test_marks_are_forgotten_when_they_are_forgiven() -> None:
    """What an attacker who invents prefixes makes a store hold is gone within half an hour."""
    clock = Timeline()
    store = MemoryStore(clock=clock, counter_capacity=1_000)
    for number in range(50):
        key = FraudKey(f"prefix {number}", "EE", challenge=f"challenge {number}")
        store.charge(key, Request(0.1), RULES)
    before = len(store._accounts)
    for number in range(50, 500):
        store.charge(FraudKey(f"prefix {number}", "EE"), Request(0.1), RULES)
    assert len(store._accounts) == before + 450
    clock.ms += DAY // 48 + 1_000
    len(store)  # expires
    assert len(store._accounts) == before
