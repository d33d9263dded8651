"""Delivery after the reply, by FastAPI's own background tasks.

What it is for: a reply that does not wait for the gateway, so that a password reset takes as long
for a number without an account, for which nothing is sent.

What it is not: a queue. The message lives in this process alone. Whatever waits when the process
dies, or is killed in a deployment, is lost, and nobody is told: the send stays counted, the person
sees no message and asks for another code after the cooldown. Nothing is retried beyond what the
client itself retries. Where that is too little, use `otpverify.integrations.celery`.
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
        """Leave it for later, and say yes.

        Raises:
            DeliveryUnavailable: Nobody asked for `after_the_reply`.
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
    what another kind sets is not seen by the route."""
    _tasks.set(tasks)
