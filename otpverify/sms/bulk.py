"""Sending to many recipients, as pure state: who is to be sent to in which batch, how fast, and
what is known of each. No I/O and no clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass

from otpverify.core.bulk import BulkCounts, BulkEntry, BulkProgress, BulkResult
from otpverify.core.phone import check_region, normalize
from otpverify.core.results import Receipt
from otpverify.errors import (
    ConfigurationError,
    DeliveryError,
    DeliveryUnavailable,
    InvalidPhoneNumber,
)
from otpverify.sms.smspm_batch import BatchReply, Outcome

Batch = tuple[str, ...]

_INTERRUPTED = DeliveryUnavailable(
    "Sending was interrupted. Nobody knows whether the message was taken.",
    provider_code="interrupted",
)


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """Who is to be sent to.

    Attributes:
        given: The numbers as they were given.
        recipients: The index of each number that is to be sent to, by its E.164 form, in
            input order.
        found: The entries that are settled before anything is sent: invalid numbers and
            duplicates.
    """

    given: tuple[object, ...]
    recipients: dict[str, int]
    found: tuple[BulkEntry, ...]


def plan(numbers: Iterable[object], region: str | None = None) -> Plan:
    """Find invalid numbers and duplicates, before anything is sent.

    Args:
        numbers: The numbers as people wrote them.
        region: The ISO 3166-1 alpha-2 code for numbers without a country code.

    Raises:
        ConfigurationError: `numbers` is one string, or `region` is no region.
    """
    if isinstance(numbers, str | bytes):
        raise ConfigurationError("numbers must be a list of numbers, not one string.")
    region = check_region(region)
    given = tuple(numbers)
    recipients: dict[str, int] = {}
    found: list[BulkEntry] = []
    for index, raw in enumerate(given):
        phone, error = _normalized(raw, region)
        if phone is None:
            found.append(BulkEntry(index, raw, None, error=error))
        elif (first := recipients.setdefault(phone, index)) != index:
            found.append(BulkEntry(index, raw, phone, duplicate_of=first))
    return Plan(given, recipients, tuple(found))


def _normalized(raw: object, region: str | None) -> tuple[str | None, InvalidPhoneNumber | None]:
    try:
        return normalize(raw, region), None  # type: ignore[arg-type]  # it refuses what is no text
    except InvalidPhoneNumber as error:
        # A list of a million bad numbers should not keep a million frames.
        return None, error.with_traceback(None)


def batches(recipients: Iterable[str], size: int) -> list[Batch]:
    """The recipients in batches of at most `size`, in order."""
    waiting = tuple(recipients)
    return [waiting[start : start + size] for start in range(0, len(waiting), size)]


class Pace:
    """Spreads recipients evenly over time.

    Args:
        per_second: How many recipients a second at most; `None` for no limit.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._next_at = 0.0

    def largest(self, size: int) -> int:
        """The largest batch up to `size` that is no more than a second's worth."""
        return size if self._per_second is None else max(1, min(size, int(self._per_second)))

    def wait(self, now: float) -> float:
        """Seconds until the next batch may go out."""
        return 0.0 if self._per_second is None else max(0.0, self._next_at - now)

    def waited(self) -> None:
        """That long was waited, whatever the clock says: a test may have stopped it."""
        self._next_at = 0.0

    def book(self, now: float, count: int) -> None:
        """A batch of `count` recipients goes out."""
        if self._per_second is not None:
            self._next_at = max(now, self._next_at) + count / self._per_second


class Run:
    """What is waiting, what is in flight and what is known. A batch is taken before its request
    is made: what was taken and never settled may have been sent.

    Args:
        plan: Who is to be sent to.
        size: The largest batch.
    """

    def __init__(self, plan: Plan, size: int) -> None:
        self._plan = plan
        self._waiting = deque(batches(plan.recipients, size))
        self._flying: set[Batch] = set()
        self._entries: dict[int, BulkEntry] = {}
        self._counts = BulkCounts()
        self._unreported: dict[int, BulkEntry] = {}
        self._account_refused: str | None = None
        self._add(plan.found)

    @property
    def next(self) -> Batch | None:
        """The batch that comes next; `None` when none is to be sent any more."""
        return self._waiting[0] if self._waiting and self._account_refused is None else None

    def take(self) -> Batch:
        """The next batch, which counts as in flight from now on."""
        batch = self._waiting.popleft()
        self._flying.add(batch)
        return batch

    def settle(self, batch: Batch, reply: BatchReply) -> None:
        """A reply came for a batch. Settling one twice changes nothing."""
        if batch not in self._flying:
            return
        self._flying.discard(batch)
        self._account_refused = self._account_refused or reply.account_refused
        if reply.split is None:
            self._add(map(self._entry, batch, reply.outcomes))
        elif reply.split == "halves":
            self._waiting.extendleft(reversed(batches(batch, -(-len(batch) // 2))))
        else:
            everyone = [phone for waiting in (batch, *self._waiting) for phone in waiting]
            self._waiting = deque(batches(everyone, 1))

    def fail(self, batch: Batch, error: DeliveryError) -> None:
        """No reply came for a batch, for this reason."""
        self.settle(batch, BatchReply(tuple(copy(error) for _ in batch)))

    def end(self) -> None:
        """Nothing more is sent: whoever is in flight may have been sent to, and whoever is
        waiting certainly was not."""
        for batch in tuple(self._flying):
            self.fail(batch, _INTERRUPTED)
        why = "sending ended early"
        if self._account_refused is not None:
            why = f"SMSPM refused the account ({self._account_refused})"
        error = DeliveryUnavailable(
            f"Not attempted: {why}.", provider_code="not_attempted", maybe_sent=False
        )
        while self._waiting:
            self._flying.add(batch := self._waiting.popleft())
            self.fail(batch, error)

    def progress(self) -> BulkProgress | None:
        """What was settled since it was last reported; `None` for nothing."""
        if not self._unreported:
            return None
        entries = tuple(self._unreported[index] for index in sorted(self._unreported))
        return BulkProgress(entries, self._counts, len(self._plan.given))

    def reported(self, progress: BulkProgress) -> None:
        """This was reported, and need not be again."""
        for entry in progress.entries:
            self._unreported.pop(entry.index, None)

    def result(self) -> BulkResult:
        """What became of everyone, in input order. Call it after `end`."""
        return BulkResult(
            tuple(self._entries[index] for index in range(len(self._plan.given))), self._counts
        )

    def _entry(self, phone: str, outcome: Outcome) -> BulkEntry:
        index = self._plan.recipients[phone]
        given = self._plan.given[index]
        if isinstance(outcome, Receipt):
            return BulkEntry(index, given, phone, message_id=outcome.message_id)
        return BulkEntry(index, given, phone, error=outcome)

    def _add(self, settled: Iterable[BulkEntry]) -> None:
        entries = {entry.index: entry for entry in settled}
        self._entries |= entries
        self._unreported |= entries
        self._counts += BulkCounts.of(entries.values())
