"""The connections that threads take and leave: each is one call's at a time, and closed before
anybody takes it again when a reply may be left on it."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest
from redis import Connection, Redis
from redis_support import Place, stop_servers
from servers import until
from support import PHONE, SECRET, wrong

from otpverify import HmacHasher, IncorrectCode, Limit, Policy, RedisStore, StoreError, Verifier
from otpverify.core.answers import Reserved
from otpverify.stores.redis.connections import ConnectionPool
from otpverify.testing import OutboxSender

__all__ = ["stop_servers"]


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place("valkey9")
    with place.server.client() as client:
        client.flushall()  # the tests share their numbers
    yield place
    place.tidy()


@pytest.fixture
def store(place: Place) -> Iterator[RedisStore]:
    store = RedisStore.from_url(
        place.server.url, connect_timeout_seconds=5, socket_timeout_seconds=5
    )
    yield store
    store.close()


@pytest.fixture
def outbox() -> OutboxSender:
    return OutboxSender()


@pytest.fixture
def verifier(store: RedisStore, outbox: OutboxSender) -> Verifier:
    return Verifier(outbox, store=store, secret=SECRET, hasher=HmacHasher())


def connections(client: Redis) -> int:
    """How many the server has, without the one that asks."""
    return len(client.client_list()) - 1


def test_threads_take_what_others_left(place: Place, store: RedisStore, verifier: Verifier) -> None:
    with place.server.client() as client:
        before = connections(client)
        numbers = iter(range(20))

        def calls() -> None:
            for _ in range(5):
                verifier.start(f"+372567890{next(numbers):02}")

        for _ in range(4):
            thread = threading.Thread(target=calls)
            thread.start()
            thread.join()
        assert connections(client) == before + 1


def test_threads_that_wait_keep_none(place: Place, outbox: OutboxSender) -> None:
    """Many threads and few connections: all get one, as long as few ask at once."""
    url = f"{place.server.url}?max_connections=3"
    with contextlib.closing(RedisStore.from_url(url)) as store, ThreadPoolExecutor(12) as pool:
        verifier = Verifier(outbox, store=store, secret=SECRET, hasher=HmacHasher())
        threads = threading.Barrier(12)
        for _ in pool.map(lambda _: threads.wait(), range(12)):
            pass  # now all twelve are there
        turn = threading.Lock()

        def call(nth: int) -> str:
            threads.wait()
            with turn:
                return verifier.start(f"+372567890{nth:02}").phone

        assert len(set(pool.map(call, range(12)))) == 12


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_more_threads_than_connections_wait_for_one(mode: str) -> None:
    place = Place("valkey9", mode)
    url = f"{place.server.url}?max_connections=5"
    with contextlib.closing(RedisStore.from_url(url)) as store, ThreadPoolExecutor(40) as pool:
        counter, limits = f"full pool {os.urandom(4).hex()}", (Limit(1000, 3600),)
        store.reserve(counter, limits)
        at_once = threading.Barrier(40)

        def ten(_: int) -> list[object]:
            at_once.wait()
            return [store.reserve(counter, limits) for _ in range(10)]

        answers = [answer for answers in pool.map(ten, range(40)) for answer in answers]
        assert len(answers) == 400
        assert all(isinstance(answer, Reserved) for answer in answers)
    place.tidy()


def test_a_pool_that_stays_full_is_an_error_that_says_so(place: Place) -> None:
    url = f"{place.server.url}?max_connections=1"
    store = RedisStore.from_url(url, connect_timeout_seconds=0.1, socket_timeout_seconds=0.1)
    limits = (Limit(1000, 3600),)
    store.reserve("network", limits)
    pool = store._clients.get().pool
    assert pool is not None
    taken = pool._take()  # a call that never ends
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"in use for too long.*max_connections") as caught:
        store.reserve("network", limits)
    assert caught.value.__context__ is None
    assert 0.4 <= time.monotonic() - started < 3
    pool._free.append(taken)
    assert isinstance(store.reserve("network", limits), Reserved)
    store.close()


def test_a_tracer_sees_every_command(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    plain: Any = Redis.execute_command

    @functools.wraps(plain)
    def traced(self: Any, *args: Any, **options: Any) -> Any:
        seen.append(args[0])
        return plain(self, *args, **options)

    verifier.start(PHONE)
    with monkeypatch.context() as patch:
        patch.setattr(Redis, "execute_command", traced)
        verifier.start("+37256789046")
        assert seen == ["EVALSHA"]
    verifier.start("+37256789047")
    assert len(seen) == 1


def test_a_foreign_function_counts_as_a_tracer(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ConnectionPool(store._clients.get().client)
    assert pool.usable
    monkeypatch.setattr(Redis, "execute_command", lambda self, *args: None)
    assert not pool.usable


def test_a_child_has_connections_of_its_own(
    store: RedisStore, verifier: Verifier, outbox: OutboxSender
) -> None:
    """Parent and child count down at the same time. On one connection each would read what was
    the other's."""
    policy = Policy(max_attempts=100, failures_per_phone=None, allow_weak=True)
    verifier = Verifier(outbox, store=store, secret=SECRET, hasher=HmacHasher(), policy=policy)
    challenges = [verifier.start(f"+3725678904{n}") for n in range(2)]
    codes = [message.text[:6] for message in outbox.messages]

    def countdown(one: int) -> list[int | None]:
        left: list[int | None] = []
        to, id_ = challenges[one].phone, challenges[one].id
        for nth in range(1, 61):
            with pytest.raises(IncorrectCode) as caught:
                verifier.check(to, wrong(codes[one], nth), challenge=id_)
            left.append(caught.value.attempts_left)
        return left

    expected = list(range(99, 39, -1))
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if countdown(1) == expected else 2
        finally:
            os._exit(status)
    try:
        assert countdown(0) == expected
    finally:
        ended = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(ended) == 0


class Interrupted(BaseException):
    """Comes out of nowhere, as KeyboardInterrupt does."""


def test_a_call_that_was_left_in_the_middle_answers_no_other(
    place: Place, verifier: Verifier, outbox: OutboxSender
) -> None:
    """The interruption comes while the reply of a right code is awaited; what is asked next must
    not read that reply."""
    mine = verifier.start(PHONE)
    right = outbox.code()
    other = verifier.start("+37256789046")
    others = outbox.code()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        place.server.pause()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            verifier.check(PHONE, right, challenge=mine.id)
    finally:
        signal.signal(signal.SIGALRM, before)
        place.server.resume()
    with pytest.raises(IncorrectCode) as caught:
        verifier.check("+37256789046", wrong(others), challenge=other.id)
    assert caught.value.attempts_left == 4
    assert verifier.check("+37256789046", others, challenge=other.id)


def test_a_reply_that_was_not_read_answers_no_other_call(
    verifier: Verifier, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interruption comes after a right code was sent and before its reply is read. Whoever read
    that reply next would be let in."""
    mine = verifier.start(PHONE)
    right = outbox.code()
    other = verifier.start("+37256789046")

    def read_response(*_: object, **__: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "read_response", read_response)
        with pytest.raises(Interrupted):
            verifier.check(PHONE, right, challenge=mine.id)
    with pytest.raises(IncorrectCode):
        verifier.check("+37256789046", wrong(outbox.code()), challenge=other.id)


def test_a_handler_in_the_middle_of_a_call_has_a_connection_of_its_own(
    place: Place, verifier: Verifier, outbox: OutboxSender
) -> None:
    mine = verifier.start(PHONE)
    right = outbox.code()
    other = verifier.start("+37256789046")
    others = outbox.code()
    left: list[int | None] = []

    def handler(_signal: int, _frame: FrameType | None) -> None:
        place.server.resume()
        with pytest.raises(IncorrectCode) as caught:
            verifier.check("+37256789046", wrong(others), challenge=other.id)
        left.append(caught.value.attempts_left)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        place.server.pause()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert verifier.check(PHONE, right, challenge=mine.id)
    finally:
        signal.signal(signal.SIGALRM, before)
        place.server.resume()
    assert left == [4]


def test_a_closed_store_has_none_and_connects_anew(
    place: Place, store: RedisStore, verifier: Verifier
) -> None:
    with place.server.client() as client:
        before = connections(client)
        verifier.start(PHONE)
        assert connections(client) == before + 1
        store.close()
        until(lambda: connections(client) == before)
        verifier.start("+37256789046")
        assert connections(client) == before + 1
