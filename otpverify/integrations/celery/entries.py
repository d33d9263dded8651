"""Entries of a bulk result, as JSON can hold them."""

from __future__ import annotations

from typing import Any

from otpverify import (
    BulkEntry,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
    OtpVerifyError,
)


def packed(entry: BulkEntry) -> list[Any]:
    """An entry as plain values."""
    error = None if entry.error is None else _packed_error(entry.error)
    return [entry.index, entry.given, entry.phone, entry.message_id, error, entry.duplicate_of]


def unpacked(values: list[Any]) -> BulkEntry:
    """The reverse."""
    index, given, phone, message_id, error, duplicate_of = values
    said = None if error is None else _unpacked_error(*error)
    return BulkEntry(index, given, phone, message_id, said, duplicate_of)


def _packed_error(error: OtpVerifyError) -> list[Any]:
    kind = type(error).__name__
    if isinstance(error, InvalidPhoneNumber):
        return [kind, str(error), error.reason, False]
    code, maybe_sent = getattr(error, "provider_code", None), getattr(error, "maybe_sent", True)
    return [kind, str(error), code, maybe_sent]


def _unpacked_error(kind: str, said: str, code: str, maybe_sent: bool) -> OtpVerifyError:
    if kind == InvalidPhoneNumber.__name__:
        return InvalidPhoneNumber(said, reason=code)
    if kind == DeliveryRejected.__name__:
        return DeliveryRejected(said, provider_code=code)
    return DeliveryUnavailable(said, provider_code=code, maybe_sent=maybe_sent)
