"""How delivery reports are read: by the sender's own reader, or in any format of the SMSPM gateway.

Anyone may post anything to a callback's address, so nothing that reads here raises: fields that
cannot be understood are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from otpverify.core.results import DeliveryStatus, ReportFields
from otpverify.core.tokens import PARAMETER

_LONGEST_VALUE = 1024
_MOST_FIELDS = 50
MESSAGE_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
"""The valid form of a gateway's id of a message, in a reply and in a report."""
_NUMBER = re.compile(r"\+?([1-9][0-9]{3,14})", re.ASCII)
_WORD = re.compile(r"[a-z][a-z_]{0,30}", re.ASCII)

_STATUSES = {
    "queued": DeliveryStatus.QUEUED,
    "added to queue": DeliveryStatus.QUEUED,
    "submitted": DeliveryStatus.SENT,
    "sent": DeliveryStatus.SENT,
    # Passed to the carrier; there may be no further report.
    "pending": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "rejected": DeliveryStatus.REJECTED,
    "expired": DeliveryStatus.EXPIRED,
    "failed": DeliveryStatus.FAILED,
}


def report_reader(sender: Any) -> Callable[[object], ReportFields]:
    """The function that reads the parameters of this sender's delivery reports.

    Returns:
        The sender's own `read_report`. For a sender without one, a reader of the fields
        `report_token`, `status`, `messageId` or `id`, and `toNumber` or `to`.
    """
    own = getattr(sender, "read_report", None)
    return own if callable(own) else read_report


def read_report(params: object) -> ReportFields:
    """Read a report.

    Args:
        params: The callback's query parameters merged with the fields of its body. Names may be
            in upper or lower case. Values may be plain, or in lists as `parse_qs` returns them.
            The fields may also be one level down, in a `messages` list of one entry. Other fields
            are ignored.
    """
    fields = _fields(params)
    token, _, swallowed = fields.get(PARAMETER, "").partition("?")
    if swallowed:
        # The gateway added its own `?` to a URL that already had one.
        fields = {**callback_params(swallowed), **fields}
    word = " ".join(fields.get("status", "").lower().split())
    message_id = MESSAGE_ID.fullmatch(fields.get("messageid") or fields.get("id") or "")
    number = _NUMBER.fullmatch(fields.get("tonumber") or fields.get("to") or "")
    return ReportFields(
        token=token or None,
        status=_STATUSES.get(word),
        word=word if _WORD.fullmatch(word) else None,
        message_id=message_id.group() if message_id else None,
        number=f"+{number.group(1)}" if number else None,
    )


def callback_params(
    query: str | bytes | None = "", body: str | bytes | None = b""
) -> dict[str, str]:
    """The parameters of a callback, read from its HTTP request, for `delivery_report`.

    Args:
        query: The URL's query, as it was sent; `None` if there is no query.
        body: The request's body: JSON, a form, or empty; `None` if there is no body. Let your
            server limit its size.

    Returns:
        The parameters of both, merged. Parts that cannot be read are left out.
    """
    query, body = query or "", body or ""
    return {**_form(query), **(_json(body) or _form(body))}


def _fields(params: object, *, nested: bool = False) -> dict[str, str]:
    """The fields as text, with lower-case names. Fields of the top level take precedence over
    those one level down."""
    if not isinstance(params, Mapping):
        return {}
    found: dict[str, str] = {}
    below: dict[str, str] = {}
    for name, value in params.items():
        key = (_text(name) or "").lower()
        if key == "messages" and not nested:
            below = _fields(_only(value), nested=True)
        elif (text := _text(value)) is not None:
            found[key] = text
    return {**below, **found}


def _only(value: object) -> object:
    """The entry of a list of one; anything else as it is."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _text(value: object) -> str | None:
    """A scalar as text, without surrounding white space; of a list, the last item."""
    if isinstance(value, list | tuple) and value:
        value = value[-1]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30:
        return str(value)
    return value.strip() if isinstance(value, str) and len(value) <= _LONGEST_VALUE else None


def _form(raw: str | bytes) -> dict[str, str]:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    try:
        return dict(parse_qsl(text, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


def _json(raw: str | bytes) -> dict[str, str]:
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return _fields(_only(parsed))
