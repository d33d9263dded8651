"""Delivery behind the reply's back."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from otpverify import DeliveryUnavailable, Message, OtpVerifyError, Receipt, Sender

_log = logging.getLogger("otpverify.integrations")


class BackgroundSender:
    """A sender that hands messages on in threads of its own and says yes at once.

    For the password reset, where a slow or failing gateway would tell a known number from an
    unknown one, for which nothing is sent. What goes wrong shows in the log only, and the send
    stays counted; the person requests another code. Messages that wait when the process is killed
    are lost: a task queue keeps them. It takes no delivery reports: a cooldown that a failure lifts
    would tell, too.

    Args:
        sender: Delivers the messages.
        threads: How many messages are under way at once.
        waiting: How many more may wait; further ones are refused (`DeliveryUnavailable`).
    """

    def __init__(self, sender: Sender, *, threads: int = 8, waiting: int = 1000) -> None:
        self._sender = sender
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="otpverify-send")
        self._room = BoundedSemaphore(threads + waiting)

    def send(self, message: Message) -> Receipt:
        """Take the message.

        Raises:
            DeliveryUnavailable: Too many wait, or it is closed; this one was not sent.
        """
        if not self._room.acquire(blocking=False):
            raise DeliveryUnavailable("Too many messages wait to be sent.", maybe_sent=False)
        try:
            self._pool.submit(self._hand_on, message)
        except RuntimeError:  # it is closed, or the interpreter is about to end
            self._room.release()
        else:
            return Receipt()
        raise DeliveryUnavailable("No more messages are sent: this is closed.", maybe_sent=False)

    def close(self) -> None:
        """Wait for what is under way. The sender stays its owner's to close."""
        self._pool.shutdown(wait=True)

    def _hand_on(self, message: Message) -> None:
        try:
            self._sender.send(message)
        except OtpVerifyError as error:
            _log.warning("A message was not delivered: %s", error)
        except Exception as error:
            # Its words may repeat the message.
            _log.error("The sender failed: %s", type(error).__name__)
        finally:
            self._room.release()
