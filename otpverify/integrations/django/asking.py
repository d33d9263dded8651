"""A request in three steps: decide what to ask the verifier, ask, make a page of the answer. The
first and the last are the same for both colours; only the one in the middle awaits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase

from otpverify import ConfigurationError, DeliveryError, OtpVerifyError, StoreError
from otpverify.integrations.django.verifiers import get_async_verifier, get_verifier

_log = logging.getLogger("otpverify.integrations")


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a code is for.

    Attributes:
        who: In the flow's own terms: the phone that was typed, or a user's primary key.
        phone: Where the code goes.
        deliver: Whether the account exists, where that must not show; otherwise `None`.
        typed: What to show on the first page again.
    """

    who: str
    phone: str
    deliver: bool | None = None
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask the verifier.

    Attributes:
        method: Its method, such as `"start"`.
        arguments: Those of the call.
        done: Makes a reply of what the call returns, or asks something else.
        failed: The same of an error.
        background: Ask the verifier that delivers in the background.
    """

    method: str
    arguments: dict[str, Any]
    done: Callable[[Any], Step]
    failed: Callable[[OtpVerifyError], Step]
    background: bool = False


Step: TypeAlias = HttpResponseBase | Ask


def answer(step: Step) -> HttpResponseBase:
    """Ask until there is a reply."""
    while isinstance(step, Ask):
        verifier = get_verifier(background=step.background)
        try:
            result = getattr(verifier, step.method)(**step.arguments)
        except OtpVerifyError as error:
            failure = _of_theirs(error)
            step = step.failed(failure)
        else:
            step = step.done(result)
    return step


async def aanswer(first: Callable[[], Step]) -> HttpResponseBase:
    """`answer` in an event loop: all but the asking runs in the thread of synchronous code."""
    step = await sync_to_async(first)()
    while isinstance(step, Ask):
        verifier = get_async_verifier(background=step.background)
        try:
            result = await getattr(verifier, step.method)(**step.arguments)
        except OtpVerifyError as error:
            failure = _of_theirs(error)
            step = await sync_to_async(step.failed)(failure)
        else:
            step = await sync_to_async(step.done)(result)
    return step


def _of_theirs(error: OtpVerifyError) -> OtpVerifyError:
    """An error that a page can explain; what the program did wrong is raised again."""
    if isinstance(error, ConfigurationError):
        raise error
    if isinstance(error, StoreError | DeliveryError):
        _log.warning("%s: %s", type(error).__name__, error)
    return error
