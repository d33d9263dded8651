"""Starts with their right checks a second from threads, processes and tasks, to the floor's rate at
the same concurrency; and what of the server's CPU a pair takes. All of it without hiredis, and with
it where `make bench` put it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import redis
import redis.asyncio
from redis.utils import HIREDIS_AVAILABLE

from benchmarks.common import (
    FLOOR,
    POLICY,
    SECRET,
    NoOpSender,
    again_with_hiredis,
    phone,
    pinned_server,
    row,
    server_cpu,
    verifier_on,
)
from otpverify import AsyncRedisStore, AsyncVerifier, HmacHasher, Message, Receipt

CALLS = 4_000
ROUNDS = 3
_first = itertools.count(0, CALLS)


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


def spread(label: str, workers: int, server: Any, pool: Executor) -> None:
    """Measure with the calls spread over a pool's workers."""
    share = CALLS // workers

    def floor() -> None:
        for future in [pool.submit(floors, server.url, share) for _ in range(workers)]:
            future.result()

    def ours() -> None:
        first = next(_first)
        starts = [first + n * share for n in range(workers)]
        for future in [pool.submit(pairs, server.url, one, share) for one in starts]:
            future.result()

    measure(label, server, floor, ours)


class Tasks:
    """Tasks of one loop, on one client."""

    def __init__(self, url: str, count: int, runner: asyncio.Runner) -> None:
        self.codes: dict[str, str] = {}
        self.share, self.count, self.runner = CALLS // count, count, runner
        self.store = AsyncRedisStore.from_url(url)
        self.verifier = AsyncVerifier(
            self, store=self.store, secret=SECRET, hasher=HmacHasher(), policy=POLICY
        )
        self.client = redis.asyncio.Redis.from_url(url, max_connections=1000)
        self.digest = runner.run(self._load())

    async def send(self, message: Message) -> Receipt:
        self.codes[message.to] = message.text[:6]
        return Receipt()

    def floor(self) -> None:
        self.runner.run(self._together([self._floor() for _ in range(self.count)]))

    def ours(self) -> None:
        first = next(_first)
        work = [self._pairs(first + n * self.share) for n in range(self.count)]
        self.runner.run(self._together(work))

    async def _load(self) -> Any:
        return await self.client.script_load(FLOOR)

    async def _together(self, work: list[Any]) -> None:
        await asyncio.gather(*work)

    async def _floor(self) -> None:
        for _ in range(2 * self.share):
            await self.client.evalsha(self.digest, 1, "key")

    async def _pairs(self, first: int) -> None:
        for number in range(first, first + self.share):
            to = phone(number)
            challenge = await self.verifier.start(to)
            await self.verifier.check(to, self.codes[to], challenge=challenge.id)

    async def aclose(self) -> None:
        await self.client.aclose()
        await self.store.aclose()


@contextlib.contextmanager
def tasks(url: str, count: int) -> Iterator[Tasks]:
    with asyncio.Runner() as runner:
        made = Tasks(url, count, runner)
        yield made
        runner.run(made.aclose())


def measure(
    label: str, server: Any, floor: Callable[[], object], ours: Callable[[], object]
) -> None:
    """Print a row: the best of some rounds, after one that connects and loads what is needed."""
    rates: dict[Callable[[], object], list[float]] = {floor: [], ours: []}
    cpu = []
    with server.client() as client:
        for round_ in range(ROUNDS + 1):
            for work, seen in rates.items():
                spent, began = server_cpu(client), time.perf_counter()
                work()
                took = time.perf_counter() - began
                if round_:
                    seen.append(CALLS / took)
                    if work is ours:
                        cpu.append((server_cpu(client) - spent) / CALLS * 1e6)
    best, bare = max(rates[ours]), max(rates[floor])
    row(label, f"{best:.0f}", f"{best / bare / 2:.2f}", f"{min(cpu):.0f}")


def main() -> None:
    with pinned_server() as server:
        how = "with hiredis" if HIREDIS_AVAILABLE else "without hiredis"
        row(f"starts and right checks, {how}", "a second", "of the floor's rate", "server CPU, us")
        row("---", "---", "---", "---")
        for workers in (1, 8):
            with ThreadPoolExecutor(workers) as threads:
                spread(f"{workers} threads", workers, server, threads)
        context = multiprocessing.get_context("forkserver")
        for workers in (1, 2, 3, 4):
            with ProcessPoolExecutor(workers, mp_context=context) as processes:
                spread(f"{workers} processes", workers, server, processes)
        for count in (1, 32, 256):
            with tasks(server.url, count) as made:
                measure(f"{count} tasks", server, made.floor, made.ours)
    again_with_hiredis("benchmarks.concurrency")


if __name__ == "__main__":
    main()
