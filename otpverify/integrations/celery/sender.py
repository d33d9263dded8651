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
from otpverify.integrations.celery.encryption import Seal, Secrets
from otpverify.integrations.celery.once import HIDDEN, Marks, check_parts, task_options

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


# A reason such as "no_balance" or "http_503", and neither a number nor a code.
_WORD = re.compile(r"[a-z][a-z_]{0,40}(?:[1-5][0-9]{2})?")
_DIGITS = re.compile(r"[0-9]{4,}")


def outcome(send: Callable[[Message], Receipt], message: Message) -> DeliveryError | None:
    """Hand a message over.

    Returns:
        `None` when it was taken. Otherwise a copy of the sender's error, cut off from what caused
        it, and without its words where they repeat what was sent: exceptions of HTTP libraries
        print whole requests, and workers print exceptions.
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
    """A copy without what caused it, whatever its class asks of a constructor."""
    twin = type(error).__new__(type(error))
    twin.args = error.args
    vars(twin).update(vars(error))
    return twin


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
        return self._retry.random_wait(number) if number < self._retry.attempts else None

    def _wait_after(self, error: DeliveryError, parcel: Parcel, number: int) -> float | None:
        """The wait before the next attempt, as `Retry.next_wait`, while the code is good."""
        ends = min(parcel.expires_at, parcel.queued_at + self._retry.total_seconds)
        return self._retry.next_wait(number, error, seconds_left=ends - time.time())

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


class CelerySender:
    """Puts messages on a queue and returns at once; a worker delivers them.

    Make it where both your web processes and your workers import it, and give it to the verifier:

        sender = CelerySender(app, SmspmClient.from_env(), store=store, secret=SECRET)
        verifier = Verifier(sender, store=store, secret=SECRET)

    **What the broker sees** is sealed with a key derived from the secret: no code, number or text
    shows in the broker, in Flower, in a result backend or in a log. `seal.py` says why it is
    sealed rather than kept in the store.

    **When it is tried again.** What certainly was not sent, for as long as `retry` says and the
    code is good. Waits are jittered, and the gateway's `Retry-After` is honoured.

    **What a final failure does.** What certainly was not sent is given back, so that the person can
    ask again at once, and `Verifier.status` shows it. What may have been sent stays counted. What
    expires in the queue is not sent, and given back.

    **Once, rather than twice.** Tasks are acknowledged late, so a broker delivers one again whose
    worker was lost. A mark in the store says that it was begun; what was begun may have been sent,
    and is not sent again: the person asks for another code. Only what was not begun is delivered.

    Args:
        app: The Celery application.
        sender: What delivers in the worker, such as an `SmspmClient`; a synchronous one.
        store: The verifier's, as a synchronous one (`RedisStore`, also beside an `AsyncVerifier`
            on an `AsyncRedisStore` of the same URL and prefix).
        secret: The verifier's. Of several, the first seals, and all open.
        policy: The verifier's, where it has one.
        retry: How often a message is tried, and for how long: beside those attempts that the
            client makes by itself. `after_timeout=True` also tries again what may have been sent.
        name: The task's name; each sender of an application needs its own.
        queue: The queue; the application's default if left out.
        give_back: Whether failures are given back. A cooldown that a failure lifts tells whoever
            watches that a message was tried, so leave it out for flows with decoys.
        on_event: Told of what was given back, as a verifier's is.

    Raises:
        ConfigurationError: Something of this does not fit together.
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
        # What certainly was not sent is not counted among the failures that carriers report.
        policy = replace(policy or Policy(), undelivered_per_phone=())
        verifier = Verifier(self, store=store, secret=secret, policy=policy, on_event=on_event)
        self._seal = Seal(secret, name)
        self._delivery = Delivery(
            sender, Marks(store), self._seal, retry, verifier if give_back else None
        )
        self._queue = {} if queue is None else {"queue": queue}
        self.takes_reports = give_back or bool(getattr(sender, "takes_reports", False))
        """Whether messages are to carry a token: by it, failures are given back."""
        self._task = app.task(self._body(), name=name, ignore_result=True, **task_options())
        task_revoked.connect(self._dropped, sender=self._task, weak=False)

    def __repr__(self) -> str:
        return f"<CelerySender {self._task.name}>"

    def send(self, message: Message) -> Receipt:
        """Put a message on the queue.

        Returns:
            A receipt with the task's id; the gateway's is not known yet.

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
        # Not chained: a broker's error may print its address, with a password in it.
        raise DeliveryUnavailable(
            f"The message could not be queued ({failed}).",
            provider_code="not_queued",
            maybe_sent=not self._delivery.never_queued(sealed, parcel),
        )

    def _body(self) -> Callable[..., None]:
        """What the task runs. Celery wants a function."""

        def deliver(task: Any, sealed: str) -> None:
            number = task.request.retries + 1
            try:
                again = self._delivery.attempt(sealed, number)
            except DeliveryError as error:
                _log.warning("A message was not delivered: %s", error)
                raise
            except (ConfigurationError, StoreError) as error:
                # Another worker may have the secret, and the store may be back in a moment.
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
        """Celery discarded a task. It says so in the worker's main process, where nothing may be
        raised."""
        try:
            self._delivery.dropped(*request.args)
        except OtpVerifyError as error:
            _log.warning("A send could not be given back: %s", error)
