"""The endpoint for delivery reports, which the gateway calls."""

from __future__ import annotations

import inspect
import logging
from typing import Final

from otpverify import AsyncVerifier, StoreError, Verifier
from otpverify.sms import callback_params

MOST_BYTES: Final = 65_536
"""The largest body to read, in bytes. No report is longer, and longer bodies are ignored."""

_log = logging.getLogger("otpverify.integrations")


async def take_report(
    verifier: Verifier | AsyncVerifier,
    *,
    method: str,
    query: str | bytes,
    body: bytes,
    content_type: str = "",
) -> tuple[int, str]:
    """Take a request to the address for delivery reports. The endpoint has no session and needs
    no CSRF token. The token in the address authenticates a report, so keep the query out of your
    logs. Every caller gets the same answer.

    Args:
        verifier: Any that shares store and secret with the one that sent the message.
        method: The request's method.
        query: Its query, as it came.
        body: Its body; read at most `MOST_BYTES` and one more.
        content_type: The body's type. A body that says it is neither a form, JSON nor text is not
            looked at.

    Returns:
        The status and the text of the reply: 200 and `"OK"`; or 503 and `"Later"` when the store
        does not answer, and the gateway sends the report again.
    """
    kind = content_type.partition(";")[0].strip().lower()
    readable = kind in _READABLE or kind.startswith("text/")
    if method.upper() != "POST" or len(body) > MOST_BYTES or not readable:
        body = b""
    try:
        taken = verifier.delivery_report(callback_params(query, body))
        if inspect.isawaitable(taken):
            await taken
    except StoreError as error:
        _log.warning("A delivery report was not taken: %s", error)
        return 503, "Later"
    return 200, "OK"


_READABLE: Final = frozenset({"", "application/json", "application/x-www-form-urlencoded"})
