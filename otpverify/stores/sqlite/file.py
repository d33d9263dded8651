"""The SQLite file: made with its tables, opened, checked, and used by one thread of a process at a
time; and what SQLite's errors mean, and how to fix each."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from otpverify._per_process import PerProcess, process, rest_at_forks
from otpverify.errors import ConfigurationError, StoreError

T = TypeVar("T")
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
# NORMAL: a process that is killed loses nothing, and no crash damages the file. What was written
# in the moment before the power failed may be missing.
_PRAGMAS = ("synchronous = NORMAL", "secure_delete = FAST", "trusted_schema = OFF")
_NO_OPERATION = "DELETE FROM states WHERE name = ''"
_OWN_WAIT_SECONDS = 0.003
_PAUSE_SECONDS = (0.0002, 0.002)
_OF_THE_SETUP = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


class File:
    """An SQLite file in WAL mode, shared with other processes.

    One connection for all threads, behind a lock: SQLite admits one writer at a time, and its
    waiting is fairer between a few processes than between many threads.

    Args:
        path: Where it lies, or is to be made.
        timeout_seconds: For each wait: for other threads, and for other processes.

    Raises:
        ConfigurationError: It cannot be made or opened, or belongs to something else.
        StoreError: It is damaged, locked, or the disk is full.
    """

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self.path = path
        self._timeout = timeout_seconds
        # `threading.Lock` is looked up late: gevent may have replaced it by then.
        self._locks = PerProcess(lambda: threading.Lock())
        self._connection: sqlite3.Connection | None = None
        self._opener: tuple[int, int] | None = None
        self._rested: threading.Lock | None = None
        self._identity: tuple[int, int] | None = None
        make(path)
        rest_at_forks(self)
        with self._locks.get():
            try:
                connection = self._patiently(self._open)
                # Whether it may write; a mere beginning would tell nothing.
                self._transact(connection, lambda found: found.execute(_NO_OPERATION))
            except sqlite3.Error as error:
                setup = primary(error) in _OF_THE_SETUP
                failure = (ConfigurationError if setup else StoreError)(meaning(error, path))
            else:
                return
            finally:
                self._drop()  # who forks now passes nothing on
                self._locks.drop()  # what patches the standard library now is followed
        raise failure

    def run(self, work: Callable[[sqlite3.Connection], T], *, write: bool) -> T:
        """Do some work, alone if it writes. What it wrote is there as a whole, or not at all.

        Raises:
            StoreError: It was not done.
        """
        lock = self._locks.get()
        if not lock.acquire(timeout=self._timeout):
            raise StoreError(f"Other threads use {self.path} for more than {self._timeout:g} s.")
        try:
            connection = self._connected()
            if write:
                return self._transact(connection, work)
            return self._patiently(lambda: work(connection))
        except sqlite3.Error as error:
            failure = StoreError(meaning(error, self.path))
            if not held_up(error):
                self._drop()
        finally:
            lock.release()
        raise failure

    def close(self) -> None:
        """Close the connection, when no thread uses it. The next operation opens it again.

        Raises:
            StoreError: It is in use for too long.
        """
        lock = self._rest()
        if lock is None:
            raise StoreError(f"Other threads use {self.path} for more than {self._timeout:g} s.")
        lock.release()

    # The parameter, since a program that ends may have cleared this module's names by then.
    def __del__(self, process: Callable[[], tuple[int, int]] = process) -> None:
        """Close what nobody closed: Python 3.13 warns of a connection that is dropped open."""
        connection = getattr(self, "_connection", None)
        if connection is not None and self._opener == process():
            connection.close()

    def _transact(self, connection: sqlite3.Connection, work: Callable[..., T]) -> T:
        try:
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            answer = work(connection)
            self._require_own()  # a signal's handler may have forked
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self._opener == process() and connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        return answer

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            return self._patiently(self._open)
        self._require_own()
        if _identity(self.path) != self._identity:
            self._drop()
            raise StoreError(
                f"{self.path} was deleted or replaced while it was in use. Put it back, or "
                "restart the program, which makes a new one: challenges end, and limits "
                "start from zero."
            )
        return self._connection

    def _require_own(self) -> None:
        # SQLite's locks belong to a process, so a child must not touch what its parent opened.
        if self._opener != process():
            raise StoreError(
                f"This process was forked while {self.path} was in use. Fork before the first "
                "operation, or make the SqliteStore after it."
            )

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            timeout=_OWN_WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            ours = is_ours(connection, self.path)
            self._turn_on_wal(connection)
            if not ours:
                make_tables(connection, self.path)
        except BaseException:
            connection.close()
            raise
        self._connection, self._opener = connection, process()
        self._identity = _identity(self.path)
        return connection

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Do what others may hold up, as often as it takes. SQLite's own waiting goes up to steps
        of 100 ms, in which a later caller goes first."""
        waited = 0.0
        while True:
            try:
                return attempt()
            except sqlite3.OperationalError as error:
                if waited >= self._timeout or not held_up(error):
                    raise
            pause = random.uniform(*_PAUSE_SECONDS)  # noqa: S311 - so that two do not keep step
            time.sleep(pause)
            waited += _OWN_WAIT_SECONDS + pause

    def _turn_on_wal(self, connection: sqlite3.Connection) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ConfigurationError(
                f"{self.path} lies on a filesystem without shared memory, such as one of a "
                "network. Put it on a local disk, or use RedisStore."
            )

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._opener == process():
            with contextlib.suppress(sqlite3.Error):  # it is dropped because of one, or idle
                connection.close()

    def _rest(self) -> threading.Lock | None:
        """Close the connection, and return the lock, which is held; `None` if it could not be
        had."""
        lock = self._locks.get()
        if not lock.acquire(timeout=self._timeout):
            return None
        self._drop()
        return lock

    def before_fork(self) -> None:
        """Close what is open: a child inherits SQLite's record of locks, but not the locks."""
        self._rested = self._rest()

    def after_fork(self) -> None:
        """Let other threads go on. The next operation opens the file again."""
        if self._rested is not None:
            self._rested.release()
            self._rested = None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@dataclass(frozen=True, slots=True)
class FileHealth:
    """What is to be known of a file.

    Attributes:
        version: SQLite's version, such as `"SQLite 3.45.1"`.
        size: Of the file, in bytes.
        warnings: What to fix, in sentences.
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
            "end, and limits start from zero."
        )
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or version or tables:
        raise ConfigurationError(
            f"{path} is the database of another program. Give SqliteStore a path of its own."
        )
    return False


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
