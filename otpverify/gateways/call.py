"""One gateway call as data: the request, the reply or the failure, and the resulting error.

This module is independent of any gateway and does no I/O. It never puts any part of a request or
a reply into an error.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from otpverify.errors import DeliveryUnavailable

T = TypeVar("T")
Fields = Mapping[str, Any]
Method = Literal["POST", "GET"]
BUSY_STATUSES = frozenset({429, 502, 503, 504})
LARGEST_REPLY = 65_536
"""The largest number of bytes read from a reply."""

OUTCOME_UNKNOWN = "It is unknown whether the message was taken."


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call(Generic[T]):
    """A request, and how to read its reply.

    Attributes:
        gateway: The gateway's name in errors, such as `"SMSPM"`.
        operation: The call's name in a `DeliveryAttempt`, such as `"send"`.
        method: The HTTP method.
        url: The address, without a query and without credentials: errors show its host and port.
        fields: The body of a POST, or the query of a GET. They may hold credentials.
        read: Takes the HTTP status and the body; returns the result or raises a `DeliveryError`.
            An error must not repeat any part of the request; of the reply it may repeat only
            fixed words.
        headers: Further headers, such as `Authorization`.
        encoding: How a POST encodes the fields: as a JSON object or as an HTML form.
        sends: Whether the call can cause a message to be sent.
        many: Whether it goes to many recipients. Such a call is not repeated when its outcome is
            unknown.
    """

    gateway: str
    operation: str
    method: Method
    url: str
    fields: Fields
    read: Callable[[int, bytes], T]
    headers: Mapping[str, str] = field(default_factory=dict)
    encoding: Literal["json", "form"] = "json"
    sends: bool = True
    many: bool = False

    @property
    def place(self) -> str:
        """Gateway, host and port, for errors."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
        return f"{self.gateway} ({parts.hostname}:{port})"


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A reply to a call.

    Attributes:
        status: The HTTP status.
        body: The body, cut off soon after `LARGEST_REPLY` bytes.
        retry_after: The `Retry-After` headers.
    """

    status: int
    body: bytes
    retry_after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why there was no reply.

    Attributes:
        begun: Whether any part of the request was sent. If not, the gateway certainly did not
            take it.
        late: The deadline passed.
        tls: TLS failed.
        certificate: The gateway's certificate is not valid.
        full: All of our own connections were in use.
        reason: The reason in fixed words, such as `"connection refused"`; empty if unknown.
    """

    begun: bool
    late: bool = False
    tls: bool = False
    certificate: bool = False
    full: bool = False
    reason: str = ""

    @classmethod
    def of(
        cls, error: BaseException, *, begun: bool, late: bool = False, full: bool = False
    ) -> Failure:
        """Convert an exception of an HTTP library to a failure.

        Args:
            error: The exception. Its text is not used.
            begun: Whether any part of the request was sent.
            late, full: What the library's own exception classes mean. This function recognises
                system errors itself.
        """
        causes = causes_of(error)
        return cls(
            begun=begun,
            late=late or any(isinstance(cause, TimeoutError) for cause in causes),
            tls=any(isinstance(cause, ssl.SSLError) for cause in causes),
            certificate=any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes),
            full=full,
            reason=_reason(causes),
        )


_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return "its name could not be resolved (DNS)"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ConnectionError):
            return "connection closed"
        if isinstance(cause, OSError) and cause.errno in _NO_ROUTE:
            return "no route to it"
    return ""


def causes_of(error: BaseException) -> list[BaseException]:
    """An exception and its causes; each library stores them in a different place. Its context is
    left out, because that may be an exception that our caller was handling."""
    found: list[BaseException] = []
    queue = [error]
    while queue:
        link = queue.pop()
        if any(link is known for known in found):
            continue
        found.append(link)
        members = link.exceptions if isinstance(link, BaseExceptionGroup) else ()
        related = (link.__cause__, getattr(link, "reason", None), *link.args, *members)
        queue += [other for other in related if isinstance(other, BaseException)]
    return found


def no_reply(failure: Failure, call: Call[Any]) -> DeliveryUnavailable:
    """The error for a call without a reply: the gateway, its address and the reason."""
    if failure.tls or failure.certificate:
        reason = failure.reason
        if failure.certificate:
            reason = "its certificate is not valid"
        message, code = f"The encrypted connection to {call.place} failed", "tls_failed"
    elif failure.full:
        reason = ""
        message, code = f"All connections to {call.place} were in use", "pool_full"
    elif not failure.begun:
        reason = failure.reason or ("time-out" if failure.late else "")
        message, code = f"{call.place} could not be reached", "unreachable"
    else:
        reason = "time-out" if failure.late else failure.reason or "connection closed"
        code = "timeout" if failure.late else "connection_lost"
        message = f"{call.place} did not answer"
    message += f": {reason}." if reason else "."
    maybe_sent = call.sends and failure.begun
    if maybe_sent:
        message += f" {OUTCOME_UNKNOWN}"
    return DeliveryUnavailable(message, provider_code=code, maybe_sent=maybe_sent)
