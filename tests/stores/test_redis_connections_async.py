"""The connections that tasks take and leave: each is one call's at a time, nobody reads what was
another's, and every event loop has its own."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from redis.asyncio import Connection, Redis
from redis_support import Place, stop_servers
from servers import until
from support import LONG, SECRET, long_form, wrong

from otpverify import (
    AsyncRedisStore,
    AsyncVerifier,
    Challenge,
    HmacHasher,
    IncorrectCode,
    StoreError,
    Verified,
)
from otpverify.core.answers import Reserved
from otpverify.core.limits import Limit
from otpverify.testing import OutboxSender

__all__ = ["stop_servers"]

PHONES = [f"+372567890{n:02}" for n in range(40)]
LOOPS = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


class Site:
    """A verifier on a store of a URL, as a module of an application holds one."""

    def __init__(self, place: Place) -> None:
        with place.server.client() as client:
            client.flushall()
        self.server = place.server
        self.outbox = OutboxSender()
        self.store = AsyncRedisStore.from_url(
            place.server.url, connect_timeout_seconds=5, socket_timeout_seconds=5
        )
        self.verifier = AsyncVerifier(
            self.outbox, store=self.store, secret=SECRET, hasher=HmacHasher()
        )

    def connections(self) -> int:
        """How many the server has, without the one that asks."""
        with self.server.client() as client:
            return len(client.client_list()) - 1

    async def start(self, *phones: str) -> list[Challenge]:
        return await asyncio.gather(*[self.verifier.start(phone) for phone in phones])

    async def check(self, challenge: Challenge) -> Verified:
        code = self.outbox.code(challenge.phone)
        return await self.verifier.check(challenge.phone, code, challenge=challenge.id)

    async def guess(self, challenge: Challenge) -> int | None:
        """A wrong code; the attempts that it leaves."""
        code = wrong(self.outbox.code(challenge.phone))
        with pytest.raises(IncorrectCode) as caught:
            await self.verifier.check(challenge.phone, code, challenge=challenge.id)
        return caught.value.attempts_left


@pytest.fixture
def site() -> Iterator[Site]:
    place = Place("valkey9")
    yield Site(place)
    place.tidy()


def test_tasks_take_what_others_left(site: Site) -> None:
    async def scene() -> None:
        before = site.connections()
        await site.start(PHONES[0])
        assert site.connections() == before + 1
        for phone in PHONES[1:10]:
            await site.start(phone)
        assert site.connections() == before + 1
        challenges = await site.start(*PHONES[10:20])
        peak = site.connections()
        assert peak <= before + 10
        for _ in range(3):
            assert await asyncio.gather(*map(site.guess, challenges))
        assert site.connections() == peak
        await site.store.aclose()

    asyncio.run(scene())


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_more_tasks_than_connections_wait_for_one(mode: str) -> None:
    place = Place("valkey9", mode)
    counter, limits = f"full pool {os.urandom(4).hex()}", (Limit(1000, 3600),)

    async def scene() -> None:
        async with AsyncRedisStore.from_url(f"{place.server.url}?max_connections=5") as store:

            async def ten() -> list[object]:
                return [await store.reserve(counter, limits) for _ in range(10)]

            lists = await asyncio.gather(*[ten() for _ in range(40)])
            answers = [answer for answers in lists for answer in answers]
            assert len(answers) == 400
            assert all(isinstance(answer, Reserved) for answer in answers)

    asyncio.run(scene())
    place.tidy()


def test_a_pool_that_stays_full_is_an_error_that_says_so_and_leaves_none_behind(site: Site) -> None:
    async def scene() -> None:
        url = f"{site.server.url}?max_connections=4"
        store = AsyncRedisStore.from_url(
            url, connect_timeout_seconds=0.1, socket_timeout_seconds=0.1
        )
        verifier = AsyncVerifier(site.outbox, store=store, secret=SECRET, hasher=HmacHasher())
        await verifier.start(PHONES[0])
        site.server.pause()
        try:
            for _ in range(2):
                answers = await asyncio.gather(
                    *[verifier.check(p, "000000", challenge="x" * 24) for p in PHONES],
                    *[verifier.start(p) for p in PHONES[1:30]],
                    return_exceptions=True,
                )
                texts = {str(one) for one in answers if isinstance(one, StoreError)}
                assert any("in use for too long" in text for text in texts)
        finally:
            site.server.resume()
        assert await verifier.start(PHONES[30])
        await store.aclose()

    asyncio.run(scene())


def test_a_tracer_sees_every_command(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    plain: Any = Redis.execute_command

    @functools.wraps(plain)
    def traced(self: Any, *args: Any, **options: Any) -> Any:
        seen.append(args[0])
        return plain(self, *args, **options)

    async def scene() -> None:
        await site.start(PHONES[0])
        with monkeypatch.context() as patch:
            patch.setattr(Redis, "execute_command", traced)
            await site.start(PHONES[1])
            assert seen == ["EVALSHA"]
        await site.start(PHONES[2])
        assert len(seen) == 1
        await site.store.aclose()

    asyncio.run(scene())


class Interrupted(BaseException):
    """Comes out of nowhere, as KeyboardInterrupt does."""


def test_a_reply_that_was_not_read_answers_no_other_call(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interruption comes after a right code was sent and before its reply is read. Whoever read
    that reply next would be let in."""

    async def read_response(*_: object, **__: object) -> None:
        raise Interrupted

    async def scene() -> None:
        mine, other = await site.start(*PHONES[:2])
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "read_response", read_response)
            with pytest.raises(Interrupted):
                await site.check(mine)
        assert await site.guess(other) == 4
        assert await site.guess(other) == 3
        await site.store.aclose()

    asyncio.run(scene())


@LOOPS
def test_one_store_serves_one_loop_after_another(site: Site, loop: Callable[[], Any]) -> None:
    """A job or a view that brings a loop of its own, and a verifier that was made once."""

    def run(work: Any) -> Any:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(work)

    before = site.connections()
    challenges = run(site.start(*PHONES[:20]))
    # The test did not close the store; the loop did as it ended.
    until(lambda: site.connections() == before)
    left = [run(site.guess(challenge)) for challenge in challenges[:5]]
    assert left == [4] * 5
    assert [run(site.check(challenge)).phone for challenge in challenges] == PHONES[:20]
    until(lambda: site.connections() == before)


def closed_without_order(loop: Any, work: Any) -> None:
    """As a job does that makes a loop, runs it and closes it."""
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


def in_a_thread(loop: Any, work: Any) -> None:
    thread = threading.Thread(target=closed_without_order, args=[loop, work])
    thread.start()
    thread.join()


def cancelled(loop: Any, work: Any) -> None:
    """The work is cancelled wherever it is."""

    async def scene() -> None:
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scene())


def in_order(loop: Any, work: Any) -> None:
    with asyncio.Runner(loop_factory=lambda: loop, debug=True) as runner:
        runner.run(work)


@pytest.mark.parametrize(
    "loop",
    [asyncio.new_event_loop, pytest.param(uvloop.new_event_loop, marks=long_form)],
    ids=["asyncio", "uvloop"],
)
@pytest.mark.parametrize("end", [in_order, closed_without_order, in_a_thread, cancelled])
@pytest.mark.parametrize("mode", ["standalone", pytest.param("cluster", marks=long_form)])
def test_loops_that_end_leave_nothing_and_say_nothing(
    mode: str, end: Any, loop: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The store is not closed. Neither asyncio nor redis-py logs or warns of anything."""
    site = Site(Place("valkey9", mode))
    gc.collect()
    before = site.connections()
    caplog.set_level("INFO", "asyncio")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for nth in range(10 if LONG else 2):
            end(loop(), site.start(*PHONES[nth * 4 : nth * 4 + 4]))
            gc.collect()
    until(lambda: site.connections() <= before)
    assert [str(one.message) for one in warned] == []
    said = [one.getMessage() for one in caplog.records if one.name == "asyncio"]
    assert [text for text in said if not text.startswith("Executing")] == []  # slow machines


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
@LOOPS
def test_one_store_serves_several_loops_at_once(mode: str, loop: Callable[[], Any]) -> None:
    place = Place("valkey9", mode)
    site = Site(place)
    meet = threading.Barrier(4)
    found: dict[int, list[str]] = {}

    async def scene(share: list[str]) -> list[str]:
        meet.wait()
        challenges = await site.start(*share)
        left: list[int | None] = await asyncio.gather(*map(site.guess, challenges))
        assert left == [4] * len(share)
        return [(await site.check(challenge)).phone for challenge in challenges]

    def visit(nth: int) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            found[nth] = runner.run(scene(PHONES[nth * 10 : nth * 10 + 10]))

    threads = [threading.Thread(target=visit, args=[nth]) for nth in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(phone for share in found.values() for phone in share) == PHONES
    place.tidy()


def test_a_closed_store_has_none_and_connects_anew(site: Site) -> None:
    async def scene() -> None:
        before = site.connections()
        challenges = await site.start(*PHONES[:10])
        assert site.connections() > before
        await site.store.aclose()
        await asyncio.sleep(0)
        assert site.connections() == before
        assert (await site.check(challenges[0])).phone == PHONES[0]
        assert site.connections() == before + 1

    asyncio.run(scene())
