"""Delivery after the reply, by FastAPI's own background tasks.

The reply does not wait for the gateway, so a concealed flow takes as long for a number without an
account, to which nothing is sent.

This is not a queue. Messages are in this process only. If the process ends, messages that wait are
lost without a log line: the send stays counted, and the person asks for another code after the
cooldown. Only the client retries. If you need more, use `otpverify.integrations.celery`.
"""

# Annotations are not postponed: FastAPI reads them.

import logging
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends
from fastapi.concurrency import run_in_threadpool

from otpverify import AsyncSender, AsyncVerifier, Message, OtpVerifyError, Prices, Receipt, Sender
from otpverify._sync import suspends
from otpverify.integrations.fastapi.dependencies import get_verifier

_log = logging.getLogger("otpverify.integrations")


class _AfterReply:
    """An `AsyncSender` that leaves messages to the background tasks of one request."""

    def __init__(self, sender: Sender | AsyncSender, tasks: BackgroundTasks) -> None:
        self._sender = sender
        self._tasks = tasks

    @property
    def prices(self) -> Prices | None:
        """The sender's, if it has some."""
        return getattr(self._sender, "prices", None)

    async def send(self, message: Message) -> Receipt:
        """Queue the message for later."""
        self._tasks.add_task(self._deliver, message)
        return Receipt()

    async def _deliver(self, message: Message) -> None:
        send: Any = self._sender.send
        try:
            await (send(message) if suspends(send) else run_in_threadpool(send, message))
        except OtpVerifyError as error:
            _log.warning("A message was not delivered: %s", error)
        except Exception as error:
            # Its words may repeat the message.
            _log.error("The sender failed: %s", type(error).__name__)


async def get_background_verifier(
    verifier: Annotated[AsyncVerifier, Depends(get_verifier)], tasks: BackgroundTasks
) -> AsyncVerifier:
    """A dependency: the verifier that `get_verifier` gives, whose messages are sent after the
    reply. For `OtpFlow(deliver=..., verifier=get_background_verifier)` and the like: otherwise the
    time of a reply shows who has an account. It takes no delivery reports."""
    return verifier.with_sender(_AfterReply(verifier.sender, tasks))
