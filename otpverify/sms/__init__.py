"""The text of a message: segments, wording and languages."""

from importlib import import_module
from typing import TYPE_CHECKING

from otpverify.sms.gsm7 import Segments, Suggestion, segments, suggest_gsm7

if TYPE_CHECKING:
    from otpverify.gateways.delivery_reports import callback_params
    from otpverify.sms.messages import Messages

__all__ = ["Messages", "Segments", "Suggestion", "callback_params", "segments", "suggest_gsm7"]

# Imported on first use: to count segments needs neither.
_HOMES = {
    "Messages": "otpverify.sms.messages",
    "callback_params": "otpverify.gateways.delivery_reports",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
