"""A cluster of three nodes that moves a slot from one to another while calls arrive: each call
works, though some wait, and everything is counted exactly once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from clusters import Cluster, three_nodes
from redis.crc import key_slot

from otpverify import AsyncRedisStore, Limit, Policy, RedisStore, StoreError
from otpverify.core.answers import Checked, Opened, Verdict
from otpverify.core.keys import Key
from otpverify.core.state import Opening

POLICY = Policy(
    resend_cooldown_seconds=0,
    sends_per_phone=(Limit(1000, 3600),),
    sends_per_ip=(),
    max_attempts=100,
    failures_per_phone=None,
    allow_weak=True,
)
DIGEST = b"d" * 32


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with three_nodes("valkey9") as made:
        yield made


def key_of(phone: str, challenge: str) -> Key:
    return Key(phone, "scope123", challenge)


def start(store: RedisStore, phone: str, challenge: str) -> object:
    opening = Opening(DIGEST, new=True)
    return store.open(key_of(phone, challenge), opening, POLICY)


def slot_of(store: RedisStore, phone: str) -> int:
    key: bytes = store.scripts._keys(key_of(phone, "c"))[0]
    return int(key_slot(key))


def test_a_slot_that_moves_under_load(cluster: Cluster) -> None:
    """A phone that has a log: new challenges of it need two keys, one here and one there."""
    phone, stop, answers_of = "phone-under-load", threading.Event(), []
    with RedisStore.from_url(cluster.url) as store, ThreadPoolExecutor(4) as pool:
        assert isinstance(start(store, phone, "first"), Opened)
        slot = slot_of(store, phone)
        source = cluster.owner(slot)

        def calls(thread: int) -> list[object]:
            found, nth = [], 0
            while not stop.is_set() and nth < 40:
                found.append(start(store, phone, f"{thread}-{nth}"))
                nth += 1
            return found

        running = [pool.submit(calls, thread) for thread in range(4)]
        for target in ((source + 1) % 3, source):
            previous = source if target != source else (source + 1) % 3
            cluster.begin(slot, previous, target)
            time.sleep(0.3)  # every call waits meanwhile
            cluster.end(slot, previous, target)
        stop.set()
        for one in running:
            answers_of += one.result()
        assert answers_of
        assert all(isinstance(answer, Opened) for answer in answers_of)
        last = start(store, phone, "last")
        assert isinstance(last, Opened)
        # Each was counted once, the repeated ones, too.
        assert last.standing.sends_left == 1000 - len(answers_of) - 2
        wrong = store.check(key_of(phone, "last"), b"x" * 32, POLICY)
        assert wrong == Checked(Verdict.WRONG, attempts_left=99)
        assert store.check(key_of(phone, "last"), DIGEST, POLICY).verdict is Verdict.ACCEPTED


def test_a_slot_that_moves_too_slowly_is_an_error_in_time(cluster: Cluster) -> None:
    phone = "phone-that-waits"
    with RedisStore.from_url(
        cluster.url, connect_timeout_seconds=0.2, socket_timeout_seconds=0.2
    ) as store:
        start(store, phone, "first")
        slot = slot_of(store, phone)
        source = cluster.owner(slot)
        target = (source + 1) % 3
        cluster.begin(slot, source, target)
        started = time.monotonic()
        with pytest.raises(StoreError, match="moves these keys to another node") as caught:
            start(store, phone, "second")
        assert caught.value.__context__ is None
        assert time.monotonic() - started < 8
        cluster.end(slot, source, target)
        assert isinstance(start(store, phone, "third"), Opened)


def test_tasks_wait_for_a_slot_that_moves(cluster: Cluster) -> None:
    phone = "phone-of-tasks"
    with RedisStore.from_url(cluster.url) as store:
        slot = slot_of(store, phone)
    source = cluster.owner(slot)
    target = (source + 1) % 3

    async def scene() -> None:
        async with AsyncRedisStore.from_url(cluster.url) as store:
            opening = Opening(DIGEST, new=True)
            await store.open(key_of(phone, "first"), opening, POLICY)
            cluster.begin(slot, source, target)
            tasks = [
                asyncio.create_task(store.open(key_of(phone, f"{nth}"), opening, POLICY))
                for nth in range(10)
            ]
            await asyncio.sleep(0.2)
            cluster.end(slot, source, target)
            found = await asyncio.gather(*tasks)
            assert all(isinstance(answer, Opened) for answer in found)
            last = await store.open(key_of(phone, "last"), opening, POLICY)
            assert isinstance(last, Opened)
            # Each was counted once, the repeated ones, too.
            assert last.standing.sends_left == 1000 - len(found) - 2

    asyncio.run(scene())
