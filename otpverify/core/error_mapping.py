"""From a store's answer to the error that the caller gets."""

from __future__ import annotations

from otpverify.core.limits import whole_seconds
from otpverify.core.state import Checked, Refusal, Refused, Verdict
from otpverify.errors import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    IncorrectCode,
    OtpVerifyError,
    RateLimited,
    StoreError,
)

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
