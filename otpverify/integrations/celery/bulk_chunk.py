"""One chunk of a bulk job: the task that sends it, and its results as JSON."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from otpverify import (
    BulkCounts,
    BulkEntry,
    BulkResult,
    ConfigurationError,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
    OtpVerifyError,
    Retry,
    SmspmClient,
    StoreError,
)
from otpverify.core.limits import DAY_SECONDS
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.celery.tasks import Marker, OnceMarkers


def packed(entry: BulkEntry) -> list[Any]:
    """An entry as plain values."""
    error = None if entry.error is None else _packed_error(entry.error)
    return [entry.index, entry.given, entry.phone, entry.message_id, error, entry.duplicate_of]


def unpacked(values: list[Any]) -> BulkEntry:
    """The entry from the plain values of `packed`."""
    index, given, phone, message_id, error, duplicate_of = values
    failure = None if error is None else _unpacked_error(*error)
    return BulkEntry(index, given, phone, message_id, failure, duplicate_of)


def _packed_error(error: OtpVerifyError) -> list[Any]:
    kind = type(error).__name__
    if isinstance(error, InvalidPhoneNumber):
        return [kind, str(error), error.reason, False]
    code, maybe_sent = getattr(error, "provider_code", None), getattr(error, "maybe_sent", True)
    return [kind, str(error), code, maybe_sent]


def _unpacked_error(kind: str, text: str, code: str, maybe_sent: bool) -> OtpVerifyError:
    if kind == InvalidPhoneNumber.__name__:
        return InvalidPhoneNumber(text, reason=code)
    if kind == DeliveryRejected.__name__:
        return DeliveryRejected(text, provider_code=code)
    return DeliveryUnavailable(text, provider_code=code, maybe_sent=maybe_sent)


MARKER_SECONDS = 7 * DAY_SECONDS
"""How long the markers of a job's recipients stay."""
LONGEST_WAIT_SECONDS = MARKER_SECONDS - DAY_SECONDS
"""How long a task may wait in the queue. Afterwards markers may be gone, and it is not begun. The
clocks of two machines may differ by as much as lies between the two."""

_log = logging.getLogger("otpverify.celery")
_TOO_LATE = DeliveryUnavailable(
    "The task was in the queue for so long that it is unknown whether a worker sent to this "
    "number. It is not sent to again.",
    provider_code="too_late",
)
_NOT_REQUEUED = DeliveryUnavailable(
    "It is unknown whether the next attempt was queued.", provider_code="not_queued"
)
_BEGUN_BEFORE = DeliveryUnavailable(
    "A worker began to send to this number before, and may have. It is not sent to again.",
    provider_code="begun_before",
)

Row = tuple[int, str, str]
"""A recipient: its place in the input, the number as given, and the number in E.164."""


@dataclass(frozen=True, slots=True, repr=False)
class ChunkRetry:
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

    Every recipient has a marker. It is set right before the request, and removed only if the
    message certainly was not sent. So a chunk that is queued or delivered twice is sent once.

    Args:
        client: The client that sends.
        markers: Record which recipients a worker has begun to send to.
        seal: Encrypts and decrypts chunks and results.
        retry: How often messages that certainly were not sent are tried again.
    """

    def __init__(self, client: SmspmClient, markers: OnceMarkers, seal: Seal, retry: Retry) -> None:
        self._client = client
        self._markers = markers
        self._seal = seal
        self.retry = retry

    def equals(self, other: Chunks) -> bool:
        """Whether both send the same chunks in the same way."""
        return self._client is other._client and self._seal.equals(other._seal)

    def close(
        self,
        job: str,
        text: str,
        rows: Iterable[Row],
        settled: Iterable[BulkEntry] = (),
        *,
        queued_at: float,
        attempt: int = 1,
    ) -> str:
        """Encrypt a chunk.

        Args:
            job: The job's name.
            text: The text.
            rows: The recipients, including all rows that share a number.
            settled: Entries that are already settled: by an earlier attempt, or because the
                number is invalid.
            queued_at: When the list was queued, in seconds since the epoch.
            attempt: The number of the attempt; 1 is the first.
        """
        content: dict[str, Any] = {"job": job, "text": text, "rows": list(rows)}
        content |= {"queued_at": queued_at, "attempt": attempt}
        return self._seal.close({**content, "settled": list(map(packed, settled))})

    def attempt(self, sealed: object) -> ChunkRetry | dict[str, Any]:
        """Send to the recipients of a chunk that have no marker yet.

        Args:
            sealed: The encrypted chunk.

        Returns:
            The result of the task, or the chunk that must be tried again.

        Raises:
            ConfigurationError: No secret can decrypt it.
            StoreError: The store cannot be read or written. This attempt sent nothing.
        """
        chunk = self._opened(sealed)
        job, text, queued_at = chunk["job"], chunk["text"], chunk["queued_at"]
        rows: list[Row] = [(index, given, phone) for index, given, phone in chunk["rows"]]
        settled = [unpacked(values) for values in chunk["settled"]]
        if time.time() - queued_at >= LONGEST_WAIT_SECONDS:
            return self._result([*settled, *_entries(rows, _TOO_LATE)])
        markers = self._begin(job, rows)
        entries = self._sent(rows, markers, text)
        again = self._undone(entries, markers)
        error = next(iter(again.values()), None)
        number = chunk["attempt"]
        wait = None if error is None else self.retry.next_wait(number, error)
        if error is None or wait is None:
            return self._result([*settled, *entries])
        rest = [row for row in rows if row[2] in again]
        settled += [entry for entry in entries if entry.phone not in again]
        following = self.close(job, text, rest, settled, queued_at=queued_at, attempt=number + 1)
        return ChunkRetry(following, wait, error)

    def given_up(self, following: ChunkRetry) -> dict[str, Any]:
        """The result of the task when its next attempt could not be queued, as far as is known. The
        broker may have taken it, so it is unknown whether those messages are sent."""
        chunk = self._opened(following.sealed)
        settled = [unpacked(values) for values in chunk["settled"]]
        return self._result([*settled, *_entries(chunk["rows"], _NOT_REQUEUED)])

    def _opened(self, sealed: object) -> dict[str, Any]:
        chunk = self._seal.open(sealed)
        if not {"job", "text", "rows", "settled", "queued_at", "attempt"} <= chunk.keys():
            raise ConfigurationError("Another version of otpverify queued this task.")
        return chunk

    def counts(self, given: object) -> BulkCounts:
        """The counts in the result of a task, which the result backend may have altered.

        Raises:
            ConfigurationError: It is not such a result.
        """
        match given:
            case {"counts": [int(), int(), int(), int()] as counts}:
                return BulkCounts(*counts)
        raise _foreign_result()

    def entries(self, given: object) -> list[BulkEntry]:
        """The entries in the result of a task.

        Raises:
            ConfigurationError: It is not such a result, or none of the secrets can decrypt it.
        """
        if not isinstance(given, Mapping):
            raise _foreign_result()
        opened = self._seal.open(given.get("sealed"))
        try:
            return [unpacked(values) for values in opened["entries"]]
        except (KeyError, TypeError, ValueError):
            pass
        raise _foreign_result()

    def _result(self, entries: list[BulkEntry]) -> dict[str, Any]:
        counts = BulkCounts.of(entries)
        sealed = self._seal.close({"entries": list(map(packed, entries))})
        return {
            "counts": [counts.sent, counts.failed, counts.unknown, counts.duplicates],
            "sealed": sealed,
        }

    def _begin(self, job: str, rows: list[Row]) -> dict[str, list[Marker]]:
        """Set a marker for every recipient. Return the markers of those that had none before."""
        begun: dict[str, list[Marker]] = {}
        try:
            for phone in dict.fromkeys(phone for _, _, phone in rows):
                markers = [
                    self._markers.begin(tag, MARKER_SECONDS) for tag in self._seal.tags(job, phone)
                ]
                kept = [marker for marker in markers if marker is not None]
                if len(kept) == len(markers):
                    begun[phone] = kept
        except StoreError:
            self._clear(begun.values())
            raise
        return begun

    def _sent(
        self, rows: list[Row], markers: dict[str, list[Marker]], text: str
    ) -> list[BulkEntry]:
        """An entry for each row."""
        ours = [row for row in rows if row[2] in markers]
        others = [row for row in rows if row[2] not in markers]
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
        self, entries: list[BulkEntry], markers: dict[str, list[Marker]]
    ) -> dict[str, DeliveryUnavailable]:
        """Remove the markers of recipients that certainly were not sent the message. Return those
        that may be tried again."""
        again: dict[str, DeliveryUnavailable] = {}
        for entry in entries:
            if entry.status != "failed" or entry.phone not in markers:
                continue
            try:
                self._clear([markers[entry.phone]])
            except StoreError as error:
                _log.warning("A marker stays, so nobody sends to that number again: %s", error)
                continue
            if isinstance(entry.error, DeliveryUnavailable) and entry.reason != "not_attempted":
                again[entry.phone] = entry.error
        return again

    def _clear(self, markers: Iterable[list[Marker]]) -> None:
        for own in markers:
            for marker in own:
                self._markers.clear(marker)


def _foreign_result() -> ConfigurationError:
    return ConfigurationError(
        "The result backend holds what is not a result of this version of otpverify."
    )


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
