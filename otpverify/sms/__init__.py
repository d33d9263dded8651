"""Text messages: how they are counted, what they say, and the gateway that takes them."""

from otpverify.sms.gsm import Segments, segments
from otpverify.sms.messages import Messages

__all__ = ["Messages", "Segments", "segments"]
