"""Text messages: how they are counted, what they say, and the gateway that takes them."""

from typing import TYPE_CHECKING

from otpverify.sms.gsm import Segments, segments
from otpverify.sms.messages import Messages
from otpverify.sms.reports import callback_params

if TYPE_CHECKING:
    from otpverify.sms.suggestions import Suggestion, suggest_gsm7

__all__ = ["Messages", "Segments", "Suggestion", "callback_params", "segments", "suggest_gsm7"]


def __getattr__(name: str) -> object:
    # Its tables are for those who write texts; nobody who sends them needs to load them.
    if name not in ("Suggestion", "suggest_gsm7"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from otpverify.sms import suggestions

    return getattr(suggestions, name)
