"""The progress bar on a terminal, drawn by rich."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from otpverify import BulkCounts, BulkProgress
from otpverify.errors import needs_extra

with needs_extra("cli", "The progress bar"):
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )


class Bar:
    """A `Display` with a bar.

    Args:
        total: How many recipients there are.
        phrase: The counts in words.
    """

    def __init__(self, total: int, phrase: Callable[[BulkCounts], str]) -> None:
        self._phrase = phrase
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("", total=total, counts=phrase(BulkCounts()))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._progress.stop()

    def show(self, progress: BulkProgress) -> None:
        """See `Display`. Sending goes on if the terminal has gone."""
        with suppress(OSError):
            self._update(progress)

    def _update(self, progress: BulkProgress) -> None:
        self._progress.update(
            self._task, completed=progress.done, counts=self._phrase(progress.counts)
        )
