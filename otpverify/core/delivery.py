"""How far a message got."""

from __future__ import annotations

import enum


class DeliveryStatus(enum.StrEnum):
    """How far a message got, as its delivery reports tell. Some carriers never report: then
    `QUEUED` or `SENT` is the last word.

    Attributes:
        QUEUED: With the gateway, as far as is known.
        SENT: Handed to the carrier (`submitted`, `sent`, `pending`).
        DELIVERED: On the phone. Final, as are all below.
        UNDELIVERED: The carrier could not deliver it.
        REJECTED: The carrier did not take it.
        EXPIRED: The carrier gave up.
        FAILED: It was not delivered, for another reason.
    """

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether no later report changes it."""
        return self not in (DeliveryStatus.QUEUED, DeliveryStatus.SENT)

    @property
    def failed(self) -> bool:
        """Whether the message certainly did not arrive."""
        return self.final and self is not DeliveryStatus.DELIVERED

    def follows(self, other: DeliveryStatus) -> bool:
        """Whether a report of this is news after `other`: reports come late, twice, and out of
        order, but a message goes only forward."""
        if other.final:
            return False
        return self.final or (self is DeliveryStatus.SENT and other is DeliveryStatus.QUEUED)
