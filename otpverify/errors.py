"""Every error of otpverify, in one tree, each carrying the data a caller needs.

    OtpVerifyError
    ├── ConfigurationError            the program is set up incorrectly; fix it before it goes live
    │   ├── ExtraMissing              an extra is not installed (also an ImportError)
    │   └── BindingTooLong            what a code approves does not fit into a message
    ├── InvalidPhoneNumber            reason (also a ValueError)
    ├── DestinationBlocked            reason, retry_after
    │   └── HumanCheckRequired        show a human check, then start with human_checked=True
    ├── RateLimited                   retry_after, limit, scope
    │   └── CooldownActive
    ├── VerificationFailed
    │   ├── IncorrectCode             attempts_left
    │   │   └── IncorrectAnswer       of another way in, such as a backup code
    │   ├── AttemptsExhausted         retry_after
    │   └── ChallengeExpired          unknown, used, cancelled and expired look the same
    ├── DeliveryError                 challenge, provider_code, maybe_sent
    │   ├── DeliveryRejected          the gateway refused it
    │   └── DeliveryUnavailable       retry_after; it was not reached, or the outcome is unknown
    ├── BulkInterrupted               result; in otpverify.gateways.send_bulk
    └── StoreError                    fail closed: nothing was sent, no code was accepted

No message holds a code, a secret, a token or an unmasked phone number. Messages are plain
sentences, safe to log; the documentation says which of them to show to a person. All errors
survive `pickle` and `copy` with their data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from otpverify.core.results import Challenge


class OtpVerifyError(Exception):
    """The root: `except OtpVerifyError` catches every error that this library raises on purpose."""


class ConfigurationError(OtpVerifyError):
    """The program is set up incorrectly. The message says what is wrong and how to fix it."""


class ExtraMissing(ConfigurationError, ImportError):
    """A package that one of the extras installs is missing. The message names the extra."""


class BindingTooLong(ConfigurationError):
    """The message with this binding would be too long. Limit the values, or refuse the input where
    they come from a person."""


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Wrap the imports of packages that an extra installs.

    Args:
        extra: The extra's name in `pyproject.toml`, such as `"async"`.
        what: What needs the packages, as the subject of a sentence.

    Raises:
        ExtraMissing: A package is not installed. A module of otpverify that is missing is a fault
            of this library, and keeps its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "otpverify"):
            raise
        raise ExtraMissing(
            f"{package} is not installed. {what} needs the extra {extra!r}: "
            f"pip install 'otpverify[{extra}]', or in a clone: pip install '.[{extra}]'",
            name=package,
        ) from error


class InvalidPhoneNumber(OtpVerifyError, ValueError):
    """The input is not a valid phone number.

    Attributes:
        reason: One of `"empty"`, `"not_a_number"`, `"country_code_missing"`,
            `"country_code_unknown"`, `"too_short"`, `"too_long"`, `"not_in_use"`.
            The message is a sentence that a form can show beside the field.
    """

    def __init__(self, message: str = "This is not a phone number.", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class DestinationBlocked(OtpVerifyError):
    """A guard or the `FraudPolicy` refused the number. Nothing was sent or counted.

    Attributes:
        reason: The reason that the guard gave, such as `"country_not_allowed"` or
            `"premium_rate"`. Of a `FraudPolicy`, `"blocked_country"` (its `countries`), `"prefix"`,
            `"country"` or `"world"` (whose account is exhausted), `"total"` or `"spend"` (which cap
            is reached).
        retry_after: Whole seconds until the same call is admitted, if nothing else happens; `None`
            where waiting does not help.
    """

    def __init__(
        self,
        message: str = "Codes are not sent to this number.",
        *,
        reason: str = "",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class HumanCheckRequired(DestinationBlocked):
    """Too many codes that were sent to such numbers were not entered. Show a human check, such as a
    CAPTCHA. After it was passed, call again with `human_checked=True`. It is raised only with
    `FraudPolicy(over="human_check")`."""

    def __init__(
        self,
        message: str = "Please confirm that you are human.",
        *,
        reason: str = "",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, reason=reason, retry_after=retry_after)


class CountPerSeconds(Protocol):
    """What `RateLimited.limit` offers; in practice an `otpverify.Limit`."""

    @property
    def count(self) -> int:
        """How many events are admitted in any window."""

    @property
    def seconds(self) -> int:
        """The window's length in seconds."""


class RateLimited(OtpVerifyError):
    """A limit is reached. Nothing was sent.

    Attributes:
        retry_after: Whole seconds until this limit admits the same call.
        limit: The `Limit` that refused.
        scope: The policy's name for it, such as `"sends_per_phone"`.
    """

    def __init__(
        self,
        message: str = "Too many codes were requested.",
        *,
        retry_after: int = 0,
        limit: CountPerSeconds | None = None,
        scope: str = "",
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.limit = limit
        self.scope = scope


class CooldownActive(RateLimited):
    """A code was sent a moment ago. The next one may be sent in `retry_after` seconds."""


class VerificationFailed(OtpVerifyError):
    """The code was not accepted. The subclass says why."""


class IncorrectCode(VerificationFailed):
    """The code is incorrect.

    Attributes:
        attempts_left: How many more codes may be tried; 0 is possible. `None` when the input
            cannot be a code (wrong length, letters): it was not compared and cost no attempt.
    """

    def __init__(
        self, message: str = "That code is incorrect.", *, attempts_left: int | None = None
    ) -> None:
        super().__init__(message)
        self.attempts_left = attempts_left


class IncorrectAnswer(IncorrectCode):
    """The answer to another way in, such as a backup code, is incorrect, or was used before. Its
    attempts are counted apart from those of codes: `attempts_left` is `None`."""

    def __init__(self, message: str = "That is incorrect, or it was used before.") -> None:
        super().__init__(message)


class AttemptsExhausted(VerificationFailed):
    """Too many incorrect codes were entered. This one was not compared.

    Attributes:
        retry_after: Whole seconds until a new challenge may be started (0: now).
    """

    def __init__(
        self, message: str = "Too many wrong codes were entered.", *, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ChallengeExpired(VerificationFailed):
    """The challenge expired, was used, was cancelled, or never existed."""

    def __init__(self, message: str = "The code has expired. Request a new one.") -> None:
        super().__init__(message)


class DeliveryError(OtpVerifyError):
    """The gateway did not take the message, or it is unknown whether it did.

    Attributes:
        challenge: The `Challenge` that still accepts codes; `None` when no code is valid.
        provider_code: The gateway's reason as a stable identifier, such as `"no_balance"` or
            `"http_503"`, or `None`.
        maybe_sent: Whether the message may have been sent. When it certainly was not, this send
            no longer counts towards the cooldown and the send limits.
    """

    maybe_sent = False

    def __init__(
        self,
        message: str = "The message could not be sent.",
        *,
        challenge: Challenge | None = None,
        provider_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.challenge = challenge
        self.provider_code = provider_code


class DeliveryRejected(DeliveryError):
    """The gateway refused the message. The send does not count and its code is void."""


class DeliveryUnavailable(DeliveryError):
    """The gateway could not be reached, or it is unknown whether it took the message.

    The challenge stays valid, so a code that arrives after all still works.

    Attributes:
        retry_after: Whole seconds after which the gateway asks for a retry (RFC 9110, 10.2.3);
            `None` when it does not say.
    """

    def __init__(
        self,
        message: str = "The message could not be sent.",
        *,
        challenge: Challenge | None = None,
        provider_code: str | None = None,
        maybe_sent: bool = True,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, challenge=challenge, provider_code=provider_code)
        self.maybe_sent = maybe_sent
        self.retry_after = retry_after


class StoreError(OtpVerifyError):
    """The store is down, slow, full or gives an invalid answer. Nothing was sent and no code was
    accepted."""
