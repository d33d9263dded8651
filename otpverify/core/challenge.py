"""The life of a challenge, as pure transitions: state in, answer and new state out.

Every store does exactly this. `MemoryStore` is a lock around these functions; a store that
does it elsewhere (in a script, in SQL) is tested against them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace

from otpverify.core import send_limits
from otpverify.core.answers import Checked, Opened, Refusal, Refused, Reported, Standing, Verdict
from otpverify.core.keys import Key
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.send_limits import give_back, reserve
from otpverify.core.state import (
    ChallengeState,
    Failure,
    Inspected,
    LiveCode,
    Opening,
    PhoneState,
    Send,
)

__all__ = [
    "check",
    "claim",
    "give_back",
    "inspect",
    "open_",
    "peek",
    "place",
    "redeem",
    "release",
    "report",
    "reserve",
    "status",
    "unlock",
]


def open_(
    phone: PhoneState,
    challenge: ChallengeState | None,
    key: Key,
    opening: Opening,
    policy: Policy,
    now: int,
) -> tuple[Opened | Refused, PhoneState, ChallengeState | None]:
    """Reserve a send and put a code in place, or refuse and change nothing. Without a digest, the
    code waits for `place`: no code that a person enters is equal to it."""
    phone, challenge = send_limits.recent(phone, now), _kept(challenge, now)
    refusal = _refusal(phone, challenge, key, opening, policy, now)
    if refusal is not None:
        return refusal, phone, challenge
    if opening.new or challenge is None:
        base = ChallengeState(codes=(), decoy=opening.decoy, concealed=opening.concealed)
    else:
        base = challenge
    # It names the reservation, so no two of a challenge are the same.
    at = max([now, *(code.at + 1 for code in challenge.codes)]) if challenge else now
    code = LiveCode(opening.digest, now + policy.ttl, at)
    challenge = replace(base, codes=(*_good(base, now), code))
    sent = (Send(at, key.scope, key.challenge, concealed=base.concealed),)
    phone = send_limits.remember(phone, policy, sent=sent, until=challenge.expires)
    return Opened(at, _standing(phone, challenge, key, policy, now)), phone, challenge


def place(
    phone: PhoneState,
    challenge: ChallengeState | None,
    key: Key,
    at: int,
    digest: bytes,
    policy: Policy,
    now: int,
) -> tuple[Standing | None, PhoneState, ChallengeState | None]:
    """Put the digest in place that the code reserved at `at` waits for: a costly hash is computed
    after its send was reserved, so that however many requests arrive at once, only those that are
    admitted are hashed.

    `None`, and nothing is changed, when the challenge was used, cancelled or has expired meanwhile,
    or the send was given back. A repeat changes nothing.
    """
    phone, challenge = send_limits.recent(phone, now), _kept(challenge, now)
    good = _good(challenge, now)
    if challenge is None or not any(c.at == at and c.digest in (None, digest) for c in good):
        return None, phone, challenge
    codes = (replace(c, digest=digest) if c.at == at else c for c in challenge.codes)
    challenge = replace(challenge, codes=tuple(codes))
    return _standing(phone, challenge, key, policy, now), phone, challenge


def peek(
    phone: PhoneState, challenge: ChallengeState | None, key: Key, policy: Policy, now: int
) -> Checked:
    """Whether a code may be compared at all."""
    phone, challenge = send_limits.recent(phone, now), _kept(challenge, now)
    if challenge is None or not challenge.codes:
        return Checked(Verdict.GONE)
    spent = challenge.attempts >= policy.max_attempts
    if spent or send_limits.failures_left(phone, key.scope, policy, now) == 0:
        wait = _until_send(phone, challenge, key, policy, now)
        return Checked(Verdict.EXHAUSTED, retry_in=wait)
    return Checked(Verdict.PENDING)


def claim(
    phone: PhoneState, challenge: ChallengeState | None, key: Key, policy: Policy, now: int
) -> tuple[Checked, PhoneState, ChallengeState | None]:
    """Count an attempt before its code is hashed: however many codes arrive at once, no more are
    hashed than attempts are left. An attempt whose `check` never comes stays counted."""
    answer = peek(phone, challenge, key, policy, now)
    phone, challenge = send_limits.recent(phone, now), _kept(challenge, now)
    if answer.verdict is Verdict.PENDING and challenge is not None:
        challenge = replace(challenge, attempts=challenge.attempts + 1)
    return answer, phone, challenge


def check(
    phone: PhoneState,
    challenge: ChallengeState | None,
    key: Key,
    digest: bytes,
    policy: Policy,
    claimed: bool,
    now: int,
) -> tuple[Checked, PhoneState, ChallengeState | None]:
    """Count an attempt, unless `claim` did; compare, and consume the challenge when the code is
    right: then nothing is left of it but its proof, no wrong codes in a row, and no cooldown that
    its own sends caused."""
    phone, challenge = send_limits.recent(phone, now), _kept(challenge, now)
    others = replace(challenge, attempts=challenge.attempts - claimed) if challenge else None
    answer = peek(phone, others, key, policy, now)
    if answer.verdict is not Verdict.PENDING or challenge is None:
        return answer, phone, challenge
    # All of them are compared, also after a match: the time reveals nothing.
    placed = [(code.at, code.digest) for code in _good(challenge, now) if code.digest is not None]
    live = placed[-policy.live_codes :]
    matches = [at for at, expected in live if hmac.compare_digest(expected, digest)]
    if matches and not challenge.decoy:
        accepted = Checked(Verdict.ACCEPTED, age=max(0, now - matches[-1]))
        used = ChallengeState(codes=(), proof=now + policy.proof_ttl)
        phone = send_limits.without_streak(send_limits.answered(phone, key), key.scope, now)
        return accepted, phone, used
    if not claimed:
        challenge = replace(challenge, attempts=challenge.attempts + 1)
    failed = (Failure(now, key.scope),)
    phone = send_limits.remember(phone, policy, failed=failed, until=challenge.expires)
    attempts_left = _attempts_left(phone, challenge, key, policy, now)
    return Checked(Verdict.WRONG, attempts_left=attempts_left), phone, challenge


def redeem(challenge: ChallengeState | None, now: int) -> tuple[bool, ChallengeState | None]:
    """Use the proof of a challenge up, which a right code left behind."""
    challenge = _kept(challenge, now)
    if challenge is None or challenge.codes:
        return False, challenge
    return True, None


def release(
    phone: PhoneState,
    challenge: ChallengeState | None,
    key: Key,
    at: int,
    undelivered: bytes | None,
    policy: Policy,
    now: int,
) -> tuple[Standing | None, PhoneState, ChallengeState | None]:
    """Give the send reserved at `at` back; void its code when `undelivered` names its digest, or
    when it still waits for one.

    A challenge that was used or cancelled meanwhile stays gone.
    """
    phone, challenge = send_limits.recent(phone, now), _kept(challenge, now)
    phone = send_limits.without_send(phone, send_limits.find(phone, key, at))
    if challenge is not None:
        void = (None, undelivered)
        codes = tuple(code for code in challenge.codes if code.at != at or code.digest not in void)
        challenge = _kept(replace(challenge, codes=codes), now)
    if challenge is None or not challenge.codes:
        return None, phone, challenge
    return _standing(phone, challenge, key, policy, now), phone, challenge


def report(
    phone: PhoneState,
    challenge: ChallengeState | None,
    key: Key,
    at: int,
    status: DeliveryStatus,
    _policy: Policy,
    give_back: bool,
    now: int,
) -> tuple[Reported, PhoneState, ChallengeState | None]:
    """Take in how far the message got that was reserved at `at`. When it certainly did not
    arrive, its send is given back, once, if it may be and is not concealed; otherwise it stays
    counted for good. Its code stays good, since carriers err.

    The challenge's code remembers it for as long as it lives, and the phone's log for as long
    as the send counts, so a used challenge's reports are not taken twice either.
    """
    phone, challenge = send_limits.recent(phone, now), _kept(challenge, now)
    sent = send_limits.find(phone, key, at)
    code = next((c for c in _good(challenge, now) if c.at == at), None)
    last = code or sent
    if last is None:
        return Reported(known=False), phone, challenge
    if not status.follows(DeliveryStatus(last.status)):
        return Reported(known=True), phone, challenge
    given_back = False
    if sent is not None:
        may = status.failed and give_back and not sent.concealed
        less = send_limits.without_send(phone, sent) if may else phone
        given_back = less is not phone
        phone = less if given_back else send_limits.mark(phone, sent, status)
    if challenge is not None and code is not None:
        codes = (replace(c, status=status) if c is code else c for c in challenge.codes)
        challenge = replace(challenge, codes=tuple(codes))
    return Reported(True, True, given_back), phone, challenge


def status(challenge: ChallengeState | None, _policy: Policy, now: int) -> DeliveryStatus | None:
    """How far the newest code's message got; `None` when there is no live challenge. That of a
    concealed one stays queued: nothing is ever sent for a decoy."""
    good = _good(challenge, now)
    if challenge is None or not good:
        return None
    return DeliveryStatus.QUEUED if challenge.concealed else DeliveryStatus(good[-1].status)


def challenges_of(phone: PhoneState, now: int) -> list[str]:
    """The keys of the challenges that `inspect` looks at: of those sends that count."""
    return [*dict.fromkeys(send.challenge for send in send_limits.recent(phone, now).sends)]


def inspect(
    phone: PhoneState, challenges: Mapping[str, ChallengeState | None], now: int
) -> Inspected:
    """The data of a phone, for support; `challenges` are those of `challenges_of`."""
    live = []
    for name in challenges_of(phone, now):
        challenge = challenges.get(name)
        if challenge is not None and (good := _good(challenge, now)):
            codes = tuple(replace(code, digest=b"") for code in good)
            live.append((name, replace(challenge, codes=codes)))
    # What a store needs to keep it is of no use to anybody else.
    shown = replace(send_limits.recent(phone, now), expires=0)
    return Inspected(now, shown, tuple(live))


def unlock(phone: PhoneState, scope: str | None, now: int) -> PhoneState:
    """The phone without what limits it, for one scope or for all. Challenges stay as they are:
    one that was used stays used, and attempts stay counted."""
    return send_limits.without_events(phone, scope, now)


def _refusal(
    phone: PhoneState,
    challenge: ChallengeState | None,
    key: Key,
    opening: Opening,
    policy: Policy,
    now: int,
) -> Refused | None:
    concealed = opening.concealed
    if not opening.new:
        if challenge is None or not challenge.codes:
            return Refused(Refusal.GONE)
        concealed = challenge.concealed
        if challenge.attempts >= policy.max_attempts:
            return Refused(Refusal.ATTEMPTS, _until_send(phone, challenge, key, policy, now))
    return send_limits.refusal(phone, key.scope, policy, now, concealed=concealed)


def _good(challenge: ChallengeState | None, now: int) -> list[LiveCode]:
    return [code for code in challenge.codes if code.expires > now] if challenge else []


def _kept(challenge: ChallengeState | None, now: int) -> ChallengeState | None:
    """What is still worth something: a code, or the proof of one. A challenge without a good code
    is gone for all but `redeem`."""
    return challenge if challenge and challenge.expires > now else None


def _attempts_left(
    phone: PhoneState, challenge: ChallengeState, key: Key, policy: Policy, now: int
) -> int:
    own = max(0, policy.max_attempts - challenge.attempts)
    budget = send_limits.failures_left(phone, key.scope, policy, now)
    return own if budget is None else min(own, budget)


def _standing(
    phone: PhoneState, challenge: ChallengeState, key: Key, policy: Policy, now: int
) -> Standing:
    return Standing(
        expires_in=challenge.expires - now,
        resend_in=_until_send(phone, challenge, key, policy, now),
        attempts_left=_attempts_left(phone, challenge, key, policy, now),
        sends_left=send_limits.sends_left(phone, policy, now, concealed=challenge.concealed),
        decoy=challenge.decoy,
        concealed=challenge.concealed,
    )


def _until_send(
    phone: PhoneState, challenge: ChallengeState, key: Key, policy: Policy, now: int
) -> int:
    return send_limits.until_send(phone, key.scope, policy, now, concealed=challenge.concealed)
