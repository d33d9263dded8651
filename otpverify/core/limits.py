"""Limits over rolling windows, computed from an exact log of instants.

Instants are whole milliseconds. An event at `t` counts until `t + window`, exclusive, so no
half-open window of that length ever holds more than `count` events.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from otpverify.errors import ConfigurationError

SECOND = 1000
DAY_SECONDS = 86_400
LARGEST = 10**9
"""The largest count or number of seconds; stores rely on it for their records."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` events in any rolling window of `seconds`.

    Args:
        count: How many events are admitted; at least 1.
        seconds: The window's length in seconds; at least 1.

    Raises:
        ConfigurationError: Either is not a whole number of at least 1.
    """

    count: int
    seconds: int

    def __post_init__(self) -> None:
        require_whole("Limit.count", self.count, least=1, most=LARGEST)
        require_whole("Limit.seconds", self.seconds, least=1, most=LARGEST)

    @property
    def window(self) -> int:
        """The window's length in milliseconds."""
        return self.seconds * SECOND

    def admitted_in(self, days: float) -> int:
        """The most events that this limit admits in any period of `days` days."""
        return self.count * math.ceil(days * DAY_SECONDS / self.seconds)


def require_whole(name: str, value: object, *, least: int, most: int | None = None) -> None:
    """Raise `ConfigurationError` unless `value` is an `int` from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be a whole number of at least {least}.")
    if most is not None and value > most:
        raise ConfigurationError(f"{name} must be at most {most}.")


def wait(log: Iterable[int], limit: Limit, now: int) -> int:
    """Milliseconds until `limit` admits one more event; 0 if it admits one now."""
    recent = sorted(at for at in log if at > now - limit.window)
    if len(recent) < limit.count:
        return 0
    return recent[-limit.count] + limit.window - now


def left(log: Sequence[int], limits: Iterable[Limit], now: int) -> int | None:
    """How many more events every one of `limits` admits now; `None` without limits."""
    return min(
        (max(0, limit.count - sum(at > now - limit.window for at in log)) for limit in limits),
        default=None,
    )


def longest_window(limits: Iterable[Limit]) -> int:
    """The longest window in milliseconds; 0 without limits."""
    return max((limit.window for limit in limits), default=0)


def whole_seconds(milliseconds: int) -> int:
    """Whole seconds, rounded up, so that a caller who waits this long is admitted."""
    return -(-milliseconds // SECOND)
