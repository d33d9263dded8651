"""What is said about a list before and after it is sent to. Numbers are masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from otpverify import BulkProgress
from otpverify.bulk.estimate import Estimate
from otpverify.bulk.numbers import Row
from otpverify.gateways.smspm.bulk import Plan
from otpverify.gateways.smspm.bulk_wire import ACCOUNT_CODES
from otpverify.phone import mask
from otpverify.sms import Segments

_MOST_SHOWN = 20


def before(plan: Plan, rows: Sequence[Row], counted: Segments, cost: Estimate) -> Iterator[str]:
    """The lines of a dry run."""
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
    yield f"Cost        at most {cost}{_of(cost)}"
    for share in cost.shares:
        price = "price not known" if share.cost is None else f"{share.cost:.2f}"
        yield f"  {share.country}: {share.recipients} recipients, {price}"


def attempted(progress: BulkProgress) -> BulkProgress:
    """The progress without those who were left for another time; they come last."""
    left = sum(entry.reason == "not_attempted" for entry in progress.entries)
    counts = replace(progress.counts, failed=progress.counts.failed - left)
    return replace(progress, counts=counts)


class Reasons:
    """Why people were not sent to, or nobody knows: counts by reason, no numbers and no text."""

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
                # Of these errors the message is wholly ours, and says what to mend.
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
        yield "Unknown may have been sent to; --resume leaves them alone without --retry-unknown."


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
