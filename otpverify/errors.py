"""Every error of otpverify, in one tree, each carrying the data a caller needs.

    OtpVerifyError
    ├── ConfigurationError            the program is set up wrongly; fix it before it goes live
    │   └── ExtraMissing              an extra is not installed (also an ImportError)
    ├── InvalidPhoneNumber            reason (also a ValueError)
    ├── DestinationBlocked            reason
    ├── RateLimited                   retry_after, limit, scope
    │   └── CooldownActive
    ├── VerificationFailed
    │   ├── IncorrectCode             attempts_left
    │   ├── AttemptsExhausted         retry_after
    │   └── ChallengeExpired          unknown, used, cancelled and expired look the same
    ├── DeliveryError                 challenge, provider_code, maybe_sent
    │   ├── DeliveryRejected          the gateway said no
    │   └── DeliveryUnavailable       retry_after; it was not reached, or nobody knows
    ├── BulkInterrupted               result
    └── StoreError                    fail closed: nothing was sent, nobody got in

No message holds a code, a secret, a token or an unmasked phone number. Messages are plain
sentences, safe to log; README says which of them to show to a person. All errors survive
`pickle` and `copy` with their data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otpverify.core.limits import Limit
    from otpverify.core.results import Challenge
    from otpverify.gateways.bulk_results import BulkResult


class OtpVerifyError(Exception):
    """The root: `except OtpVerifyError` catches whatever this library raises on purpose."""


class ConfigurationError(OtpVerifyError):
    """The program is set up wrongly. The message says what is wrong and how to mend it."""


class ExtraMissing(ConfigurationError, ImportError):
    """Something needs a package that an extra of this library installs. The message names it."""


class InvalidPhoneNumber(OtpVerifyError, ValueError):
    """What was typed is not a phone number that exists.

    Attributes:
        reason: One of `"empty"`, `"not_a_number"`, `"country_code_missing"`,
            `"country_code_unknown"`, `"too_short"`, `"too_long"`, `"not_in_use"`.
            The message is a sentence that a form can show beside the field.
    """

    def __init__(self, message: str = "This is not a phone number.", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class DestinationBlocked(OtpVerifyError):
    """A guard refused the number before anything was sent or counted.

    Attributes:
        reason: The guard's own word, such as `"country"` or `"premium_rate"`.
    """

    def __init__(
        self, message: str = "Codes are not sent to this number.", *, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.reason = reason


class RateLimited(OtpVerifyError):
    """A limit is reached; nothing was sent.

    Attributes:
        retry_after: Whole seconds until the same call is admitted by this limit.
        limit: The `Limit` that refused.
        scope: The policy's name for it, such as `"sends_per_phone"`.
    """

    def __init__(
        self,
        message: str = "Too many codes were requested.",
        *,
        retry_after: int = 0,
        limit: Limit | None = None,
        scope: str = "",
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.limit = limit
        self.scope = scope


class CooldownActive(RateLimited):
    """The last code was sent a moment ago; the next may go out in `retry_after` seconds."""


class VerificationFailed(OtpVerifyError):
    """The code was not accepted. Its subclasses say why."""


class IncorrectCode(VerificationFailed):
    """The code is not right.

    Attributes:
        attempts_left: How many codes may still be tried, 0 included. `None` when the input
            could not be a code at all: it was not compared and cost no attempt.
    """

    def __init__(
        self, message: str = "The code is not right.", *, attempts_left: int | None = None
    ) -> None:
        super().__init__(message)
        self.attempts_left = attempts_left


class AttemptsExhausted(VerificationFailed):
    """Too many wrong codes; this one was not compared.

    Attributes:
        retry_after: Whole seconds until a new challenge may be started (0: now).
    """

    def __init__(
        self, message: str = "Too many wrong codes were entered.", *, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ChallengeExpired(VerificationFailed):
    """There is no such live challenge: it expired, was used, was cancelled, or never was."""

    def __init__(self, message: str = "The code has expired. Request a new one.") -> None:
        super().__init__(message)


class DeliveryError(OtpVerifyError):
    """The message was not delivered to the gateway, or nobody knows.

    Attributes:
        challenge: The `Challenge` that still accepts codes, or `None` when there is none.
        provider_code: The gateway's reason as one stable word, such as `"no_balance"` or
            `"http_503"`, or `None`.
        maybe_sent: Whether the message may have gone out all the same. When it certainly did
            not, the cooldown and the send limits were given back.
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
    """The gateway said no. The reservation is given back and the undelivered code is void."""


class DeliveryUnavailable(DeliveryError):
    """The gateway could not be reached, or nobody knows whether it took the message.

    The challenge stays good, so a code that arrives after all still works.

    Attributes:
        retry_after: Whole seconds after which the gateway asked to be tried again (RFC 9110,
            10.2.3); `None` when it did not say.
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


class BulkInterrupted(OtpVerifyError):
    """Sending in bulk ended early, because a callback raised; its error is the cause.

    Attributes:
        result: What is known of every recipient; those that were not attempted any more failed
            with `provider_code="not_attempted"`.
    """

    def __init__(
        self, message: str = "Sending ended early.", *, result: BulkResult | None = None
    ) -> None:
        super().__init__(message)
        self.result = result


class StoreError(OtpVerifyError):
    """The store is down, slow, full or answers nonsense. Nothing was sent, nobody got in."""
