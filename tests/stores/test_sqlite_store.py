"""What is SqliteStore's own: its file, what can be wrong with it, time, and forks."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import OTHER_PHONE, PHONE, QUICK, SECRET, Face, wrong

from otpverify import (
    AsyncVerifier,
    ChallengeExpired,
    ConfigurationError,
    IncorrectCode,
    Limit,
    SqliteStore,
    StoreError,
    Verifier,
)
from otpverify.core.answers import Verdict
from otpverify.sandbox import Sandbox
from otpverify.stores.sqlite.file import VERSION
from otpverify.testing import OutboxSender
from otpverify.testing.conformance.base import FREE, digest, first, key

Make = Callable[..., Face]
ONCE = (Limit(1, 3600),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "codes.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as made:
        yield made


def rows(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT name, state FROM states"))


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


class TestUse:
    def test_it_needs_a_secret(self, store: SqliteStore, outbox: OutboxSender) -> None:
        with pytest.raises(ConfigurationError, match="needs secret"):
            Verifier(outbox, store=store)

    def test_one_process_starts_and_another_checks(
        self, make: Make, path: Path, outbox: OutboxSender
    ) -> None:
        with SqliteStore(path) as web, SqliteStore(str(path)) as api:
            started = make(store=web).start(PHONE, client_ip="192.0.2.1")
            other = make(store=api)
            with pytest.raises(IncorrectCode) as error:
                other.check(PHONE, wrong(outbox.code()), challenge=started.id)
            assert error.value.attempts_left == 4
            verified = other.check(PHONE, outbox.code(), challenge=started.id)
            assert make(store=web).redeem(PHONE, verified.proof).phone == PHONE
            with pytest.raises(ChallengeExpired):
                other.redeem(PHONE, verified.proof)

    def test_closed_it_leaves_one_file_and_opens_again(
        self, store: SqliteStore, path: Path
    ) -> None:
        store.open(key(), first("a"), FREE)
        assert len(list(path.parent.iterdir())) == 3
        store.close()
        store.close()
        assert list(path.parent.iterdir()) == [path]
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.ACCEPTED

    def test_a_store_that_nobody_closes_closes_itself(self, path: Path) -> None:
        """Python 3.13 warns of connections that are dropped open."""
        store = SqliteStore(path)
        store.open(key(), first("a"), FREE)
        connection = store._file._connection
        assert connection is not None
        del store
        gc.collect()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")

    def test_a_program_that_ends_with_an_open_store_says_nothing(self, path: Path) -> None:
        program = """
import sys
from otpverify import SqliteStore, Verifier
from otpverify.testing import OutboxSender

verifier = Verifier(OutboxSender(), store=SqliteStore(sys.argv[1]), secret=sys.argv[2])
verifier.start("+37256789045", client_ip="192.0.2.1")
"""
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, str(path), SECRET]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.stdout + ended.stderr == ""

    def test_the_owner_alone_may_read(self, store: SqliteStore, path: Path) -> None:
        old = os.umask(0)
        try:
            with SqliteStore(path.with_name("others.db")) as other:
                for one in (store, other):
                    one.open(key(), first("a"), FREE)
                found = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        finally:
            os.umask(old)
        assert set(found.values()) == {0o600}
        assert len(found) == 6

    def test_a_file_that_others_may_use_is_told_of(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path.touch()
        path.chmod(0o660)
        SqliteStore(path)
        assert not caplog.records
        path.chmod(0o606)
        with caplog.at_level(logging.WARNING), SqliteStore(path) as store:
            warning = f"All users of this machine may use {path}. Run: chmod 600 on it."
            assert [record.getMessage() for record in caplog.records] == [warning]
            assert store.health().warnings == (warning,)

    def test_repr_tells_the_path_alone(self, store: SqliteStore, path: Path) -> None:
        assert repr(store) == f"<SqliteStore on {path}>"

    def test_odd_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("a b?mode=ro#x%41.db", "file:codes.db", "õ.db"):
            with SqliteStore(name) as store:
                monkeypatch.chdir("/")
                assert store.open(key(), first("a"), FREE)
                assert (tmp_path / name).exists()
                monkeypatch.chdir(tmp_path)

    def test_expired_rows_go_a_few_at_a_time(self, path: Path) -> None:
        now = 1_000_000.0
        with SqliteStore(path, clock=lambda: now) as store:
            for n in range(50):
                store.open(key(n), first("a"), FREE)
            now += 200_000
            counts = [len(rows(path))]
            for _ in range(12):
                store.reserve("network", (Limit(1000, 60),))
                counts.append(len(rows(path)))
        assert counts[0] == 101, "a phone and a challenge each, and the time"
        assert max(one - other for one, other in pairwise(counts)) == 10
        assert counts[-1] == 2

    def test_nothing_is_looked_for_without_an_index(self, store: SqliteStore, path: Path) -> None:
        seen: list[str] = []
        connection = store._file._open()
        connection.set_trace_callback(seen.append)
        store.open(key(), first("a"), FREE)
        store.peek(key(), FREE)
        store.check(key(), digest("a"), FREE)
        store.cancel(key())
        asked = [one for one in seen if one.startswith(("SELECT", "DELETE", "REPLACE"))]
        assert len(asked) > 8
        for statement in asked:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert not [step for step in plan if step.startswith("SCAN")], plan


class TestTime:
    def test_a_clock_that_is_set_back_prolongs_no_code(self, path: Path) -> None:
        now = 1_000_000.0
        with SqliteStore(path, clock=lambda: now) as store:
            store.open(key(), first("a"), FREE)
            now -= 3600
            assert store.peek(key(), FREE).verdict is Verdict.PENDING
            now += 601
            assert store.peek(key(), FREE).verdict is Verdict.GONE

    def test_nor_between_processes(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The one that is made after the clock was set back learns of it from the file."""
        steady = 5000.0
        monkeypatch.setattr("time.monotonic", lambda: steady)
        with SqliteStore(path, clock=lambda: 1_000_000.0) as before:
            before.open(key(), first("a"), FREE)
        steady += 595
        late = 1_000_000.0 - 3600
        with SqliteStore(path, clock=lambda: late) as after:
            assert after.peek(key(), FREE).verdict is Verdict.PENDING
            after.reserve("network", ONCE)
            steady += 3
            late += 3
            assert after.peek(key(), FREE).verdict is Verdict.PENDING
            late += 3
            assert after.peek(key(), FREE).verdict is Verdict.GONE

    def test_after_a_boot_the_monotonic_clock_begins_anew(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.monotonic", lambda: 5000.0)
        with SqliteStore(path, clock=lambda: 1_000_000.0) as before:
            before.open(key(), first("a"), FREE)
        monkeypatch.setattr("time.monotonic", lambda: 5.0)
        late = 900_000.0
        with SqliteStore(path, clock=lambda: late) as after:
            assert after.peek(key(), FREE).verdict is Verdict.PENDING
            late += 601
            assert after.peek(key(), FREE).verdict is Verdict.GONE


class TestFaults:
    """Each is a typed error that says how to fix it, and then it works again."""

    @pytest.mark.parametrize("given", ["", ":memory:", None, 7, b"codes.db"])
    def test_no_path(self, given: Any) -> None:
        with pytest.raises(ConfigurationError, match="needs the path of a file"):
            SqliteStore(given)

    @pytest.mark.parametrize("given", [0, -1, 3601, "2", float("nan")])
    def test_no_timeout(self, path: Path, given: Any) -> None:
        with pytest.raises(ConfigurationError, match="timeout_seconds must be above 0"):
            SqliteStore(path, timeout_seconds=given)
        assert not path.exists()

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError) as error:
            SqliteStore(tmp_path)
        assert str(error.value) == f"{tmp_path} is a folder; give the path of a file."

    def test_no_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "codes.db"
        with pytest.raises(ConfigurationError) as error:
            SqliteStore(path)
        assert str(error.value) == (
            f"{path} cannot be made (No such file or directory). Its folder must exist, and this "
            "user must be allowed to write to it."
        )

    @pytest.mark.parametrize(
        "content", [b"no database " * 1000, b"SQLite format 3\0" + bytes(range(256)) * 40]
    )
    def test_no_database(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(StoreError, match="Stop all processes that use it, move it away"):
            SqliteStore(path)
        assert path.read_bytes() == content

    @pytest.mark.parametrize(
        "statement",
        ["CREATE TABLE users (name)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"],
    )
    def test_the_database_of_another_program(self, path: Path, statement: str) -> None:
        change(path, statement)
        before = path.read_bytes()
        with pytest.raises(ConfigurationError) as error:
            SqliteStore(path)
        assert str(error.value) == (
            f"{path} is the database of another program. Give SqliteStore a path of its own."
        )
        assert path.read_bytes() == before

    def test_another_version(self, path: Path) -> None:
        SqliteStore(path)
        change(path, "PRAGMA user_version = 7")
        with pytest.raises(ConfigurationError) as error:
            SqliteStore(path)
        assert str(error.value) == (
            f"{path} is of another version of otpverify (schema 7; this one knows {VERSION}). Give "
            "each version a path of its own, or move the file away: challenges end, and limits "
            "start from zero."
        )

    def test_locked(self, path: Path) -> None:
        with SqliteStore(path, timeout_seconds=0.05) as store:
            store.open(key(), first("a"), FREE)
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                begin = time.monotonic()
                with pytest.raises(StoreError) as error:
                    store.check(key(), digest("a"), FREE)
                assert time.monotonic() - begin < 4, "SQLite itself waits for 5 s, each time"
                assert str(error.value) == (
                    f"{path} was locked by others for too long. A longer timeout_seconds, fewer "
                    "processes or a faster disk help; or use RedisStore. (SQLITE_BUSY)"
                )
                assert store.peek(key(), FREE).verdict is Verdict.PENDING, "reading goes on"
            assert store.check(key(), digest("a"), FREE).verdict is Verdict.ACCEPTED

    def test_threads_wait_no_longer(self, path: Path) -> None:
        entered, go_on = threading.Event(), threading.Event()

        def clock() -> float:
            if threading.current_thread() is not threading.main_thread():
                entered.set()
                go_on.wait(60)
            return 1_000_000.0

        with SqliteStore(path, timeout_seconds=0.05, clock=clock) as store:
            thread = threading.Thread(target=store.open, args=(key(), first("a"), FREE))
            thread.start()
            assert entered.wait(60)
            try:
                for call in (lambda: store.peek(key(), FREE), store.close):
                    with pytest.raises(StoreError, match="Other threads use"):
                        call()
            finally:
                go_on.set()
                thread.join()
            assert store.peek(key(), FREE).verdict is Verdict.PENDING

    def test_deleted(self, store: SqliteStore, path: Path) -> None:
        store.open(key(), first("a"), FREE)
        path.unlink()
        with pytest.raises(StoreError) as error:
            store.check(key(), digest("a"), FREE)
        assert str(error.value) == (
            f"{path} was deleted or replaced while it was in use. Put it back, or restart the "
            "program, which makes a new one: challenges end, and limits start from zero."
        )
        for _ in range(2):
            with pytest.raises(StoreError, match="If it is gone, restart the program"):
                store.peek(key(), FREE)
        assert not path.exists()
        with SqliteStore(path) as restarted:
            assert restarted.peek(key(), FREE).verdict is Verdict.GONE
            restarted.open(key(), first("b"), FREE)
            assert store.check(key(), digest("b"), FREE).verdict is Verdict.ACCEPTED

    def test_replaced(self, store: SqliteStore, path: Path) -> None:
        store.open(key(), first("a"), FREE)
        path.rename(path.with_suffix(".away"))
        with SqliteStore(path) as other:
            other.open(key(2), first("b"), FREE)
            with pytest.raises(StoreError, match="deleted or replaced"):
                store.peek(key(2), FREE)
            assert store.peek(key(2), FREE).verdict is Verdict.PENDING
            assert other.check(key(2), digest("b"), FREE).verdict is Verdict.ACCEPTED

    def test_damaged(self, store: SqliteStore, path: Path) -> None:
        for n in range(300):
            store.open(key(n), first("a"), FREE)
        store.close()
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        assert [*store.health().warnings] != []
        with pytest.raises(StoreError) as error:
            store.check(key(), digest("a"), FREE)
        assert str(error.value) == (
            f"{path} is damaged. Stop all processes that use it, move it away together with its "
            "-wal and -shm files, and start again: challenges end, and limits start from zero. "
            "(SQLITE_CORRUPT)"
        )
        store.close()
        path.write_bytes(whole)
        assert store.health().warnings == ()
        assert store.check(key(), digest("a"), FREE).verdict is Verdict.ACCEPTED

    def test_without_its_tables(self, store: SqliteStore, path: Path) -> None:
        change(path, "DROP TABLE states")
        with pytest.raises(StoreError, match="does not hold the tables that otpverify made"):
            store.peek(key(), FREE)

    def test_a_full_disk(self, store: SqliteStore, path: Path) -> None:
        """SQLite's own bound on a file gives the error that a full disk gives."""
        store.open(key(), first("a"), FREE)
        connection = store._file._connection
        assert connection is not None
        connection.execute("PRAGMA max_page_count = 5")
        phone, refused = 1, ""
        while not refused and phone < 100:
            phone += 1
            try:
                store.open(key(phone), first("a"), FREE)
            except StoreError as error:
                refused = str(error)
        assert refused == (
            f"{path} cannot grow: the disk is full. Make room; nothing was changed. (SQLITE_FULL)"
        )
        assert store.peek(key(phone), FREE).verdict is Verdict.GONE
        assert store.peek(key(phone - 1), FREE).verdict is Verdict.PENDING
        assert store.open(key(phone), first("a"), FREE)

    def test_an_error_tells_nothing_of_the_call(
        self, make: Make, path: Path, outbox: OutboxSender
    ) -> None:
        with SqliteStore(path) as store:
            verifier = make(store=store)
            started = verifier.start(PHONE, client_ip="192.0.2.1")
            change(path, "UPDATE states SET state = state || 'x'")
            with pytest.raises(StoreError) as error:
                verifier.check(PHONE, outbox.code(), challenge=started.id)
        assert str(error.value).startswith("The SQLite file holds what this version")
        assert error.value.__cause__ is None

    @pytest.mark.parametrize(
        "text",
        [
            *("", "x", "null", "7", "[]", "{}", '"p"', "[[],[],[0,0],0,0]", "[[[1]],[],[0,0],0]"),
            *("[[],[],[0],0]", "[[],[],[0,0],-1]", "[[],[],[0,0],1e9]", "[[],[],[0,0],true]"),
            *('[[[1,"s","c","no"]],[],[0,0],0]', '[[[1,2,"c","sent"]],[],[0,0],0]', "[" * 99_999),
            *('[[["zz",1,1,"sent"]],0,false,0]', '[[],0,"false",0]', f"[[],{1 << 60},false,0]"),
        ],
        ids=lambda text: text[:30],
    )
    def test_what_another_wrote_is_an_error_and_no_more(
        self, store: SqliteStore, path: Path, text: str
    ) -> None:
        store.open(key(), first("a"), FREE)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE states SET state = ?", (text,))
        with pytest.raises(StoreError, match="did not write"):
            store.peek(key(), FREE)
        with pytest.raises(StoreError, match="did not write"):
            store.check(key(), digest("a"), FREE)


class TestEnvironment:
    def test_a_path(self, tmp_path: Path, smspm_sandbox: Sandbox, make: Make) -> None:
        path = tmp_path / "codes.db"
        environ = {
            **smspm_sandbox.environ,
            "OTPVERIFY_SQLITE_PATH": str(path),
            "OTPVERIFY_SECRET": SECRET,
        }
        with Verifier.from_env(environ, hasher=QUICK) as verifier:
            challenge = verifier.start(PHONE)
            code = smspm_sandbox.messages[0].code or ""
            with SqliteStore(path) as other:
                assert make(store=other).check(PHONE, code, challenge=challenge.id).phone == PHONE
        assert list(tmp_path.iterdir()) == [path], "it is closed"

        async def asynchronous() -> str:
            async with AsyncVerifier.from_env(environ) as verifier:
                return (await verifier.start(OTHER_PHONE)).phone

        assert asyncio.run(asynchronous()) == OTHER_PHONE
        assert list(tmp_path.iterdir()) == [path]

    def test_one_store_only(self, smspm_sandbox: Sandbox, path: Path) -> None:
        environ = {
            **smspm_sandbox.environ,
            "OTPVERIFY_SQLITE_PATH": str(path),
            "OTPVERIFY_REDIS_URL": "redis://localhost",
            "OTPVERIFY_SECRET": SECRET,
        }
        with pytest.raises(ConfigurationError) as error:
            Verifier.from_env(environ)
        assert str(error.value) == (
            "OTPVERIFY_REDIS_URL and OTPVERIFY_SQLITE_PATH are both set, and there is one store. "
            "Leave one of them out."
        )
        assert not path.exists()
