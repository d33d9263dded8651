"""A store's answers: which of them can be true, and the errors that they are to the caller."""

from __future__ import annotations

from otpverify.core.limits import LARGEST, SECOND, Limit, whole_seconds
from otpverify.core.state import (
    Checked,
    Opened,
    Refusal,
    Refused,
    Reported,
    Reserved,
    Standing,
    Verdict,
)
from otpverify.errors import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    IncorrectCode,
    OtpVerifyError,
    RateLimited,
    StoreError,
)

# An instant has six bytes in a record. A wait is at most the longest window and cooldown together.
_LATEST = (1 << 48) - 1
_LONGEST = 2 * LARGEST * SECOND


def is_sound(answer: object) -> bool:
    """Whether an answer of a store can be true: types and bounds, so that no answer leads to an
    error of arithmetic, or to a time that no calendar has. An answer that is not of the types in
    `core.state` is the caller's to judge."""
    match answer:
        case Opened():
            return _number(answer.at, _LATEST) and _standing(answer.standing)
        case Standing():
            return _standing(answer)
        case Reserved():
            return _number(answer.at, _LATEST)
        case Refused():
            limited = answer.limit is None or isinstance(answer.limit, Limit)
            known = isinstance(answer.refusal, Refusal)
            return limited and known and _number(answer.retry_in, _LONGEST)
        case Checked():
            waits = _number(answer.retry_in, _LONGEST)
            left = _number(answer.attempts_left, LARGEST)
            age = answer.age is None or _number(answer.age, _LONGEST)
            return isinstance(answer.verdict, Verdict) and waits and left and age
        case Reported():
            return _flags(answer.known, answer.changed, answer.given_back)
    return True


def _standing(standing: object) -> bool:
    if not isinstance(standing, Standing):
        return False
    durations = all(_number(one, _LONGEST) for one in (standing.expires_in, standing.resend_in))
    left = standing.sends_left is None or _number(standing.sends_left, LARGEST)
    counts = left and _number(standing.attempts_left, LARGEST)
    return durations and counts and _flags(standing.decoy, standing.concealed)


def _number(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _flags(*values: object) -> bool:
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
