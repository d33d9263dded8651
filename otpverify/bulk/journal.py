"""The results file on disk: locked, written ahead, and synced before anything relies on it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from otpverify import BulkEntry, BulkProgress, ConfigurationError
from otpverify._sync import Closing
from otpverify.bulk import records
from otpverify.bulk.numbers import Row
from otpverify.bulk.records import Known
from otpverify.gateways.bulk_results import Status

try:
    import fcntl
except ImportError:  # not a POSIX system; `_open` says so
    fcntl = None  # type: ignore[assignment]  # asked for before it is used

_TAKEN = "is there already. Add --resume to go on with it, or choose another --results"


class Journal(Closing):
    """An open results file. Make one by `create` or `resume`, and close it.

    Attributes:
        known: What it says of each number.
    """

    def __init__(self, descriptor: int) -> None:
        self.known = Known()
        self._begun: set[str] = set()
        self._doubted: set[str] = set()
        self._file = descriptor
        self._end = 0

    @classmethod
    def create(cls, path: Path, header: bytes) -> Journal:
        """A new file, readable by its owner alone.

        Args:
            path: Where; nothing may be there.
            header: Its first line.

        Raises:
            ConfigurationError: Something is there, or it cannot be made.
        """
        journal = cls(_open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        try:
            _lock(journal._file, path)
            journal._append(header)
            _sync_directory(path)
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def resume(cls, path: Path, header: bytes) -> Journal:
        """A file that an earlier run left, whatever ended it.

        Args:
            path: Where it is.
            header: What its first line must be.

        Raises:
            ConfigurationError: It is not there, belongs to something else, cannot be read, or is
                in use by another process.
        """
        journal = cls(_open(path, os.O_RDWR))
        try:
            _lock(journal._file, path)
            journal._read(header)
        except BaseException:
            journal.close()
            raise
        return journal

    def close(self) -> None:
        """Close it, which lets go of the lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def leave_out(self, rows: Iterable[tuple[BulkEntry, Row, Row | None]]) -> None:
        """Write down who is not sent to, unless that stands there already; see
        `records.left_out`."""
        new = [each for each in rows if each[1].line not in self.known.left_out]
        self._append(b"".join(records.left_out(*each) for each in new))

    def sending(self, phones: Sequence[str]) -> None:
        """Write down who is about to be sent to; it is on the disk when this returns."""
        self._begun.update(phones)
        self.known.status.update(dict.fromkeys(phones, "unknown"))
        self._append(records.sending(phones))

    def settled(self, progress: BulkProgress) -> None:
        """Write down what became of these."""
        known: dict[str, Status] = {}
        for entry in progress.entries:
            if entry.phone is None or entry.duplicate_of is not None:
                continue
            # Whoever was not attempted has no line, and is left for the next run; unless it was
            # about to be, when that line must not stand alone.
            if entry.reason == "not_attempted" and entry.phone not in self._begun:
                continue
            known[entry.phone] = entry.status
            if entry.status == "failed" and entry.phone in self._doubted:
                known[entry.phone] = "unknown"  # it may have been sent by the run before
        self._append(
            b"".join(
                records.outcome(entry, known[entry.phone])
                for entry in progress.entries
                if entry.phone in known and entry.duplicate_of is None
            )
        )
        self.known.status.update(known)

    def _read(self, header: bytes) -> None:
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            content = file.read()
        # A line without its end was torn when the process died. Before a request its line is
        # synced, so a torn one was never acted on.
        whole = content[: content.rfind(b"\n") + 1]
        if not whole and header.startswith(content):
            self._append(header)
            return
        first, *others = (whole or content).removesuffix(b"\n").split(b"\n")
        records.check_header(first + b"\n", header)
        for number, line in enumerate(others, 2):
            self.known.read(line, number)
        status = self.known.status
        self._doubted = {phone for phone in status if status[phone] == "unknown"}
        self._end = len(whole)
        os.ftruncate(self._file, self._end)

    def _append(self, data: bytes) -> None:
        if not data:
            return
        # Cuts off what an interrupted write left.
        os.ftruncate(self._file, self._end)
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], self._end + written)
        os.fsync(self._file)
        self._end += len(data)


def refuse_taken(path: Path) -> None:
    """See that nothing is where a new file is to be.

    Raises:
        ConfigurationError: Something is.
    """
    if os.path.lexists(path):
        raise ConfigurationError(f"The results file {path} {_TAKEN}.")


def _open(path: Path, flags: int) -> int:
    if fcntl is None:
        raise ConfigurationError("send-bulk needs file locks as POSIX systems have them.")
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        why = _TAKEN
    except FileNotFoundError:
        why = "cannot be opened: it, or its folder, is not there"
    except OSError as error:
        why = f"cannot be opened: {error.strerror}"
    raise ConfigurationError(f"The results file {path} {why}.")


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        taken = f"The results file {path} is in use by another process."
    else:
        return
    raise ConfigurationError(taken)


def _sync_directory(path: Path) -> None:
    """Have the file's name on the disk, too."""
    directory = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
