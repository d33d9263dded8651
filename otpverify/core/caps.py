"""Caps on messages and money in all: rolling windows in buckets.

A busy site sends too much for a log of every message, so that a window is counted in `BUCKETS`
parts. A part counts until all of it is older than the window: never is more let through than the
cap in any window, and what was let through counts for up to 1/60 longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

BUCKETS = 60
LEVELS = (50, 80, 100)
"""The percentages of a cap that are reported when they are reached. All of it is reached as soon as
a further message of the same amount does not fit, which seldom comes out even."""


class Cap(NamedTuple):
    """At most `amount` in any window of so many milliseconds.

    Attributes:
        name: What it caps, such as `"total"` or `"spend"`.
        amount: Messages, or money.
        window: Milliseconds, at least `BUCKETS`.
    """

    name: str
    amount: float
    window: int


class Taken(NamedTuple):
    """It fits.

    Attributes:
        reached: The caps that reached levels with it, and which.
    """

    reached: tuple[tuple[Cap, int], ...] = ()


class Full(NamedTuple):
    """It does not fit.

    Attributes:
        cap: The cap that refuses: the one that does so for the longest time.
        retry_in: Milliseconds until it fits; `None` if it is more than the cap itself.
    """

    cap: Cap
    retry_in: int | None


Parts = tuple[tuple[int, float], ...]
"""What was taken in each part of a window that is not over: the part's number, and how much."""


def take(
    caps: Sequence[tuple[Cap, float]], windows: Sequence[Parts], now: int
) -> tuple[Taken | Full, tuple[Parts, ...]]:
    """Take an amount from each cap, or from none.

    Args:
        caps: The caps, and how much to take from each.
        windows: What was taken before, cap by cap.
        now: Milliseconds.
    """
    current = tuple(_live(parts, cap, now) for (cap, _), parts in zip(caps, windows, strict=True))
    full: Full | None = None
    for (cap, amount), parts in zip(caps, current, strict=True):
        if _sum(parts) + amount > cap.amount:
            wait = _wait(parts, cap, amount, now)
            if full is None or _longer(wait, full.retry_in):
                full = Full(cap, wait)
    if full is not None:
        return full, current
    reached = []
    new = []
    for (cap, amount), parts in zip(caps, current, strict=True):
        reached += [(cap, level) for level in _levels(cap, amount, _sum(parts))]
        new.append(_with(parts, _part(cap, now), amount))
    return Taken(tuple(reached)), tuple(new)


def give(
    caps: Sequence[tuple[Cap, float]], windows: Sequence[Parts], at: int, now: int
) -> tuple[Parts, ...]:
    """Give back what was taken at `at`, if it still counts."""
    new = []
    for (cap, amount), parts in zip(caps, windows, strict=True):
        live = _live(parts, cap, now)
        part = _part(cap, at)
        if any(number == part for number, _ in live):
            live = _with(live, part, -amount)
        new.append(live)
    return tuple(new)


def expires(parts: Parts, cap: Cap) -> int:
    """When the last of the parts counts no more."""
    return _ends(cap, parts[-1][0])


def _levels(cap: Cap, amount: float, before: float) -> list[int]:
    """The levels that an amount reaches. What comes next may be smaller, and fit again."""
    after = before + amount
    found = [level for level in LEVELS[:-1] if before < level / 100 * cap.amount <= after]
    return [*found, LEVELS[-1]] if after + amount > cap.amount else found


def _part(cap: Cap, at: int) -> int:
    return at * BUCKETS // cap.window


def _ends(cap: Cap, part: int) -> int:
    """When a part counts no more: the first instant at which all of it is older than the window."""
    return math.ceil((part + 1) * cap.window / BUCKETS) + cap.window


def _live(parts: Parts, cap: Cap, now: int) -> Parts:
    return tuple((part, amount) for part, amount in parts if _ends(cap, part) > now)


def _sum(parts: Parts) -> float:
    return math.fsum(amount for _, amount in parts)


def _with(parts: Parts, part: int, amount: float) -> Parts:
    found = dict(parts)
    found[part] = max(0.0, math.fsum((found.get(part, 0.0), amount)))
    return tuple(sorted((number, taken) for number, taken in found.items() if taken))


def _wait(parts: Parts, cap: Cap, amount: float, now: int) -> int | None:
    if amount > cap.amount:
        return None
    for position, (part, _) in enumerate(parts, 1):
        if _sum(parts[position:]) + amount <= cap.amount:
            return _ends(cap, part) - now
    return 0


def _longer(one: int | None, other: int | None) -> bool:
    return other is not None and (one is None or one > other)
