"""What a store is asked to open and what it answers: which answers can be true, and the errors that
they are to the caller."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from otpverify.core.limits import LARGEST, SECOND, Limit, whole_seconds
from otpverify.errors import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    IncorrectCode,
    OtpVerifyError,
    RateLimited,
    StoreError,
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What `open` puts in place.

    Attributes:
        digest: The code's digest; `None`: it follows with `place`.
        new: A new challenge; otherwise a further code on a live one.
        concealed: Whether there is an account must not show: its sends are counted apart from all
            others, a delivery report gives none of them back, and its status stays queued. A
            further code keeps what the challenge was; so it does with `decoy`.
        decoy: No code will ever match. A decoy is always concealed.
    """

    digest: bytes | None = field(repr=False)
    new: bool
    concealed: bool = False
    decoy: bool = False

    def __post_init__(self) -> None:
        if self.decoy:
            object.__setattr__(self, "concealed", True)


class Refusal(enum.Enum):
    """Why a send was not admitted."""

    COOLDOWN = "resend_cooldown"
    SENDS = "sends_per_phone"
    FAILURES = "failures_per_phone"
    STREAK = "consecutive_failures"
    NETWORK = "sends_per_ip"
    ATTEMPTS = "max_attempts"
    GONE = "gone"


class Verdict(enum.Enum):
    """What became of a code. `PENDING` is the answer of `peek` and `claim`: it may be compared."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    EXHAUSTED = "exhausted"
    GONE = "gone"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a live challenge stands.

    Attributes:
        expires_in: Until its last code expires.
        resend_in: Until another code may be sent to this phone for this purpose.
        attempts_left: Codes that may still be compared.
        sends_left: Codes that may still be sent within the phone's limits; `None`: no limit.
        decoy: Nothing is ever sent and no code ever matches.
        concealed: Whether there is an account must not show.
    """

    expires_in: int
    resend_in: int
    attempts_left: int
    sends_left: int | None
    decoy: bool = False
    concealed: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A code is in place and its send is reserved; `at` names the reservation for `release`
    and `report`, and no other of this challenge."""

    at: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was changed."""

    refusal: Refusal
    retry_in: int = 0
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """One event of a counter is reserved; `at` names it for `give_back`, and no other of this
    counter."""

    at: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a code.

    Attributes:
        verdict: The verdict.
        attempts_left: When it is WRONG: codes that may still be compared.
        retry_in: When it is EXHAUSTED: until another code may be sent.
        age: When it is ACCEPTED: how long ago the code was sent. `None` if the store does not say,
            as for a repeat of a call whose answer got lost. It is for metrics: no rule depends on
            it, so two answers that differ in nothing else are equal.
    """

    verdict: Verdict
    attempts_left: int = 0
    retry_in: int = 0
    age: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Reported:
    """What a delivery report did.

    Attributes:
        known: The message is remembered. What was given back is remembered for as long as its
            challenge lives, anything else at least for as long as a limit counts it.
        changed: It is news: neither a repeat nor overtaken by another.
        given_back: The send counts no more.
    """

    known: bool
    changed: bool = False
    given_back: bool = False


# An instant has six bytes in a record. A wait is at most the longest window and cooldown together.
_LATEST = (1 << 48) - 1
_LONGEST = 2 * LARGEST * SECOND


def is_sound(answer: object) -> bool:
    """Whether an answer of a store can be true: types and bounds, so that no answer leads to an
    error of arithmetic, or to a time that no calendar has. An answer that is not of the types above
    is the caller's to judge."""
    match answer:
        case Opened():
            return is_instant(answer.at) and _standing(answer.standing)
        case Standing():
            return _standing(answer)
        case Reserved():
            return is_instant(answer.at)
        case Refused():
            limited = answer.limit is None or isinstance(answer.limit, Limit)
            known = isinstance(answer.refusal, Refusal)
            return limited and known and is_wait(answer.retry_in)
        case Checked():
            waits = is_wait(answer.retry_in)
            left = is_count(answer.attempts_left)
            age = answer.age is None or is_wait(answer.age)
            return isinstance(answer.verdict, Verdict) and waits and left and age
        case Reported():
            return are_flags(answer.known, answer.changed, answer.given_back)
    return True


def _standing(standing: object) -> bool:
    return (
        isinstance(standing, Standing)
        and is_wait(standing.expires_in)
        and is_wait(standing.resend_in)
        and is_count(standing.attempts_left)
        and (standing.sends_left is None or is_count(standing.sends_left))
        and are_flags(standing.decoy, standing.concealed)
    )


def is_instant(value: object) -> bool:
    """Whether it can be an instant in milliseconds."""
    return is_count(value, _LATEST)


def is_wait(value: object) -> bool:
    """Whether it can be a time in milliseconds that somebody has to wait."""
    return is_count(value, _LONGEST)


def is_count(value: object, most: int = LARGEST) -> bool:
    """Whether it is a whole number that is not negative, and at most that."""
    return type(value) is int and 0 <= value <= most


def are_flags(*values: object) -> bool:
    """Whether each is true or false."""
    return all(isinstance(value, bool) for value in values)


_WHAT = {
    Refusal.FAILURES: "wrong codes were entered",
    Refusal.STREAK: "wrong codes were entered in a row",
}


def not_sent(answer: Refused) -> OtpVerifyError:
    """The error of a start or resend that was refused."""
    seconds = whole_seconds(answer.retry_in)
    if answer.refusal is Refusal.GONE:
        return ChallengeExpired()
    if answer.refusal is Refusal.ATTEMPTS:
        return AttemptsExhausted(retry_after=seconds)
    scope = answer.refusal.value
    if answer.refusal is Refusal.COOLDOWN:
        return CooldownActive(
            f"A code was sent a moment ago. Another can be sent in {seconds} seconds.",
            retry_after=seconds,
            limit=answer.limit,
            scope=scope,
        )
    what = _WHAT.get(answer.refusal, "codes were sent")
    return RateLimited(
        f"Too many {what}. Another can be sent in {seconds} seconds.",
        retry_after=seconds,
        limit=answer.limit,
        scope=scope,
    )


def not_accepted(answer: Checked) -> OtpVerifyError:
    """The error of a check whose verdict was anything but ACCEPTED."""
    if answer.verdict is Verdict.WRONG:
        return IncorrectCode(attempts_left=answer.attempts_left)
    if answer.verdict is Verdict.EXHAUSTED:
        return AttemptsExhausted(retry_after=whole_seconds(answer.retry_in))
    if answer.verdict is Verdict.GONE:
        return ChallengeExpired()
    return StoreError("The store gave an unexpected answer.")
