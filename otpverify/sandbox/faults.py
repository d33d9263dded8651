"""Numbers that make the sandbox fail, each in its own way.

Any North American number reserved for fiction, `+1 AAA 555 01NN` with any area code `AAA`,
fails by its last two digits:

| NN | what happens | kept in the inbox |
|----|--------------|-------------------|
| 40 | 400 `Invalid phone number: <number>` | no |
| 41 | 401 `Unauthorized`, as with a wrong token | no |
| 42 | 402, the account has no balance | no |
| 29 | 429 with `Retry-After: 1` | no |
| 50 | 500 `Internal server error` | no |
| 03 | 503, for maintenance | no |
| 08 | no answer until the sandbox's `stall_seconds` are over | yes |
| 60 | 200 with an HTML page | yes |
| 61 | 200 with JSON that breaks off | yes |
| 62 | 200 with no message in it: `{"messages": []}` | no |
| 63 | success without a message id | yes |
| 70 | the connection is closed after the request was read | yes |

Every other number works. What is kept in the inbox was taken by the gateway, although the
client cannot know: its code arrives after all, and must be good. Among several recipients 40
refuses its own entry only, and the others have no effect. In the tutorial's dialect 40 and 41
come with status 200, as all of its refusals do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FICTIONAL = re.compile(r"\+1[2-9][0-9]{2}55501([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail.

    Attributes:
        digits: The number's last two digits.
        description: What happens, in one line.
        taken: Whether the message is kept all the same.
        status: The reply's HTTP status.
        error: The reply's error text; `{number}` stands for the number as it was sent.
        headers: Further headers of the reply.
        body: The reply's body when it is none of the contract's, and its type.
        content_type: The body's type.
        silent: No reply comes at all: `"stalled"` after a wait, `"dropped"` at once.
        without_id: The reply is a success that names no message id.
    """

    digits: str
    description: str
    taken: bool = False
    status: int = 200
    error: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    silent: str | None = None
    without_id: bool = False


INVALID_NUMBER = "Invalid phone number: {number}"
_PAGE = b"<!doctype html><html><body><h1>It works!</h1></body></html>"

FAULTS: dict[str, Fault] = {
    fault.digits: fault
    for fault in (
        Fault("40", "Invalid phone number.", status=400, error=INVALID_NUMBER),
        Fault("41", "The credentials are refused.", status=401, error="Unauthorized"),
        Fault("42", "The account has no balance.", status=402, error="Insufficient balance"),
        Fault(
            "29",
            "Slow down: 429 with Retry-After: 1.",
            status=429,
            error="Too many requests",
            headers=(("Retry-After", "1"),),
        ),
        Fault("50", "The gateway breaks.", status=500, error="Internal server error"),
        Fault("03", "The gateway is down.", status=503, error="Service unavailable"),
        Fault("08", "The message is taken, and no answer comes.", taken=True, silent="stalled"),
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
        Fault(
            "70",
            "The message is taken, and the connection is closed.",
            taken=True,
            silent="dropped",
        ),
    )
}


def fault_of(e164: str) -> Fault | None:
    """How this number fails, or `None` when it works."""
    found = _FICTIONAL.fullmatch(e164)
    return FAULTS.get(found.group(1)) if found else None
