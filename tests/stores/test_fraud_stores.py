"""The accounts against SMS pumping, in every store and on every server."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis_support import PLACES, Place, stop_servers
from support import REPEATS

from otpverify import AsyncRedisStore, MemoryStore, RedisStore, SqliteStore, StoreError
from otpverify.core.fraud import Charge, FraudKey, Group, Rates, Request
from otpverify.protocols import Clock
from otpverify.testing.conformance import FraudStoreConformance, Timeline

__all__ = ["stop_servers"]

RATES = Rates(10.0, 1 / 3)


class TestMemoryStore(FraudStoreConformance):
    def make_store(self, clock: Clock) -> MemoryStore:
        return MemoryStore(clock=clock)


class TestSqliteStore(FraudStoreConformance):
    crowd = 12
    steps = max(150, 10 * REPEATS)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self, clock: Clock) -> SqliteStore:
        return SqliteStore(self.folder / "codes.db", clock=clock, timeout_seconds=60)

    def close_store(self, store: SqliteStore) -> None:
        store.close()


class TestRedisStore(FraudStoreConformance):
    crowd = 12
    steps = max(500, 10 * REPEATS)

    @pytest.fixture(autouse=True, params=PLACES, ids="-".join)
    def _place(self, request: pytest.FixtureRequest) -> None:
        self.place = Place(*request.param)

    def make_store(self, clock: Clock) -> RedisStore:
        return self.place.store(clock)

    def close_store(self, store: RedisStore) -> None:
        self.place.tidy()


class TestAsyncRedisStore(FraudStoreConformance):
    crowd = 12
    steps = 150

    @pytest.fixture(autouse=True, params=PLACES[:1], ids="-".join)
    def _place(self, request: pytest.FixtureRequest) -> None:
        self.place = Place(*request.param)

    def make_store(self, clock: Clock) -> AsyncRedisStore:
        return self.place.async_store(clock)

    async def close_store(self, store: AsyncRedisStore) -> None:
        await store.aclose()
        self.place.tidy()


def test_a_full_store_refuses_and_forgets_nothing() -> None:
    """It refuses to count, so that an attacker who invents prefixes gets no message for it."""
    store = MemoryStore(clock=Timeline(), counter_capacity=3)
    here = FraudKey("prefix 1", "EE")
    assert store.charge(here, Request(0.1), RATES) == Charge(Group.NEW, True)
    with pytest.raises(StoreError, match="full"):
        store.charge(FraudKey("prefix 2", "EE"), Request(0.1), RATES)
    for _ in range(7):
        assert isinstance(store.charge(here, Request(0.1), RATES), Charge)
    assert not isinstance(store.charge(here, Request(0.1), RATES), Charge)


@pytest.mark.parametrize("place", PLACES[:1], ids="-".join)
def test_a_call_that_is_repeated_counts_once(place: tuple[str, str]) -> None:
    """As redis-py does when a connection broke, and the reply may have been lost."""
    there = Place(*place)
    store = there.store(Timeline())
    here = FraudKey("prefix 1", "EE")
    with there.server.client() as client:
        call = store.scripts.charge(here, Request(0.1), RATES)
        replies = [client.eval(call.script.text, 4, *call.keys, *call.args) for _ in range(20)]
        assert len(set(replies)) == 1
        for _ in range(7):
            assert isinstance(store.charge(here, Request(0.1), RATES), Charge)
        call = store.scripts.credit(here, Charge(Group.NEW, True), 0.1, RATES)
        for _ in range(20):
            client.eval(call.script.text, 4, *call.keys, *call.args)
    admitted = [store.charge(here, Request(0.1), RATES) for _ in range(9)]
    assert sum(isinstance(answer, Charge) for answer in admitted) == 3
    there.tidy()
