"""Text messages: how they are counted, what they say, and the gateway that takes them."""

from otpverify.sms.gsm import Segments, segments
from otpverify.sms.messages import Messages
from otpverify.sms.suggestions import Suggestion, suggest_gsm7

__all__ = ["Messages", "Segments", "Suggestion", "segments", "suggest_gsm7"]
