"""Right checks and starts a second from threads, processes and tasks, each to the floor's rate at
the same concurrency."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import redis
import redis.asyncio

from benchmarks.common import (
    FLOOR,
    POLICY,
    SECRET,
    NoOpSender,
    phone,
    pinned_server,
    row,
    verifier_on,
)
from otpverify import AsyncRedisStore, AsyncVerifier, HmacHasher, Message, Receipt

CALLS = 4_000


def rate(calls: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return calls / (time.perf_counter() - began)


def pairs(url: str, first: int, count: int) -> None:
    """Start and check, one after the other; each thread and process has its own verifier."""
    sender = NoOpSender()
    verifier = verifier_on(url, sender)
    for number in range(first, first + count):
        to = phone(number)
        challenge = verifier.start(to)
        verifier.check(to, sender.code, challenge=challenge.id)


def floors(url: str, count: int) -> None:
    """Two bare commands for every pair."""
    client = redis.Redis.from_url(url)
    digest = client.script_load(FLOOR)
    for _ in range(2 * count):
        client.evalsha(digest, 1, "key")


def spread(workers: int, base: int, url: str, pool: object) -> tuple[float, float]:
    """The rates of the floor and of pairs, with the calls spread over a pool's workers."""
    share = CALLS // workers
    submit = pool.submit  # type: ignore[attr-defined]  # an Executor

    def all_of(call: Callable[..., object], *args: tuple[object, ...]) -> None:
        for future in [submit(call, *given) for given in args]:
            future.result()

    bare = rate(CALLS, lambda: all_of(floors, *[(url, share)] * workers))
    ours = rate(
        CALLS, lambda: all_of(pairs, *[(url, base + n * share, share) for n in range(workers)])
    )
    return bare, ours


async def tasks(url: str, count: int, base: int) -> tuple[float, float]:
    """The same for tasks of one loop, on one client."""

    class Sender:
        codes: dict[str, str] = {}  # noqa: RUF012 - one benchmark's

        async def send(self, message: Message) -> Receipt:
            self.codes[message.to] = message.text[:6]
            return Receipt()

    sender, store = Sender(), AsyncRedisStore.from_url(url)
    verifier = AsyncVerifier(sender, store=store, secret=SECRET, hasher=HmacHasher(), policy=POLICY)
    client = redis.asyncio.Redis.from_url(url, max_connections=1000)
    digest = await client.script_load(FLOOR)
    share = CALLS // count

    async def bare() -> None:
        for _ in range(2 * share):
            await client.evalsha(digest, 1, "key")

    async def ours(first: int) -> None:
        for number in range(first, first + share):
            to = phone(number)
            challenge = await verifier.start(to)
            await verifier.check(to, sender.codes[to], challenge=challenge.id)

    found = []
    for work in ([bare() for _ in range(count)], [ours(base + n * share) for n in range(count)]):
        began = time.perf_counter()
        await asyncio.gather(*work)
        found.append(share * count / (time.perf_counter() - began))
    await client.aclose()
    await store.aclose()
    return found[0], found[1]


def main() -> None:
    with pinned_server() as server:
        row("pairs of start and right check", "a second", "of the floor's pairs")
        row("---", "---", "---")
        base = 0
        for workers in (1, 8):
            with ThreadPoolExecutor(workers) as pool:
                bare, ours = spread(workers, base, server.url, pool)
            base += CALLS
            row(f"{workers} threads", f"{ours:.0f}", f"{ours / bare:.2f}")
        context = multiprocessing.get_context("forkserver")
        for workers in (1, 2, 4):
            with ProcessPoolExecutor(workers, mp_context=context) as processes:
                spread(workers, base, server.url, processes)  # warm up the imports
                base += CALLS
                bare, ours = spread(workers, base, server.url, processes)
            base += CALLS
            row(f"{workers} processes", f"{ours:.0f}", f"{ours / bare:.2f}")
        for count in (1, 32, 256):
            bare, ours = asyncio.run(tasks(server.url, count, base))
            base += CALLS
            row(f"{count} tasks", f"{ours:.0f}", f"{ours / bare:.2f}")


if __name__ == "__main__":
    main()
