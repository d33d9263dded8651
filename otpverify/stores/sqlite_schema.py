"""What is in the SQLite file, and whose it is."""

from __future__ import annotations

import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from otpverify.errors import ConfigurationError
from otpverify.stores.sqlite_errors import DAMAGED

APPLICATION = 0x6F747076  # "otpv"
VERSION = 1
_SCHEMA = (
    "CREATE TABLE states (name TEXT PRIMARY KEY, state TEXT NOT NULL, expires INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE INDEX by_expiry ON states (expires)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
_OTHERS = 0o007
_log = logging.getLogger("otpverify")


@dataclass(frozen=True, slots=True)
class FileHealth:
    """What is to be known of a file.

    Attributes:
        version: SQLite's version, such as `"SQLite 3.45.1"`.
        size: Of the file, in bytes.
        warnings: What should be mended, in sentences.
    """

    version: str
    size: int
    warnings: tuple[str, ...]


def read_health(connection: sqlite3.Connection, path: Path) -> FileHealth:
    """Look the whole file through."""
    found = path.stat()
    warnings = []
    if found.st_mode & _OTHERS and os.name == "posix":
        warnings.append(f"All users of this machine may use {path}. Run: chmod 600 on it.")
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        warnings.append(f"{path} {DAMAGED}")
    return FileHealth(f"SQLite {sqlite3.sqlite_version}", found.st_size, tuple(warnings))


def make(path: Path) -> None:
    """Make the file, which its owner alone may read; SQLite gives those beside it the same
    rights. One that is there is not opened here: closing it again would end SQLite's locks."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder; give the path of a file.") from None
        if path.stat().st_mode & _OTHERS and os.name == "posix":
            _log.warning("All users of this machine may use %s. Run: chmod 600 on it.", path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be made ({error.strerror}). Its folder must exist, and this user must "
            "be allowed to write to it."
        ) from None


def is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has our tables; `False` if it has none at all. Changes nothing.

    Raises:
        ConfigurationError: It is another program's, or another version's.
    """
    connection.execute("BEGIN")  # one instant: another process may be about to make them
    try:
        return _is_ours(connection, path)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def make_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Make our tables, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ours(connection, path):
            for statement in _SCHEMA:
                connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) == (APPLICATION, VERSION):
        return True
    if application == APPLICATION:
        raise ConfigurationError(
            f"{path} is of another version of otpverify (schema {version}; this one knows "
            f"{VERSION}). Give each version a path of its own, or move the file away: challenges "
            "end, and limits begin anew."
        )
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or version or tables:
        raise ConfigurationError(
            f"{path} is the database of another program. Give SqliteStore a path of its own."
        )
    return False
