"""What SQLite's errors mean, and how each is mended."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_ANEW = (
    "Stop all processes that use it, move it away together with its -wal and -shm files, and "
    "start again: challenges end, and limits begin anew."
)
DAMAGED = f"is damaged. {_ANEW}"
_RIGHTS = "See that this user may write to the file and to its folder, where SQLite keeps two more."
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
    sqlite3.SQLITE_NOTADB: f"is no SQLite database, or damaged. {_ANEW}",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_ERROR: f"does not hold the tables that otpverify made. {_ANEW}",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk failed, or is full. Nothing was "
    "changed.",
}


_HELD_UP = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)


def held_up(error: sqlite3.Error) -> bool:
    """Whether others held it up, so that it may go through a moment later."""
    return primary(error) in _HELD_UP


def primary(error: sqlite3.Error) -> int:
    """SQLite's code for an error, without what it adds to it; -1 for none."""
    code = getattr(error, "sqlite_errorcode", None)  # missing on errors of the module itself
    return code & 0xFF if isinstance(code, int) else -1


def meaning(error: sqlite3.Error, path: Path) -> str:
    """What happened to the file, and how to mend it. What SQLite itself says is left out."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    told = _MEANINGS.get(primary(error), "cannot be used.")
    return f"{path} {told} ({name})"
