"""Delivery behind the reply's back."""

from __future__ import annotations

import asyncio
import logging

from starlette.concurrency import run_in_threadpool

from otpverify import Message, OtpVerifyError, Receipt, Sender

_log = logging.getLogger("otpverify.demo")


class BackgroundSender:
    """Hands messages on later and says yes at once.

    For the password reset, where a slow or failing gateway would tell a known number from an
    unknown one, for which nothing is sent. What goes wrong shows in the log only; the person
    requests another code. It takes no delivery reports: a cooldown that a failure lifts would
    tell, too.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._running: set[asyncio.Task[None]] = set()

    async def send(self, message: Message) -> Receipt:
        """Take the message."""
        task = asyncio.create_task(self._hand_on(message))
        self._running.add(task)  # the event loop holds tasks weakly
        task.add_done_callback(self._running.discard)
        return Receipt()

    async def drain(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running)

    async def _hand_on(self, message: Message) -> None:
        try:
            await run_in_threadpool(self._sender.send, message)
        except OtpVerifyError as error:
            _log.warning("A message was not delivered: %s", error)
