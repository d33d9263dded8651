"""What processes take of this machine's memory, once a second, by Linux's /proc."""

from __future__ import annotations

import statistics
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_EVERY_SECONDS = 1.0
_MIB = 1024


def resident_mib(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _MIB
    raise ProcessLookupError(pid)


class Memory:
    """The memory of some processes, over time."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = defaultdict(list)

    def growth(self, name: str) -> tuple[float, float] | None:
        """The MiB of a process after it warmed up (the middle fifth of its time), and in the end
        (the last fifth): both medians. `None` if it was not seen for long enough."""
        seen = self.seen[name]
        fifth = len(seen) // 5
        if fifth < 1:
            return None
        middle, end = seen[2 * fifth : 3 * fifth], seen[-fifth:]
        return statistics.median(middle), statistics.median(end)


@contextmanager
def watched(pids: Callable[[], dict[str, int]]) -> Iterator[Memory]:
    """Look at processes until the block ends.

    Args:
        pids: Gives the processes by their names; it may change.
    """
    memory, ended = Memory(), threading.Event()

    def look() -> None:
        while not ended.wait(_EVERY_SECONDS):
            for name, pid in pids().items():
                with suppress(OSError):  # it ends at this moment
                    memory.seen[name].append(resident_mib(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()
