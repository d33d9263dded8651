"""The SQLite file: made, opened, checked, and used by one thread of a process at a time."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from otpverify._per_process import PerProcess, process, rest_at_forks
from otpverify.errors import ConfigurationError, StoreError
from otpverify.stores.sqlite.errors import held_up, meaning, primary
from otpverify.stores.sqlite.schema import is_ours, make, make_tables

T = TypeVar("T")
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
