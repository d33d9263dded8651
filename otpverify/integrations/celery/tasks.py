"""Registers the tasks of an application, queues them again, and marks their work in the store, so
that it begins only once across all workers. Refuses applications that cannot carry the tasks."""

from __future__ import annotations

import base64
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from celery.exceptions import Reject
from kombu.serialization import dumps, loads, prepare_accept_content

from otpverify import ConfigurationError, Limit, OtpVerifyError, Retry, Store
from otpverify.core.answers import Reserved
from otpverify.core.limits import LARGEST

HIDDEN = "(<sealed>,)"
"""What Flower and logs show in place of a task's arguments."""

_OPTIONS: dict[str, Any] = {
    "bind": True,
    # Otherwise a task of another application would use the sender of this one.
    "shared": False,
    "serializer": "json",
    # A task whose worker is lost is delivered again; markers ensure that nothing is sent twice.
    "acks_late": True,
    "reject_on_worker_lost": True,
    "store_errors_even_if_ignored": False,
    "max_retries": None,
    "throws": (OtpVerifyError,),
}
_OWNER = "otpverify_owner"
_TAG_LENGTH = 22


def check_parts(app: Any, sender: Any, store: Any, *, needs: str = "send") -> None:
    """Raise `ConfigurationError` for parts that do not fit together."""
    if not isinstance(app, Celery):
        raise ConfigurationError("app must be a Celery application.")
    if not callable(getattr(sender, needs, None)):
        raise ConfigurationError(f"{type(sender).__name__} is not a sender: it has no {needs}().")
    if inspect.iscoroutinefunction(getattr(sender, needs)):
        raise ConfigurationError(
            f"{type(sender).__name__} is asynchronous; a worker needs a synchronous one."
        )
    if inspect.iscoroutinefunction(getattr(store, "reserve", None)):
        raise ConfigurationError(
            f"{type(store).__name__} is asynchronous; a worker needs a RedisStore of the same URL."
        )
    if getattr(store, "process_local", False) and not app.conf.task_always_eager:
        raise ConfigurationError(
            f"{type(store).__name__} lives in this process, and a worker is another one: give "
            "both a RedisStore of one URL."
        )


def register(
    app: Celery, name: str, body: Callable[..., Any], owner: object, *, ignore_result: bool
) -> Any:
    """Register a task. An earlier task of that name and of the same kind of owner is replaced.

    Args:
        app: The application.
        name: The task's name.
        body: The function that the task runs.
        owner: The object that the task belongs to; `owner_of` finds it.
        ignore_result: Whether results are not kept.

    Raises:
        ConfigurationError: The name belongs to another task, or the application's settings cannot
            carry the task.
    """
    earlier = app.tasks.get(name)
    if earlier is not None:
        if not isinstance(owner_of(app, name), type(owner)):
            raise ConfigurationError(f"There is a task {name!r} already; choose another name.")
        app.tasks.unregister(name)
    task = app.task(body, name=name, ignore_result=ignore_result, **_OPTIONS)
    try:
        _check_messages(app, task)
        if not ignore_result:
            _check_results(app, task)
    except ConfigurationError:
        app.tasks.unregister(name)
        if earlier is not None:
            app.tasks.register(earlier)
        raise
    setattr(task, _OWNER, owner)
    return task


def owner_of(app: Celery, name: str) -> object:
    """The owner of the task that a worker runs for this name; `None` if it is not one of ours."""
    return getattr(app.tasks.get(name), _OWNER, None)


def wait_unopened(task: Any, retry: Retry) -> float | None:
    """The wait in seconds before a task whose content could not be decrypted or marked is tried
    again; `None` to stop. The number of attempts is the broker's, which may have altered it."""
    retries = task.request.retries
    if type(retries) is not int or not 0 <= retries < retry.attempts - 1:
        return None
    return retry.random_wait(retries + 1)


def retry_unopened(task: Any, error: Exception, seconds: float) -> Any:
    """Queue a task with the same content again, and return what its body must raise."""
    return task.retry(exc=error, countdown=seconds, argsrepr=HIDDEN, throw=False)


def retry_with(task: Any, sealed: str, error: Exception, seconds: float) -> Any:
    """Queue a task again with the content of its next attempt.

    Returns:
        What the task's body must raise; `None` if the broker did not confirm it.
    """
    try:
        return task.retry(
            args=(sealed,), kwargs={}, exc=error, countdown=seconds, argsrepr=HIDDEN, throw=False
        )
    except Reject:
        return None


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker that was set.

    Attributes:
        counter: The store's counter.
        at: When it was set, by the store's clock, in milliseconds. It also names the event.
    """

    counter: str
    at: int


class OnceMarkers:
    """Markers for work that must begin only once across all workers.

    A marker is a counter in the store that admits one event. It is set before anything is sent, and
    stays set if the worker dies in between: it is then unknown how far the worker got.

    Args:
        store: The store that holds the markers; all workers share it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, what: str, seconds: int) -> Marker | None:
        """Set a marker.

        Args:
            what: Identifies the work. The store gets its hash, so it must be impossible to guess.
            seconds: How long the marker stays.

        Returns:
            The marker; `None` when the work was begun before.

        Raises:
            StoreError: The store is unavailable.
        """
        digest = hashlib.sha256(b"otpverify celery " + what.encode()).digest()
        counter = base64.urlsafe_b64encode(digest).decode()[:_TAG_LENGTH]
        answer = self._store.reserve(counter, (Limit(1, min(seconds, LARGEST)),))
        return Marker(counter, answer.at) if isinstance(answer, Reserved) else None

    def clear(self, marker: Marker) -> None:
        """Remove a marker, because its work certainly was not done.

        Raises:
            StoreError: The store is unavailable.
        """
        self._store.give_back(marker.counter, marker.at)


def check_queue(app: Celery, queue: str | None) -> dict[str, str]:
    """The routing options for a queue.

    Raises:
        ConfigurationError: The application does not know the queue, and does not create queues.
    """
    if queue is None:
        return {}
    if app.conf.task_create_missing_queues is False and queue not in app.amqp.queues:
        raise ConfigurationError(
            f"The application has no queue {queue!r}: add it to task_queues, or set "
            "task_create_missing_queues."
        )
    return {"queue": queue}


def _check_messages(app: Celery, task: Any) -> None:
    if not _survives([["sealed"], {}, {}], task.serializer, app.conf.accept_content):
        raise ConfigurationError(
            f"The application's workers would refuse its tasks, which are {task.serializer}: add "
            f"{task.serializer!r} to accept_content."
        )


def _check_results(app: Celery, task: Any) -> None:
    if not app.conf.result_backend:
        raise ConfigurationError(
            "Sending in bulk needs a result backend, which keeps what became of everyone: "
            "set result_backend."
        )
    try:
        backend = app.backend
    except Exception as error:
        # Not chained: the error may contain the address, and so a password.
        failed = type(error).__name__
    else:
        if isinstance(backend, DisabledBackend | RPCBackend):
            raise ConfigurationError(
                "Sending in bulk needs a result backend that every process can read, such as "
                "redis:// or a database."
            )
        if task.ignore_result:
            raise ConfigurationError(
                "Sending in bulk needs results: task_annotations turns them off for its task."
            )
        if app.conf.task_always_eager and not app.conf.task_store_eager_result:
            raise ConfigurationError(
                "With task_always_eager, sending in bulk needs task_store_eager_result."
            )
        accepted = app.conf.result_accept_content or app.conf.accept_content
        result = {"counts": [1, 0, 0, 0], "sealed": "sealed"}
        if not _survives(result, app.conf.result_serializer, accepted):
            raise ConfigurationError(
                f"The application would refuse its own results, which are "
                f"{app.conf.result_serializer}: add that to result_accept_content, or change "
                "result_serializer."
            )
        return
    raise ConfigurationError(f"The result backend cannot be used ({failed}).")


def _survives(content: object, serializer: str, accepted: Any) -> bool:
    """Whether content comes back as it was, after it is written and read with these settings."""
    try:
        content_type, encoding, data = dumps(content, serializer)
        types = prepare_accept_content(accepted)
        back = loads(data, content_type, encoding, accept=types)
    except Exception:
        # Serializers raise what they like, and `ImportError` where their library is missing.
        return False
    return bool(back == content)
