"""A message on its way through a queue."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

from otpverify import Message

LONGEST_SECONDS = 600
"""How long a message is good that does not say when its code expires."""
_SPARE_SECONDS = 60


@dataclass(frozen=True, slots=True, repr=False)
class Parcel:
    """A message on its way.

    Attributes:
        message: The message.
        queued_at: When it was queued, in seconds since the epoch.
    """

    message: Message
    queued_at: float

    @property
    def expires_at(self) -> float:
        """When its code expires, in seconds since the epoch."""
        said = self.message.expires_at
        return self.queued_at + LONGEST_SECONDS if said is None else said.timestamp()

    @property
    def mark_seconds(self) -> int:
        """How long its mark must stay: for as long as it could still be sent, and a little more,
        for the clocks of two machines."""
        return max(1, math.ceil(self.expires_at - self.queued_at)) + _SPARE_SECONDS

    def packed(self) -> dict[str, Any]:
        """As JSON can hold it."""
        message = replace(self.message, expires_at=None)
        packed = {field.name: getattr(message, field.name) for field in fields(message)}
        return {**packed, "queued_at": self.queued_at, "expires_at": self.expires_at}

    @classmethod
    def unpacked(cls, packed: dict[str, Any]) -> Self:
        """The reverse. What a newer version put in beside is left out, so that web processes and
        workers can be renewed one after the other."""
        known = {field.name for field in fields(Message)}
        of_message = {name: value for name, value in packed.items() if name in known}
        of_message["expires_at"] = datetime.fromtimestamp(packed["expires_at"], UTC)
        return cls(Message(**of_message), packed["queued_at"])
