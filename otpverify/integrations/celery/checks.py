"""What the senders of tasks have in common."""

from __future__ import annotations

import inspect
from typing import Any

from celery import Celery

from otpverify import ConfigurationError, OtpVerifyError

HIDDEN = "(<sealed>,)"
"""What Flower and logs show of a task's arguments."""


def task_options() -> dict[str, Any]:
    """How tasks are registered. They are acknowledged late, so that one whose worker is lost is
    handed out again; marks see that nothing is sent twice."""
    return {
        "bind": True,
        # Otherwise another application's task would deliver through this one's sender.
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
