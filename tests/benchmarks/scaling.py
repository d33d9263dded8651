"""Past one server: the same starts and checks on one server, a Sentinel group and a cluster of
three nodes, with and without a fraud policy; what a shard's processor and memory take; what moving
slots does to calls under way; and, from these figures, what 100 to 1,000,000 verifications a second
need. Everything runs on this machine, so the rates are those of its cores; the server's time is
what counts."""

from __future__ import annotations

import argparse
import math
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from endurance.deployments import FRAUD_SLOT, Deployment, ThreeNodes, deployed

from benchmarks.common import POLICY, SECRET, NoOpSender, phone, row, server_cpu
from otpverify import FraudPolicy, HmacHasher, OtpVerifyError, RedisStore, Verifier
from otpverify.gateways.smspm.prices import published_prices

WORKERS = 3
ROUNDS = 3
NAMES = ("single", "sentinel", "cluster")
RATES = (100, 10_000, 1_000_000)
HALF_A_CORE = 500_000
"""Microseconds a second: a server's core stays half idle."""
GIB = 1 << 30
SHARD_GIB = 16
"""What one shard may hold, so that it can be copied to a replica within minutes."""
HOUR = 3600
_numbers = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a start and its right check cost, on average.

    Attributes:
        rate: How many there were a second.
        all_shards: Microseconds of processor time, of all primaries together.
        busiest: The same of the busiest of them.
        scripts: Microseconds in scripts, of all primaries together.
        replica: Microseconds of the replicas.
        pending: Bytes of a challenge whose code was not entered, its phone included.
        done: Bytes of one whose code was entered.
    """

    rate: float
    all_shards: float
    busiest: float
    scripts: float
    replica: float
    pending: float
    done: float


def verifier_on(url: str, fraud: bool) -> tuple[Verifier, NoOpSender]:
    """A verifier, and the sender that remembers its last code."""
    sender = NoOpSender()
    policy = FraudPolicy(mode="observe") if fraud else None
    store = RedisStore.from_url(url)
    return Verifier(
        sender, store=store, secret=SECRET, hasher=HmacHasher(), policy=POLICY, fraud=policy
    ), sender


def pairs(url: str, fraud: bool, first: int, count: int, check: bool) -> None:
    """Start and check, one after the other."""
    verifier, sender = verifier_on(url, fraud)
    for number in range(first, first + count):
        to = phone(number)
        challenge = verifier.start(to)
        if check:
            verifier.check(to, sender.code, challenge=challenge.id)


def timed(url: str, fraud: bool, first: int, going: Path) -> list[tuple[float, float, str]]:
    """Start and check for as long as that file is there. Gives when each call began, its seconds,
    and its error."""
    verifier, sender = verifier_on(url, fraud)
    seen = []

    def call(make: Callable[[], Any]) -> Any:
        begun, error, found = time.monotonic(), "", None
        try:
            found = make()
        except OtpVerifyError as raised:
            error = type(raised).__name__
        seen.append((begun, time.monotonic() - begun, error))
        return found

    while going.exists():
        to, first = phone(first), first + 1
        challenge = call(lambda to=to: verifier.start(to))  # type: ignore[misc]  # mypy cannot infer a default's type
        if challenge is not None:
            call(lambda to=to, of=challenge.id: verifier.check(to, sender.code, challenge=of))  # type: ignore[misc]  # the same
    return seen


def fresh(count: int) -> int:
    """The first of so many numbers that were not used."""
    global _numbers
    _numbers += count
    return _numbers - count


def spread(pool: ProcessPoolExecutor, url: str, fraud: bool, count: int, check: bool) -> float:
    """Make so many pairs, or starts, by all workers. Gives the seconds."""
    share = count // WORKERS
    begun = time.perf_counter()
    running: list[Future[None]] = [
        pool.submit(pairs, url, fraud, fresh(share), share, check) for _ in range(WORKERS)
    ]
    for one in running:
        one.result()
    return time.perf_counter() - begun


def memory_used(client: Any) -> int:
    """A server's bytes, without the buffers of its clients and replicas."""
    told = client.info("memory")
    buffers = ("mem_clients_normal", "mem_clients_slaves", "mem_replication_backlog")
    return int(told["used_memory"]) - sum(int(told[name]) for name in buffers)


def looked(deployment: Deployment) -> list[tuple[bool, float, float, int]]:
    """Of each server: whether it is a primary, its seconds of processor time, its microseconds in
    scripts, and its bytes."""
    found = []
    for server in deployment.servers:
        with server.client() as client:
            stats = client.info("commandstats").get("cmdstat_evalsha", {})
            used = memory_used(client)
            primary = server in deployment.primaries
            found.append((primary, server_cpu(client), float(stats.get("usec", 0)), used))
    return found


def cost(deployment: Deployment, pool: ProcessPoolExecutor, fraud: bool, count: int) -> Cost:
    """Measure a deployment."""
    spread(pool, deployment.url, fraud, 300, check=True)  # connects, and loads scripts
    empty = looked(deployment)
    spread(pool, deployment.url, fraud, count, check=False)
    before = looked(deployment)
    rounds = []
    for _ in range(ROUNDS):
        was = looked(deployment)
        seconds = spread(pool, deployment.url, fraud, count // ROUNDS, check=True)
        rounds.append((seconds, was, looked(deployment)))

    def delta(of: int, primary: bool, since: Any, to: Any) -> list[float]:
        each = zip(since, to, strict=True)
        return [now[of] - was[of] for was, now in each if now[0] is primary] or [0.0]

    made = count // ROUNDS // WORKERS * WORKERS
    # What the work takes when nobody else has the core: the least of the rounds.
    seconds, was, now = min(rounds, key=lambda one: sum(delta(1, True, one[1], one[2])))
    spent = [1e6 * one / made for one in delta(1, True, was, now)]
    entered = made * ROUNDS
    return Cost(
        rate=made / min(one[0] for one in rounds),
        all_shards=sum(spent),
        busiest=max(spent),
        scripts=sum(delta(2, True, was, now)) / made,
        replica=1e6 * sum(delta(1, False, was, now)) / made,
        pending=sum(delta(3, True, empty, before)) / (count // WORKERS * WORKERS),
        done=sum(delta(3, True, before, rounds[-1][2])) / entered,
    )


def moved(cluster: ThreeNodes, pool: ProcessPoolExecutor, slots: int, seconds: float) -> None:
    """Move slots under load, in each way, and print what calls met."""
    for client in cluster.cluster.clients:
        client.flushall()
    some = cluster.some_slots(slots)
    ways: list[tuple[str, bool, Callable[[], object]]] = [
        ("nothing moves", False, lambda: time.sleep(seconds)),
        (f"{slots} slots, key by key", False, lambda: cluster.move(some)),
        (f"{slots} slots, MIGRATESLOTS", False, lambda: cluster.move_atomically(some)),
        ("nothing moves, fraud policy", True, lambda: time.sleep(seconds)),
        ("its slot, 100 keys at a time", True, lambda: cluster.move([FRAUD_SLOT])),
        ("its slot, MIGRATESLOTS", True, lambda: cluster.move_atomically([FRAUD_SLOT])),
    ]
    row(
        "what moves under load",
        "keys of a fraud policy",
        "seconds",
        "calls meanwhile",
        "median ms",
        "99% ms",
        "longest ms",
        "errors",
    )
    row(*["---"] * 8)
    for name, fraud, move in ways:
        with tempfile.NamedTemporaryFile() as file:
            going = Path(file.name)
            work = [pool.submit(timed, cluster.url, fraud, fresh(500_000), going) for _ in range(2)]
            time.sleep(seconds)
            keys = cluster.count(FRAUD_SLOT) if fraud else 0
            begun = time.monotonic()
            move()
            ended = time.monotonic()
            time.sleep(seconds / 2)
        calls = [call for one in work for call in one.result()]
        # What began a moment before it may have waited for it.
        met = [one for one in calls if one[0] + one[1] >= begun and one[0] <= ended]
        waits = sorted(1000 * took for _, took, _ in met)
        errors = Counter(error for _, _, error in met if error)
        told = ", ".join(f"{error} {many}" for error, many in errors.items()) or 0
        row(
            *(name, keys, f"{ended - begun:.2f}", len(met), f"{statistics.median(waits):.1f}"),
            *(f"{waits[int(len(waits) * 0.99)]:.1f}", f"{waits[-1]:.0f}", told),
        )


def needed(plain: Cost, fraud: Cost, charged: float) -> None:
    """What given rates need, by what was measured."""
    price = statistics.median(published_prices().per_segment.values())
    row(
        "verifications a second",
        "fraud policy",
        "shards by time",
        "shards by memory",
        "GiB",
        "messages, EUR an hour",
    )
    row(*["---"] * 6)
    for rate in RATES:
        for name, found in (("no", plain), ("yes", fraud)):
            shards = math.ceil(rate * found.all_shards / HALF_A_CORE)
            held = rate * HOUR * found.done / GIB
            limit = HALF_A_CORE / charged
            if name == "yes" and rate > limit:
                groups = math.ceil(rate / limit)
                shards_told = f"one ends at {limit:,.0f} a second: {groups} stores, {shards} shards"
            else:
                shards_told = str(shards)
            row(
                *(f"{rate:,}", name, shards_told, math.ceil(held / SHARD_GIB), f"{held:,.1f}"),
                f"{Decimal(rate * HOUR) * price:,.0f}",
            )
    row("the median price of a segment", f"{price} EUR", "", "", "", "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scaling", description=__doc__)
    parser.add_argument("--pairs", type=int, default=9_000, help="starts and checks of each row")
    parser.add_argument("--slots", type=int, default=100, help="how many slots move")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each phase of a move")
    given = parser.parse_args()
    costs: dict[tuple[str, bool], Cost] = {}
    context = multiprocessing.get_context("forkserver")
    row(
        *("servers", "fraud policy", "pairs a second", "server us a pair", "busiest shard's us"),
        *("scripts us", "replica us", "bytes pending", "bytes entered"),
    )
    row(*["---"] * 9)
    for name in NAMES:
        with deployed(name) as deployment, ProcessPoolExecutor(WORKERS, context) as pool:
            for fraud in (False, True):
                seen = costs[name, fraud] = cost(deployment, pool, fraud, given.pairs)
                row(
                    *(name, "yes" if fraud else "no", f"{seen.rate:.0f}"),
                    *(f"{seen.all_shards:.0f}", f"{seen.busiest:.0f}", f"{seen.scripts:.1f}"),
                    *(f"{seen.replica:.0f}", f"{seen.pending:.0f}", f"{seen.done:.0f}"),
                )
            if isinstance(deployment, ThreeNodes):
                sys.stdout.write("\n")
                moved(deployment, pool, given.slots, given.seconds)
    sys.stdout.write("\n")
    plain, fraud_cost = costs["cluster", False], costs["cluster", True]
    # A third of the phones lie on the fraud policy's shard, too.
    charged = fraud_cost.busiest - plain.all_shards / 3
    row("the fraud policy's own shard, us a pair", f"{charged:.0f}")
    needed(plain, fraud_cost, charged)


if __name__ == "__main__":
    main()
