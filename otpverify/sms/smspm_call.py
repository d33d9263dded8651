"""One call of the SMSPM gateway as data, so that either client only carries it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from otpverify.errors import DeliveryUnavailable
from otpverify.sms import smspm_wire as wire

T = TypeVar("T")
Fields = Mapping[str, Any]
Method = Literal["POST", "GET"]


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left on the account.

    Attributes:
        amount: In euros.
        stale: It is the last known figure, not the current one.
    """

    amount: float
    stale: bool = False


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
        said += f" {wire.NOBODY_KNOWS}"
    return DeliveryUnavailable(said, provider_code=code, maybe_sent=maybe_sent)


def read_balance(reply: Fields) -> Balance:
    """The figure of a reply to `/balance`.

    Raises:
        DeliveryUnavailable: There is none.
    """
    amount = reply.get("balance")
    # The bound leaves out NaN, infinities, and integers that no float can hold.
    if isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 1e15:
        return Balance(float(amount), reply.get("stale") is True)
    raise wire.unreadable("SMSPM's reply holds no balance.")


def read_sender_ids(reply: Fields) -> tuple[str, ...]:
    """The sender IDs of a reply to `/sender-ids`.

    Raises:
        DeliveryUnavailable: There is no list of them.
    """
    senders = reply.get("senders")
    if not isinstance(senders, list):
        raise wire.unreadable("SMSPM's reply holds no sender IDs.")
    return tuple(sender for sender in senders if isinstance(sender, str))
