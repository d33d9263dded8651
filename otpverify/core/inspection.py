"""What support sees of a phone: its limits, wrong codes and live challenges, and never a code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from otpverify.core import limits, send_limits
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus, mask
from otpverify.core.state import ChallengeState, Inspected, PhoneState

SCOPE_LENGTH = 8
"""How many characters of a scope every store holds: 48 bits distinguish a phone's purposes."""
COMMON_PURPOSES = ("verify", "login", "sign-in", "phone", "password-reset", "payment")
"""Purposes that an inspection can name by itself. A store holds only keyed tags of them."""


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of a limit on sends is used.

    Attributes:
        limit: The limit.
        used: The sends in its window, over all purposes.
        admits_at: When it admits another send (aware, UTC); `None`: now.
    """

    limit: Limit
    used: int
    admits_at: datetime | None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that counts for the limits.

    Attributes:
        sent_at: When it was reserved (aware, UTC).
        status: How far it got, also where the caller of `status` does not see it. A store may keep
            `FAILED` for every reason of a failure.
        concealed: It belongs to a concealed challenge.
    """

    sent_at: datetime
    status: DeliveryStatus
    concealed: bool


@dataclass(frozen=True, slots=True)
class LiveChallenge:
    """A challenge that still accepts a code, or would if attempts were left.

    Attributes:
        expires_at: When its newest code expires (aware, UTC).
        attempts_left: How many codes may still be tried.
        status: How far its newest message got.
        concealed: Whether there is an account must not show.
        decoy: There is no account: nothing was sent, and no code is right.
    """

    expires_at: datetime
    attempts_left: int
    status: DeliveryStatus
    concealed: bool
    decoy: bool


@dataclass(frozen=True, slots=True)
class PurposeInspection:
    """What the store knows of a phone for one purpose.

    Attributes:
        purpose: Its name; `None` where the store holds a purpose that the call did not name. A
            store keeps keyed tags, from which no name can be read.
        messages: The messages that count, oldest first.
        cooldown_until: When another ordinary code may be sent (aware, UTC); `None`: no cooldown.
        concealed_cooldown_until: The same for concealed challenges, which are counted apart.
        failures: The wrong codes in the window of `Policy.failures_per_phone`.
        consecutive_failures: The wrong codes in a row.
        locked_until: Until when no code is sent or compared, for wrong codes; `None`: not locked.
        locked_by: Which limit does: `"failures_per_phone"` or `"consecutive_failures"`.
        challenges: The live challenges whose sends count, oldest first.
    """

    purpose: str | None
    messages: tuple[SentMessage, ...]
    cooldown_until: datetime | None
    concealed_cooldown_until: datetime | None
    failures: int
    consecutive_failures: int
    locked_until: datetime | None
    locked_by: str | None
    challenges: tuple[LiveChallenge, ...]


@dataclass(frozen=True, slots=True, repr=False)
class PhoneInspection:
    """What the store knows of a phone, for an operator.

    It tells concealed challenges and decoys from others, and so who has an account: show it to no
    one who may not know.

    Attributes:
        phone: The number in E.164.
        inspected_at: When (aware, UTC).
        sends: How much of each of `Policy.sends_per_phone` ordinary sends use.
        concealed_sends: The same of concealed sends, which are counted apart.
        purposes: What is known for each purpose.
        known: Whether the fraud policy takes it for a known number; `None` without a policy.
        unanswered: The messages since its last right code that were not answered, if it is known or
            was until then.
    """

    phone: str
    inspected_at: datetime
    sends: tuple[LimitUse, ...]
    concealed_sends: tuple[LimitUse, ...]
    purposes: tuple[PurposeInspection, ...]
    known: bool | None = None
    unanswered: int = 0

    def __repr__(self) -> str:
        return (
            f"PhoneInspection(phone={mask(self.phone)!r}, "
            f"inspected_at={self.inspected_at.isoformat()}, sends={self.sends}, "
            f"concealed_sends={self.concealed_sends}, purposes={self.purposes}, "
            f"known={self.known}, unanswered={self.unanswered})"
        )


def describe(
    phone: str, kept: Inspected, names: Mapping[str, str], policy: Policy, only: str | None
) -> PhoneInspection:
    """An inspection, from the data of a store.

    Args:
        phone: The number in E.164.
        kept: The store's answer.
        names: Purposes by the first `SCOPE_LENGTH` characters of their scopes.
        policy: The limits.
        only: The one purpose that is wanted; `None`: all.
    """
    state, now = kept.phone, kept.at
    scopes = _scopes(state)
    if only is not None:
        scopes = {short: scope for short, scope in scopes.items() if names.get(short) == only}
    purposes = [_purpose(kept, scope, names.get(short), policy) for short, scope in scopes.items()]
    ordinary, concealed = (
        tuple(
            _use([send.at for send in state.sends if send.concealed == hidden], limit, now)
            for limit in policy.sends_per_phone
        )
        for hidden in (False, True)
    )
    return PhoneInspection(phone, _instant(now), ordinary, concealed, tuple(purposes))


def _scopes(state: PhoneState) -> dict[str, str]:
    """Every scope that the state holds, by its first characters, in order."""
    found: dict[str, str] = {}
    scopes = [send.scope for send in state.sends]
    scopes += [failure.scope for failure in state.failures]
    scopes += [streak.scope for streak in state.streaks]
    for scope in scopes:
        found.setdefault(scope[:SCOPE_LENGTH], scope)
    return found


def _purpose(kept: Inspected, scope: str, purpose: str | None, policy: Policy) -> PurposeInspection:
    state, now = kept.phone, kept.at
    sends = [send for send in state.sends if send.scope == scope]
    budget = policy.failures_per_phone
    begin = now - (budget.window if budget else state.retention.window)
    streak = send_limits.streak_of(state, scope)
    waits = {
        "failures_per_phone": send_limits.failures_wait(state, scope, policy, now),
        "consecutive_failures": send_limits.streak_wait(state, scope, policy, now),
    }
    locked_by = max(waits, key=lambda name: waits[name])
    own = {send.challenge for send in sends}

    def cooldown(*, concealed: bool) -> datetime | None:
        wait = send_limits.cooldown_wait(state, scope, policy, now, concealed=concealed)
        return _later(now, wait)

    return PurposeInspection(
        purpose=purpose,
        messages=tuple(
            SentMessage(_instant(send.at), DeliveryStatus(send.status), send.concealed)
            for send in sends
        ),
        cooldown_until=cooldown(concealed=False),
        concealed_cooldown_until=cooldown(concealed=True),
        failures=sum(one.scope == scope and one.at > begin for one in state.failures),
        consecutive_failures=streak.count if streak else 0,
        locked_until=_later(now, waits[locked_by]),
        locked_by=locked_by if waits[locked_by] else None,
        challenges=tuple(
            _live(challenge, state, scope, policy, now)
            for name, challenge in kept.challenges
            if name in own
        ),
    )


def _live(
    challenge: ChallengeState, state: PhoneState, scope: str, policy: Policy, now: int
) -> LiveChallenge:
    left = max(0, policy.max_attempts - challenge.attempts)
    of_phone = send_limits.failures_left(state, scope, policy, now)
    return LiveChallenge(
        expires_at=_instant(challenge.expires),
        attempts_left=left if of_phone is None else min(left, of_phone),
        status=DeliveryStatus(challenge.codes[-1].status),
        concealed=challenge.concealed,
        decoy=challenge.decoy,
    )


def _use(log: list[int], limit: Limit, now: int) -> LimitUse:
    used = sum(at > now - limit.window for at in log)
    return LimitUse(limit, used, _later(now, limits.wait(log, limit, now)))


def _later(now: int, wait: int) -> datetime | None:
    return _instant(now + wait) if wait else None


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
