"""What breaks while the traffic lasts: a list of faults, one after the other, again and again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from endurance import gateway
from endurance.deployments import FRAUD_SLOT, SentinelGroup, ThreeNodes

_SOME_SLOTS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that broke.

    Attributes:
        name: What it was.
        store: The servers that it concerned; empty for all.
        begun: When it began.
        ended: When it was over.
        loses: Whether the servers may have lost their last writes.
    """

    name: str
    store: str
    begun: float
    ended: float
    loses: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One kind of fault.

    Attributes:
        name: What it is.
        store: The servers that it concerns; empty for all.
        make: Begins it, and returns when it is over; it may return the time of that.
        loses: Whether the servers may lose their last writes.
    """

    name: str
    store: str
    make: Callable[[], float | None]
    loses: bool = False


def plans(
    sentinel: SentinelGroup,
    cluster: ThreeNodes,
    gateway_mode: Callable[[str], Any],
    kill_worker: Callable[[str], Any],
    seconds: float,
) -> list[Plan]:
    """Every kind of fault, in the order in which they come.

    Args:
        sentinel: The Sentinel group.
        cluster: The cluster.
        gateway_mode: Sets the gateway's mode.
        kill_worker: Kills a worker of the store of that name, and starts another one.
        seconds: How long the gateway's faults last.
    """

    def gateway_is(mode: str) -> Callable[[], None]:
        def broken() -> None:
            gateway_mode(mode)
            time.sleep(seconds)
            gateway_mode(gateway.WELL)

        return broken

    def primary_killed() -> float:
        sentinel.kill_primary()
        return sentinel.recovered

    return [
        Plan("gateway is slow", "", gateway_is(gateway.SLOW)),
        Plan("primary is killed", sentinel.name, primary_killed, loses=True),
        Plan("slots move", cluster.name, lambda: cluster.move(cluster.some_slots(_SOME_SLOTS))),
        Plan("gateway fails", "", gateway_is(gateway.FAILING)),
        Plan("worker is killed", sentinel.name, lambda: kill_worker(sentinel.name)),
        Plan("failover, coordinated", sentinel.name, sentinel.fail_over_coordinated),
        Plan("fraud policy's slot moves", cluster.name, lambda: cluster.move([FRAUD_SLOT])),
        Plan("gateway cuts connections", "", gateway_is(gateway.CUTTING)),
        Plan("worker is killed", cluster.name, lambda: kill_worker(cluster.name)),
        Plan(
            "slots move, atomically",
            cluster.name,
            lambda: cluster.move_atomically([*cluster.some_slots(_SOME_SLOTS), FRAUD_SLOT]),
        ),
    ]


def happen(plans: Iterable[Plan], until: float, rest_seconds: float) -> list[Fault]:
    """Let them happen in turn, with a rest after each, until that time."""
    seen: list[Fault] = []
    for plan in itertools.cycle(plans):
        if time.monotonic() + 2 * rest_seconds > until:
            return seen
        begun = time.monotonic()
        ended = plan.make() or time.monotonic()
        seen.append(Fault(plan.name, plan.store, begun, ended, plan.loses))
        time.sleep(rest_seconds)
    return seen
