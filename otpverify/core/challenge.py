"""The life of a challenge, as pure transitions: state in, answer and new state out.

Every store does exactly this. `MemoryStore` is a lock around these functions; a store that
does it elsewhere (in a script, in SQL) is tested against them.
"""

from __future__ import annotations

import hmac
from dataclasses import replace

from otpverify.core import limits
from otpverify.core.limits import Limit
from otpverify.core.outcomes import Checked, Opened, Refusal, Refused, Reserved, Standing, Verdict
from otpverify.core.policy import Policy
from otpverify.core.state import (
    ChallengeState,
    CounterState,
    LiveCode,
    Opening,
    PhoneState,
    Stamp,
)


def open_(
    phone: PhoneState,
    challenge: ChallengeState | None,
    scope: str,
    opening: Opening,
    policy: Policy,
    now: int,
) -> tuple[Opened | Refused, PhoneState, ChallengeState | None]:
    """Reserve a send and put a code in place, or refuse and change nothing."""
    challenge = _alive(challenge, now)
    if opening.new:
        base = ChallengeState(codes=(), decoy=opening.decoy)
    elif challenge is None:
        return Refused(Refusal.GONE), phone, None
    elif challenge.attempts >= policy.max_attempts:
        refused = Refused(Refusal.ATTEMPTS, _until_send(phone, scope, policy, now))
        return refused, phone, challenge
    else:
        base = challenge
    refusal = _refusal(phone, scope, policy, now)
    if refusal is not None:
        return refusal, phone, challenge
    code = LiveCode(opening.digest, now + policy.ttl)
    challenge = replace(base, codes=(*(c for c in base.codes if c.expires > now), code))
    sent = replace(phone, sends=(*phone.sends, Stamp(now, scope)))
    phone = _remember(sent, policy, now, until=challenge.expires)
    return Opened(now, _standing(phone, challenge, scope, policy, now)), phone, challenge


def peek(
    phone: PhoneState, challenge: ChallengeState | None, scope: str, policy: Policy, now: int
) -> Checked:
    """Whether a code may be compared at all."""
    challenge = _alive(challenge, now)
    if challenge is None:
        return Checked(Verdict.GONE)
    if challenge.attempts >= policy.max_attempts:
        return Checked(Verdict.EXHAUSTED, retry_in=_until_send(phone, scope, policy, now))
    if _failures_wait(phone, scope, policy, now):
        return Checked(Verdict.EXHAUSTED, retry_in=_until_send(phone, scope, policy, now))
    return Checked(Verdict.PENDING)


def check(
    phone: PhoneState,
    challenge: ChallengeState | None,
    scope: str,
    digest: bytes,
    policy: Policy,
    now: int,
) -> tuple[Checked, PhoneState, ChallengeState | None]:
    """Count an attempt, compare, and consume the challenge when the code is right."""
    answer = peek(phone, challenge, scope, policy, now)
    challenge = _alive(challenge, now)
    if answer.verdict is not Verdict.PENDING or challenge is None:
        return answer, phone, challenge
    # All of them are compared whatever the first says: the time tells nothing.
    live = [c for c in challenge.codes if c.expires > now][-policy.live_codes :]
    matches = [hmac.compare_digest(code.digest, digest) for code in live]
    if any(matches) and not challenge.decoy:
        return Checked(Verdict.ACCEPTED), phone, None
    challenge = replace(challenge, attempts=challenge.attempts + 1)
    if policy.failures_per_phone is not None:
        failed = replace(phone, failures=(*phone.failures, Stamp(now, scope)))
        phone = _remember(failed, policy, now, until=challenge.expires)
    attempts_left = _attempts_left(phone, challenge, scope, policy, now)
    return Checked(Verdict.WRONG, attempts_left=attempts_left), phone, challenge


def release(
    phone: PhoneState,
    challenge: ChallengeState | None,
    scope: str,
    at: int,
    undelivered: bytes | None,
    policy: Policy,
    now: int,
) -> tuple[Standing | None, PhoneState, ChallengeState | None]:
    """Give the send reserved at `at` back; void its code when `undelivered` names its digest.

    A challenge that was used or cancelled meanwhile stays gone.
    """
    sends = list(phone.sends)
    if Stamp(at, scope) in sends:
        sends.remove(Stamp(at, scope))
        phone = replace(phone, sends=tuple(sends))
    challenge = _alive(challenge, now)
    if challenge is not None and undelivered is not None:
        void = LiveCode(undelivered, at + policy.ttl)
        codes = tuple(code for code in challenge.codes if code != void)
        challenge = _alive(replace(challenge, codes=codes), now)
    if challenge is None:
        return None, phone, None
    return _standing(phone, challenge, scope, policy, now), phone, challenge


def reserve(
    counter: CounterState | None, windows: tuple[Limit, ...], now: int
) -> tuple[Reserved | Refused, CounterState | None]:
    """Count one event of a counter that belongs to no phone, or refuse."""
    log = counter.log if counter else ()
    waits = [(limits.wait(log, limit, now), limit) for limit in windows]
    longest, limit = max(waits, key=lambda pair: pair[0])
    if longest:
        return Refused(Refusal.NETWORK, longest, limit), counter
    kept = limits.longest_window(windows)
    log = (*(at for at in log if at > now - kept), now)
    return Reserved(now), CounterState(log, now + kept)


def give_back(counter: CounterState | None, at: int) -> CounterState | None:
    """Take one event out of a counter's log again."""
    if counter is None or at not in counter.log:
        return counter
    log = list(counter.log)
    log.remove(at)
    return CounterState(tuple(log), counter.expires) if log else None


def _alive(challenge: ChallengeState | None, now: int) -> ChallengeState | None:
    if challenge is None or not any(code.expires > now for code in challenge.codes):
        return None
    return challenge


def _remember(phone: PhoneState, policy: Policy, now: int, *, until: int) -> PhoneState:
    """The phone's logs without what no limit looks at any more; to be kept for as long as one
    does, and as there are challenges whose failures they may have to take."""
    sends_window = max(limits.longest_window(policy.sends_per_phone), policy.cooldown)
    failures_window = policy.failures_per_phone.window if policy.failures_per_phone else 0
    sends = tuple(stamp for stamp in phone.sends if stamp.at > now - sends_window)
    failures = tuple(stamp for stamp in phone.failures if stamp.at > now - failures_window)
    ends = [stamp.at + sends_window for stamp in sends]
    ends += [stamp.at + failures_window for stamp in failures]
    return PhoneState(sends, failures, max(phone.expires, until, *ends))


def _sends_waits(
    phone: PhoneState, scope: str, policy: Policy, now: int
) -> list[tuple[int, Refusal, Limit]]:
    waits = []
    if policy.resend_cooldown_seconds:
        cooldown = Limit(1, policy.resend_cooldown_seconds)
        own = [stamp.at for stamp in phone.sends if stamp.scope == scope]
        waits.append((limits.wait(own, cooldown, now), Refusal.COOLDOWN, cooldown))
    sends = [stamp.at for stamp in phone.sends]
    waits += [
        (limits.wait(sends, limit, now), Refusal.SENDS, limit) for limit in policy.sends_per_phone
    ]
    return waits


def _refusal(phone: PhoneState, scope: str, policy: Policy, now: int) -> Refused | None:
    """The longest wait among all that refuse, so that whoever waits for it is admitted."""
    waits = _sends_waits(phone, scope, policy, now)
    if policy.failures_per_phone is not None:
        budget_in = _failures_wait(phone, scope, policy, now)
        waits.append((budget_in, Refusal.FAILURES, policy.failures_per_phone))
    longest = max(waits, key=lambda wait: wait[0], default=None)
    if longest is None or not longest[0]:
        return None
    return Refused(refusal=longest[1], retry_in=longest[0], limit=longest[2])


def _until_send(phone: PhoneState, scope: str, policy: Policy, now: int) -> int:
    refusal = _refusal(phone, scope, policy, now)
    return refusal.retry_in if refusal else 0


def _failures(phone: PhoneState, scope: str) -> list[int]:
    return [stamp.at for stamp in phone.failures if stamp.scope == scope]


def _failures_wait(phone: PhoneState, scope: str, policy: Policy, now: int) -> int:
    if policy.failures_per_phone is None:
        return 0
    return limits.wait(_failures(phone, scope), policy.failures_per_phone, now)


def _attempts_left(
    phone: PhoneState, challenge: ChallengeState, scope: str, policy: Policy, now: int
) -> int:
    own = max(0, policy.max_attempts - challenge.attempts)
    if policy.failures_per_phone is None:
        return own
    budget = limits.left(_failures(phone, scope), (policy.failures_per_phone,), now)
    return own if budget is None else min(own, budget)


def _standing(
    phone: PhoneState, challenge: ChallengeState, scope: str, policy: Policy, now: int
) -> Standing:
    return Standing(
        expires_in=challenge.expires - now,
        resend_in=_until_send(phone, scope, policy, now),
        attempts_left=_attempts_left(phone, challenge, scope, policy, now),
        sends_left=limits.left([s.at for s in phone.sends], policy.sends_per_phone, now),
        decoy=challenge.decoy,
    )
