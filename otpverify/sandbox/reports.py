"""Delivery reports, from the gateway's side: which come, and how they are written. No I/O.

A message whose send named an address for reports (`report` or `callbackUrl`) is reported
`sent` and then `delivered`. These numbers reserved for fiction, `+1 AAA 555 01NN` with any area
code `AAA`, are reported in another way:

| NN | what is reported |
|----|------------------|
| 90 | `sent`, then `undelivered` |
| 91 | `rejected` |
| 92 | `sent`, then `expired` |
| 93 | `sent`, then `failed` |
| 94 | nothing, as by carriers that never report |
| 95 | `pending`, which stays the last word |
| 96 | `delivered` twice, then `sent`, which comes late |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import SplitResult, urlencode, urlsplit

from otpverify.sandbox.hosts import is_loopback

Shape = Literal["post", "get"]
SHAPES: Mapping[str, Shape] = {"post": "post", "get": "get"}

_FICTIONAL = re.compile(r"\+1[2-9][0-9]{2}55501([0-9]{2})", re.ASCII)
_URL = re.compile(r"[!-~]+", re.ASCII)
_USUAL = ("sent", "delivered")
PLANS: Mapping[str, tuple[str, ...]] = {
    "90": ("sent", "undelivered"),
    "91": ("rejected",),
    "92": ("sent", "expired"),
    "93": ("sent", "failed"),
    "94": (),
    "95": ("pending",),
    "96": ("delivered", "delivered", "sent"),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the application.

    Attributes:
        secure: Whether it goes over TLS.
        host: Where to.
        port: The port; `None` for the scheme's own.
        method: `"POST"` or `"GET"`.
        target: Path and query, the application's token included.
        body: The body, or `None`.
    """

    secure: bool
    host: str
    port: int | None
    method: str
    target: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


def plan(to: str) -> tuple[str, ...]:
    """What is reported of a message to this number, in this order."""
    found = _FICTIONAL.fullmatch(to)
    return PLANS.get(found.group(1), _USUAL) if found else _USUAL


def address(given: object, *, anywhere: bool) -> SplitResult | None:
    """The address for reports, or `None` when none may go there.

    Args:
        given: What the send named.
        anywhere: Whether reports may leave this machine.
    """
    if not isinstance(given, str) or not _URL.fullmatch(given):
        return None
    try:
        url = urlsplit(given)
        host, port = url.hostname, url.port  # reading the port is what checks it
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not host or port == 0 or "@" in url.netloc:
        return None
    return url if anywhere or is_loopback(host) else None


def request_of(
    url: SplitResult, message_id: str, to: str, status: str, shape: Shape, now: datetime
) -> Request:
    """One report: a POST with JSON, or a GET with everything in the query."""
    query, body = url.query, None
    number = to.removeprefix("+")
    if shape == "post":
        said = {"messageId": message_id, "status": status, "to": number}
        body = json.dumps({**said, "timestamp": now.isoformat()}).encode()
    else:
        fields = urlencode({"id": message_id, "status": status, "toNumber": number})
        query = f"{query}&{fields}" if query else fields
    return Request(
        secure=url.scheme == "https",
        host=url.hostname or "",
        port=url.port,
        method=shape.upper(),
        target=(url.path or "/") + (f"?{query}" if query else ""),
        body=body,
    )
