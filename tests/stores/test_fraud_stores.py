"""What a fraud policy counts, in every store and on every server."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import three_nodes
from hypothesis import example, given, settings, strategies as st
from redis import RedisCluster
from redis_support import PLACES, Place, load_at, stop_servers
from support import LONG, REPEATS

from otpverify import AsyncRedisStore, MemoryStore, RedisStore, SqliteStore, StoreError
from otpverify.core.answers import Refused
from otpverify.core.caps import Cap, Full
from otpverify.core.fraud import DAY, Overdrawn, Rates, Request
from otpverify.core.fraud_ledger import (
    SPEND,
    TOTAL,
    Charged,
    Credited,
    FraudKey,
    KnownNumber,
    Rules,
)
from otpverify.core.limits import Limit
from otpverify.core.send_limits import SPARE
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
    store = MemoryStore(clock=Timeline(), counter_capacity=1)
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
    before = len(store._prefixes)
    for number in range(50, 500):
        store.charge(FraudKey(f"prefix {number}", "EE"), Request(0.1), RULES)
    assert len(store._prefixes) == before + 450
    clock.ms += DAY // 24 + 1_000
    len(store)  # expires
    assert len(store._prefixes) == before


@pytest.mark.parametrize("prefixes", [1, 40], ids=["one prefix", "as many as there is room for"])
def test_people_beyond_the_room_for_known_numbers_earn_for_their_accounts(
    prefixes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Everyone enters the code, so nobody is refused. It is said once that the store is full."""
    clock = Timeline()
    store = MemoryStore(clock=clock, counter_capacity=40)
    for number in range(300):
        clock.ms += DAY // 24
        prefix, challenge = f"prefix {number % prefixes}", f"challenge {number}"
        key = FraudKey(prefix, "EE", f"number {number}", challenge)
        assert isinstance(store.charge(key, Request(3.0), RULES), Charged), number
        assert store.credit(key, RULES) == Credited(), number
        assert (store.known(f"number {number}") is not None) == (number < 40)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "full" in caplog.text
    assert "number 40" not in caplog.text


def test_a_right_code_counts_for_the_country_when_its_prefix_has_no_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A prefix may be forgiven and forgotten before the code is entered, and its place taken."""
    clock = Timeline()
    rules = RULES._replace(remember=DAY)
    full, roomy = MemoryStore(clock=clock, counter_capacity=2), MemoryStore(clock=clock)
    friend = FraudKey("prefix", "EE", challenge="challenge")
    for store in (full, roomy):
        store.charge(friend, Request(1.0), rules)
    clock.ms += DAY // 6
    for store in (full, roomy):
        # Strangers of two prefixes, in both; no place is left in one of them.
        for number in range(2):
            key = FraudKey(f"other {number}", "LV", challenge="other")
            store.charge(key, Request(1.0), rules)
        assert store.credit(friend, rules) == Credited()
        assert store.credit(friend, rules) is None
    assert full._accounts["cEE"] == roomy._accounts["cEE"]
    assert full._accounts["w"] == roomy._accounts["w"]
    assert caplog.text.count("full") == 1


def test_what_is_not_sent_comes_back_when_its_prefix_has_no_room() -> None:
    clock = Timeline()
    rules = RULES._replace(caps=(Cap(TOTAL, 2, DAY),))
    store = MemoryStore(clock=clock, counter_capacity=1)
    late = FraudKey("prefix", "EE", challenge="challenge")
    charged = store.charge(late, Request(1.0), rules)
    assert isinstance(charged, Charged)
    clock.ms += DAY // 6
    assert isinstance(store.charge(FraudKey("other", "EE"), Request(1.0), rules), Charged)
    store.refund(late, charged, 1.0, rules)
    assert isinstance(store.charge(FraudKey("other", "EE"), Request(1.0), rules), Charged)
    assert isinstance(store.charge(FraudKey("other", "EE"), Request(1.0), rules), Full)


def test_invented_prefixes_refuse_no_known_number_of_another_country() -> None:
    """Nor does a country whose accounts lapsed meanwhile, the world, or a cap lack room."""
    clock = Timeline()
    rules = RULES._replace(caps=(Cap(TOTAL, 1_000, DAY), Cap(TOTAL, 100, DAY // 24)))
    store = MemoryStore(clock=clock, counter_capacity=40)
    friend = FraudKey("home", "EE", "number", "challenge")
    assert isinstance(store.charge(friend, Request(0.1), rules), Charged)
    assert store.credit(friend, rules) == Credited()
    clock.ms += 40 * DAY
    for number in range(200):
        key = FraudKey(f"prefix {number}", "UZ", challenge="invented")
        with contextlib.suppress(StoreError):
            store.charge(key, Request(1.0), rules)
    assert len(store._prefixes) == 40
    for challenge in ("again", "and again"):
        there = friend._replace(challenge=challenge)
        assert isinstance(store.charge(there, Request(0.1), rules), Charged)
        assert store.credit(there, rules) == Credited()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["charge", "charge", "credit", "refund"]),
        st.integers(0, 4),  # which prefix, challenge and network
        st.sampled_from(["EE", "LV", ""]),
        st.sampled_from([0, 1_000, DAY // 24, DAY // 4, 40 * DAY]),
    ),
    max_size=30,
)


@given(capacity=st.integers(1, 4), steps=STEPS)
@example(capacity=1, steps=[("charge", 0, "EE", DAY // 6)] * 4)
@example(capacity=3, steps=[("charge", place, "EE", DAY // 9) for place in range(5)])
@settings(max_examples=500 if LONG else 60)
def test_a_full_store_counts_all_of_a_message_or_nothing(
    capacity: int, steps: list[tuple[str, int, str, int]]
) -> None:
    """Beside a store with room that is spared what the full one refuses to count, it answers the
    same: nothing that it took on was dropped for want of room."""
    clock = Timeline()
    rules = Rules(
        Rates(1_000_000.0, 1 / 3),  # only prefixes refuse, and those refusals leave no marks
        trusted=0,
        remember=20_000,
        caps=(Cap(TOTAL, 6, DAY), Cap(TOTAL, 4, DAY // 24), Cap(SPEND, 5_000_000, DAY)),
        sends_per_ip=(Limit(5, 86_400),),
    )
    small, roomy = MemoryStore(clock=clock, counter_capacity=capacity), MemoryStore(clock=clock)
    newest: dict[FraudKey, Charged] = {}
    for what, place, country, pause in steps:
        clock.ms += pause
        key = FraudKey(f"p{place}", country, "", f"c{place}", f"n{place % 3}")
        if what == "charge":
            try:
                answer = small.charge(key, Request(1.0), rules)
            except StoreError:
                continue
            assert roomy.charge(key, Request(1.0), rules) == answer
            if isinstance(answer, Charged):
                newest[key] = answer
        elif what == "credit":
            assert small.credit(key, rules) == roomy.credit(key, rules)
        elif key in newest and newest[key].at + rules.remember > clock.ms:
            charged = newest.pop(key)  # its prefix is there still
            for store in (small, roomy):
                store.refund(key, charged, 1.0, rules)
        assert small.traffic(24) == roomy.traffic(24)


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


@pytest.mark.parametrize("place", PLACES[:1], ids="-".join)
def test_nothing_is_given_back_to_a_full_log_of_a_network(place: tuple[str, str]) -> None:
    """It may have dropped an older message, which still counts."""
    there = Place(*place)
    store, rules = there.store(Timeline()), RULES._replace(sends_per_ip=(Limit(3, 60),))
    here = FraudKey("prefix", "EE", "number", "challenge", "network")
    with there.server.client() as client:
        for held, left in ((3 + SPARE - 1, 3 + SPARE - 2), (3 + SPARE, 3 + SPARE)):
            charged = store.charge(here, Request(0.1), rules)
            assert isinstance(charged, Charged)
            assert charged.network is not None
            (log,) = client.keys(f"{store.scripts._prefix}:*inetwork")
            events = range(charged.network - held + 1, charged.network + 1)
            records = b"".join(event.to_bytes(6, "big") for event in events)
            head = client.getrange(log, 0, -7)
            client.set(log, head + records, keepttl=True)
            store.refund(here, charged, 0.1, rules)
            assert client.strlen(log) == len(head) + 6 * left
            client.delete(log)
    there.tidy()
