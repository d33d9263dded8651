"""Numbers that make the sandbox fail, each in its own way.

Any North American number reserved for fiction, `+1 AAA 555 01NN` with any area code `AAA`,
fails by its last two digits:

| NN | what happens | kept in the inbox |
|----|--------------|-------------------|
| 40 | 400 `Invalid phone number: <number>` | no |
| 41 | 401 `Unauthorized`, as with a wrong token | no |
| 42 | 402, the account has no balance | no |
| 27 | 429 | no |
| 28 | 429 with `Retry-After` two seconds from now, as a date | no |
| 29 | 429 with `Retry-After: 1` | no |
| 50 | 500 `Internal server error` | no |
| 02 | 502 | no |
| 03 | 503, for maintenance | no |
| 04 | 504 | no |
| 13 | 503 to every other request, and success in between | yes |
| 08 | no answer until the sandbox's `stall_seconds` are over | yes |
| 09 | a reply whose headers arrive byte by byte, over 30 seconds | yes |
| 10 | a reply whose body arrives byte by byte, over 30 seconds | yes |
| 60 | 200 with an HTML page | yes |
| 61 | 200 with JSON that breaks off | yes |
| 62 | 200 with no message in it: `{"messages": []}` | no |
| 63 | success without a message id | yes |
| 64 | success in a reply of a megabyte | yes |
| 65 | 307 to another address | no |
| 66 | success that calls itself plain text | yes |
| 70 | the connection is closed after the request was read | yes |
| 71 | the same, by a reset | yes |

Every other number works. What is kept in the inbox was taken by the gateway, although the
client cannot know: its code arrives after all, and must be good. Among several recipients 40
refuses its own entry only; of the others, the first rules the whole request and all its
recipients. In the tutorial's dialect 40 and 41 come with status 200, as all of its refusals do.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from dataclasses import dataclass
from io import BufferedIOBase

from otpverify.sandbox.wire import Reply

_FICTIONAL = re.compile(r"\+1[2-9][0-9]{2}55501([0-9]{2})")


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
        manner: How the transport of the reply fails, as `otpverify.sandbox.faults` names it.
        without_id: The reply is a success that names no message id.
        padding: How many spaces the reply's body begins with.
        retry_in_seconds: What `Retry-After` says, as a date.
        alternating: Every other request fails; the requests in between succeed.
    """

    digits: str
    description: str
    taken: bool = False
    status: int = 200
    error: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    manner: str | None = None
    without_id: bool = False
    padding: int = 0
    retry_in_seconds: int | None = None
    alternating: bool = False


INVALID_NUMBER = "Invalid phone number: {number}"
_PAGE = b"<!doctype html><html><body><h1>It works!</h1></body></html>"

FAULTS: dict[str, Fault] = {
    fault.digits: fault
    for fault in (
        Fault("40", "Invalid phone number.", status=400, error=INVALID_NUMBER),
        Fault("41", "The credentials are refused.", status=401, error="Unauthorized"),
        Fault("42", "The account has no balance.", status=402, error="Insufficient balance"),
        Fault("27", "Slow down: 429.", status=429, error="Too many requests"),
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
        ),
        Fault("50", "The gateway breaks.", status=500, error="Internal server error"),
        Fault("02", "A proxy fails.", status=502, error="Bad gateway"),
        Fault("03", "The gateway is down.", status=503, error="Service unavailable"),
        Fault("04", "A proxy loses patience.", status=504, error="Gateway timeout"),
        Fault(
            "13",
            "The gateway is down at every other request.",
            taken=True,
            status=503,
            error="Service unavailable",
            alternating=True,
        ),
        Fault("08", "The message is taken, and no answer comes.", taken=True, manner="stalled"),
        Fault("09", "The message is taken, headers drip.", taken=True, manner="slow headers"),
        Fault("10", "The message is taken, the body drips.", taken=True, manner="slow body"),
        Fault(
            "60",
            "The message is taken, and the reply is a web page.",
            taken=True,
            body=_PAGE,
            content_type="text/html; charset=utf-8",
        ),
        Fault(
            "61",
            "The message is taken, and the reply breaks off.",
            taken=True,
            body=b'{"messages": [{"id": "5f1c',
        ),
        Fault("62", "The reply names no message.", body=b'{"messages": []}'),
        Fault("63", "Success without a message id.", taken=True, without_id=True),
        Fault("64", "The message is taken, the reply is huge.", taken=True, padding=1 << 20),
        Fault(
            "65",
            "The reply leads elsewhere.",
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
            manner="dropped",
        ),
        Fault("71", "The message is taken, and the connection reset.", taken=True, manner="reset"),
    )
}


def fault_of(e164: str) -> Fault | None:
    """How this number fails, or `None` when it works."""
    found = _FICTIONAL.fullmatch(e164)
    return FAULTS.get(found.group(1)) if found else None


_SECONDS_A_BYTE = 0.02
# Together 30 seconds: longer than a client's default `Retry.total_seconds`.
_DRIPPED_BYTES = 1500
# The kernel then discards unsent data and resets the connection.
_NO_LINGER = struct.pack("ii", 1, 0)


def misbehave(
    manner: str,
    reply: Reply,
    connection: socket.socket,
    wfile: BufferedIOBase,
    stopping: threading.Event,
    stall_seconds: float,
) -> None:
    """Apply a fault to a reply. The connection is not usable afterwards.

    Args:
        manner: `"stalled"`, `"dropped"`, `"reset"`, `"slow headers"` or `"slow body"`.
        reply: The reply without the fault.
        connection: The client's.
        wfile: Writes to it.
        stopping: Set when the sandbox stops.
        stall_seconds: How long a stalled reply is delayed.
    """
    if manner == "stalled":
        stopping.wait(stall_seconds)
    elif manner == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        socket.close(connection.detach())
    elif manner in ("slow headers", "slow body"):
        slow_body = manner == "slow body"
        body = b" " * _DRIPPED_BYTES + reply.body if slow_body else reply.body
        padding = "" if slow_body else f"X-Padding: {'x' * _DRIPPED_BYTES}\r\n"
        head = (
            f"HTTP/1.1 {reply.status} OK\r\n{padding}Content-Type: {reply.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        whole = head + body
        at_once = len(head) if slow_body else 0
        wfile.write(whole[:at_once])
        for place in range(at_once, len(whole)):
            wfile.write(whole[place : place + 1])
            wfile.flush()
            if stopping.wait(_SECONDS_A_BYTE):
                return
