"""`CelerySender`: a `Sender` that puts messages on a queue, and the task that delivers them."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from celery.signals import task_revoked

from otpverify import (
    ConfigurationError,
    DeliveryError,
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
from otpverify.integrations.celery.checks import HIDDEN, check_parts, task_options
from otpverify.integrations.celery.delivery import Delivery
from otpverify.integrations.celery.marks import Marks
from otpverify.integrations.celery.parcel import Parcel
from otpverify.integrations.celery.seal import Seal, Secrets

_log = logging.getLogger("otpverify.celery")


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
