"""Senders that keep messages in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from otpverify import DeliveryError, Message, Receipt
from otpverify.sandbox.outbox import find_code


def code_in(text: str) -> str:
    """The code in a message's text: the first separate word of 4 to 10 digits.

    Raises:
        LookupError: The text contains no code.
    """
    code = find_code(text)
    if code is None:
        raise LookupError(f"There is no code in this text of {len(text)} characters.")
    return code


class _Outbox:
    """The part that the sync and the async sender share."""

    def __init__(self, fail_with: DeliveryError | None = None) -> None:
        self.fail_with = fail_with
        self._messages: list[Message] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._messages)

    def __bool__(self) -> bool:
        """True: an empty outbox is still a sender."""
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {len(self)} messages>"

    @property
    def messages(self) -> list[Message]:
        """The messages, oldest first; a copy."""
        with self._lock:
            return list(self._messages)

    @property
    def last(self) -> Message:
        """The newest message.

        Raises:
            LookupError: Nothing was sent.
        """
        return _newest(self.messages, "Nothing was sent.")

    def code(self, phone: str | None = None) -> str:
        """The code of the newest message.

        Args:
            phone: Only of messages to this number, in E.164.

        Raises:
            LookupError: There is no such message, or no code in it.
        """
        if phone is None:
            return code_in(self.last.text)
        sent = [message for message in self.messages if message.to == phone]
        return code_in(_newest(sent, "Nothing was sent to this number (is it in E.164?).").text)

    def clear(self) -> None:
        """Forget all messages."""
        with self._lock:
            self._messages.clear()

    def _take(self, message: Message) -> Receipt:
        if self.fail_with is not None:
            raise self.fail_with
        with self._lock:
            self._messages.append(message)
            return Receipt(f"outbox-{len(self._messages)}")


class OutboxSender(_Outbox):
    """A `Sender` that keeps messages in memory. Safe to share between threads.

    Args:
        fail_with: The exception that every send raises instead. You can set and unset the
            attribute of this name at any time.
    """

    def send(self, message: Message) -> Receipt:
        """Keep the message."""
        return self._take(message)


class AsyncOutboxSender(_Outbox):
    """`OutboxSender` for an `AsyncVerifier`."""

    async def send(self, message: Message) -> Receipt:
        """Keep the message."""
        return self._take(message)


def _newest(messages: Sequence[Message], otherwise: str) -> Message:
    if not messages:
        raise LookupError(otherwise)
    return messages[-1]
