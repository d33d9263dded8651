"""What SQLite's errors mean, and how to fix each."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_START_OVER = (
    "Stop all processes that use it, move it away together with its -wal and -shm files, and "
    "start again: challenges end, and limits start from zero."
)
DAMAGED = f"is damaged. {_START_OVER}"
_RIGHTS = (
    "Make sure that this user may write to the file and to its folder, where SQLite keeps two more."
)
_LOCKED = (
    "was locked by others for too long. A longer timeout_seconds, fewer processes or a faster "
    "disk help; or use RedisStore."
)
_MEANINGS = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Make room; nothing was changed.",
    sqlite3.SQLITE_READONLY: f"is read-only. {_RIGHTS}",
    sqlite3.SQLITE_PERM: f"is read-only. {_RIGHTS}",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened. {_RIGHTS} If it is gone, restart the program, "
    "which makes a new one.",
    sqlite3.SQLITE_NOTADB: f"is not an SQLite database, or is damaged. {_START_OVER}",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_ERROR: f"does not hold the tables that otpverify made. {_START_OVER}",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk failed, or is full. Nothing was "
    "changed.",
}


_HELD_UP = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)


def held_up(error: sqlite3.Error) -> bool:
    """Whether a lock caused it, so that a retry a moment later may succeed."""
    return primary(error) in _HELD_UP


def primary(error: sqlite3.Error) -> int:
    """SQLite's code for an error, without the extended part; -1 for none."""
    code = getattr(error, "sqlite_errorcode", None)  # missing on errors of the module itself
    return code & 0xFF if isinstance(code, int) else -1


def meaning(error: sqlite3.Error, path: Path) -> str:
    """What happened to the file, and how to fix it, without SQLite's own message."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    text = _MEANINGS.get(primary(error), "cannot be used.")
    return f"{path} {text} ({name})"
