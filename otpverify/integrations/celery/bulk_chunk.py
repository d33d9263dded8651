"""One chunk of a bulk job: the task that sends it, and its results as JSON."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from otpverify import (
    BulkCounts,
    BulkEntry,
    BulkResult,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
    OtpVerifyError,
    Retry,
    SmspmClient,
    StoreError,
)
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.celery.once import Mark, Marks


def packed(entry: BulkEntry) -> list[Any]:
    """An entry as plain values."""
    error = None if entry.error is None else _packed_error(entry.error)
    return [entry.index, entry.given, entry.phone, entry.message_id, error, entry.duplicate_of]


def unpacked(values: list[Any]) -> BulkEntry:
    """The reverse."""
    index, given, phone, message_id, error, duplicate_of = values
    said = None if error is None else _unpacked_error(*error)
    return BulkEntry(index, given, phone, message_id, said, duplicate_of)


def _packed_error(error: OtpVerifyError) -> list[Any]:
    kind = type(error).__name__
    if isinstance(error, InvalidPhoneNumber):
        return [kind, str(error), error.reason, False]
    code, maybe_sent = getattr(error, "provider_code", None), getattr(error, "maybe_sent", True)
    return [kind, str(error), code, maybe_sent]


def _unpacked_error(kind: str, said: str, code: str, maybe_sent: bool) -> OtpVerifyError:
    if kind == InvalidPhoneNumber.__name__:
        return InvalidPhoneNumber(said, reason=code)
    if kind == DeliveryRejected.__name__:
        return DeliveryRejected(said, provider_code=code)
    return DeliveryUnavailable(said, provider_code=code, maybe_sent=maybe_sent)


MARK_SECONDS = 7 * 86_400
"""How long it is remembered who was sent to under a job's name."""

_log = logging.getLogger("otpverify.celery")
_BEGUN_BEFORE = DeliveryUnavailable(
    "It was begun before to send to this number, and may have been done. It is not sent to again.",
    provider_code="begun_before",
)

Row = tuple[int, str, str]
"""A recipient: its place in the input, the number as it was given, and in E.164."""


@dataclass(frozen=True, slots=True, repr=False)
class Again:
    """Some certainly were not sent to, and are to be tried again.

    Attributes:
        sealed: What the next attempt is given.
        seconds: After how long.
        error: Why.
    """

    sealed: str
    seconds: float
    error: DeliveryUnavailable


class Chunks:
    """Sends to chunks of a list, to everyone once for each job.

    Every recipient has a mark, which is set right before the request and taken away again only
    when it certainly was not sent. So whatever is queued or delivered twice is sent once.

    Args:
        client: What sends.
        marks: Say who is sent to by whom.
        seal: Opens and seals chunks and results.
        retry: How often it is tried again what certainly was not sent.
    """

    def __init__(self, client: SmspmClient, marks: Marks, seal: Seal, retry: Retry) -> None:
        self._client = client
        self._marks = marks
        self._seal = seal
        self._retry = retry

    def close(
        self, job: str, text: str, rows: Iterable[Row], settled: Iterable[BulkEntry] = ()
    ) -> str:
        """A chunk, sealed.

        Args:
            job: The job's name.
            text: The text.
            rows: Who is to be sent to, with all that share their numbers.
            settled: What is settled already: by an earlier attempt, or since it is no number.
        """
        return self._seal.close(
            {"job": job, "text": text, "rows": list(rows), "settled": list(map(packed, settled))}
        )

    def attempt(self, sealed: str, number: int) -> Again | dict[str, Any]:
        """Send to those of a chunk that nobody began to send to.

        Args:
            sealed: The chunk.
            number: Which attempt this is; 1 is the first.

        Returns:
            What the task gives, or what is to be tried again.

        Raises:
            ConfigurationError: No secret opens it.
            StoreError: The store cannot say who was sent to. Nobody was, in this attempt.
        """
        chunk = self._seal.open(sealed)
        rows: list[Row] = [(index, given, phone) for index, given, phone in chunk["rows"]]
        settled = [unpacked(values) for values in chunk["settled"]]
        marks = self._begin(chunk["job"], rows)
        entries = self._sent(rows, marks, chunk["text"])
        again = self._undone(entries, marks)
        error = next(iter(again.values()), None)
        wait = None if error is None else self._retry.next_wait(number, error)
        if error is not None and wait is not None:
            rest = [row for row in rows if row[2] in again]
            settled += [entry for entry in entries if entry.phone not in again]
            return Again(self.close(chunk["job"], chunk["text"], rest, settled), wait, error)
        return self._given([*settled, *entries])

    def given_up(self, again: Again) -> dict[str, Any]:
        """What the task gives when nothing can be tried again."""
        chunk = self._seal.open(again.sealed)
        settled = [unpacked(values) for values in chunk["settled"]]
        return self._given([*settled, *_entries(chunk["rows"], again.error)])

    def entries(self, given: dict[str, Any]) -> list[BulkEntry]:
        """The entries of what a task gave."""
        return [unpacked(values) for values in self._seal.open(given["sealed"])["entries"]]

    def _given(self, entries: list[BulkEntry]) -> dict[str, Any]:
        counts = BulkCounts.of(entries)
        sealed = self._seal.close({"entries": list(map(packed, entries))})
        return {
            "counts": [counts.sent, counts.failed, counts.unknown, counts.duplicates],
            "sealed": sealed,
        }

    def _begin(self, job: str, rows: list[Row]) -> dict[str, list[Mark]]:
        """Mark everyone; give the marks of those whom nobody began to send to."""
        begun: dict[str, list[Mark]] = {}
        try:
            for phone in dict.fromkeys(phone for _, _, phone in rows):
                marks = [
                    self._marks.begin(tag, MARK_SECONDS) for tag in self._seal.tags(job, phone)
                ]
                kept = [mark for mark in marks if mark is not None]
                if len(kept) == len(marks):
                    begun[phone] = kept
        except StoreError:
            self._clear(begun.values())
            raise
        return begun

    def _sent(self, rows: list[Row], marks: dict[str, list[Mark]], text: str) -> list[BulkEntry]:
        """An entry for each row."""
        ours = [row for row in rows if row[2] in marks]
        others = [row for row in rows if row[2] not in marks]
        entries = _entries(others, _BEGUN_BEFORE)
        if ours:
            entries += self._handed_over(ours, text)
        return entries

    def _handed_over(self, rows: list[Row], text: str) -> list[BulkEntry]:
        failure: OtpVerifyError
        try:
            result = self._client.send_bulk([phone for _, _, phone in rows], text)
        except DeliveryRejected as error:
            failure = error  # no encoding can carry the text
        except Exception as error:
            # Not chained: it may hold what was to be sent.
            failure = DeliveryUnavailable(f"The client failed ({type(error).__name__}).")
        else:
            entries = []
            for row, entry in zip(rows, result.entries, strict=True):
                first = None if entry.duplicate_of is None else rows[entry.duplicate_of][0]
                entries.append(replace(entry, index=row[0], given=row[1], duplicate_of=first))
            return entries
        return _entries(rows, failure)

    def _undone(
        self, entries: list[BulkEntry], marks: dict[str, list[Mark]]
    ) -> dict[str, DeliveryUnavailable]:
        """Take the marks of those away that certainly were not sent to; give those of them that
        may be tried again."""
        again: dict[str, DeliveryUnavailable] = {}
        for entry in entries:
            if entry.status != "failed" or entry.phone not in marks:
                continue
            try:
                self._clear([marks[entry.phone]])
            except StoreError as error:
                _log.warning("A mark stays, so nobody sends to that number again: %s", error)
                continue
            if isinstance(entry.error, DeliveryUnavailable) and entry.reason != "not_attempted":
                again[entry.phone] = entry.error
        return again

    def _clear(self, marks: Iterable[list[Mark]]) -> None:
        for own in marks:
            for mark in own:
                self._marks.clear(mark)


def _entries(rows: Iterable[Row], error: OtpVerifyError) -> list[BulkEntry]:
    """The same for all rows; further ones of a number are duplicates of its first."""
    first: dict[str, int] = {}
    entries = []
    for index, given, phone in rows:
        earlier = first.setdefault(phone, index)
        if earlier == index:
            entries.append(BulkEntry(index, given, phone, error=error))
        else:
            entries.append(BulkEntry(index, given, phone, duplicate_of=earlier))
    return entries


def result_of(entries: Iterable[BulkEntry]) -> BulkResult:
    """The entries in input order."""
    return BulkResult.of(sorted(entries, key=lambda entry: entry.index))
