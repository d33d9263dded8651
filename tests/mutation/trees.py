"""Copies of the tree, and runs of pytest in them that end with `make mutants`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Literal, NamedTuple, NoReturn

from mutation.mutant import Mutant

ROOT = Path(__file__).parents[2]
_PYTEST = (
    *(sys.executable, "-m", "pytest", "-x", "-v", "-n", "0", "-p", "no:cacheprovider"),
    "--hypothesis-profile=mutants",
)
_SHOWN_LINES = 20


class Verdict(NamedTuple):
    """What the tests say.

    Attributes:
        outcome: Whether one of them failed, none came to an end in time, or all passed.
        said: What pytest printed.
    """

    outcome: Literal["killed", "timeout", "survived"]
    said: str

    def test(self) -> str:
        """The test that failed or did not end, and why; else the last lines of what was printed."""
        lines = self.said.rstrip().splitlines()
        if self.outcome == "timeout":
            return lines[-1] if lines else "before the first test"
        named = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return "\n".join(named or lines[-_SHOWN_LINES:])


class Runs:
    """Runs of pytest, each in a process group of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[int] = set()
        self._stopped = False

    def run(self, tree: Path, tests: Sequence[str], patience_seconds: float) -> Verdict:
        """Run those tests of a tree."""
        environment = {
            **{key: value for key, value in os.environ.items() if key != "OTPVERIFY_TEST_LONG"},
            "PYTHONPATH": str(tree),  # before the package that is installed
        }
        with tempfile.TemporaryFile() as output:
            with self._lock:
                if self._stopped:
                    raise SystemExit("stopped")
                process = subprocess.Popen(
                    [*_PYTEST, *tests],
                    cwd=tree,
                    env=environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                self._running.add(process.pid)
            status = None
            try:
                status = process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                pass
            finally:
                with self._lock:
                    self._running.remove(process.pid)
                    _end(process.pid)  # also the servers that a test leaves behind
                process.wait()
            output.seek(0)
            said = output.read().decode(errors="replace")
        if status == 5:  # pytest found no tests
            raise SystemExit(said)
        outcome: Literal["killed", "survived"] = "killed" if status else "survived"
        return Verdict("timeout" if status is None else outcome, said)

    @contextlib.contextmanager
    def ended_with(self, pool: Executor) -> Iterator[None]:
        """End all that the pool runs when a signal ends this program, or an error does."""

        def end(number: int, frame: object) -> NoReturn:
            raise SystemExit(128 + number)  # as shells say it

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self._stop()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        """End those that run, with all that they started, and begin no more."""
        with self._lock:
            self._stopped = True
            for group in self._running:
                _end(group)


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


class Trees:
    """Copies of the tree, one for each worker."""

    def __init__(self, folder: Path, count: int) -> None:
        self.runs = Runs()
        self._free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            tree = folder / str(number)
            _copy(tree)
            self._free.put(tree)

    def run(self, mutant: Mutant | None, tests: list[str], patience_seconds: float) -> Verdict:
        """What the tests say of a mutant, or of the tree as it is."""
        tree = self._free.get()
        try:
            if mutant:
                (tree / mutant.path).write_text(mutant.change(), "utf-8")
            return self.runs.run(tree, tests, patience_seconds)
        finally:
            if mutant:
                (tree / mutant.path).write_text(mutant.before, "utf-8")
            self._free.put(tree)


def _copy(to: Path) -> None:
    """Copy all that git knows or would add."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or no clone
        listed = b""
    if not listed:  # also where a repository around this folder ignores it
        raise SystemExit("make mutants needs git and a clone: it copies the files that git lists.")
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    # Python compares hashes of sources, not times: two mutants may have one size and second.
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "."],
        cwd=to,
        check=True,
    )
