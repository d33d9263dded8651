"""A sender for programs that send nothing themselves."""

from __future__ import annotations

from otpverify.core.results import Message, Receipt
from otpverify.errors import DeliveryUnavailable


class NoGateway:
    """Stands in for a gateway where nothing is sent, and so no credentials are needed."""

    def send(self, message: Message) -> Receipt:
        """Not called. If it is, nothing is sent."""
        raise DeliveryUnavailable(f"{message!r} was not sent.", maybe_sent=False)
