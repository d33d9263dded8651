"""What is said about a list before and after it is sent to. Numbers are masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from otpverify import BulkProgress
from otpverify.bulk.estimate import Estimate
from otpverify.bulk.numbers import Row
from otpverify.phone import mask
from otpverify.sms import Segments
from otpverify.sms.bulk import Plan

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
