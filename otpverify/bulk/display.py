"""How far sending has come, on a terminal or as plain lines. No number is shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from otpverify import BulkCounts, BulkProgress


class Display(AbstractContextManager["Display"], Protocol):
    """Shows progress while it is entered."""

    def show(self, progress: BulkProgress) -> None:
        """Show how far it is."""


def display(total: int, say: Callable[[str], None], *, terminal: bool) -> Display:
    """A progress bar on a terminal, where the extra `cli` is installed; plain lines elsewhere.

    Args:
        total: How many are to be sent to.
        say: Writes a line.
        terminal: Whether lines go to a terminal.
    """
    if terminal:
        try:
            from otpverify.bulk.display_rich import Bar
        except ImportError as error:
            say(f"{error}")
        else:
            return Bar(total)
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
