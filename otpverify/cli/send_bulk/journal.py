"""The results file of `send-bulk`: a journal of JSON lines that survives a crash.

The first line says which list and text the file belongs to. Before a request there is one line
with its numbers, `{"sending": [...]}`; after it, one for each with its outcome. A number that has
the former and not the latter may have been sent to: the outcome is unknown.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from otpverify import BulkEntry, BulkProgress, ConfigurationError
from otpverify._sync import Closing
from otpverify.cli.send_bulk.csv_file import Row

_OUTCOMES = {"sent", "failed", "unknown"}
_NOT_ATTEMPTED = "not_attempted"
"""The outcome of a number whose request was about to be made and was not: it counts as left."""
_NOT_SENT = {"failed", _NOT_ATTEMPTED}
_NOT_SENDING = {"invalid", "duplicate"}


def header(phones: Iterable[str], text: str, gateway: str) -> bytes:
    """The first line. It is the same for the same list in any order, text and gateway.

    Args:
        phones: All recipients in E.164.
        text: The whole text.
        gateway: The gateway's address.
    """
    return _line(
        {
            "otpverify": "send-bulk",
            "version": 1,
            "list": _digest("\n".join(sorted(phones))),
            "text": _digest(text),
            "gateway": gateway,
        }
    )


def check_header(found: bytes, expected: bytes) -> None:
    """Check that a file belongs to this list, text and gateway.

    Raises:
        ConfigurationError: It does not; the message names what differs.
    """
    if found == expected:
        return
    said, ours = _object(found), _object(expected)
    if said.get("otpverify") != "send-bulk" or said.get("version") != ours["version"]:
        raise ConfigurationError("The file is not a results file of this version of send-bulk.")
    other = [name for name in ("list", "text", "gateway") if said.get(name) != ours[name]]
    raise ConfigurationError(
        f"The results file belongs to another {' and another '.join(other)}. A run can be resumed "
        "only with the same list, text and gateway; to start a new one, choose another --results."
    )


def sending(phones: Sequence[str]) -> bytes:
    """The line before a request."""
    return _line({"at": _now(), "sending": list(phones)})


def outcome(entry: BulkEntry, status: str) -> bytes:
    """The line of someone's outcome.

    Args:
        entry: What came of the attempt.
        status: What is known of the person, over all attempts.
    """
    said: dict[str, object] = {"at": _now(), "number": entry.phone, "status": status}
    if status == "sent":
        said["id"] = entry.message_id
    else:
        said["reason"] = entry.reason
    return _line(said)


def left_out(entry: BulkEntry, row: Row, first: Row | None) -> bytes:
    """The line of a row that is not sent to: an invalid number, or a duplicate of `first`."""
    said: dict[str, object] = {"line": row.line, "given": row.given}
    if first is None:
        return _line({**said, "status": "invalid", "reason": entry.reason})
    return _line({**said, "status": "duplicate", "same_as_line": first.line})


@dataclass(slots=True, repr=False)
class Known:
    """What a results file says.

    Attributes:
        status: Of each number that was ever about to be sent to: `"sent"`, `"failed"`, or
            `"unknown"`.
        left_out: The lines of the list that are not sent to.
    """

    status: dict[str, str] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)

    def read(self, line: bytes, number: int) -> None:
        """Take in a whole line.

        Args:
            line: The line.
            number: Its number, for the error.

        Raises:
            ConfigurationError: The line is not valid.
        """
        said = _object(line)
        numbers, phone, status = said.get("sending"), said.get("number"), said.get("status")
        status = status if isinstance(status, str) else None
        if isinstance(numbers, list) and all(isinstance(each, str) for each in numbers):
            self.status.update(dict.fromkeys(numbers, "unknown"))
        elif isinstance(phone, str) and status == _NOT_ATTEMPTED:
            self.status.pop(phone, None)
        elif isinstance(phone, str) and status in _OUTCOMES:
            self.status[phone] = status
        elif status in _NOT_SENDING and isinstance(said.get("line"), int):
            self.left_out.add(said["line"])
        else:
            raise ConfigurationError(
                f"Line {number} of the results file cannot be read, so it is unknown who was sent "
                "to. Repair the line before you resume."
            )


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _line(said: object) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


try:
    import fcntl
except ImportError:  # not a POSIX system; `_open` says so
    fcntl = None  # type: ignore[assignment]  # asked for before it is used

_TAKEN = "exists already. Add --resume to continue it, or choose another --results"


class Journal(Closing):
    """An open results file. Make one by `create` or `resume`, and close it.

    Attributes:
        known: What it says of each number.
    """

    def __init__(self, descriptor: int) -> None:
        self.known: Known = Known()
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
            ConfigurationError: A file exists there, or it cannot be made.
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
        """A file that an earlier run left, however that run ended.

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
        `left_out`."""
        new = [each for each in rows if each[1].line not in self.known.left_out]
        self._append(b"".join(left_out(*each) for each in new))

    def sending(self, phones: Sequence[str]) -> None:
        """Record who is about to be sent to; it is on the disk when this returns."""
        self._begun.update(phones)
        self.known.status.update(dict.fromkeys(phones, "unknown"))
        self._append(sending(phones))

    def settled(self, progress: BulkProgress) -> None:
        """Record the outcomes of these."""
        known: dict[str, str] = {}
        for entry in progress.entries:
            if entry.phone is None or entry.duplicate_of is not None:
                continue
            known[entry.phone] = entry.status
            if entry.reason == _NOT_ATTEMPTED:
                # It is left for the next run, and needs no line unless its intent was written.
                if entry.phone not in self._begun:
                    del known[entry.phone]
                    continue
                known[entry.phone] = _NOT_ATTEMPTED
            if known[entry.phone] in _NOT_SENT and entry.phone in self._doubted:
                known[entry.phone] = "unknown"  # the run before may have sent it
        self._append(
            b"".join(
                outcome(entry, known[entry.phone])
                for entry in progress.entries
                if entry.phone in known and entry.duplicate_of is None
            )
        )
        for phone, status in known.items():
            if status == _NOT_ATTEMPTED:
                self.known.status.pop(phone, None)
            else:
                self.known.status[phone] = status

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
        check_header(first + b"\n", header)
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
    """Check that there is no file where the new one is to be made.

    Raises:
        ConfigurationError: There is one.
    """
    if os.path.lexists(path):
        raise ConfigurationError(f"The results file {path} {_TAKEN}.")


def _open(path: Path, flags: int) -> int:
    if fcntl is None:
        raise ConfigurationError("send-bulk needs POSIX file locks, which this system lacks.")
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        why = _TAKEN
    except FileNotFoundError:
        why = "cannot be opened: the file or its folder does not exist"
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
    """Write the file's directory entry to the disk, too."""
    directory = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
