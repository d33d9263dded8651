"""Delivery of a queued message by a worker: at most once, and given back only if never begun."""

from __future__ import annotations

import logging
import math
import secrets
import time
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

from otpverify import (
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    Message,
    OtpVerifyError,
    Receipt,
    Retry,
    Sender,
    Verifier,
)
from otpverify._sync import inline, run_sync
from otpverify.core import tokens
from otpverify.core.keys import Keyring
from otpverify.core.limits import DAY_SECONDS, SECOND
from otpverify.core.policy import LONGEST_TTL_SECONDS
from otpverify.core.send_outcome import send_outcome
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.celery.tasks import Marker, OnceMarkers

_log = logging.getLogger("otpverify.celery")

MARKER_SECONDS = DAY_SECONDS
"""How long a marker stays after the message expired. Within this time, a task that a broker hands
out again is recognised, and the clocks of two machines may differ by as much."""


@dataclass(frozen=True, slots=True, repr=False)
class QueuedMessage:
    """A queued message.

    Attributes:
        message: The message.
        queued_at: When it was queued, in seconds since the epoch.
        id: A random id of 128 bits. It is inside the encrypted content, so it cannot be altered.
        attempt: The number of the attempt that this content is for; 1 is the first.
    """

    message: Message
    queued_at: float
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    attempt: int = 1

    @property
    def expires_at(self) -> float:
        """When its code expires, in seconds since the epoch."""
        expiry = self.message.expires_at
        return self.queued_at + LONGEST_TTL_SECONDS if expiry is None else expiry.timestamp()

    @property
    def marker_name(self) -> str:
        """The name of the marker of this attempt."""
        return f"{self.id} {self.attempt}"

    @property
    def marker_seconds(self) -> int:
        """How long the marker must stay, in seconds: as long as the message could still be sent,
        and `MARKER_SECONDS` beyond."""
        return max(0, math.ceil(self.expires_at - self.queued_at)) + MARKER_SECONDS

    def next_attempt(self) -> Self:
        """The content of the next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def packed(self) -> dict[str, Any]:
        """The message as values that JSON can represent."""
        message = replace(self.message, expires_at=None)
        packed = {field.name: getattr(message, field.name) for field in fields(message)}
        own = {"id": self.id, "attempt": self.attempt, "queued_at": self.queued_at}
        return {**packed, **own, "expires_at": self.expires_at}

    @classmethod
    def unpacked(cls, packed: dict[str, Any]) -> Self:
        """The message from the values of `packed`. Fields that a newer version added are ignored,
        so that web processes and workers can be upgraded one after the other.

        Raises:
            ConfigurationError: An incompatible version queued it.
        """
        known = {field.name for field in fields(Message)}
        of_message = {name: value for name, value in packed.items() if name in known}
        try:
            of_message["expires_at"] = datetime.fromtimestamp(packed["expires_at"], UTC)
            queued_at, own_id, attempt = packed["queued_at"], packed["id"], packed["attempt"]
            if not (isinstance(own_id, str) and isinstance(attempt, int)):
                raise TypeError
            datetime.fromtimestamp(queued_at, UTC)
            return cls(Message(**of_message), queued_at, own_id, attempt)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            missing = type(error).__name__
        raise ConfigurationError(f"Another version of otpverify queued this task ({missing}).")


@dataclass(frozen=True, slots=True, repr=False)
class NextAttempt:
    """A message certainly was not sent, and must be tried again.

    Attributes:
        sealed: The encrypted content for the next attempt.
        seconds: The wait before the next attempt.
        error: Why it was not sent.
        queued: The same content, decrypted.
    """

    sealed: str
    seconds: float
    error: DeliveryError
    queued: QueuedMessage


class Delivery:
    """Delivers queued messages, each at most once.

    Every content is valid for one attempt, whose marker is set before anything is sent. The marker
    is named by the id inside the content, so a content that a broker delivers twice is refused, and
    so is one that an attacker with access to the broker puts on the queue again. The next attempt
    gets a content and a marker of its own.

    Args:
        sender: The sender that delivers.
        markers: Ensure that only one worker begins each attempt.
        seal: Encrypts and decrypts contents.
        retry: How often a message is tried, and for how long.
        keyring: Reads the report tokens of the verifier.
        verifier: Gets the final failures; `None` to give nothing back.
    """

    def __init__(
        self,
        sender: Sender,
        markers: OnceMarkers,
        seal: Seal,
        retry: Retry,
        keyring: Keyring,
        verifier: Verifier | None,
    ) -> None:
        self.sender = sender
        self._send = inline(sender.send)
        self._markers = markers
        self._seal = seal
        self.retry = retry
        self._keyring = keyring
        self._verifier = verifier

    def attempt(self, sealed: object) -> NextAttempt | None:
        """Try to deliver.

        Args:
            sealed: The encrypted content.

        Returns:
            `None` when it was delivered.

        Raises:
            DeliveryError: It was not delivered, or the outcome is unknown; it is not tried again.
            ConfigurationError: No secret can decrypt it.
            StoreError: The store is unavailable, so it is unknown whether it was begun before.
        """
        queued = QueuedMessage.unpacked(self._seal.open(sealed))
        marker = self._begin(queued)
        if marker is None:
            raise DeliveryUnavailable(
                "A worker began to send this before, and may have. It is not sent again.",
                provider_code="begun_before",
            )
        if time.time() >= queued.expires_at:
            raise self._expired(queued, marker)
        outcome = run_sync(send_outcome(self._send(queued.message), queued.message))
        if isinstance(outcome, Receipt):
            return None
        if (seconds := self._wait_after(outcome, queued)) is None:
            self._give_up(queued, outcome)
            raise outcome
        following = queued.next_attempt()
        return NextAttempt(self._seal.close(following.packed()), seconds, outcome, following)

    def not_requeued(self, following: NextAttempt) -> DeliveryError:
        """The error of a message whose next attempt could not be queued, as far as is known."""
        if self.never_queued(following.queued):
            self._give_up(following.queued, following.error)
            return following.error
        return DeliveryUnavailable(
            "It is unknown whether the next attempt was queued.", provider_code="not_queued"
        )

    def dropped(self, sealed: object) -> None:
        """Give a send back whose task was removed from the queue, because it expired or was
        revoked, unless a worker may have begun to send it."""
        queued = QueuedMessage.unpacked(self._seal.open(sealed))
        marker = self._begin(queued)
        if marker is not None and self._never_begun(queued, marker):
            self._give_back(queued, "expired")

    def never_queued(self, queued: QueuedMessage) -> bool:
        """Whether a message certainly will not be sent, when it is unknown whether the broker took
        it. This sets its marker, so that no worker begins it."""
        try:
            return self._begin(queued) is not None
        except OtpVerifyError as error:
            _log.warning("It is not known whether a message was queued: %s", error)
            return False

    def _begin(self, queued: QueuedMessage) -> Marker | None:
        return self._markers.begin(queued.marker_name, queued.marker_seconds)

    def _never_begun(self, queued: QueuedMessage, marker: Marker) -> bool:
        """Whether no worker can have begun this before: it waited for less time than markers stay.
        Where it has a token, the store's clock alone decides, since the token says when the send
        was reserved, and the marker when it was set."""
        about = tokens.read_report_token(self._keyring, queued.message.report)
        if about is None:
            return time.time() - queued.queued_at < MARKER_SECONDS
        return marker.at - about.at < MARKER_SECONDS * SECOND

    def _expired(self, queued: QueuedMessage, marker: Marker) -> DeliveryError:
        """The error of a message whose code expired before this worker began."""
        if self._never_begun(queued, marker):
            self._give_back(queued, "expired")
            return DeliveryRejected("The code expired in the queue.", provider_code="expired")
        return DeliveryUnavailable(
            "The code expired so long ago that it is unknown whether a worker began to send it. It "
            "is not sent.",
            provider_code="too_late",
        )

    def _wait_after(self, error: DeliveryError, queued: QueuedMessage) -> float | None:
        """The wait before the next attempt, as `Retry.next_wait`, while the code is valid."""
        ends = min(queued.expires_at, queued.queued_at + self.retry.total_seconds)
        return self.retry.next_wait(queued.attempt, error, seconds_left=ends - time.time())

    def _give_up(self, queued: QueuedMessage, error: DeliveryError) -> None:
        """End the attempts. Give the send back, if the message certainly was not sent."""
        if not error.maybe_sent:
            rejected = isinstance(error, DeliveryRejected)
            self._give_back(queued, "rejected" if rejected else "failed")

    def _give_back(self, queued: QueuedMessage, status: str) -> None:
        """Report to the verifier that the message certainly was not sent, in the same way as a
        delivery report: a repeat changes nothing, and `status` shows it."""
        if self._verifier is None or queued.message.report is None:
            return
        try:
            self._verifier.delivery_report(
                {"report_token": queued.message.report, "status": status}
            )
        except OtpVerifyError as error:
            # The reservation expires by itself.
            _log.warning("A send could not be given back: %s", error)
