"""What the pages say to a person when something is refused. Never a code."""

from __future__ import annotations

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    DestinationBlocked,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
)

BUSY = "This does not work at the moment. Please try again in a few minutes."


def explain(error: OtpVerifyError) -> str:
    """One or two sentences: what happened, and what to do."""
    match error:
        case InvalidPhoneNumber():
            return str(error)
        case DestinationBlocked():
            return "Codes are not sent to this kind of number. Use a mobile number."
        case IncorrectCode(attempts_left=None):
            return "That is not a code: a code has 6 digits. It did not count as an attempt."
        case IncorrectCode(attempts_left=int(left)):
            return f"The code is not right. {_count(left, 'attempt')} left."
        case AttemptsExhausted(retry_after=seconds):
            return f"Too many wrong codes. You can request a new code {after(seconds)}."
        case ChallengeExpired():
            return "This code has expired or was already used. Request a new one."
        case DeliveryRejected() | DeliveryUnavailable():
            return _undelivered(error)
        case CooldownActive(retry_after=seconds):
            return f"A code was requested a moment ago. You can request another {after(seconds)}."
        case RateLimited(scope=scope, retry_after=seconds):
            return f"{_LIMITS.get(scope, 'Too many codes were requested')}. Try {_again(seconds)}."
    return BUSY


def notice(error: OtpVerifyError, *, field: bool) -> dict[str, str]:
    """What a page is told to show, see `go`.

    Args:
        error: What happened.
        field: The page has a field for the phone, so what is wrong with the number belongs
            there. All else stands above the form.
    """
    shown = {"error" if field and _is_about_the_number(error) else "trouble": explain(error)}
    if isinstance(error, CooldownActive | AttemptsExhausted) and error.retry_after > 0:
        shown |= {"wait": str(error.retry_after), "after": after(error.retry_after)}
    return shown


def after(seconds: int) -> str:
    """`"now"`, `"in 45 seconds"`, `"in 12 minutes"`: never sooner than it is."""
    if seconds <= 0:
        return "now"
    for size, unit, up_to in ((1, "second", 120), (60, "minute", 7200)):
        if seconds < up_to:
            return f"in {_count(-(-seconds // size), unit)}"
    return f"in {_count(-(-seconds // 3600), 'hour')}"


_LIMITS = {
    "sends_per_phone": "Too many codes were sent to this number",
    "sends_per_ip": "Too many codes were requested from your network",
    "failures_per_phone": "Too many wrong codes were entered for this number",
}


def _is_about_the_number(error: OtpVerifyError) -> bool:
    if isinstance(error, DeliveryError):
        return error.provider_code == "invalid_phone_number"
    return isinstance(error, InvalidPhoneNumber | DestinationBlocked)


def _undelivered(error: DeliveryRejected | DeliveryUnavailable) -> str:
    if error.provider_code == "invalid_phone_number":
        return "No message can be sent to this number. Check it for a mistyped digit."
    if error.maybe_sent:
        return (
            "The message was not confirmed. A code may still arrive; if it does, enter it here. "
            "Otherwise request another."
        )
    if error.challenge is not None:
        return "No message could be sent just now. Try again in a moment."
    return "No message can be sent at the moment. Please try again later."


def _again(seconds: int) -> str:
    return f"again {after(seconds)}" if seconds > 0 else "again"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
