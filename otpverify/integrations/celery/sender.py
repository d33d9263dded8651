"""The sender that puts messages on a queue, and the task in which a worker sends them."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.exceptions import Retry as TaskRetry
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
from otpverify.core.keys import Keyring
from otpverify.core.prices import Prices
from otpverify.core.results import ReportFields
from otpverify.core.secret_strength import Secrets, read_secrets
from otpverify.gateways.delivery_reports import report_reader
from otpverify.gateways.no_gateway import NoGateway
from otpverify.integrations.celery.delivery import Delivery, QueuedMessage
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.celery.tasks import (
    HIDDEN,
    OnceMarkers,
    check_parts,
    check_queue,
    owner_of,
    register,
    retry_unopened,
    retry_with,
    wait_unopened,
)

_log = logging.getLogger("otpverify.celery")


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
    its worker is lost. A marker in the store records that a task was begun. Its message may have
    been sent, so it is not sent again and not given back: the person asks for another code. Markers
    stay for a day after the code expired; what is handed out even later is neither sent nor given
    back.

    **One task name, one sender.** A further `CelerySender` with the same name replaces the earlier
    one, as when a test overrides settings: workers deliver with the newest. The earlier one still
    queues if it has the same `sender` and the same secrets; otherwise its messages are refused, and
    nothing is queued. With `task_always_eager`, every one delivers its own messages.

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
        give_back: Whether failed sends are given back. Those of concealed challenges never are.
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
        check_parts(app, sender, store)
        if retry is None:
            retry = Retry(
                attempts=10, total_seconds=600, first_wait_seconds=2, longest_wait_seconds=90
            )
        # A message that certainly was not sent does not count as a failure reported by a carrier.
        policy = replace(policy or Policy(), undelivered_per_phone=())
        verifier = Verifier(
            NoGateway(), store=store, secret=secret, policy=policy, on_event=on_event
        )
        self._app = app
        self._name = name
        self._seal = Seal(secret, name)
        self._delivery = Delivery(
            sender,
            OnceMarkers(store),
            self._seal,
            retry,
            Keyring(read_secrets(secret)),
            verifier if give_back else None,
        )
        self._queue = check_queue(app, queue)
        self.takes_reports: bool = give_back or bool(getattr(sender, "takes_reports", False))
        """Whether messages carry a token, which is needed to give failures back."""
        self.read_report: Callable[[object], ReportFields] = report_reader(sender)
        """Reads delivery reports, as `sender` does."""
        self._register()

    def __repr__(self) -> str:
        return f"<CelerySender {self._name}>"

    @property
    def prices(self) -> Prices | None:
        """The prices of the sender that delivers, if it has some."""
        return getattr(self._delivery.sender, "prices", None)

    def send(self, message: Message) -> Receipt:
        """Put a message on the queue.

        Returns:
            A receipt with the task's id; the gateway's id is not known yet.

        Raises:
            DeliveryUnavailable: The broker did not take it, or another sender took the task's name.
            DeliveryError: The application runs its tasks at once and raises their errors
                (`task_always_eager` and `task_eager_propagates`), and the message was not sent.
        """
        self._require_task()
        queued = QueuedMessage(message, time.time())
        sealed = self._seal.close(queued.packed())
        task_id = secrets.token_hex(16)
        try:
            self._apply(
                sealed, task_id=task_id, expires=datetime.fromtimestamp(queued.expires_at, UTC)
            )
        except Exception as error:
            if isinstance(error, DeliveryError) and self._app.conf.task_always_eager:
                raise
            failed = type(error).__name__
        else:
            return Receipt(task_id)
        # Not chained: a broker's error may print its address, which may contain a password.
        raise DeliveryUnavailable(
            f"The message could not be queued ({failed}).",
            provider_code="not_queued",
            maybe_sent=not self._delivery.never_queued(queued),
        )

    def _apply(self, sealed: str, **options: Any) -> None:
        try:
            self._task.apply_async((sealed,), argsrepr=HIDDEN, **options, **self._queue)
        except TaskRetry as retry:
            # With task_always_eager and task_eager_propagates, Celery raises instead of retrying.
            following: TaskRetry | None = retry
            while following is not None:
                try:
                    following.sig.apply()
                except TaskRetry as further:
                    following = further
                else:
                    following = None

    def _register(self) -> None:
        """Register the task, in place of that of an earlier sender with this name."""
        earlier = self._app.tasks.get(self._name)
        self._task = register(self._app, self._name, self._body(), self, ignore_result=True)
        if earlier is not None:
            task_revoked.disconnect(sender=earlier, dispatch_uid=self._name)
        task_revoked.connect(self._dropped, sender=self._task, weak=False, dispatch_uid=self._name)

    def _require_task(self) -> None:
        """Ensure that the task of this name delivers what this sender queues.

        Raises:
            DeliveryUnavailable: Another sender took the name.
        """
        owner = owner_of(self._app, self._name)
        if owner is self or (isinstance(owner, CelerySender) and self._equals(owner)):
            return
        if self._app.conf.task_always_eager:
            self._register()  # the task runs before anything else can be queued
            return
        raise DeliveryUnavailable(
            f"Another CelerySender of this application has taken the task name {self._name!r}. "
            "Give each of them a name of its own.",
            provider_code="not_queued",
            maybe_sent=False,
        )

    def _equals(self, other: CelerySender) -> bool:
        return self._delivery.sender is other._delivery.sender and self._seal.equals(other._seal)

    def _body(self) -> Callable[..., None]:
        """The function that the task runs. Celery requires a function."""

        def deliver(task: Any, sealed: str) -> None:
            try:
                following = self._delivery.attempt(sealed)
            except DeliveryError as error:
                _log.warning("A message was not delivered: %s", error)
                raise
            except (ConfigurationError, StoreError) as error:
                # Another worker may have the secret, and the store may be available again soon.
                _log.error("A message could not be delivered: %s", error)
                wait = wait_unopened(task, self._delivery.retry)
                if wait is None:
                    raise
                raise retry_unopened(task, error, wait) from None
            if following is None:
                return
            retry = retry_with(task, following.sealed, following.error, following.seconds)
            if retry is None:
                _log.warning("A message was not delivered, and could not be queued again.")
                raise self._delivery.not_requeued(following)
            raise retry

        return deliver

    def _dropped(self, request: Any, **_: object) -> None:
        """Handle a task that Celery discarded. Celery calls this in the worker's main process,
        where it must not raise."""
        try:
            self._delivery.dropped(_argument_of(request))
        except OtpVerifyError as error:
            _log.warning("A send could not be given back: %s", error)


def _argument_of(request: Any) -> object:
    """The argument of a discarded task, which a broker may have altered in any way."""
    if isinstance(request.args, list | tuple) and request.args:
        return request.args[0]
    return request.kwargs.get("sealed") if isinstance(request.kwargs, dict) else None
