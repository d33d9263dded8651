"""Every store of this package passes the suite that it ships, on every server there is. Scripts
that touch a key which they did not declare fail: in moved time by `redis_support`, and on a
cluster, if the key lies in another slot, by the server."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from redis_support import PLACES, Place, stop_servers
from support import REPEATS

from otpverify import AsyncRedisStore, MemoryStore, RedisStore, SqliteStore
from otpverify.core.answers import Checked, Refusal, Refused, Reported, Verdict
from otpverify.core.results import DeliveryStatus
from otpverify.protocols import Clock
from otpverify.testing import StoreConformance
from otpverify.testing.conformance import Reference, Timeline
from otpverify.testing.conformance.delivery import GIVEN_BACK, NEWS, OLD, UNKNOWN
from otpverify.testing.conformance.random_walk import NETWORK, POLICIES, SEED, WALKS, Walker

__all__ = ["stop_servers"]


class TestMemoryStore(StoreConformance):
    def make_store(self, clock: Clock) -> MemoryStore:
        return MemoryStore(clock=clock)


class TestSqliteStore(StoreConformance):
    crowd = 12
    many = 60
    repeats = max(1, REPEATS // 25)
    steps = max(100, 5 * REPEATS)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self, clock: Clock) -> SqliteStore:
        return SqliteStore(self.folder / "codes.db", clock=clock, timeout_seconds=60)

    def close_store(self, store: SqliteStore) -> None:
        store.close()


class OnEveryServer(StoreConformance):
    many = 60
    crowd = 12
    repeats = max(1, REPEATS // 25)
    steps = max(100, 5 * REPEATS)

    @pytest.fixture(autouse=True, params=PLACES, ids="-".join)
    def _place(self, request: pytest.FixtureRequest) -> None:
        self.place = Place(*request.param)


class TestRedisStore(OnEveryServer):
    def make_store(self, clock: Clock) -> RedisStore:
        return self.place.store(clock)

    def close_store(self, store: RedisStore) -> None:
        self.place.tidy()


class TestAsyncRedisStore(OnEveryServer):
    def make_store(self, clock: Clock) -> AsyncRedisStore:
        return self.place.async_store(clock)

    async def close_store(self, store: AsyncRedisStore) -> None:
        await store.aclose()
        self.place.tidy()


class TestStoreWithItsOwnClock(StoreConformance):
    """A store that is given no clock passes what needs none, and skips the rest."""

    moves_time = False

    def make_store(self, clock: Clock) -> MemoryStore:
        return MemoryStore()


def test_the_random_walks_reach_every_answer() -> None:
    seen: Counter[object] = Counter()
    for name, policies in WALKS.items():
        clock = Timeline()
        reference = Reference(lambda clock=clock: clock.ms)  # type: ignore[misc]
        walker = Walker(random.Random(f"{SEED} on {name}"), policies)
        for _, (operation, *args) in zip(
            range(StoreConformance.steps), walker.steps(), strict=False
        ):
            if operation == "pass_time":
                clock.ms += args[0]
                continue
            answer = getattr(reference, operation)(*args)
            walker.saw((operation, *args), answer)
            if isinstance(answer, Checked):
                seen[operation, answer.verdict] += 1
            elif isinstance(answer, Refused):
                seen[answer.refusal] += 1
                seen[answer.limit] += 1
            elif isinstance(answer, bool):
                seen[operation, answer] += 1
            elif isinstance(answer, Reported | DeliveryStatus):
                seen[answer] += 1
            else:
                seen[operation, type(answer).__name__] += 1
    expected: list[object] = [
        ("check", verdict) for verdict in Verdict if verdict is not Verdict.PENDING
    ]
    expected += [("peek", Verdict.GONE), ("peek", Verdict.EXHAUSTED), ("peek", Verdict.PENDING)]
    tight = POLICIES["tight"]
    wanted = [*expected, *Refusal, *tight.sends_per_phone, tight.failures_per_phone, *NETWORK]
    wanted += [policy.consecutive_failures for policy in POLICIES.values()]
    wanted.remove(None)
    wanted += [("release", "NoneType"), ("release", "Standing"), ("reserve", "Reserved")]
    wanted += [("redeem", True), ("redeem", False)]
    wanted += [UNKNOWN, OLD, NEWS, GIVEN_BACK, ("status", "NoneType")]
    wanted += [DeliveryStatus.QUEUED, DeliveryStatus.SENT, DeliveryStatus.DELIVERED]
    assert not [answer for answer in wanted if seen[answer] < 2]
