"""What a request brings, as all frameworks read it: the person's address, a JSON object, a delivery
report."""

from __future__ import annotations

import inspect
import json
import logging
import re
from typing import Any, Final

from otpverify import AsyncVerifier, StoreError, Verifier
from otpverify.core.client_ip import read_address
from otpverify.integrations.web.problems import INVALID_REQUEST, NOT_JSON, TOO_LARGE, Problem
from otpverify.sms import callback_params

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing (RFC 9110, 9.2.1), without TRACE."""
LARGEST_JSON: Final = 16_384
"""The largest JSON body to read, in bytes. `json_object` refuses longer ones."""
LARGEST_REPORT: Final = 65_536
"""The largest body of a delivery report to read, in bytes. No report is longer, and longer bodies
are ignored."""

_NO_ADDRESS = re.compile(r"(|-|unix|unknown|<local>|unix:.*|[/@].*)", re.ASCII | re.IGNORECASE)
_READABLE: Final = frozenset({"", "application/json", "application/x-www-form-urlencoded"})

_log = logging.getLogger("otpverify.integrations")


# The person's address, as servers and proxies give it.


def client_address(given: str | None) -> str | None:
    """The IP address in what a server gives as the client's address, for `client_ip=`.

    Args:
        given: Such as `REMOTE_ADDR`, or an entry of a header that a proxy of yours writes.

    Returns:
        The address without a port or brackets. `None` without an address, as with a Unix socket.
        Anything else unchanged: the verifier refuses it with `ConfigurationError`.
    """
    text = (given or "").strip()
    if _NO_ADDRESS.fullmatch(text):
        return None
    address = read_address(text)
    return text if address is None else str(address)


# A JSON object, read strictly.
#
# Another site can make a browser send a form, or a request without a content type, with the
# person's cookies, but not `application/json` (Fetch standard, CORS-safelisted request-header). So
# the check of the content type is also the protection against forged requests.


def json_object(content_type: str | None, body: bytes) -> dict[str, Any] | Problem:
    """The JSON object in a request's body.

    Args:
        content_type: The request's header. Parameters such as `charset` are ignored.
        body: The body; read at most `LARGEST_JSON` and one more.

    Returns:
        The object; otherwise the problem to answer with: `NOT_JSON` (415), `TOO_LARGE` (413) or
        `INVALID_REQUEST` (422).
    """
    if not is_json(content_type):
        return NOT_JSON
    if len(body) > LARGEST_JSON:
        return TOO_LARGE
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()  # half of a character can be stored nowhere
    except (ValueError, RecursionError):
        return INVALID_REQUEST
    return found if isinstance(found, dict) else INVALID_REQUEST


def is_json(content_type: str | None) -> bool:
    """Whether a request says that its body is JSON."""
    return (content_type or "").partition(";")[0].strip().lower() == "application/json"


# The endpoint for delivery reports, which the gateway calls.


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
        body: Its body; read at most `LARGEST_REPORT` and one more.
        content_type: The body's type. A body that says it is neither a form, JSON nor text is not
            looked at.

    Returns:
        The status and the text of the reply: 200 and `"OK"`; or 503 and `"Later"` when the store
        does not answer, and the gateway sends the report again.
    """
    kind = content_type.partition(";")[0].strip().lower()
    readable = kind in _READABLE or kind.startswith("text/")
    if method.upper() != "POST" or len(body) > LARGEST_REPORT or not readable:
        body = b""
    try:
        taken = verifier.delivery_report(callback_params(query, body))
        if inspect.isawaitable(taken):
            await taken
    except StoreError as error:
        _log.warning("A delivery report was not taken: %s", error)
        return 503, "Later"
    return 200, "OK"
