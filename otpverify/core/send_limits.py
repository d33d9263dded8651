"""Cooldown, send limits and both limits on wrong codes of a phone, and all other counters.

A phone's history holds its sends and failures. Verifiers with different policies may share one:
it reaches as far back as the longest window of any policy that wrote to it (its retention), so
that no policy makes another forget. The retention ends with the last event in the history.

Wrong codes are counted twice. The failure budget is a rolling window, which bounds guesses over
time: a right code gives none of it back, since its owner's logins would give a guesser more.
The failure streak counts wrong codes in a row, and a right code ends it (NIST SP 800-63B-4,
3.2.2); a new code does not (3.1.3.2).

The mirror of this file in Lua is `stores/redis/lua/`: `wait`, `log`, `sends`, `unsend`, `reserve`
and `give_back`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from otpverify.core import limits
from otpverify.core.answers import Refusal, Refused, Reserved
from otpverify.core.keys import Key
from otpverify.core.limits import DAY_SECONDS, SECOND, Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import CounterState, Failure, FailureStreak, PhoneState, Retention, Send

_Event = TypeVar("_Event", Send, Failure)

SPARE = 100
"""How many events a log holds beyond the largest count of any limit. Limits look at the newest
events only, as many as they count; the rest is there for sends that are given back."""
_LONGEST_TTL = DAY_SECONDS * SECOND


def retention_of(*looked: Limit, cooldown: int = 0) -> Retention:
    """How far back these limits look, and a cooldown of so many milliseconds."""
    count = max((limit.count for limit in looked), default=1)
    return Retention(max(limits.longest_window(looked), cooldown), count)


def policy_retention(policy: Policy) -> Retention:
    """How far back a policy looks into a phone's logs."""
    failures = (policy.failures_per_phone,) if policy.failures_per_phone else ()
    return retention_of(*policy.sends_per_phone, *failures, cooldown=policy.cooldown)


def widest(one: Retention, other: Retention) -> Retention:
    """The retention that takes in both."""
    return Retention(max(one.window, other.window), max(one.count, other.count))


def recent(phone: PhoneState, now: int) -> PhoneState:
    """The phone with what its retention still covers; with nothing left, the retention ends. A
    streak has a window of its own."""
    streaks = tuple(streak for streak in phone.streaks if streak.ends > now)
    begin = now - phone.retention.window
    sends = tuple(send for send in phone.sends if send.at > begin)
    failures = tuple(failure for failure in phone.failures if failure.at > begin)
    if not sends and not failures:
        return PhoneState(expires=phone.expires, streaks=streaks)
    return replace(phone, sends=sends, failures=failures, streaks=streaks)


def remember(
    phone: PhoneState,
    policy: Policy,
    *,
    until: int,
    sent: tuple[Send, ...] = (),
    failed: tuple[Failure, ...] = (),
) -> PhoneState:
    """The phone with one more event, if any limit will ever look at it; to be kept for as long
    as one does, and as there are challenges whose failures it may have to take."""
    retention = widest(phone.retention, policy_retention(policy))
    for failure in failed:
        phone = _longer_streak(phone, failure, policy)
    expires = max([phone.expires, until, *(streak.ends for streak in phone.streaks)])
    if not retention.window:
        return PhoneState(expires=expires, streaks=phone.streaks)
    events: tuple[Send | Failure, ...] = (*sent, *failed)
    return PhoneState(
        _newest((*phone.sends, *sent), retention),
        _newest((*phone.failures, *failed), retention),
        retention,
        max(expires, *(event.at + retention.window for event in events)),
        phone.streaks,
    )


def streak_of(phone: PhoneState, scope: str) -> FailureStreak | None:
    """The wrong codes in a row for this scope, if there are any."""
    return next((streak for streak in phone.streaks if streak.scope == scope), None)


def without_streak(phone: PhoneState, scope: str, now: int) -> PhoneState:
    """The phone after a right code for this scope."""
    streak = streak_of(phone, scope)
    if streak is None:
        return phone
    return _sooner(
        replace(phone, streaks=tuple(other for other in phone.streaks if other is not streak)), now
    )


def answered(phone: PhoneState, key: Key) -> PhoneState:
    """The phone after a right code for this challenge: the cooldown that the challenge's own sends
    caused is over. They still count for the limits on sends, and other challenges' sends keep their
    cooldown.

    A concealed challenge's cooldown stays: a stranger who sees one end early would know that a code
    was sent, and so that there is an account.
    """
    if not any(_is_answered(send, key) for send in phone.sends):
        return phone
    sends = (
        replace(send, answered=True) if _is_answered(send, key) else send for send in phone.sends
    )
    return replace(phone, sends=tuple(sends))


def _is_answered(send: Send, key: Key) -> bool:
    return send.challenge == key.challenge and not send.concealed


def without_events(phone: PhoneState, scope: str | None, now: int) -> PhoneState:
    """The phone without what was sent and entered for this scope, or for all."""
    if scope is None:
        return _sooner(PhoneState(expires=phone.expires), now)
    phone = replace(
        phone,
        sends=tuple(send for send in phone.sends if send.scope != scope),
        failures=tuple(failure for failure in phone.failures if failure.scope != scope),
        streaks=tuple(streak for streak in phone.streaks if streak.scope != scope),
    )
    return _sooner(recent(phone, now), now)


def _sooner(phone: PhoneState, now: int) -> PhoneState:
    """The phone after something was removed from it, with the earliest possible expiry."""
    window = phone.retention.window
    ends = [send.at + window for send in phone.sends]
    ends += [failure.at + window for failure in phone.failures]
    # No challenge whose failures it may have to take lives longer than a day.
    needed = max([now + _LONGEST_TTL, *ends, *(streak.ends for streak in phone.streaks)])
    return replace(phone, expires=min(phone.expires, needed))


def _longer_streak(phone: PhoneState, failure: Failure, policy: Policy) -> PhoneState:
    """The phone with one more wrong code in a row. A policy without a limit begins no streak; the
    one that another policy began goes on."""
    limit, streak = policy.consecutive_failures, streak_of(phone, failure.scope)
    if limit is None and streak is None:
        return phone
    count, at, window = (streak.count, streak.at, streak.window) if streak else (0, 0, 0)
    longer = FailureStreak(
        failure.scope,
        count + 1,
        max(at, failure.at),
        max(window, limit.window if limit else 0),
    )
    others = (other for other in phone.streaks if other is not streak)
    return replace(phone, streaks=(*others, longer))


def find(phone: PhoneState, key: Key, at: int) -> Send | None:
    """The challenge's send that was reserved at `at`."""
    return next((s for s in phone.sends if (s.at, s.challenge) == (at, key.challenge)), None)


def mark(phone: PhoneState, sent: Send, status: DeliveryStatus) -> PhoneState:
    """The phone with that send's status."""
    return _exchange(phone, sent, replace(sent, status=status))


def without_send(phone: PhoneState, sent: Send | None) -> PhoneState:
    """The phone without that send. A log that is full may have dropped an older one that would
    count in its place; there the send stays."""
    if sent is None:
        return phone
    of_scope = sum(_log_of(send) == _log_of(sent) for send in phone.sends)
    if of_scope >= phone.retention.count + SPARE:
        return phone
    return _exchange(phone, sent)


def refusal(
    phone: PhoneState, scope: str, policy: Policy, now: int, *, concealed: bool
) -> Refused | None:
    """The longest wait among all that refuse, so that a caller who waits for it is admitted.

    Concealed sends are counted apart, so that strangers' requests neither show what the owner was
    sent, nor use it up. Wrong codes are counted together: a guesser gets one budget.
    """
    waits: list[tuple[int, Refusal, Limit | None]] = []
    counted = [send for send in phone.sends if send.concealed == concealed]
    if policy.resend_cooldown_seconds:
        cooldown_in = cooldown_wait(phone, scope, policy, now, concealed=concealed)
        cooldown = Limit(1, policy.resend_cooldown_seconds)
        waits.append((cooldown_in, Refusal.COOLDOWN, cooldown))
    sends = [send.at for send in counted]
    waits += [
        (limits.wait(sends, limit, now), Refusal.SENDS, limit) for limit in policy.sends_per_phone
    ]
    if policy.failures_per_phone is not None:
        budget_in = failures_wait(phone, scope, policy, now)
        waits.append((budget_in, Refusal.FAILURES, policy.failures_per_phone))
    streak_in = streak_wait(phone, scope, policy, now)
    waits.append((streak_in, Refusal.STREAK, policy.consecutive_failures))
    longest = max(waits, key=lambda wait: wait[0])
    if not longest[0]:
        return None
    return Refused(refusal=longest[1], retry_in=longest[0], limit=longest[2])


def cooldown_wait(
    phone: PhoneState, scope: str, policy: Policy, now: int, *, concealed: bool
) -> int:
    """Milliseconds until the cooldown of the scope's sends of that kind is over. A send whose code
    was entered causes none."""
    waits = (
        send.at + policy.cooldown - now
        for send in phone.sends
        if (send.scope, send.concealed, send.answered) == (scope, concealed, False)
    )
    return max([0, *waits])


def until_send(phone: PhoneState, scope: str, policy: Policy, now: int, *, concealed: bool) -> int:
    """Milliseconds until another send is admitted."""
    refused = refusal(phone, scope, policy, now, concealed=concealed)
    return refused.retry_in if refused else 0


def sends_left(phone: PhoneState, policy: Policy, now: int, *, concealed: bool) -> int | None:
    """How many more sends the limits admit; `None` when there is no limit."""
    counted = [send.at for send in phone.sends if send.concealed == concealed]
    return limits.left(counted, policy.sends_per_phone, now)


def failures_wait(phone: PhoneState, scope: str, policy: Policy, now: int) -> int:
    """Milliseconds until the failure budget admits one more wrong code."""
    if policy.failures_per_phone is None:
        return 0
    return limits.wait(_failures(phone, scope), policy.failures_per_phone, now)


def streak_wait(phone: PhoneState, scope: str, policy: Policy, now: int) -> int:
    """Milliseconds until the streak ends, if it is as long as the policy admits."""
    limit, streak = policy.consecutive_failures, streak_of(phone, scope)
    if limit is None or streak is None or streak.count < limit.count:
        return 0
    return max(0, streak.ends - now)


def failures_left(phone: PhoneState, scope: str, policy: Policy, now: int) -> int | None:
    """How many more wrong codes the failure budget and the streak admit; `None` without limits."""
    budget = (policy.failures_per_phone,) if policy.failures_per_phone else ()
    left = limits.left(_failures(phone, scope), budget, now)
    if policy.consecutive_failures is None:
        return left
    streak = streak_of(phone, scope)
    in_a_row = max(0, policy.consecutive_failures.count - (streak.count if streak else 0))
    return in_a_row if left is None else min(left, in_a_row)


def _failures(phone: PhoneState, scope: str) -> list[int]:
    return [failure.at for failure in phone.failures if failure.scope == scope]


def _exchange(phone: PhoneState, sent: Send, *by: Send) -> PhoneState:
    place = phone.sends.index(sent)
    return replace(phone, sends=(*phone.sends[:place], *by, *phone.sends[place + 1 :]))


def _newest(events: tuple[_Event, ...], retention: Retention) -> tuple[_Event, ...]:
    """For each scope, what a log holds at most; in order, even if the clock went back."""
    held: dict[tuple[str, bool], int] = {}
    kept = []
    for event in sorted(events, key=lambda event: event.at)[::-1]:
        log = _log_of(event)
        held[log] = held.get(log, 0) + 1
        if held[log] <= retention.count + SPARE:
            kept.append(event)
    return tuple(kept[::-1])


def reserve(
    counter: CounterState | None, windows: tuple[Limit, ...], now: int
) -> tuple[Reserved | Refused, CounterState | None]:
    """Count one event, or refuse. As for a phone, no caller's windows make another's forget."""
    had = Retention() if counter is None else counter.retention
    log = tuple(at for at in counter.log if at > now - had.window) if counter else ()
    waits = [(limits.wait(log, limit, now), limit) for limit in windows]
    longest, limit = max(waits, key=lambda pair: pair[0])
    if longest:
        return Refused(Refusal.NETWORK, longest, limit), counter
    retention = widest(had if log else Retention(), retention_of(*windows))
    at = now
    for one in log:
        if one == at:  # it names the event for `give_back`, which may be repeated
            at += 1
    log = tuple(sorted((*log, at))[-retention.count - SPARE :])
    return Reserved(at), CounterState(log, retention, at + retention.window)


def give_back(counter: CounterState | None, at: int, now: int) -> CounterState | None:
    """Take one event out of a counter's log again, unless the log is full: it may have dropped
    an older one that would count in its place."""
    if counter is None or at not in counter.log:
        return counter
    recent = [one for one in counter.log if one > now - counter.retention.window]
    if len(recent) >= counter.retention.count + SPARE:
        return counter
    log = list(counter.log)
    log.remove(at)
    return CounterState(tuple(log), counter.retention, counter.expires) if log else None


def _log_of(event: Send | Failure) -> tuple[str, bool]:
    """The scope, and whether the event is concealed."""
    return event.scope, isinstance(event, Send) and event.concealed
