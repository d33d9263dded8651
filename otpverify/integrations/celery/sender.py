"""Delivery by a Celery worker: the sender that queues a message, and the task that sends it."""

from __future__ import annotations

import logging
import math
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

from celery import Celery
from celery.exceptions import Reject
from celery.signals import task_revoked

from otpverify import (
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    Event,
    Message,
    OtpVerifyError,
    Policy,
    Receipt,
    Retry,
    Sender,
    Store,
    StoreError,
    Verifier,
)
from otpverify.core.secret_strength import Secrets
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.celery.once import HIDDEN, Marks, check_parts, task_options

LONGEST_SECONDS = 600
"""The lifetime of a message that has no expiry time for its code."""
_SPARE_SECONDS = 60


@dataclass(frozen=True, slots=True, repr=False)
class Parcel:
    """A queued message.

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
        """How long the mark must stay, in seconds: as long as the message could still be sent, plus
        a margin for clock differences between machines."""
        return max(1, math.ceil(self.expires_at - self.queued_at)) + _SPARE_SECONDS

    def packed(self) -> dict[str, Any]:
        """The parcel as values that JSON can represent."""
        message = replace(self.message, expires_at=None)
        packed = {field.name: getattr(message, field.name) for field in fields(message)}
        return {**packed, "queued_at": self.queued_at, "expires_at": self.expires_at}

    @classmethod
    def unpacked(cls, packed: dict[str, Any]) -> Self:
        """The parcel from the values of `packed`. Fields that a newer version added are ignored, so
        that web processes and workers can be upgraded one after the other."""
        known = {field.name for field in fields(Message)}
        of_message = {name: value for name, value in packed.items() if name in known}
        of_message["expires_at"] = datetime.fromtimestamp(packed["expires_at"], UTC)
        return cls(Message(**of_message), packed["queued_at"])


# A reason such as "no_balance" or "http_503"; a phone number or a code does not match.
_WORD = re.compile(r"[a-z][a-z_]{0,40}(?:[1-5][0-9]{2})?")
_DIGITS = re.compile(r"[0-9]{4,}")


def outcome(send: Callable[[Message], Receipt], message: Message) -> DeliveryError | None:
    """Send a message.

    Returns:
        `None` when the message was taken. Otherwise a copy of the sender's error without its
        causes, and without its text where that repeats what was sent: exceptions of HTTP
        libraries print whole requests, and workers print exceptions.
    """
    failure: DeliveryError
    try:
        receipt = send(message)
    except DeliveryError as error:
        failure = _twin(error)
    except Exception as error:
        failure = DeliveryUnavailable(f"The sender failed ({type(error).__name__}).")
    else:
        if isinstance(receipt, Receipt):
            return None
        failure = DeliveryUnavailable(
            f"The sender returned {type(receipt).__name__} where a Receipt was due."
        )
    said = str(failure)
    ours = (message.to[1:], message.text, message.report, *_DIGITS.findall(message.text))
    if any(part and part in said for part in ours):
        failure.args = ("The message could not be sent.",)
    reason = failure.provider_code
    if not (isinstance(reason, str) and _WORD.fullmatch(reason)):
        failure.provider_code = None
    failure.challenge = None
    return failure


def _twin(error: DeliveryError) -> DeliveryError:
    """A copy without its causes, made without a call of the constructor of its class."""
    twin = type(error).__new__(type(error))
    twin.args = error.args
    vars(twin).update(vars(error))
    return twin


_log = logging.getLogger("otpverify.celery")


@dataclass(frozen=True, slots=True, repr=False)
class Again:
    """A message certainly was not sent, and must be tried again.

    Attributes:
        sealed: The encrypted parcel for the next attempt.
        seconds: The wait before the next attempt.
        error: Why it was not sent.
        parcel: The decrypted parcel.
    """

    sealed: str
    seconds: float
    error: DeliveryError
    parcel: Parcel


class Delivery:
    """Delivers queued parcels, each once.

    An encrypted parcel is valid for one attempt: its mark is set before anything is sent, and the
    next attempt gets a newly encrypted parcel. So a parcel that a broker delivers twice is refused,
    and so is a parcel that an attacker with access to the broker puts on the queue again.

    Args:
        sender: The sender that delivers.
        marks: Ensure that only one worker begins each attempt.
        seal: Encrypts and decrypts parcels.
        retry: How often a message is tried, and for how long.
        verifier: Gets the final failures; `None` to give nothing back.
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
            sealed: The encrypted parcel.
            number: The number of this attempt; 1 is the first.

        Returns:
            `None` when it was delivered.

        Raises:
            DeliveryError: It was not delivered, or the outcome is unknown; it is not tried again.
            ConfigurationError: No secret can decrypt it.
            StoreError: The store is unavailable, so it is unknown whether it was begun before.
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
        """End the attempts. Give the send back, if the message certainly was not sent."""
        if not error.maybe_sent:
            rejected = isinstance(error, DeliveryRejected)
            self._give_back(parcel, "rejected" if rejected else "failed")

    def dropped(self, sealed: str) -> None:
        """Give a send back whose parcel was removed from the queue undelivered, because it expired
        or was revoked, unless a worker had begun to send it."""
        parcel = Parcel.unpacked(self._seal.open(sealed))
        if self._marks.begin(sealed, parcel.mark_seconds):
            self._give_back(parcel, "expired")

    def never_queued(self, sealed: str, parcel: Parcel) -> bool:
        """Whether a parcel certainly will not be sent, when it is unknown whether the broker took
        it. This marks the parcel as begun, so that no worker begins it."""
        try:
            return self._marks.begin(sealed, parcel.mark_seconds) is not None
        except OtpVerifyError as error:
            _log.warning("It is not known whether a message was queued: %s", error)
            return False

    def wait_unopened(self, number: int) -> float | None:
        """The wait for a parcel that could not be decrypted or marked; `None` to stop."""
        return self._retry.random_wait(number) if number < self._retry.attempts else None

    def _wait_after(self, error: DeliveryError, parcel: Parcel, number: int) -> float | None:
        """The wait before the next attempt, as `Retry.next_wait`, while the code is valid."""
        ends = min(parcel.expires_at, parcel.queued_at + self._retry.total_seconds)
        return self._retry.next_wait(number, error, seconds_left=ends - time.time())

    def _give_back(self, parcel: Parcel, status: str) -> None:
        """Report to the verifier that the message certainly was not sent, in the same way as a
        delivery report: a repeat changes nothing, and `status` shows it."""
        if self._verifier is None or parcel.message.report is None:
            return
        try:
            self._verifier.delivery_report(
                {"report_token": parcel.message.report, "status": status}
            )
        except OtpVerifyError as error:
            # The reservation expires by itself.
            _log.warning("A send could not be given back: %s", error)


class CelerySender:
    """Puts messages on a queue and returns at once; a worker delivers them.

    Create it in a module that your web processes and your workers import, and pass it to the
    verifier:

        sender = CelerySender(app, SmspmClient.from_env(), store=store, secret=SECRET)
        verifier = Verifier(sender, store=store, secret=SECRET)

    **Encryption.** Tasks are encrypted with a key derived from the secret: the broker, Flower, a
    result backend and logs show no code, number or text. `encryption.py` explains why tasks carry
    the message and do not keep it in the store.

    **Retries.** A message that certainly was not sent is tried again while `retry` allows it and
    the code is valid. Waits are jittered, and the gateway's `Retry-After` is followed.

    **Final failures.** A send that certainly did not happen is given back: the person can ask again
    at once, and `Verifier.status` shows it. A message that may have been sent stays counted. A
    message that expires in the queue is not sent, and its send is given back.

    **At most one message.** Tasks are acknowledged late, so a broker delivers a task again after
    its worker is lost. A mark in the store records that a task was begun. Its message may have been
    sent, so it is not sent again: the person asks for another code. Only a task that was not begun
    is delivered.

    Args:
        app: The Celery application.
        sender: The synchronous sender that delivers in the worker, such as an `SmspmClient`.
        store: The verifier's store; it must be synchronous. With an `AsyncVerifier` on an
            `AsyncRedisStore`, pass a `RedisStore` with the same URL and prefix.
        secret: The verifier's secret. Of several secrets, the first encrypts and all decrypt.
        policy: The verifier's policy, if it has one.
        retry: How often a message is tried, and for how long. These attempts are in addition to
            those of the client. With `after_timeout=True`, a message that may have been sent is
            also tried again.
        name: The task's name; each sender of an application needs its own.
        queue: The queue; the application's default if left out.
        give_back: Whether failures are given back. When a failure ends a cooldown early,
            anyone who watches can see that a message was tried, so turn it off for flows with
            decoys.
        on_event: Called for sends that were given back, as the `on_event` of a verifier.

    Raises:
        ConfigurationError: An argument is invalid, or the arguments do not fit together.
    """

    def __init__(
        self,
        app: Celery,
        sender: Sender,
        *,
        store: Store,
        secret: Secrets,
        policy: Policy | None = None,
        retry: Retry | None = None,
        name: str = "otpverify.deliver",
        queue: str | None = None,
        give_back: bool = True,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        check_parts(app, sender, store, name)
        if retry is None:
            retry = Retry(
                attempts=10, total_seconds=600, first_wait_seconds=2, longest_wait_seconds=90
            )
        # A message that certainly was not sent does not count as a failure reported by a carrier.
        policy = replace(policy or Policy(), undelivered_per_phone=())
        verifier = Verifier(self, store=store, secret=secret, policy=policy, on_event=on_event)
        self._seal = Seal(secret, name)
        self._delivery = Delivery(
            sender, Marks(store), self._seal, retry, verifier if give_back else None
        )
        self._queue = {} if queue is None else {"queue": queue}
        self.takes_reports = give_back or bool(getattr(sender, "takes_reports", False))
        """Whether messages carry a token, which is needed to give failures back."""
        self._task = app.task(self._body(), name=name, ignore_result=True, **task_options())
        task_revoked.connect(self._dropped, sender=self._task, weak=False)

    def __repr__(self) -> str:
        return f"<CelerySender {self._task.name}>"

    def send(self, message: Message) -> Receipt:
        """Put a message on the queue.

        Returns:
            A receipt with the task's id; the gateway's id is not known yet.

        Raises:
            DeliveryUnavailable: The broker did not take it.
        """
        parcel = Parcel(message, time.time())
        sealed = self._seal.close(parcel.packed())
        task_id = secrets.token_hex(16)
        try:
            self._task.apply_async(
                (sealed,),
                task_id=task_id,
                expires=datetime.fromtimestamp(parcel.expires_at, UTC),
                argsrepr=HIDDEN,
                **self._queue,
            )
        except Exception as error:
            failed = type(error).__name__
        else:
            return Receipt(task_id)
        # Not chained: a broker's error may print its address, which may contain a password.
        raise DeliveryUnavailable(
            f"The message could not be queued ({failed}).",
            provider_code="not_queued",
            maybe_sent=not self._delivery.never_queued(sealed, parcel),
        )

    def _body(self) -> Callable[..., None]:
        """The function that the task runs. Celery requires a function."""

        def deliver(task: Any, sealed: str) -> None:
            number = task.request.retries + 1
            try:
                again = self._delivery.attempt(sealed, number)
            except DeliveryError as error:
                _log.warning("A message was not delivered: %s", error)
                raise
            except (ConfigurationError, StoreError) as error:
                # Another worker may have the secret, and the store may be available again soon.
                _log.error("A message could not be delivered: %s", error)
                wait = self._delivery.wait_unopened(number)
                if wait is None:
                    raise
                raise task.retry(exc=error, countdown=wait, argsrepr=HIDDEN, throw=False) from None
            if again is None:
                return
            try:
                retry = task.retry(
                    args=(again.sealed,),
                    exc=again.error,
                    countdown=again.seconds,
                    argsrepr=HIDDEN,
                    throw=False,
                )
            except Reject:
                retry = None
            if retry is None:
                _log.warning("A message was not delivered, and could not be queued again.")
                self._delivery.give_up(again.parcel, again.error)
                raise again.error
            raise retry

        return deliver

    def _dropped(self, request: Any, **_: object) -> None:
        """Handle a task that Celery discarded. Celery calls this in the worker's main process,
        where it must not raise."""
        try:
            self._delivery.dropped(*request.args)
        except OtpVerifyError as error:
            _log.warning("A send could not be given back: %s", error)
