"""What a fraud policy counts, in every store and on every server."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import three_nodes
from redis import RedisCluster
from redis_support import PLACES, Place, load_at, stop_servers
from support import REPEATS

from otpverify import AsyncRedisStore, MemoryStore, RedisStore, SqliteStore, StoreError
from otpverify.core.answers import Refused
from otpverify.core.caps import Cap, Full
from otpverify.core.fraud import DAY, Overdrawn, Rates, Request
from otpverify.core.fraud_ledger import TOTAL, Charged, Credited, FraudKey, KnownNumber, Rules
from otpverify.core.limits import Limit
from otpverify.protocols import Clock
from otpverify.stores.redis.replies import charged as read_charged
from otpverify.stores.redis.scripts import Call, Scripts
from otpverify.testing.conformance import FraudStoreConformance, Timeline

__all__ = ["stop_servers"]

COUNT = itertools.count()
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


@pytest.fixture(scope="module")
def nodes() -> Iterator[RedisCluster]:
    with three_nodes("redis7") as cluster:
        client = RedisCluster.from_url(cluster.url.replace("+cluster", ""), socket_timeout=5)
        with contextlib.closing(client):
            yield client


class TestThreeNodes(FraudStoreConformance):
    """All of a fraud policy lies in one slot of a cluster, so that nothing there is approximate."""

    crowd = 12

    @pytest.fixture(autouse=True)
    def _nodes(self, nodes: RedisCluster) -> None:
        self.client = nodes

    def make_store(self, clock: Clock) -> RedisStore:
        store = RedisStore(self.client)
        store.scripts = Scripts(f"three{next(COUNT)}", load_at(clock, declared=True))
        return store


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
    """What an attacker who invents prefixes makes a store hold is gone within an hour."""
    clock = Timeline()
    store = MemoryStore(clock=clock, counter_capacity=1_000)
    for number in range(50):
        key = FraudKey(f"prefix {number}", "EE", challenge=f"challenge {number}")
        store.charge(key, Request(0.1), RULES)
    before = len(store._accounts)
    for number in range(50, 500):
        store.charge(FraudKey(f"prefix {number}", "EE"), Request(0.1), RULES)
    assert len(store._accounts) == before + 450
    clock.ms += DAY // 24 + 1_000
    len(store)  # expires
    assert len(store._accounts) == before


@pytest.mark.parametrize("place", PLACES[:1], ids="-".join)
def test_a_call_that_is_repeated_counts_once(place: tuple[str, str]) -> None:
    """As redis-py does when a connection broke, and the reply may have been lost."""
    there = Place(*place)
    store = there.store(Timeline())
    cap = Cap(TOTAL, 100, DAY)
    rules = RULES._replace(caps=(cap,), sends_per_ip=(Limit(100, 60),))
    here = FraudKey("prefix 1", "EE", "number", "challenge", "network")
    with there.server.client() as client:

        def repeated(call: Call) -> bytes:
            keys = len(call.keys)
            replies = [client.eval(call.script.text, keys, *call.keys, *call.args) for _ in "12345"]
            assert len(set(replies)) == 1
            return bytes(replies[0])

        first = read_charged(repeated(store.scripts.charge(here, Request(0.1), rules)), rules)
        assert isinstance(first, Charged)
        assert first.first
        for _ in range(7):
            assert isinstance(store.charge(here, Request(0.1), rules), Charged)
        assert repeated(store.scripts.charge(here, Request(0.1), rules)).startswith(b"0 0")
        assert repeated(store.scripts.credit(here, rules)) == b"1"
        again = read_charged(repeated(store.scripts.charge(here, Request(0.1), rules)), rules)
        assert isinstance(again, Charged)
        assert store.known("number") == KnownNumber(1, again.at + 90 * DAY)
        repeated(store.scripts.refund(here, again, 0.1, rules))
        assert store.known("number") == KnownNumber(0, again.at + 90 * DAY)
    # Of the nine that were admitted, one came back; eight count in the network and the cap.
    forced = Request(0.1, forced=True)
    loose = rules._replace(caps=(cap._replace(amount=9),), sends_per_ip=(Limit(9, 60),))
    assert isinstance(store.charge(here, forced, loose), Charged)
    assert isinstance(store.charge(here, forced, loose), Refused)
    assert isinstance(store.charge(here._replace(network=""), forced, loose), Full)
    there.tidy()
