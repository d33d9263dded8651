"""start and check to the floor, with both hashers: one thread, then one task, in interleaved
rounds; server time and round trips from INFO commandstats; the CPU share of Argon2. All of it
without hiredis, and with it where `make bench` put it."""

from __future__ import annotations

import asyncio
import resource
import statistics
from collections.abc import Callable
from typing import Any

import redis.asyncio
from redis.utils import HIREDIS_AVAILABLE

from benchmarks.common import (
    FLOOR,
    POLICY,
    SECRET,
    NoOpSender,
    RawSocket,
    again_with_hiredis,
    best,
    floor,
    microseconds,
    phone,
    pinned_server,
    row,
)
from otpverify import (
    Argon2Hasher,
    AsyncRedisStore,
    AsyncVerifier,
    Challenge,
    Hasher,
    HmacHasher,
    RedisStore,
    Verifier,
)
from otpverify.core.keys import Keyring, Subject

ROUNDS = 9
SHORT_ROUNDS, SHORT = 40, 100
CALLS = {HmacHasher: 1_500, Argon2Hasher: 20}
TARGETS = {"start": "1.9", "check": "1.4"}


class Visit:
    """Starts and right checks of one verifier, a number for each."""

    def __init__(self, verifier: Any, sender: NoOpSender) -> None:
        self.verifier, self.sender = verifier, sender
        self.pending: list[tuple[str, str, str]] = []

    def start(self, count: int) -> None:
        for number in range(count):
            self.keep(self.verifier.start(phone(number)))

    def check(self, count: int) -> None:
        for to, challenge, code in self.pending[:count]:
            self.verifier.check(to, code, challenge=challenge)

    def keep(self, challenge: Challenge) -> None:
        self.pending.append((challenge.phone, challenge.id, self.sender.code))


class AsyncVisit(Visit):
    """The same in one task, one call after the other."""

    def __init__(self, verifier: Any, sender: NoOpSender, runner: asyncio.Runner) -> None:
        super().__init__(verifier, sender)
        self.runner = runner

    def start(self, count: int) -> None:
        self.runner.run(self._start(count))

    def check(self, count: int) -> None:
        self.runner.run(self._check(count))

    async def _start(self, count: int) -> None:
        for number in range(count):
            self.keep(await self.verifier.start(phone(number)))

    async def _check(self, count: int) -> None:
        for to, challenge, code in self.pending[:count]:
            await self.verifier.check(to, code, challenge=challenge)


def timed(calls: Callable[[int], object], count: int) -> float:
    """Microseconds of one call, over `count` of them, which `calls` makes."""
    return microseconds(lambda _: calls(count), 1) / count


def commands(client: Any) -> tuple[int, float]:
    """How many scripts ran since the last reset, and microseconds of server time for each."""
    found = client.info("commandstats")
    calls = sum(found.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))
    spent = sum(found.get(f"cmdstat_{name}", {}).get("usec", 0) for name in ("evalsha", "eval"))
    return calls, spent / max(1, calls)


def measure(
    client: Any, mode: str, visit: Visit, hasher: Hasher, bare: Callable[[], float]
) -> None:
    """Print the rows of one verifier."""
    count = CALLS[type(hasher)]
    samples: dict[str, list[float]] = {"floor": [], "start": [], "check": []}
    served: dict[str, list[float]] = {"floor": [], "start": [], "check": []}
    trips = {"floor": 1.0}
    for _ in range(ROUNDS):
        client.flushall()
        visit.pending.clear()
        visit.start(1)  # loads the scripts, and connects
        visit.check(1)
        client.flushall()
        visit.pending.clear()
        client.config_resetstat()
        samples["floor"].append(bare())
        served["floor"].append(commands(client)[1])
        for name, call in (("start", visit.start), ("check", visit.check)):
            client.config_resetstat()
            samples[name].append(timed(call, count))
            calls, spent = commands(client)
            trips[name] = calls / count
            served[name].append(spent)
    floor_us = best(samples["floor"])
    for name in ("floor", "start", "check"):
        took = best(samples[name])
        label = f"{mode}, {type(hasher).__name__}, {name}"
        target = f" (at most {TARGETS[name]})" if name in TARGETS and count > 100 else ""
        row(
            label + target,
            f"{took:.0f}",
            f"{took / floor_us:.2f}",
            f"{trips[name]:.0f}",
            f"{best(served[name]):.1f}",
        )
    pair = best([a + b for a, b in zip(samples["start"], samples["check"], strict=True)])
    row(f"{mode}, the pair's rate to the floor's", "", f"{floor_us / pair:.2f}", "", "")


def pair(client: Any, url: str) -> None:
    """The pair in short rounds beside both floors: the machine's speed varies, ratios less."""
    sender, store, raw = NoOpSender(), RedisStore.from_url(url), RawSocket(client)
    verifier = Verifier(sender, store=store, secret=SECRET, hasher=HmacHasher(), policy=POLICY)
    visit = Visit(verifier, sender)
    to_raw, to_client = [], []
    for _ in range(SHORT_ROUNDS):
        client.flushall()
        visit.pending.clear()
        took = timed(visit.start, SHORT) + timed(visit.check, SHORT)
        to_raw.append(2 * raw.floor(SHORT) / took)
        to_client.append(floor(client, SHORT) / took)
    for label, ratios in (
        ("the pair's rate to that of two raw-socket round trips (at least 0.42)", to_raw),
        ("the pair's rate to redis-py's of one command (at least 0.36)", to_client),
    ):
        row(label, "", f"{statistics.median(ratios):.2f}", "", "")
    raw.close()
    store.close()


def threads(client: Any, url: str, hasher: Hasher) -> None:
    sender, store = NoOpSender(), RedisStore.from_url(url)
    verifier = Verifier(sender, store=store, secret=SECRET, hasher=hasher, policy=POLICY)
    measure(
        client, "sync", Visit(verifier, sender), hasher, lambda: floor(client, CALLS[HmacHasher])
    )
    store.close()


def tasks(client: Any, url: str, hasher: Hasher) -> None:
    with asyncio.Runner() as runner:
        sender, store = NoOpSender(), AsyncRedisStore.from_url(url)
        verifier = AsyncVerifier(
            AsyncNoOp(sender), store=store, secret=SECRET, hasher=hasher, policy=POLICY
        )
        bare = redis.asyncio.Redis.from_url(url)
        digest = client.script_load(FLOOR)

        async def calls(count: int) -> None:
            for _ in range(count):
                await bare.evalsha(digest, 1, "key")

        def async_floor() -> float:
            return timed(lambda count: runner.run(calls(count)), CALLS[HmacHasher])

        measure(client, "async", AsyncVisit(verifier, sender, runner), hasher, async_floor)
        runner.run(bare.aclose())
        runner.run(store.aclose())


class AsyncNoOp:
    """`NoOpSender`, awaitable."""

    def __init__(self, sender: NoOpSender) -> None:
        self.sender = sender

    async def send(self, message: Any) -> Any:
        return self.sender.send(message)


def argon(url: str) -> None:
    """How much of a check's CPU time is Argon2."""
    sender, hasher = NoOpSender(), Argon2Hasher()
    store = RedisStore.from_url(url)
    verifier = Verifier(sender, store=store, secret=SECRET, hasher=hasher, policy=POLICY)
    checks = []
    for number in range(60):
        challenge = verifier.start(phone(3_000_000 + number))
        checks.append((challenge.phone, challenge.id, sender.code))
    secret = Keyring([SECRET.encode()]).signing
    whole = alone = 0.0
    for to, challenge_id, code in checks:
        subject = Subject(secret, to, "verify", challenge_id)
        began = resource.getrusage(resource.RUSAGE_SELF)
        hasher.digest(secret.value, subject.code_message(code), subject.code_salt)
        alone += cpu_since(began)
        began = resource.getrusage(resource.RUSAGE_SELF)
        verifier.check(to, code, challenge=challenge_id)
        whole += cpu_since(began)
    row(
        "check, Argon2Hasher: its CPU that is Argon2 (at least 95%)",
        "",
        f"{alone / whole:.1%}",
        "",
        "",
    )
    store.close()


def cpu_since(began: resource.struct_rusage) -> float:
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime - began.ru_utime - began.ru_stime


def main() -> None:
    with pinned_server() as server:
        client = server.client()
        how = "with hiredis" if HIREDIS_AVAILABLE else "without hiredis"
        row(f"operation, {how}", "time, us", "to the floor", "round trips", "server time, us")
        row("---", "---", "---", "---", "---")
        pair(client, server.url)
        for hasher in (HmacHasher(), Argon2Hasher()):
            threads(client, server.url, hasher)
            tasks(client, server.url, hasher)
        argon(server.url)
    again_with_hiredis("benchmarks.operations")


if __name__ == "__main__":
    main()
