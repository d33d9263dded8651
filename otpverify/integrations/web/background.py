"""Delivery in the background: the reply does not wait for the gateway."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from otpverify import DeliveryUnavailable, Message, OtpVerifyError, Prices, Receipt, Sender
from otpverify._per_process import PerProcess

_log = logging.getLogger("otpverify.integrations")


class _Pool:
    """The threads of one process, and room for the messages that wait."""

    def __init__(self, threads: int, waiting: int) -> None:
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="otpverify-send")
        self.room = BoundedSemaphore(threads + waiting)


class BackgroundSender:
    """A sender that passes messages to threads of its own and returns at once.

    For concealed flows such as the password reset, where a slow gateway would show which numbers
    have an account: nothing is sent to the others. Failures are in the log only, and the send stays
    counted; the person requests another code. Messages that wait when the process is killed
    are lost: a task queue keeps them. It takes no delivery reports.

    Threads and locks are made at the first message of a process, so that an object made before a
    fork, or before gevent patches the standard library, works after it.

    Args:
        sender: Delivers the messages.
        threads: How many messages are sent at once.
        waiting: How many more may wait; further ones are refused (`DeliveryUnavailable`).
    """

    def __init__(self, sender: Sender, *, threads: int = 8, waiting: int = 1000) -> None:
        self._sender = sender
        self._pools = PerProcess(lambda: _Pool(threads, waiting))
        self._closed = False

    @property
    def prices(self) -> Prices | None:
        """The sender's, if it has some."""
        return getattr(self._sender, "prices", None)

    def send(self, message: Message) -> Receipt:
        """Take the message.

        Raises:
            DeliveryUnavailable: Too many wait, or it is closed; this one was not sent.
        """
        if self._closed:
            raise _closed()
        pool = self._pools.get()
        if not pool.room.acquire(blocking=False):
            raise DeliveryUnavailable("Too many messages wait to be sent.", maybe_sent=False)
        try:
            pool.threads.submit(self._pass_on, message, pool)
        except RuntimeError:  # it was closed meanwhile, or the interpreter is about to end
            pool.room.release()
        else:
            return Receipt()
        raise _closed()

    def close(self) -> None:
        """Wait for messages that are being sent. It does not close the sender: its owner does."""
        self._closed = True
        if pool := self._pools.made:
            pool.threads.shutdown(wait=True)

    def _pass_on(self, message: Message, pool: _Pool) -> None:
        try:
            self._sender.send(message)
        except OtpVerifyError as error:
            _log.warning("A message was not delivered: %s", error)
        except Exception as error:
            # The error's text may repeat the message.
            _log.error("The sender failed: %s", type(error).__name__)
        finally:
            pool.room.release()


def _closed() -> DeliveryUnavailable:
    return DeliveryUnavailable("No more messages are sent: this is closed.", maybe_sent=False)
