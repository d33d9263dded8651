"""What a session keeps of a challenge. Never a form: what a person may change proves nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Self

from otpverify import Challenge, DeliveryError


class Delivery(IntEnum):
    """Whether any code of a challenge went out; the greater, the surer."""

    NOT_SENT = 0
    MAYBE = 1
    SENT = 2

    @classmethod
    def after(cls, error: DeliveryError) -> Delivery:
        """What is known when sending ended with this error."""
        return cls.MAYBE if error.maybe_sent else cls.NOT_SENT


@dataclass(frozen=True, slots=True)
class Pending:
    """A challenge that waits for its code.

    Attributes:
        challenge: Its id.
        who: Whom it is for, in the flow's own terms: the phone that was typed, or an account's id.
            Where the session is a cookie that its owner can read, never a phone that the owner did
            not type.
        expires_at: When its newest code expires, in seconds since 1970; so is `resend_at`.
        resend_at: When another code may be sent.
        attempts_left: How many codes may still be tried.
        delivery: Whether any code went out.
    """

    challenge: str
    who: str
    expires_at: float
    resend_at: float
    attempts_left: int
    delivery: Delivery

    @classmethod
    def of(cls, challenge: Challenge, who: str, delivery: Delivery = Delivery.SENT) -> Self:
        """What is kept of this challenge.

        Args:
            challenge: What `start` returned, or its error's `challenge`.
            who: Whom it is for.
            delivery: Whether the code went out.
        """
        return cls(
            challenge.id,
            who,
            challenge.expires_at.timestamp(),
            challenge.resend_at.timestamp(),
            challenge.attempts_left,
            delivery,
        )

    @classmethod
    def load(cls, kept: object) -> Self | None:
        """What `dump` gave, out of a session; `None` for anything else."""
        if not isinstance(kept, Mapping):
            return None
        try:
            return cls(**{**kept, "delivery": Delivery(kept["delivery"])})
        except (KeyError, TypeError, ValueError):
            return None

    def dump(self) -> dict[str, str | int | float]:
        """As plain values, for a session that holds JSON."""
        return {**asdict(self), "delivery": int(self.delivery)}

    def renewed(self, challenge: Challenge, delivery: Delivery = Delivery.SENT) -> Self:
        """The same after another code: one that went out before is still out, and attempts
        that were used meanwhile stay used."""
        return replace(
            self,
            expires_at=challenge.expires_at.timestamp(),
            resend_at=challenge.resend_at.timestamp(),
            attempts_left=min(self.attempts_left, challenge.attempts_left),
            delivery=max(self.delivery, delivery),
        )

    def delayed(self, seconds: int) -> Self:
        """The same, when another code may be sent in so many seconds."""
        return replace(self, resend_at=time.time() + seconds)

    def attempted(self, attempts_left: int) -> Self:
        """The same after a wrong code."""
        return replace(self, attempts_left=min(self.attempts_left, attempts_left))

    @property
    def live(self) -> bool:
        """Whether its newest code may still be good."""
        return self.expires_at > time.time()

    @property
    def resend_in(self) -> int:
        """Whole seconds until another code may be sent."""
        return max(0, math.ceil(self.resend_at - time.time()))

    @property
    def minutes_left(self) -> int:
        """Minutes until its newest code expires, begun ones included."""
        return max(1, math.ceil((self.expires_at - time.time()) / 60))
