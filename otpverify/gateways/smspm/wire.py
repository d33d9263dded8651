"""The wire format of the SMSPM gateway, without I/O: builds requests and reads replies.

An exception contains parts of a request or a reply only if they are known to be harmless: the
gateway repeats phone numbers in its error texts, and could repeat anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from otpverify.core.results import Message, Receipt
from otpverify.errors import (
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
)
from otpverify.gateways.call import BUSY_STATUSES, OUTCOME_UNKNOWN, Fields
from otpverify.gateways.delivery_reports import MESSAGE_ID
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.urls import report_address

NAME = "SMSPM"
_KNOWN_TEXTS = {
    "token is required": "token_required",
    "hash is required": "hash_required",
    "unauthorized": "unauthorized",
    "invalid phone number": "invalid_phone_number",
    "internal server error": "internal_error",
    "insufficient balance": "no_balance",
}
_KNOWN_STATUSES = {401: "unauthorized", 402: "no_balance", 429: "rate_limited"}
_REFUSED_STATUSES = {"rejected", "failed", "undelivered", "expired", "error"}
_HINTS = {
    "token_required": "Set SMSPM_TOKEN.",
    "hash_required": "Set SMSPM_HASH.",
    "unauthorized": "Check SMSPM_HASH and SMSPM_TOKEN.",
    "no_balance": "The account has no balance left.",
    "invalid_phone_number": "The gateway does not take this number.",
    "rate_limited": "The gateway asks to slow down.",
    "http_503": "The gateway is too busy, or down.",
}
_WORD = re.compile(r"[A-Za-z]{1,20}")


def send_fields(
    account: Account, message: Message, method: Literal["POST", "GET"] = "POST"
) -> dict[str, str]:
    """The fields of a send, for a JSON body or a query string.

    A GET has the address for reports twice: the tutorial calls it `callbackUrl`.

    Raises:
        DeliveryRejected: The text holds half a surrogate pair, which no encoding can carry.
    """
    if any("\ud800" <= character <= "\udfff" for character in message.text):
        raise DeliveryRejected("The text is not valid Unicode.", provider_code="invalid_text")
    fields = {
        **account.credentials,
        "toNumber": message.to.removeprefix("+"),
        "fromNumber": account.sender_id,
        "text": message.text,
    }
    if message.reference is not None:
        fields["smsId"] = message.reference
    if account.report_url is not None and message.report is not None:
        address = report_address(account.report_url, message.report)
        fields["report"] = address
        if method == "GET":
            fields["callbackUrl"] = address
    return fields


def read_receipt(status: int, body: bytes, sent: Mapping[str, Any]) -> Receipt:
    """Read the reply to one message, in either of the gateway's two formats.

    Args:
        status: The HTTP status.
        body: The reply's body.
        sent: The request's fields. They must not appear in an error.

    Raises:
        DeliveryRejected: The gateway refused the message.
        DeliveryUnavailable: The gateway is busy or has an internal error, or its reply cannot be
            understood.
    """
    reply = json_object(body)
    entry = _only_entry(reply)
    if status == 200 and entry is not None and _is_anothers(entry, sent):
        raise not_understood(status)
    refusal = refusal_in(reply, entry)
    if status == 200 and refusal is None:
        if entry is not None and ("id" in entry or "status" in entry):
            return Receipt(text_or_none(entry.get("id")))
        if reply.get("status") == "success":
            return Receipt(text_or_none(reply.get("messageId")))
        raise not_understood(status)
    raise failure(status, refusal, sent)


def raise_if_busy(status: int, body: bytes, sent: Mapping[str, Any]) -> None:
    """Raise `DeliveryUnavailable` for a status that asks to try again later, for any call."""
    if status in BUSY_STATUSES:
        raise failure(status, refusal_in(json_object(body), None), sent)


def read_object(status: int, body: bytes, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to a call that sends nothing, such as `/balance`. Raises as `read_receipt`."""
    reply = json_object(body)
    refusal = refusal_in(reply, None)
    if status == 200 and reply and refusal is None:
        return reply
    raise failure(status, refusal, sent, sends=False)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the body; an empty dict when the body is not a JSON object."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _only_entry(reply: dict[str, Any]) -> dict[str, Any] | None:
    entries = reply.get("messages")
    if isinstance(entries, list) and len(entries) == 1 and isinstance(entries[0], dict):
        return entries[0]
    return None


def _is_anothers(entry: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Whether an entry has a number other than ours."""
    named = entry.get("toNumber")
    digits = re.sub(r"[^0-9]", "", str(named)) if isinstance(named, str | int) else ""
    return digits not in ("", sent.get("toNumber"))


def refusal_in(reply: dict[str, Any], entry: dict[str, Any] | None) -> str | None:
    """The error text of the whole reply or of this entry, if the gateway refused. It may contain
    anything, for example a phone number."""
    for part in (reply, entry or {}):
        if part.get("error"):
            return _reason(part["error"])
    if "status" in reply and reply["status"] != "success":
        return _reason(reply.get("message"))
    if entry is not None and str(entry.get("status")).lower() in _REFUSED_STATUSES:
        return _reason(entry.get("message"))
    return None


def _reason(said: object) -> str:
    return said if isinstance(said, str) and said else "no reason given"


def text_or_none(value: object) -> str | None:
    """An id as text, or `None`. A bool is not an id, although it is an int in Python. A value that
    a delivery report could not contain is not an id either."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) if MESSAGE_ID.fullmatch(str(value)) else None


def failure(
    status: int, refusal: str | None, sent: Mapping[str, Any], *, sends: bool = True
) -> DeliveryError:
    """The error for a status and an error text. It shows only the harmless parts of the text."""
    code = _known_code(refusal) or _KNOWN_STATUSES.get(status)
    if status == 429 or code == "rate_limited":
        return _unavailable("rate_limited", status, sends=sends, maybe_sent=False)
    if status == 503:
        # The gateway did not handle the request (RFC 9110, 15.6.4). With another 5xx, it may have.
        return _unavailable(code or "http_503", status, sends=sends, maybe_sent=False)
    if code == "internal_error" or status >= 500 or status == 408:
        return _unavailable(code or f"http_{status}", status, sends=sends, maybe_sent=sends)
    if refusal is None and not 400 <= status < 500:
        return not_understood(status, sends=sends)
    code = code or (f"http_{status}" if status != 200 else "rejected")
    said = _HINTS.get(code) or _harmless(refusal or "", sent)
    return DeliveryRejected(
        f"SMSPM refused the {_thing(sends)}: {code} (HTTP {status}). {said}".rstrip(),
        provider_code=code,
    )


def _unavailable(code: str, status: int, *, sends: bool, maybe_sent: bool) -> DeliveryUnavailable:
    hint = _HINTS.get(code, OUTCOME_UNKNOWN if maybe_sent else "")
    return DeliveryUnavailable(
        f"SMSPM did not take the {_thing(sends)}: {code} (HTTP {status}). {hint}".rstrip(),
        provider_code=code,
        maybe_sent=maybe_sent,
    )


def _thing(sends: bool) -> str:
    return "message" if sends else "request"


def unreadable(message: str) -> DeliveryUnavailable:
    """The error for a reply that lacks the requested value, to a call that sends nothing."""
    return DeliveryUnavailable(message, provider_code="unreadable_reply", maybe_sent=False)


def not_understood(status: int, *, sends: bool = True) -> DeliveryUnavailable:
    """The error for a reply that cannot be understood."""
    said = f"SMSPM's reply could not be understood (HTTP {status})."
    return DeliveryUnavailable(
        f"{said} {OUTCOME_UNKNOWN}" if sends else said,
        provider_code="unreadable_reply",
        maybe_sent=sends,
    )


def _known_code(refusal: str | None) -> str | None:
    said = (refusal or "").lower()
    return next((code for text, code in _KNOWN_TEXTS.items() if said.startswith(text)), None)


def _harmless(refusal: str, sent: Mapping[str, Any]) -> str:
    """The gateway's error text, without words that are not plain or that we sent."""
    ours = " ".join(map(str, sent.values())).lower()
    words = (word.strip(".,:;!?'\"()") for word in refusal[:200].split())
    return " ".join(word if _is_foreign(word, ours) else "***" for word in words)


def _is_foreign(word: str, ours: str) -> bool:
    """Whether this is a plain word that is not part of the sent fields and shares no four letters
    with them."""
    low = word.lower()
    shared = low in ours or any(low[i : i + 4] in ours for i in range(len(low) - 3))
    return _WORD.fullmatch(word) is not None and not shared


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of the account.

    Attributes:
        amount: The balance in euros.
        stale: Whether the amount is the last known one, not the current one.
    """

    amount: float
    stale: bool = False


def read_balance(reply: Fields) -> Balance:
    """The balance in a reply to `/balance`.

    Raises:
        DeliveryUnavailable: The reply has no balance.
    """
    amount = reply.get("balance")
    # The bound excludes NaN, infinities, and integers that are too large for a float.
    if isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 1e15:
        return Balance(float(amount), reply.get("stale") is True)
    raise unreadable("SMSPM's reply holds no balance.")


def read_sender_ids(reply: Fields) -> tuple[str, ...]:
    """The sender IDs in a reply to `/sender-ids`.

    Raises:
        DeliveryUnavailable: The reply has no list of sender IDs.
    """
    senders = reply.get("senders")
    if not isinstance(senders, list):
        raise unreadable("SMSPM's reply holds no sender IDs.")
    return tuple(sender for sender in senders if isinstance(sender, str))
