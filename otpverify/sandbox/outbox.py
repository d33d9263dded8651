"""The messages that the sandbox received, what happened to each of them, and how to find them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from otpverify.core.results import mask

CAPACITY = 10_000
_MOST_REPORTS = 100
# ASCII, in which the codes of this library are, and so that a code ends where the letters of a
# script that writes no spaces begin.
_CODE = re.compile(r"\b[0-9]{4,10}\b", re.ASCII)
_NUMBER = re.compile(r"[+0-9][0-9 ().\-\u00a0]*")
_NO_DIGIT = re.compile(r"[^0-9]+")


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
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "received_at": self.received_at.isoformat()}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to the gateway and its reply, as text, without credentials.

    Attributes:
        request: The request line, some headers, and the body.
        reply: The status line, the headers and the body.
        asks_for_reports: Whether the request named an address for delivery reports.
    """

    request: str = field(default="", repr=False)
    reply: str = field(default="", repr=False)
    asks_for_reports: bool = False


@dataclass(frozen=True, slots=True)
class SentReport:
    """One delivery report that was sent to the application.

    Attributes:
        at: When it was sent (aware, UTC).
        status: The status that it reports.
        answered: The HTTP status of the application's answer; `None` without an answer.
    """

    at: datetime
    status: str = field(repr=False)  # what POST /report was given
    answered: int | None

    @property
    def accepted(self) -> bool:
        """Whether the application accepted it."""
        return self.answered is not None and 200 <= self.answered < 300


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the outbox, and what happened to it.

    Attributes:
        seq: Its place: every message has a higher one than those before it.
        message: The message.
        exchange: What the gateway was asked, and what it replied.
        refused: Why the gateway refused it; `None` if it was accepted.
        reports: The delivery reports, oldest first; the newest 100.
        read: Whether somebody has opened it in the inbox.
    """

    seq: int
    message: Captured
    exchange: Exchange
    refused: str | None = field(default=None, repr=False)  # may repeat a number
    reports: tuple[SentReport, ...] = ()
    read: bool = False

    @property
    def status(self) -> str:
        """`"refused"`, the newest reported status that was accepted, or `"queued"`."""
        return "refused" if self.refused is not None else self.message.reported or "queued"

    def as_json(self) -> dict[str, object]:
        """The message as plain JSON values, with `seq`, `status`, `read` and `refused`."""
        more = {"seq": self.seq, "status": self.status, "read": self.read}
        return {**self.message.as_json(), **more, "refused": self.refused}

    def details_as_json(self) -> dict[str, object]:
        """`as_json`, with the request, the reply and the delivery reports."""
        reports = [{**asdict(one), "at": one.at.isoformat()} for one in self.reports]
        exchange = {"request": self.exchange.request, "reply": self.exchange.reply}
        return {**self.as_json(), **exchange, "reports": reports}


@dataclass(frozen=True, slots=True, repr=False)
class Search:
    """Which messages to find; everything that is given must match.

    Attributes:
        to: A whole number in E.164, with or without its plus.
        q: Words that must all be there: in the text, the code, the sender ID, the reference, the
            status, the reason of a refusal, or the number. A number may be a part, and be written
            with spaces, hyphens and brackets.
        status: A status as `Entry.status` has it, or `"unread"`.
    """

    to: str = ""
    q: str = ""
    status: str = ""

    def among(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Those of the entries that match."""
        to, words = self.to.strip().removeprefix("+"), self.q.casefold().split()
        whole = _NO_DIGIT.sub("", self.q) if _NUMBER.fullmatch(self.q.strip()) else ""
        for entry in entries:
            message = entry.message
            if to and message.to.removeprefix("+") != to:
                continue
            if self.status == "unread" and entry.read:
                continue
            if self.status not in ("", "unread", entry.status):
                continue
            if words and not (whole and whole in message.to):
                hay = _searched(entry)
                if not all(word in hay for word in words):
                    continue
            yield entry


def _searched(entry: Entry) -> str:
    message = entry.message
    parts = (message.text, message.to, message.sender_id, message.reference, entry.status)
    return "\n".join(filter(None, (*parts, entry.refused, message.on_purpose))).casefold()


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the messages that a search found.

    Attributes:
        entries: The page, newest first.
        total: How many were found on all pages.
        newer: How many of them are newer than this page.
        before_newer: The `before` of the next newer page; `None` if that is the newest one.
    """

    entries: list[Entry] = field(repr=False)
    total: int
    newer: int
    before_newer: int | None


class Outbox:
    """Keeps the newest messages, accepted and refused. Safe to share between threads.

    Args:
        capacity: How many of each are kept; the oldest go first.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._accepted: dict[str, Entry] = {}  # by id, oldest first
        self._refused: dict[str, Entry] = {}
        self._seq = 0
        self._changed = threading.Condition()
        self._version = 0
        self._closed = False

    @property
    def messages(self) -> list[Captured]:
        """The accepted messages, newest first."""
        with self._changed:
            return [entry.message for entry in reversed(self._accepted.values())]

    @property
    def newest(self) -> Captured | None:
        """The newest accepted message."""
        with self._changed:
            return next((entry.message for entry in reversed(self._accepted.values())), None)

    def get(self, message_id: str) -> Entry | None:
        """A message by its id, accepted or refused."""
        with self._changed:
            return self._accepted.get(message_id) or self._refused.get(message_id)

    def counts(self) -> tuple[int, int]:
        """How many messages there are, and how many of them nobody has opened."""
        with self._changed:
            entries = [*self._accepted.values(), *self._refused.values()]
        return len(entries), sum(not entry.read for entry in entries)

    def find(
        self,
        search: Search,
        *,
        limit: int | None = None,
        before: int | None = None,
        accepted_only: bool = False,
    ) -> Found:
        """One page of what a search finds, newest first.

        Args:
            search: What to find.
            limit: How many at most; `None` for all.
            before: The `seq` of the message before which the page begins; `None` for the newest.
            accepted_only: Leave out those that were refused.
        """
        with self._changed:
            entries = list(self._accepted.values())
            refused = [] if accepted_only else list(self._refused.values())
        if refused:
            entries = sorted([*entries, *refused], key=_seq)  # two sorted runs: linear
        found = list(search.among(reversed(entries)))
        older = found if before is None else [entry for entry in found if entry.seq < before]
        newer = len(found) - len(older)
        start = newer - (limit or newer)  # where the next newer page begins
        before_newer = found[start - 1].seq if start > 0 else None
        return Found(older[:limit], len(found), newer, before_newer)

    def add(
        self, message: Captured, exchange: Exchange | None = None, refused: str | None = None
    ) -> None:
        """Keep a message.

        Args:
            message: The message.
            exchange: What the gateway was asked, and what it replied.
            refused: Why the gateway refused it; `None` if it was accepted.
        """
        kept = self._accepted if refused is None else self._refused
        with self._changed:
            self._seq += 1
            kept[message.id] = Entry(self._seq, message, exchange or Exchange(), refused)
            if len(kept) > self._capacity:
                del kept[next(iter(kept))]
            self._announce()

    def record(self, message_id: str, report: SentReport) -> None:
        """Record a delivery report of a message, if the outbox still has the message."""
        with self._changed:
            entry = self._accepted.get(message_id)
            if entry is None:
                return
            message = entry.message
            if report.accepted:
                message = replace(message, reported=report.status)
            reports = (*entry.reports, report)[-_MOST_REPORTS:]
            self._accepted[message_id] = replace(entry, message=message, reports=reports)
            self._announce()

    def mark_read(self, message_id: str | None = None) -> bool:
        """Mark a message as read, or all of them.

        Returns:
            Whether there is such a message.
        """
        with self._changed:
            known = changed = message_id is None
            for kept in (self._accepted, self._refused):
                ids = list(kept) if message_id is None else [message_id] * (message_id in kept)
                known = known or bool(ids)
                for one in ids:
                    if not kept[one].read:
                        kept[one] = replace(kept[one], read=True)
                        changed = True
            if changed:
                self._announce()
            return known

    def delete(self, message_id: str) -> bool:
        """Forget a message.

        Returns:
            Whether there was such a message.
        """
        with self._changed:
            entry = self._accepted.pop(message_id, None) or self._refused.pop(message_id, None)
            if entry is not None:
                self._announce()
            return entry is not None

    def clear(self) -> None:
        """Forget all messages."""
        with self._changed:
            self._accepted.clear()
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


def _seq(entry: Entry) -> int:
    return entry.seq
