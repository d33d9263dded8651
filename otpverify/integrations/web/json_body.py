"""The JSON object that a request brings, read strictly, for the JSON endpoints of all frameworks.

Another site can make a browser send a form, or a request without a content type, with the person's
cookies, but not `application/json` (Fetch standard, CORS-safelisted request-header). So the check
of the content type is also the protection against forged requests.
"""

from __future__ import annotations

import json
from typing import Any, Final

from otpverify.integrations.web.problems import INVALID_REQUEST, NOT_JSON, TOO_LARGE, Problem

MOST_BYTES: Final = 16_384
"""The largest body to read, in bytes. `json_object` refuses longer ones."""


def json_object(content_type: str | None, body: bytes) -> dict[str, Any] | Problem:
    """The JSON object in a request's body.

    Args:
        content_type: The request's header. Parameters such as `charset` are ignored.
        body: The body; read at most `MOST_BYTES` and one more.

    Returns:
        The object; otherwise the problem to answer with: `NOT_JSON` (415), `TOO_LARGE` (413) or
        `INVALID_REQUEST` (422).
    """
    if not is_json(content_type):
        return NOT_JSON
    if len(body) > MOST_BYTES:
        return TOO_LARGE
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return INVALID_REQUEST
    return found if isinstance(found, dict) else INVALID_REQUEST


def is_json(content_type: str | None) -> bool:
    """Whether a request says that its body is JSON."""
    return (content_type or "").partition(";")[0].strip().lower() == "application/json"
