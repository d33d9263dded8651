"""The life of a challenge, as pure transitions: state in, answer and new state out.

Every store does exactly this. `MemoryStore` is a lock around these functions; a store that
does it elsewhere (in a script, in SQL) is tested against them.
"""

from __future__ import annotations

import hmac
from dataclasses import replace

from otpverify.core import limits, logs
from otpverify.core.counter import give_back, reserve
from otpverify.core.outcomes import Checked, Opened, Refusal, Refused, Standing, Verdict
from otpverify.core.policy import Policy
from otpverify.core.state import ChallengeState, LiveCode, Opening, PhoneState, Stamp

__all__ = ["check", "give_back", "open_", "peek", "release", "reserve"]


def open_(
    phone: PhoneState,
    challenge: ChallengeState | None,
    scope: str,
    opening: Opening,
    policy: Policy,
    now: int,
) -> tuple[Opened | Refused, PhoneState, ChallengeState | None]:
    """Reserve a send and put a code in place, or refuse and change nothing."""
    phone, challenge = logs.recent(phone, now), _alive(challenge, now)
    if opening.new:
        base = ChallengeState(codes=(), decoy=opening.decoy)
    elif challenge is None:
        return Refused(Refusal.GONE), phone, None
    elif challenge.attempts >= policy.max_attempts:
        refused = Refused(Refusal.ATTEMPTS, logs.until_send(phone, scope, policy, now))
        return refused, phone, challenge
    else:
        base = challenge
    refusal = logs.refusal(phone, scope, policy, now)
    if refusal is not None:
        return refusal, phone, challenge
    code = LiveCode(opening.digest, now + policy.ttl)
    challenge = replace(base, codes=(*(c for c in base.codes if c.expires > now), code))
    sent = (Stamp(now, scope),)
    phone = logs.remember(phone, policy, sent=sent, until=challenge.expires)
    return Opened(now, _standing(phone, challenge, scope, policy, now)), phone, challenge


def peek(
    phone: PhoneState, challenge: ChallengeState | None, scope: str, policy: Policy, now: int
) -> Checked:
    """Whether a code may be compared at all."""
    phone, challenge = logs.recent(phone, now), _alive(challenge, now)
    if challenge is None:
        return Checked(Verdict.GONE)
    if challenge.attempts >= policy.max_attempts:
        return Checked(Verdict.EXHAUSTED, retry_in=logs.until_send(phone, scope, policy, now))
    if logs.failures_wait(phone, scope, policy, now):
        return Checked(Verdict.EXHAUSTED, retry_in=logs.until_send(phone, scope, policy, now))
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
    phone, challenge = logs.recent(phone, now), _alive(challenge, now)
    if answer.verdict is not Verdict.PENDING or challenge is None:
        return answer, phone, challenge
    # All of them are compared whatever the first says: the time tells nothing.
    live = [c for c in challenge.codes if c.expires > now][-policy.live_codes :]
    matches = [hmac.compare_digest(code.digest, digest) for code in live]
    if any(matches) and not challenge.decoy:
        return Checked(Verdict.ACCEPTED), phone, None
    challenge = replace(challenge, attempts=challenge.attempts + 1)
    failed = (Stamp(now, scope),)
    phone = logs.remember(phone, policy, failed=failed, until=challenge.expires)
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
    phone = logs.give_back(logs.recent(phone, now), Stamp(at, scope))
    challenge = _alive(challenge, now)
    if challenge is not None and undelivered is not None:
        void = LiveCode(undelivered, at + policy.ttl)
        codes = tuple(code for code in challenge.codes if code != void)
        challenge = _alive(replace(challenge, codes=codes), now)
    if challenge is None:
        return None, phone, None
    return _standing(phone, challenge, scope, policy, now), phone, challenge


def _alive(challenge: ChallengeState | None, now: int) -> ChallengeState | None:
    if challenge is None or not any(code.expires > now for code in challenge.codes):
        return None
    return challenge


def _attempts_left(
    phone: PhoneState, challenge: ChallengeState, scope: str, policy: Policy, now: int
) -> int:
    own = max(0, policy.max_attempts - challenge.attempts)
    budget = logs.failures_left(phone, scope, policy, now)
    return own if budget is None else min(own, budget)


def _standing(
    phone: PhoneState, challenge: ChallengeState, scope: str, policy: Policy, now: int
) -> Standing:
    return Standing(
        expires_in=challenge.expires - now,
        resend_in=logs.until_send(phone, scope, policy, now),
        attempts_left=_attempts_left(phone, challenge, scope, policy, now),
        sends_left=limits.left([s.at for s in phone.sends], policy.sends_per_phone, now),
        decoy=challenge.decoy,
    )
