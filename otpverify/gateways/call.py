"""One call of a gateway as data: the request, the reply or the failure, and the error for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from otpverify.errors import DeliveryUnavailable

T = TypeVar("T")
Fields = Mapping[str, Any]
Method = Literal["POST", "GET"]
BUSY_STATUSES = frozenset({429, 502, 503, 504})
LARGEST_REPLY = 65_536
"""Bytes of a reply that are read."""

NOBODY_KNOWS = "It is unknown whether the message was taken."


@dataclass(frozen=True, slots=True, repr=False)
class Call(Generic[T]):
    """What goes out, and how to read what comes back.

    Attributes:
        operation: What `DeliveryAttempt` calls it.
        method: The HTTP method.
        url: Where to, without a query.
        fields: JSON body of a POST, query of a GET. They hold credentials.
        read: Makes the result of an HTTP status and a body, or raises a `DeliveryError`.
        sends: Whether a message may go out by it.
        many: Whether it goes to many, so that it is not repeated in doubt.
    """

    operation: str
    method: Method
    url: str
    fields: Fields
    read: Callable[[int, bytes], T]
    sends: bool = True
    many: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """What came back.

    Attributes:
        status: The HTTP status.
        body: The body, cut off soon after the longest that is read.
        retry_after: The headers `Retry-After`.
    """

    status: int
    body: bytes
    retry_after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing came back.

    Attributes:
        begun: Whether anything of the request was sent. If not, it certainly was not taken.
        late: The time was up.
        tls: The encryption failed.
        certificate: Because of the gateway's certificate.
        full: All of our own connections were in use.
    """

    begun: bool
    late: bool = False
    tls: bool = False
    certificate: bool = False
    full: bool = False


def causes_of(error: BaseException) -> list[BaseException]:
    """An error of an HTTP library and all that led to it, which each library keeps in another
    place. Not its context: that may be what our caller was handling when it called us."""
    found: list[BaseException] = []
    queue = [error]
    while queue:
        link = queue.pop()
        if any(link is known for known in found):
            continue
        found.append(link)
        kin = (link.__cause__, getattr(link, "reason", None), *link.args)
        queue += [relative for relative in kin if isinstance(relative, BaseException)]
    return found


def not_answered(failure: Failure, *, sends: bool) -> DeliveryUnavailable:
    """The error for a call that brought no reply, in our own words."""
    if failure.tls or failure.certificate:
        why = "; its certificate is not valid." if failure.certificate else "."
        said, code = "The encrypted connection to SMSPM failed" + why, "tls_failed"
    elif failure.full:
        said, code = "All connections to SMSPM were in use.", "pool_full"
    elif not failure.begun:
        said, code = "SMSPM could not be reached.", "unreachable"
    else:
        code = "timeout" if failure.late else "connection_lost"
        said = f"SMSPM did not answer ({code})."
    maybe_sent = sends and failure.begun
    if maybe_sent:
        said += f" {NOBODY_KNOWS}"
    return DeliveryUnavailable(said, provider_code=code, maybe_sent=maybe_sent)
