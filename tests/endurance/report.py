"""The tables that a run prints, and whether all of it held."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from endurance.faults import Fault
from endurance.judge import Judge
from endurance.machine import Memory
from endurance.worker import FRAUD, PRICE

RECOVERY_SECONDS = 20
"""How soon after a fault the rate must be half of what it was before. A worker that was killed
needs some of it to start."""
MOST_GROWTH = 0.05
SMALLEST_GROWTH_MIB = 4.0
"""A process's memory may grow by the larger of the two: Python's heap moves by as much."""
GATEWAY = "gateway (sandbox)"
GATEWAY_GROWTH_MIB = 20.0
"""The sandbox keeps 10,000 messages, with what it was asked and answered: some 2 KB each."""
LEARNT = frozenset(f"fraud policy: {kind}" for kind in ("known number", "prefix", "country"))
"""What a fraud policy keeps for days, and what does not grow with the traffic."""


@dataclass(slots=True)
class Outcome:
    """All that a run gave.

    Attributes:
        judge: What the judge counted.
        faults: What broke.
        memory: What processes took.
        seconds: How long the traffic lasted.
        kept: How many keys of what kind were left when all had expired; `None` if that was not
            waited for.
        for_ever: How many keys never expire.
        stuck: How many workers did not end.
        broken: What else was broken, in words.
    """

    judge: Judge
    faults: list[Fault]
    memory: Memory
    seconds: float
    kept: Counter[str] | None = None
    for_ever: int = 0
    stuck: int = 0


def write(outcome: Outcome) -> int:
    """Print all tables. Gives the exit code: 1 if anything was broken."""
    judge = outcome.judge
    broken = [f"{promise} ({row.broken})" for promise, row in judge.rows.items() if row.broken]
    _promises(judge)
    _traffic(outcome)
    broken += _fraud(judge)
    broken += _faults(outcome)
    broken += _memory(outcome.memory)
    broken += _keys(outcome)
    if outcome.stuck:
        broken.append(f"{outcome.stuck} workers did not end, or failed")
    _say("Broken: " + "; ".join(broken) if broken else "Every promise held.")
    return 1 if broken else 0


def _say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _table(*rows: tuple[object, ...]) -> None:
    head, *body = rows
    for row in (head, ("---",) * len(head), *body):
        _say("| " + " | ".join(str(cell) for cell in row) + " |")
    _say("")


def _promises(judge: Judge) -> None:
    rows = [
        (promise, f"{row.counted:,}", row.broken, row.lost) for promise, row in judge.rows.items()
    ]
    _table(("promise", "counted", "broken", "lost with a killed primary"), *rows)
    for promise, row in judge.rows.items():
        for example in row.examples:
            _say(f"broken: {promise}: {example}")


def _traffic(outcome: Outcome) -> None:
    judge, by_operation = outcome.judge, Counter[str]()
    for (operation, _), count in judge.outcomes.items():
        by_operation[operation] += count
    rows = []
    for operation, count in by_operation.most_common():
        found = Counter(
            {name: many for (of, name), many in judge.outcomes.items() if of == operation}
        )
        told = ", ".join(f"{name} {many:,}" for name, many in found.most_common())
        rows.append((operation, f"{count:,}", f"{count / outcome.seconds:.0f}", told))
    _table(("call", "how many", "a second", "outcomes"), *rows)
    _say(
        f"{outcome.seconds:.0f} seconds; the longest call took {judge.longest:.2f} seconds; "
        f"{judge.unknown} calls were under way when their process was killed."
    )
    _say("")


def _fraud(judge: Judge) -> list[str]:
    most = FRAUD.worst_case(price=PRICE, price_abroad=PRICE).country.first_day
    rows = []
    broken = []
    for store, count in sorted(judge.pumped.items()):
        rows.append((store, count, f"{count * PRICE}", f"{most}"))
        if count * PRICE > most:
            broken.append(f"pumping cost more than worst_case() on {store}")
    _table(("pumped country", "messages", "money", "at most, by worst_case()"), *rows)
    _say("With a fraud policy: " + ", ".join(f"{n} {c:,}" for n, c in judge.fraud.items()) + ".")
    _say("")
    return broken


def _faults(outcome: Outcome) -> list[str]:
    rows, broken = [], []
    for fault in outcome.faults:
        recovered = _recovery(outcome.judge, fault)
        told = "not seen" if recovered is None else f"{recovered}"
        rows.append((fault.name, fault.store or "all", f"{fault.ended - fault.begun:.1f}", told))
        if recovered is not None and recovered > RECOVERY_SECONDS:
            broken.append(f"{fault.name}: the rate came back after {recovered} seconds")
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, store, took, told in rows:
        grouped.setdefault((name, store), []).append((took, told))
    _table(
        ("fault", "servers", "times", "seconds, each", "seconds until half the rate was back"),
        *(
            (*key, len(seen), _range(one for one, _ in seen), _range(one for _, one in seen))
            for key, seen in grouped.items()
        ),
    )
    return broken


def _range(told: Iterable[str]) -> str:
    found = sorted(set(told), key=_number)
    return found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _number(text: str) -> float:
    return float(text) if text[0].isdigit() else float("inf")


def _recovery(judge: Judge, fault: Fault) -> int | None:
    """The whole seconds until the rate was half of what it was before; `None` if the traffic ended
    sooner, or had not begun."""
    names = {store for store, _ in judge.good if fault.store in ("", store)}
    last = max(second for _, second in judge.good)
    longest = 0
    for store in names:
        begun, ended = int(fault.begun), int(fault.ended)
        before = [judge.good[store, second] for second in range(begun - 4, begun)]
        usual = statistics.median(before)
        if not usual or ended + 1 >= last:
            return None
        found = (
            second - ended
            for second in range(ended, last)
            if judge.good[store, second] >= usual / 2
        )
        took = next(found, None)
        if took is None:
            return last - ended
        longest = max(longest, took)
    return longest


def _memory(memory: Memory) -> list[str]:
    rows, broken = [], []
    for name in memory.seen:
        seen = memory.growth(name)
        if seen is None:
            continue
        middle, end = seen
        rows.append((name, f"{middle:.1f}", f"{end:.1f}", f"{100 * (end / middle - 1):+.1f}%"))
        least = GATEWAY_GROWTH_MIB if name == GATEWAY else SMALLEST_GROWTH_MIB
        if end - middle > max(least, MOST_GROWTH * middle):
            broken.append(f"the memory of {name} grew from {middle:.1f} to {end:.1f} MiB")
    _table(("memory of", "MiB, middle fifth", "MiB, last fifth", "growth"), *rows)
    return broken


def _keys(outcome: Outcome) -> list[str]:
    broken = []
    if outcome.for_ever:
        broken.append(f"{outcome.for_ever} keys never expire")
    if outcome.kept is None:
        return broken
    rows = [(kind, count) for kind, count in sorted(outcome.kept.items())] or [("none", 0)]
    _table(("keys when all has expired", "how many"), *rows)
    left = sum(count for kind, count in outcome.kept.items() if kind not in LEARNT)
    if left:
        broken.append(f"{left} keys were left")
    return broken
