"""Delivery after the reply, by FastAPI's own background tasks.

The reply does not wait for the gateway, so a password reset takes as long for a number without an
account, to which nothing is sent.

This is not a queue. Messages are in this process only. If the process ends, messages that wait are
lost without a log line: the send stays counted, and the person asks for another code after the
cooldown. Only the client retries. If you need more, use `otpverify.integrations.celery`.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar

from fastapi import BackgroundTasks

from otpverify import AsyncSender, DeliveryUnavailable, Message, OtpVerifyError, Receipt

_log = logging.getLogger(__name__)
_tasks: ContextVar[BackgroundTasks | None] = ContextVar("otp_background_tasks", default=None)


class BackgroundTasksSender:
    """An `AsyncSender` that leaves messages to the request's background tasks.

    Args:
        sender: Delivers them, after the reply.
    """

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def send(self, message: Message) -> Receipt:
        """Queue the message for later.

        Raises:
            DeliveryUnavailable: The route does not depend on `after_the_reply`.
        """
        tasks = _tasks.get()
        if tasks is None:
            raise DeliveryUnavailable("There is no request to deliver after.", maybe_sent=False)
        tasks.add_task(self._deliver, message)
        return Receipt()

    async def _deliver(self, message: Message) -> None:
        try:
            await self._sender.send(message)
        except OtpVerifyError as error:
            _log.warning("A message was not delivered: %s", error)
        except Exception as error:
            # Its words may repeat the message.
            _log.error("The sender failed: %s", type(error).__name__)


async def after_the_reply(tasks: BackgroundTasks) -> None:
    """A dependency of the routes that send through `BackgroundTasksSender`. It must be `async`:
    the route does not see what a sync dependency sets."""
    _tasks.set(tasks)
