"""Numbers that make the sandbox fail on purpose: `FAULTS`, and `REPORTS` for delivery reports.

They are North American numbers reserved for fiction, `+1 AAA 555 01NN`; the last two digits name
the fault. Common faults have them with any area code `AAA`, the others with `RARE_AREA` alone, so
that few numbers fail. Every other number works. The inbox marks each of these messages.

A message that was `taken` is in the inbox, although the client cannot know that the gateway took
it: its code arrives, and must be good. Among several recipients 40 refuses its own entry only; of
the others, the first decides for the whole request and all its recipients. In the tutorial's
dialect 40 and 41 come with status 200, as all of its refusals do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

RARE_AREA: Final = "415"
_FICTIONAL = re.compile(r"\+1([2-9][0-9]{2})55501([0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail.

    Attributes:
        digits: The number's last two digits.
        description: What happens, in one line.
        taken: Whether the message is kept despite the failure.
        status: The reply's HTTP status.
        error: The reply's error text; `{number}` stands for the number as it was sent.
        headers: Further headers of the reply.
        body: The reply's body when it does not follow the contract.
        content_type: The body's type.
        transport: How the transport of the reply fails, as `fail_transport` names it.
        without_id: The reply is a success that names no message id.
        padding: How many spaces the reply's body begins with.
        retry_in_seconds: What `Retry-After` says, as a date.
        alternating: Every other request fails; the requests in between succeed.
        common: It has a number in any area code.
    """

    digits: str
    description: str
    taken: bool = False
    status: int = 200
    error: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    transport: str | None = None
    without_id: bool = False
    padding: int = 0
    retry_in_seconds: int | None = None
    alternating: bool = False
    common: bool = False


INVALID_NUMBER = "Invalid phone number: {number}"
_PAGE = b"<!doctype html><html><body><h1>It works!</h1></body></html>"

FAULTS: dict[str, Fault] = {
    fault.digits: fault
    for fault in (
        Fault("40", "Invalid phone number.", status=400, error=INVALID_NUMBER, common=True),
        Fault("41", "The credentials are refused.", status=401, error="Unauthorized", common=True),
        Fault(
            "42",
            "The account has no balance.",
            status=402,
            error="Insufficient balance",
            common=True,
        ),
        Fault("27", "Slow down: 429.", status=429, error="Too many requests", common=True),
        Fault(
            "28",
            "Slow down: 429 with a date two seconds from now.",
            status=429,
            error="Too many requests",
            retry_in_seconds=2,
        ),
        Fault(
            "29",
            "Slow down: 429 with Retry-After: 1.",
            status=429,
            error="Too many requests",
            headers=(("Retry-After", "1"),),
            common=True,
        ),
        Fault("50", "The gateway breaks.", status=500, error="Internal server error", common=True),
        Fault("02", "A proxy fails.", status=502, error="Bad gateway"),
        Fault("03", "The gateway is down.", status=503, error="Service unavailable"),
        Fault("04", "A proxy gives no answer in time.", status=504, error="Gateway timeout"),
        Fault(
            "13",
            "The gateway is down at every other request.",
            taken=True,
            status=503,
            error="Service unavailable",
            alternating=True,
            common=True,
        ),
        Fault(
            "08",
            "The message is taken, and no answer comes.",
            taken=True,
            transport="stalled",
            common=True,
        ),
        Fault(
            "09",
            "The message is taken, and headers drip in.",
            taken=True,
            transport="slow headers",
        ),
        Fault(
            "10",
            "The message is taken, and the body drips in.",
            taken=True,
            transport="slow body",
        ),
        Fault(
            "60",
            "The message is taken, and the reply is a web page.",
            taken=True,
            body=_PAGE,
            content_type="text/html; charset=utf-8",
            common=True,
        ),
        Fault(
            "61",
            "The message is taken, and the reply breaks off.",
            taken=True,
            body=b'{"messages": [{"id": "5f1c',
        ),
        Fault("62", "The reply names no message.", body=b'{"messages": []}'),
        Fault("63", "Success without a message id.", taken=True, without_id=True, common=True),
        Fault("64", "The message is taken, and the reply is huge.", taken=True, padding=1 << 20),
        Fault(
            "65",
            "The reply is a redirect.",
            status=307,
            body=b"",
            headers=(("Location", "/messages"),),
        ),
        Fault(
            "66",
            "The message is taken, and the reply calls itself plain text.",
            taken=True,
            content_type="text/plain",
        ),
        Fault(
            "70",
            "The message is taken, and the connection is closed.",
            taken=True,
            transport="dropped",
            common=True,
        ),
        Fault(
            "71",
            "The message is taken, and the connection is reset.",
            taken=True,
            transport="reset",
        ),
    )
}


def fault_of(e164: str) -> Fault | None:
    """How this number fails, or `None` when it works."""
    area, digits = _parts(e164)
    fault = FAULTS.get(digits)
    return fault if fault is not None and (fault.common or area == RARE_AREA) else None


@dataclass(frozen=True, slots=True)
class Reports:
    """The delivery reports of a message.

    Attributes:
        statuses: The statuses, in the order in which they are reported.
        description: What happens, in one line; empty for the usual reports.
        common: They have a number in any area code.
    """

    statuses: tuple[str, ...]
    description: str = ""
    common: bool = False


USUAL_REPORTS: Final = Reports(("sent", "delivered"))
REPORTS: Final = {
    "90": Reports(("sent", "undelivered"), "Reported as sent, then as undelivered.", common=True),
    "91": Reports(("rejected",), "Reported as rejected."),
    "92": Reports(("sent", "expired"), "Reported as sent, then as expired."),
    "93": Reports(("sent", "failed"), "Reported as sent, then as failed."),
    "94": Reports((), "Never reported, as by some carriers.", common=True),
    "95": Reports(("pending",), "Reported as pending, and never again."),
    "96": Reports(
        ("delivered", "delivered", "sent"), "Reported as delivered twice, then late as sent."
    ),
}


def reports_of(e164: str) -> Reports:
    """How a message to this number is reported."""
    area, digits = _parts(e164)
    found = REPORTS.get(digits, USUAL_REPORTS)
    return found if found.common or area == RARE_AREA else USUAL_REPORTS


def on_purpose(e164: str) -> str | None:
    """What goes wrong on purpose for this number, in one line; `None` if nothing does."""
    fault = fault_of(e164)
    return fault.description if fault is not None else reports_of(e164).description or None


def _parts(e164: str) -> tuple[str, str]:
    found = _FICTIONAL.fullmatch(e164)
    return (found.group(1), found.group(2)) if found else ("", "")
