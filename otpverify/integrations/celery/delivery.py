"""What a worker does with one message. Nothing in here knows Celery."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass

from otpverify import (
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    OtpVerifyError,
    Retry,
    Sender,
    Verifier,
)
from otpverify.integrations.celery.marks import Marks
from otpverify.integrations.celery.outcome import outcome
from otpverify.integrations.celery.parcel import Parcel
from otpverify.integrations.celery.seal import Seal

_log = logging.getLogger("otpverify.celery")


@dataclass(frozen=True, slots=True, repr=False)
class Again:
    """It certainly was not sent, and is to be tried again.

    Attributes:
        sealed: What the next attempt is given.
        seconds: After how long.
        error: Why.
        parcel: The parcel, open.
    """

    sealed: str
    seconds: float
    error: DeliveryError
    parcel: Parcel


class Delivery:
    """Delivers what is queued, each parcel once.

    A sealed parcel is good for one attempt: its mark is set before anything goes out, and the next
    attempt gets a parcel that is sealed anew. So what a broker delivers twice is refused, and so is
    what somebody who can write to the broker puts on it again.

    Args:
        sender: What delivers.
        marks: Say who is first.
        seal: Opens parcels.
        retry: How often, and for how long.
        verifier: Takes final failures in; `None` to give nothing back.
    """

    def __init__(
        self, sender: Sender, marks: Marks, seal: Seal, retry: Retry, verifier: Verifier | None
    ) -> None:
        self._sender = sender
        self._marks = marks
        self._seal = seal
        self._retry = retry
        self._verifier = verifier

    def attempt(self, sealed: str, number: int) -> Again | None:
        """Try to deliver.

        Args:
            sealed: The parcel.
            number: Which attempt this is; 1 is the first.

        Returns:
            `None` when it was delivered.

        Raises:
            DeliveryError: It was not, or nobody knows, and it is not tried again.
            ConfigurationError: No secret opens it.
            StoreError: The store cannot say whether it was begun before.
        """
        parcel = Parcel.unpacked(self._seal.open(sealed))
        if not self._marks.begin(sealed, parcel.mark_seconds):
            raise DeliveryUnavailable(
                "A worker began to send this before, and may have. It is not sent again.",
                provider_code="begun_before",
            )
        if time.time() >= parcel.expires_at:
            self._give_back(parcel, "expired")
            raise DeliveryRejected("The code expired in the queue.", provider_code="expired")
        error = outcome(self._sender.send, parcel.message)
        if error is None:
            return None
        if (seconds := self._wait_after(error, parcel, number)) is None:
            self.give_up(parcel, error)
            raise error
        return Again(self._seal.close(parcel.packed()), seconds, error, parcel)

    def give_up(self, parcel: Parcel, error: DeliveryError) -> None:
        """It is not tried again: give its send back, if it certainly did not go out."""
        if not error.maybe_sent:
            rejected = isinstance(error, DeliveryRejected)
            self._give_back(parcel, "rejected" if rejected else "failed")

    def dropped(self, sealed: str) -> None:
        """It was taken off the queue undelivered, since it expired there or was revoked: give its
        send back, unless a worker had begun to send it."""
        parcel = Parcel.unpacked(self._seal.open(sealed))
        if self._marks.begin(sealed, parcel.mark_seconds):
            self._give_back(parcel, "expired")

    def never_queued(self, sealed: str, parcel: Parcel) -> bool:
        """Whether it certainly will not be sent, though nobody knows if the broker took it. What
        it may have taken is marked as begun, so no worker begins it."""
        try:
            return self._marks.begin(sealed, parcel.mark_seconds) is not None
        except OtpVerifyError as error:
            _log.warning("It is not known whether a message was queued: %s", error)
            return False

    def wait_unopened(self, number: int) -> float | None:
        """How long to wait with a parcel that could not be opened or marked; `None` for no more."""
        return self._retry.wait_after(number, _drawn()) if number < self._retry.attempts else None

    def _wait_after(self, error: DeliveryError, parcel: Parcel, number: int) -> float | None:
        """How long to wait before the next attempt; `None` when there is none."""
        if isinstance(error, DeliveryRejected) or number >= self._retry.attempts:
            return None
        if error.maybe_sent and not self._retry.after_timeout:
            return None
        # Whoever was told the same moment should not come back at the same moment.
        asked = getattr(error, "retry_after", None) or 0
        wait = asked + self._retry.wait_after(number, _drawn())
        ends = min(parcel.expires_at, parcel.queued_at + self._retry.total_seconds)
        return wait if time.time() + wait < ends else None

    def _give_back(self, parcel: Parcel, status: str) -> None:
        """Have the verifier learn that the message certainly did not go out, as a delivery report
        would tell it: a repeat changes nothing, and `status` shows it."""
        if self._verifier is None or parcel.message.report is None:
            return
        try:
            self._verifier.delivery_report(
                {"report_token": parcel.message.report, "status": status}
            )
        except OtpVerifyError as error:
            # It lapses by itself.
            _log.warning("A send could not be given back: %s", error)


def _drawn() -> float:
    return random.random()  # noqa: S311 - spreads load, guards nothing
