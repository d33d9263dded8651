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
    """The entry from the plain values of `packed`."""
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
"""How long the marks of a job's recipients stay."""

_log = logging.getLogger("otpverify.celery")
_BEGUN_BEFORE = DeliveryUnavailable(
    "It was begun before to send to this number, and may have been done. It is not sent to again.",
    provider_code="begun_before",
)

Row = tuple[int, str, str]
"""A recipient: its place in the input, the number as given, and the number in E.164."""


@dataclass(frozen=True, slots=True, repr=False)
class Again:
    """Some messages certainly were not sent, and must be tried again.

    Attributes:
        sealed: The encrypted chunk for the next attempt.
        seconds: The wait before the next attempt.
        error: Why they were not sent.
    """

    sealed: str
    seconds: float
    error: DeliveryUnavailable


class Chunks:
    """Sends to chunks of a list; each recipient gets one message per job.

    Every recipient has a mark. It is set right before the request, and removed only if the message
    certainly was not sent. So a chunk that is queued or delivered twice is sent once.

    Args:
        client: The client that sends.
        marks: Record which recipients a worker has begun to send to.
        seal: Encrypts and decrypts chunks and results.
        retry: How often messages that certainly were not sent are tried again.
    """

    def __init__(self, client: SmspmClient, marks: Marks, seal: Seal, retry: Retry) -> None:
        self._client = client
        self._marks = marks
        self._seal = seal
        self._retry = retry

    def close(
        self, job: str, text: str, rows: Iterable[Row], settled: Iterable[BulkEntry] = ()
    ) -> str:
        """Encrypt a chunk.

        Args:
            job: The job's name.
            text: The text.
            rows: The recipients, including all rows that share a number.
            settled: Entries that are already settled: by an earlier attempt, or because the
                number is invalid.
        """
        return self._seal.close(
            {"job": job, "text": text, "rows": list(rows), "settled": list(map(packed, settled))}
        )

    def attempt(self, sealed: str, number: int) -> Again | dict[str, Any]:
        """Send to the recipients of a chunk that have no mark yet.

        Args:
            sealed: The encrypted chunk.
            number: The number of this attempt; 1 is the first.

        Returns:
            The result of the task, or the chunk that must be tried again.

        Raises:
            ConfigurationError: No secret can decrypt it.
            StoreError: The store cannot be read or written. This attempt sent nothing.
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
        """The result of the task when no attempt is left."""
        chunk = self._seal.open(again.sealed)
        settled = [unpacked(values) for values in chunk["settled"]]
        return self._given([*settled, *_entries(chunk["rows"], again.error)])

    def entries(self, given: dict[str, Any]) -> list[BulkEntry]:
        """The entries in the result of a task."""
        return [unpacked(values) for values in self._seal.open(given["sealed"])["entries"]]

    def _given(self, entries: list[BulkEntry]) -> dict[str, Any]:
        counts = BulkCounts.of(entries)
        sealed = self._seal.close({"entries": list(map(packed, entries))})
        return {
            "counts": [counts.sent, counts.failed, counts.unknown, counts.duplicates],
            "sealed": sealed,
        }

    def _begin(self, job: str, rows: list[Row]) -> dict[str, list[Mark]]:
        """Mark every recipient. Return the marks of those that had no mark before."""
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
            failure = error  # the text cannot be encoded
        except Exception as error:
            # Not chained: the exception may contain the message.
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
        """Remove the marks of recipients that certainly were not sent the message. Return those
        that may be tried again."""
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
    """Entries with the same error for all rows. Further rows of a number are duplicates of the
    first."""
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
    """The result with these entries in input order."""
    return BulkResult.of(sorted(entries, key=lambda entry: entry.index))
