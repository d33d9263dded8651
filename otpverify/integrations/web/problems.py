"""Errors in a page or an API: what a reply says, as problem details (RFC 9457), and what the log
has."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias, TypeVar

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryError,
    DestinationBlocked,
    HumanCheckRequired,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
    StoreError,
    VerificationFailed,
)
from otpverify.core.fraud_ledger import SPEND, TOTAL
from otpverify.errors import BindingTooLong
from otpverify.integrations.web import sentences
from otpverify.integrations.web.sentences import Sentence, explain

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:otpverify:problem:"
Value: TypeAlias = str | int | bool | None
E = TypeVar("E", bound=OtpVerifyError)

_log = logging.getLogger("otpverify.integrations")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem detail.

    Attributes:
        status: The HTTP status.
        type: A URN that names the kind, such as `urn:otpverify:problem:incorrect-code`.
        title: The kind in words, always the same.
        detail: The description of this occurrence, for the person; translatable.
        more: Further members: `attempts_left`, `retry_after` (seconds), `limit`, `reason`,
            `maybe_sent`; where a proof is required, `purpose` and `start`: the flow to start, and
            its address.
        headers: Those that the reply needs, such as `Retry-After`.
    """

    status: int
    type: str
    title: str
    detail: Sentence
    more: Mapping[str, Value] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, detail: str | None = None) -> dict[str, Value]:
        """The JSON object, to be sent as `application/problem+json`.

        Args:
            detail: The detail in the person's language; English if left out.
        """
        said = str(self.detail) if detail is None else detail
        known: dict[str, Value] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": said,
        }
        return {**known, **self.more}


class ProofRequired(VerificationFailed):
    """The session holds no proof that is valid here: the person must enter a code first.

    Attributes:
        purpose: What the code is for: the flow to start.
        start: The address that starts it for programs; empty if it is not known here.
    """

    sentence: Final = sentences.PROOF_REQUIRED

    def __init__(self, purpose: str = "", start: str = "") -> None:
        super().__init__("Enter a code first.")
        self.purpose = purpose
        self.start = start


class SignInRefused(VerificationFailed):
    """The code was right, and the number signs nobody in: no account has it, or only one that may
    not sign in, or more than one."""

    sentence: Final = sentences.SIGN_IN_REFUSED

    def __init__(self) -> None:
        super().__init__("The number signs nobody in.")


class SendRefused(OtpVerifyError):
    """The site's own check refuses to send a code.

    Args:
        sentence: What the person reads.
    """

    def __init__(self, sentence: Sentence) -> None:
        super().__init__("The site refuses to send a code.")
        self.sentence = sentence


# The first that fits. A binding has what a person typed; any other configuration error, or another
# error, is the server's fault.
_KINDS: tuple[tuple[type[OtpVerifyError], HTTPStatus, str], ...] = (
    (InvalidPhoneNumber, HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid phone number"),
    (HumanCheckRequired, HTTPStatus.FORBIDDEN, "Human check required"),
    (DestinationBlocked, HTTPStatus.FORBIDDEN, "Destination blocked"),
    (SendRefused, HTTPStatus.FORBIDDEN, "Sending refused"),
    (CooldownActive, HTTPStatus.TOO_MANY_REQUESTS, "Cooldown active"),
    (RateLimited, HTTPStatus.TOO_MANY_REQUESTS, "Rate limited"),
    (AttemptsExhausted, HTTPStatus.TOO_MANY_REQUESTS, "Attempts exhausted"),
    (IncorrectCode, HTTPStatus.BAD_REQUEST, "Incorrect code"),
    (ProofRequired, HTTPStatus.FORBIDDEN, "Proof required"),
    (SignInRefused, HTTPStatus.FORBIDDEN, "Sign-in refused"),
    (ChallengeExpired, HTTPStatus.GONE, "Challenge expired"),
    (DeliveryError, HTTPStatus.SERVICE_UNAVAILABLE, "Delivery failed"),
    (BindingTooLong, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request too large"),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE, "Store unavailable"),
    (OtpVerifyError, HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
)


def _urn(title: str) -> str:
    return TYPE_PREFIX + re.sub(r"\W+", "-", title.lower())


def _refused(status: HTTPStatus, title: str, detail: str) -> Problem:
    return Problem(int(status), _urn(title), title, Sentence(detail))


PROOF_REQUIRED: Final = _refused(
    HTTPStatus.FORBIDDEN, "Proof required", sentences.PROOF_REQUIRED.text
)
SIGN_IN_REQUIRED: Final = _refused(HTTPStatus.UNAUTHORIZED, "Sign-in required", "Sign in first.")
INVALID_REQUEST: Final = _refused(
    HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid request", "The request could not be understood."
)
TOO_LARGE: Final = _refused(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request too large", "The request is too large."
)
NOT_JSON: Final = _refused(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "JSON required",
    "Send a JSON object, with Content-Type: application/json.",
)


def problem_of(error: OtpVerifyError) -> Problem:
    """The problem detail of an error. It explains what the person can do, and never repeats an
    answer of the gateway or the store."""
    number = isinstance(error, DeliveryError) and error.provider_code == "invalid_phone_number"
    known = InvalidPhoneNumber if number else type(error)
    kind, status, title = next(one for one in _KINDS if issubclass(known, one[0]))
    seconds = getattr(error, "retry_after", None)
    return Problem(
        int(status),
        type_of(kind),
        title,
        explain(error),
        more=_more(error),
        headers={} if seconds is None else {"Retry-After": str(seconds)},
    )


def type_of(kind: type[OtpVerifyError]) -> str:
    """The URN of a kind of error."""
    name = next(title for known, _, title in _KINDS if issubclass(kind, known))
    return _urn(name)


def explained(error: E, *, expected: bool = True) -> E:
    """An error that a reply can explain to a person. One that the person cannot fix is logged, such
    as a store that cannot be reached.

    Call it wherever an integration turns an error of a verifier into a page or a reply.

    Args:
        error: The error.
        expected: Whether the operation can end with it. Otherwise it is logged in any case, such as
            an account whose phone is not a number.

    Raises:
        OtpVerifyError: The error itself, for the framework to log with its traceback, if it is the
            program's, such as `ConfigurationError`: nothing that a person does changes it.
    """
    status = problem_of(error).status
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    ours = status > HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, ConfigurationError)
    if ours or not expected:
        _log.warning("%s: %s", type(error).__name__, error)
    return error


def _more(error: OtpVerifyError) -> dict[str, Value]:
    match error:
        case IncorrectCode():
            return {"attempts_left": error.attempts_left}
        case RateLimited():
            return {"retry_after": error.retry_after, "limit": error.scope}
        case AttemptsExhausted():
            return {"retry_after": error.retry_after}
        case DestinationBlocked(retry_after=None) if error.reason not in (TOTAL, SPEND):
            return {"reason": error.reason}
        # Whose account or which cap refuses, an attacker could watch.
        case HumanCheckRequired() | DestinationBlocked(retry_after=None):
            return {}
        case DestinationBlocked():
            return {"retry_after": error.retry_after}
        case DeliveryError():
            return {"maybe_sent": error.maybe_sent}
        case ProofRequired():
            named = {"purpose": error.purpose, "start": error.start}
            return {name: value for name, value in named.items() if value}
    return {}
