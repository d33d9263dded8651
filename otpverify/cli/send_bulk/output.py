"""What `otpverify send-bulk` prints: progress, and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from otpverify import BulkCounts, BulkProgress
from otpverify.cli.lint import gsm7_suggestions
from otpverify.cli.send_bulk.csv_file import NumberList
from otpverify.errors import ExtraMissing
from otpverify.gateways.smspm.bulk_batches import ACCOUNT_CODES, Plan
from otpverify.gateways.smspm.prices import Estimate, people
from otpverify.phone import mask
from otpverify.sms import segments


class Display(AbstractContextManager["Display"], Protocol):
    """Shows progress while it is entered."""

    def show(self, progress: BulkProgress) -> None:
        """Show the progress so far."""


def display(total: int, say: Callable[[str], None], *, terminal: bool) -> Display:
    """A progress bar on a terminal, where the extra `cli` is installed; plain lines elsewhere.

    Args:
        total: The number of recipients.
        say: Writes a line.
        terminal: Whether lines go to a terminal.
    """
    if terminal:
        try:
            from otpverify.cli.send_bulk.progress_bar import Bar
        except ExtraMissing as error:
            say(f"{error}")
        else:
            return Bar(total, phrase)
    return Lines(say)


class Lines:
    """A line for every tenth part, and for the last.

    Args:
        say: Writes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._tenths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def show(self, progress: BulkProgress) -> None:
        """See `Display`."""
        tenths = 10 * progress.done // max(progress.total, 1)
        if tenths > self._tenths:
            self._tenths = tenths
            self._say(f"{progress.done} of {progress.total}: {phrase(progress.counts)}")


def phrase(counts: BulkCounts) -> str:
    """The counts in words."""
    return f"{counts.sent} sent, {counts.failed} failed, {counts.unknown} unknown"


_MOST_SHOWN = 20


def before(plan: Plan, listed: NumberList, text: str, cost: Estimate) -> Iterator[str]:
    """The lines of a dry run."""
    counted = segments(text)
    rows = listed.rows
    if listed.heading is not None:
        yield f"Column      {listed.heading!r}, by the headings on line {listed.heading_line}"
    yield f"Recipients  {len(plan.recipients)}"
    yield from _some(f"  {mask(phone)}" for phone in plan.recipients)
    invalid = [entry for entry in plan.found if entry.phone is None]
    yield f"Invalid     {len(invalid)}"
    yield from _some(f"  line {rows[entry.index].line}: {entry.error}" for entry in invalid)
    again = [entry for entry in plan.found if entry.phone is not None]
    yield f"Duplicates  {len(again)}"
    yield from _some(
        f"  line {rows[entry.index].line}: {mask(str(entry.phone))}, "
        f"as line {rows[entry.duplicate_of or 0].line}"
        for entry in again
    )
    yield f"Segments    {counted.parts} ({counted.encoding}, {counted.units} units)"
    for suggestion in gsm7_suggestions(text):
        yield f"  {suggestion}"
    yield f"Cost        at most {cost}{_of(cost)}"
    for share in cost.shares:
        price = "no price" if share.cost is None else f"{share.cost:.2f}"
        yield f"  {share.country}: {people(share.recipients)}, {price}"


def attempted(progress: BulkProgress) -> BulkProgress:
    """The progress without the entries that were not attempted; they come last."""
    left = sum(entry.reason == "not_attempted" for entry in progress.entries)
    counts = replace(progress.counts, failed=progress.counts.failed - left)
    return replace(progress, counts=counts)


class Reasons:
    """Why sending failed or its outcome is unknown: counts by reason, without numbers and texts."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._account_refused: str | None = None

    def take(self, progress: BulkProgress) -> None:
        """Count those who were settled. Those who were not attempted count as not tried."""
        for entry in progress.entries:
            if entry.error is None or entry.reason == "not_attempted":
                continue
            self._counts[entry.reason or "no reason given"] += 1
            if entry.reason in ACCOUNT_CODES:
                # These messages are this library's own, and say what to fix.
                self._account_refused = str(entry.error)

    def lines(self) -> Iterator[str]:
        """The lines at the end, the most frequent reason first."""
        if self._counts:
            yield "Why"
        for reason, count in self._counts.most_common():
            yield f"  {reason}: {count}"
        if self._account_refused is not None:
            yield self._account_refused


def after(plan: Plan, status: dict[str, str]) -> Iterator[str]:
    """The lines at the end.

    Args:
        plan: The whole list.
        status: What is known of each number.
    """
    found = Counter(status.get(phone, "left") for phone in plan.recipients)
    invalid = sum(entry.phone is None for entry in plan.found)
    yield f"Sent        {found['sent']}"
    yield f"Failed      {found['failed']}"
    yield f"Unknown     {found['unknown']}"
    yield f"Not tried   {found['left']}"
    yield f"Invalid     {invalid}"
    yield f"Duplicates  {len(plan.found) - invalid}"
    if found["unknown"]:
        yield "Unknown numbers may have been sent to; --resume repeats them with --retry-unknown."


def _of(cost: Estimate) -> str:
    return f", by prices of {cost.table.date}" if cost.table.date else ""


def _some(lines: Iterable[str]) -> Iterator[str]:
    """The first lines, and how many more there are."""
    more = 0
    for place, line in enumerate(lines):
        if place < _MOST_SHOWN:
            yield line
        else:
            more += 1
    if more:
        yield f"  and {more} more"
