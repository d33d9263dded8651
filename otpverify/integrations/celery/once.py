"""Marks that allow each message to begin once, and the required Celery settings."""

from __future__ import annotations

import base64
import hashlib
import inspect
from dataclasses import dataclass
from typing import Any

from celery import Celery

from otpverify import ConfigurationError, Limit, OtpVerifyError, Store
from otpverify.core.state import Reserved

HIDDEN = "(<sealed>,)"
"""What Flower and logs show in place of a task's arguments."""


def task_options() -> dict[str, Any]:
    """The options with which tasks are registered. Tasks are acknowledged late, so that a task
    whose worker is lost is delivered again. Marks ensure that nothing is sent twice."""
    return {
        "bind": True,
        # Otherwise a task of another application would use the sender of this one.
        "shared": False,
        "serializer": "json",
        "acks_late": True,
        "reject_on_worker_lost": True,
        "store_errors_even_if_ignored": False,
        "max_retries": None,
        "throws": (OtpVerifyError,),
    }


def check_parts(app: Any, sender: Any, store: Any, name: str, *, needs: str = "send") -> None:
    """Raise `ConfigurationError` for parts that do not fit together."""
    if not isinstance(app, Celery):
        raise ConfigurationError("app must be a Celery application.")
    if not callable(getattr(sender, needs, None)):
        raise ConfigurationError(f"{type(sender).__name__} is no sender: it has no {needs}().")
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
    if name in app.tasks:
        raise ConfigurationError(f"There is a task {name!r} already; choose another name.")


_TAG_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that was set: the store's counter, and which event of it this is."""

    counter: str
    at: int


class Marks:
    """Marks for work that must begin only once across all workers.

    A mark is a counter in the store that admits one event. It is set before anything is sent, and
    stays set if the worker dies in between: it is then unknown how far the worker got.

    Args:
        store: The store that holds the marks; all workers share it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, what: str, seconds: int) -> Mark | None:
        """Set a mark.

        Args:
            what: Identifies the work. The store gets its hash, so it must be impossible to guess.
            seconds: How long the mark stays.

        Returns:
            The mark; `None` when the work was begun before.

        Raises:
            StoreError: The store is unavailable.
        """
        digest = hashlib.sha256(b"otpverify celery " + what.encode()).digest()
        counter = base64.urlsafe_b64encode(digest).decode()[:_TAG_LENGTH]
        answer = self._store.reserve(counter, (Limit(1, seconds),))
        return Mark(counter, answer.at) if isinstance(answer, Reserved) else None

    def clear(self, mark: Mark) -> None:
        """Remove a mark, because its work certainly was not done.

        Raises:
            StoreError: The store is unavailable.
        """
        self._store.give_back(mark.counter, mark.at)
