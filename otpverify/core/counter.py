"""A counter that belongs to no phone, such as an IP network's, as pure transitions."""

from __future__ import annotations

from otpverify.core import limits
from otpverify.core.limits import Limit
from otpverify.core.logs import SPARE, horizon_of, widest
from otpverify.core.outcomes import Refusal, Refused, Reserved
from otpverify.core.state import CounterState, Horizon


def reserve(
    counter: CounterState | None, windows: tuple[Limit, ...], now: int
) -> tuple[Reserved | Refused, CounterState | None]:
    """Count one event, or refuse. As for a phone, no caller's windows make another's forget."""
    had = Horizon() if counter is None else counter.horizon
    log = tuple(at for at in counter.log if at > now - had.window) if counter else ()
    waits = [(limits.wait(log, limit, now), limit) for limit in windows]
    longest, limit = max(waits, key=lambda pair: pair[0])
    if longest:
        return Refused(Refusal.NETWORK, longest, limit), counter
    horizon = widest(had if log else Horizon(), horizon_of(*windows))
    at = now
    for one in log:
        if one == at:  # it names the event for `give_back`, which may be repeated
            at += 1
    log = tuple(sorted((*log, at))[-horizon.count - SPARE :])
    return Reserved(at), CounterState(log, horizon, at + horizon.window)


def give_back(counter: CounterState | None, at: int, now: int) -> CounterState | None:
    """Take one event out of a counter's log again, unless the log is full: it may have dropped
    an older one that would count in its place."""
    if counter is None or at not in counter.log:
        return counter
    recent = [one for one in counter.log if one > now - counter.horizon.window]
    if len(recent) >= counter.horizon.count + SPARE:
        return counter
    log = list(counter.log)
    log.remove(at)
    return CounterState(tuple(log), counter.horizon, counter.expires) if log else None
