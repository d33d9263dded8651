"""The messages that the sandbox received."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from otpverify.core.results import mask

# ASCII, in which the codes of this library are, and so that a code ends where the letters of a
# script that writes no spaces begin.
_MOST_REFUSED = 50
_CODE = re.compile(r"\b[0-9]{4,10}\b", re.ASCII)


def find_code(text: str) -> str | None:
    """The first separate word of 4 to 10 digits, or `None`."""
    found = _CODE.search(text)
    return found.group() if found else None


@dataclass(frozen=True, slots=True, repr=False)
class Captured:
    """A message that a gateway would have sent.

    Attributes:
        id: The id that the reply gave it.
        to: The number in E.164.
        sender_id: The sender ID that the recipient would have seen.
        text: The whole text.
        encoding: `"GSM-7"` or `"UCS-2"`.
        units: Septets for GSM-7, UTF-16 code units for UCS-2.
        parts: How many segments the gateway would have charged.
        reference: The sender's own reference (`smsId`), or `None`.
        received_at: When it came in (aware, UTC).
        code: The code found in the text, or `None`.
        reported: The status of the newest delivery report that the application accepted, or
            `None`.
        on_purpose: What goes wrong on purpose for this number, in one line, or `None`.
    """

    id: str
    to: str
    sender_id: str
    text: str
    encoding: str
    units: int
    parts: int
    reference: str | None
    received_at: datetime
    code: str | None
    reported: str | None = None
    on_purpose: str | None = None

    def __repr__(self) -> str:
        return (
            f"Captured(id={self.id!r}, to={mask(self.to)!r}, text=<{len(self.text)} characters>, "
            f"parts={self.parts}, received_at={self.received_at.isoformat()}, "
            f"reported={self.reported!r})"
        )

    def as_json(self) -> dict[str, object]:
        """The same as plain JSON values; `received_at` in ISO 8601."""
        return {**asdict(self), "received_at": self.received_at.isoformat()}


class Outbox:
    """Keeps the newest messages. Safe to share between threads.

    Args:
        capacity: How many are kept; the oldest go first.
    """

    def __init__(self, capacity: int = 1000) -> None:
        self._messages: deque[Captured] = deque(maxlen=capacity)
        self._refused: deque[Captured] = deque(maxlen=_MOST_REFUSED)
        self._changed = threading.Condition()
        self._version = 0
        self._closed = False

    @property
    def messages(self) -> list[Captured]:
        """The messages, newest first."""
        with self._changed:
            return list(self._messages)

    @property
    def refused(self) -> list[Captured]:
        """The newest messages that were refused on purpose, newest first. For the inbox page."""
        with self._changed:
            return list(self._refused)

    def refuse(self, message: Captured) -> None:
        """Show that a message was refused on purpose."""
        with self._changed:
            self._refused.appendleft(message)
            self._announce()

    def add(self, message: Captured) -> None:
        """Keep a message."""
        with self._changed:
            self._messages.appendleft(message)
            self._announce()

    def note(self, message_id: str, reported: str) -> None:
        """Record the reported status of a message, if the outbox still has the message."""
        with self._changed:
            for place, message in enumerate(self._messages):
                if message.id == message_id:
                    self._messages[place] = replace(message, reported=reported)
                    self._announce()
                    return

    def clear(self) -> None:
        """Forget all messages."""
        with self._changed:
            self._messages.clear()
            self._refused.clear()
            self._announce()

    def open(self) -> None:
        """Allow `wait` to block."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """Make every `wait` return `None` at once, until `open`. The messages stay."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, seen: int, timeout_seconds: float) -> int | None:
        """Wait until something changes.

        Args:
            seen: The version that the caller has seen; -1 for none.
            timeout_seconds: How long to wait at most.

        Returns:
            The current version, equal to `seen` when the time is up; `None` once closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._version != seen, timeout_seconds)
            return None if self._closed else self._version

    def _announce(self) -> None:
        self._version += 1
        self._changed.notify_all()
