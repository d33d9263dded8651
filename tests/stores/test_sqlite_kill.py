"""SqliteStore in processes that are killed, forked, or may not write."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import REPEATS, long_form

from otpverify import SqliteStore
from otpverify.core.state import PhoneState
from otpverify.stores.sqlite.rows import decode

PATIENCE_SECONDS = 120

# What the scripts below share. Each is a process that may fork, die, or give up its rights.
COMMON = """
import ctypes, hashlib, os, resource, signal, sys, threading
from collections import Counter
from otpverify import Limit, OtpVerifyError, Policy, SqliteStore
from otpverify.core.keys import Keyring
from otpverify.core.state import Opening

path = sys.argv[1]
SECRET = Keyring([hashlib.sha256(b"kill").digest()]).signing
FREE = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(9, 3600),))

def key(phone=1):
    return SECRET.key(f"+3725{phone}", "login", "id")

def digest(code):
    return hashlib.sha256(code.encode()).digest()

def first(code):
    return Opening(digest(code), new=True)

def child(work, fork=os.fork):
    # What a child of this process said, up to its end.
    ours, theirs = os.pipe()
    number = fork()
    if not number:
        try:
            work(lambda text: os.write(theirs, text.encode()))
        except OtpVerifyError as error:
            os.write(theirs, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours) as file:
        found = file.read()
    os.waitpid(number, 0)
    return found
"""


def start(script: str, path: Path) -> subprocess.Popen[str]:
    inherited = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    return subprocess.Popen(
        # Python 3.12 warns of forks beside threads, which are what is tested.
        [sys.executable, "-W", "ignore", "-c", COMMON + textwrap.dedent(script), str(path)],
        env={**os.environ, "PYTHONPATH": inherited},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, path: Path) -> str:
    process = start(script, path)
    out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    return out + errors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "codes.db"


class TestKilled:
    def test_before_each_statement_it_did_what_it_answered_and_no_more(self, path: Path) -> None:
        assert (
            run(
                """
                def work(say):
                    left = nth

                    def count(statement):
                        nonlocal left
                        left -= 1
                        if not left:
                            os.kill(os.getpid(), signal.SIGKILL)

                    store._file._connected().set_trace_callback(count)
                    store.open(key(nth), first("a"), FREE)
                    say("start ")
                    for what, code in (("wrong ", "b"), ("wrong ", "c"), ("right ", "a")):
                        store.check(key(nth), digest(code), FREE)
                        say(what)
                    say("all")

                store = SqliteStore(path)
                seen = Counter()
                for nth in range(1, 100):
                    answered = child(work)
                    found = store.check(key(nth), digest("d"), FREE)
                    expected = {
                        "": ("gone", 0),
                        "start ": ("wrong", 4),
                        "start wrong ": ("wrong", 3),
                        "start wrong wrong ": ("wrong", 2),
                        "start wrong wrong right ": ("gone", 0),
                        "start wrong wrong right all": ("gone", 0),
                    }[answered]
                    assert (found.verdict.value, found.attempts_left) == expected, answered
                    assert not store.health().warnings
                    seen[answered] += 1
                    if "all" in answered:
                        break
                # It was killed within each of the operations, several times.
                print(len(seen), min(seen.values()) >= 1, nth > 20)
                """,
                path,
            )
            == "5 True True\n"
        )

    @long_form
    def test_amid_threads_it_leaves_a_whole_file_that_the_next_one_uses(self, path: Path) -> None:
        rng = random.Random(5)
        for turn in range(max(2, REPEATS // 20)):
            crowd = [
                start(
                    f"""
                    def work(thread):
                        for n in range(1, 100_000):
                            phone = key(f"{turn} {process} {{thread}} {{n}}")
                            store.open(phone, first("a"), FREE)
                            store.check(phone, digest("wrong"), FREE)
                            if n % 5:
                                store.check(phone, digest("a"), FREE)
                            os.write(1, b"done\\n")

                    store = SqliteStore(path, timeout_seconds=60)
                    for thread in range(2):
                        threading.Thread(target=work, args=(thread,), daemon=True).start()
                    signal.pause()
                    """,
                    path,
                )
                for process in range(2)
            ]
            for process in crowd:
                assert process.stdout is not None
                for _ in range(rng.randrange(1, 30)):
                    assert process.stdout.readline() == "done\n"
            for process in crowd:
                process.kill()
                process.communicate()
            with SqliteStore(path) as store:
                assert store.health().warnings == ()
            self.assert_that_all_fits_together(path)

    def assert_that_all_fits_together(self, path: Path) -> None:
        """Each operation writes a phone's log and a challenge: both are there, or neither."""
        with closing(sqlite3.connect(path)) as database:
            found = dict(database.execute("SELECT name, state FROM states WHERE name <> 'time'"))
        states = [decode(name, text) for name, text in found.items()]
        phones = [state for state in states if isinstance(state, PhoneState)]
        challenges = {n: decode(n, text) for n, text in found.items() if n.startswith("c")}
        assert len(phones) == len(challenges) > 1
        for phone in phones:
            (send,) = phone.sends
            challenge = challenges[f"c{send.challenge}"]
            if challenge.codes:
                assert challenge.attempts == len(phone.failures)


def test_8_processes_make_open_and_close_it_at_once(path: Path) -> None:
    """The last to close it checkpoints and deletes the log, beside another that opens it."""
    assert (
        run(
            """
            ours, theirs = os.pipe()
            said, say = os.pipe()
            for process in range(8):
                if not os.fork():
                    os.close(theirs)
                    os.read(ours, 1)  # all begin when the parent closes it
                    for turn in range(10):
                        with SqliteStore(path, timeout_seconds=60) as store:
                            opened = store.open(key(turn), first("a"), FREE)
                            counted = store.reserve("network", (Limit(30, 3600),))
                        os.write(say, f"{type(opened).__name__} {type(counted).__name__} ".encode())
                    os._exit(0)
            os.close(say)
            os.close(theirs)
            with open(said) as file:
                print(sorted(Counter(file.read().split()).items()))
            """,
            path,
        )
        == "[('Opened', 80), ('Refused', 50), ('Reserved', 30)]\n"
    )
    assert list(path.parent.iterdir()) == [path]


class TestForked:
    def test_parent_and_children_share_it_amid_operations(self, path: Path) -> None:
        assert (
            run(
                """
                store = SqliteStore(path, timeout_seconds=60)
                limits = (Limit(7, 3600),)
                busy = threading.Event()

                def keep_busy(nth):
                    while not busy.is_set():
                        store.open(key(nth), first("a"), FREE)

                def ask(say):
                    for _ in range(4):
                        say(type(store.reserve("network", limits)).__name__ + " ")

                sys.setswitchinterval(1e-5)
                threads = [threading.Thread(target=keep_busy, args=(n,)) for n in range(3)]
                for thread in threads:
                    thread.start()
                print(type(store.reserve("network", limits)).__name__)
                seen = Counter(word for _ in range(6) for word in child(ask).split())
                print(type(store.reserve("network", limits)).__name__)
                busy.set()
                for thread in threads:
                    thread.join()
                print(sorted(seen.items()), store.health().warnings)
                """,
                path,
            )
            == "Reserved\nRefused\n[('Refused', 18), ('Reserved', 6)] ()\n"
        )

    @pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
    def test_no_connection_is_open_while_it_forks(self, path: Path) -> None:
        """A child inherits SQLite's book of the locks that its process holds, and no lock."""
        assert (
            run(
                """
                store = SqliteStore(path)
                store.open(key(), first("a"), FREE)

                def look(say):
                    files = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                             if os.path.exists(f"/proc/self/fd/{n}")]
                    say(str(any(file.startswith(path) for file in files)))

                print(child(look), store.peek(key(), FREE).verdict.value)
                """,
                path,
            )
            == "False pending\n"
        )

    def test_without_pythons_knowledge_it_is_refused_in_the_child(self, path: Path) -> None:
        fork = "ctypes.PyDLL(None).fork"
        said = (
            f"StoreError: This process was forked while {path} was in use. Fork before the first "
            "operation, or make the SqliteStore after it."
        )
        assert (
            run(
                f"""
                def use(say):
                    say(store.peek(key(), FREE).verdict.value)

                store = SqliteStore(path)
                print(child(use, {fork}))
                store.open(key(), first("a"), FREE)
                print(child(use, {fork}))
                use(print)
                """,
                path,
            )
            == f"gone\n{said}\npending\n"
        )

    def test_a_handler_that_forks_amid_an_operation_does_not_hang(self, path: Path) -> None:
        out = run(
            """
            signal.alarm(100)

            def clock():
                global forking
                if forking:
                    forking = False
                    print(child(lambda say: say(store.peek(key(), FREE).verdict.value)))
                return 1_000_000.0

            forking = False
            store = SqliteStore(path, timeout_seconds=0.05, clock=clock)
            store.open(key(), first("a"), FREE)
            forking = True
            print(store.check(key(), digest("a"), FREE).verdict.value)
            """,
            path,
        ).splitlines()
        assert out[0].startswith("StoreError: This process was forked while")
        assert out[1:] == ["accepted"]


# Root may write everywhere, so the scripts become nobody, with all that they need in memory.
NOBODY = """
import traceback
SqliteStore(path + ".warm").open(key(), first("a"), FREE)

def become_nobody():
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)

def attempt(what):
    try:
        what()
    except OtpVerifyError as error:
        print(f"{type(error).__name__}: {error}")
    else:
        print("done")
"""
RIGHTS = (
    "Make sure that this user may write to the file and to its folder, where SQLite keeps two more."
)


class TestRights:
    @pytest.fixture
    def path(self) -> Iterator[Path]:
        """In a folder without access, too; pytest's own are for their owner alone."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        (folder / "in").mkdir(mode=0o755)
        yield folder / "in" / "codes.db"
        (folder / "in").chmod(0o755)
        shutil.rmtree(folder)

    def test_a_folder_that_may_not_be_written(self, path: Path) -> None:
        script = """
        os.chmod(os.path.dirname(path), 0o555)
        become_nobody()
        attempt(lambda: SqliteStore(path))
        """
        assert run(NOBODY + textwrap.dedent(script), path) == (
            f"ConfigurationError: {path} cannot be made (Permission denied). Its folder must "
            "exist, and this user must be allowed to write to it.\n"
        )

    def test_a_file_that_may_not_be_written(self, path: Path) -> None:
        script = """
        SqliteStore(path)
        os.chmod(path, 0o444)
        os.chmod(os.path.dirname(path), 0o777)
        become_nobody()
        attempt(lambda: SqliteStore(path))
        """
        said = run(NOBODY + textwrap.dedent(script), path)
        assert f"ConfigurationError: {path} is read-only. {RIGHTS} (SQLITE_READONLY)\n" in said

    def test_a_file_that_may_not_be_read(self, path: Path) -> None:
        script = """
        SqliteStore(path)
        os.chmod(path, 0o000)
        os.chmod(os.path.dirname(path), 0o777)
        become_nobody()
        attempt(lambda: SqliteStore(path))
        """
        assert run(NOBODY + textwrap.dedent(script), path) == (
            f"ConfigurationError: {path} cannot be opened. {RIGHTS} If it is gone, restart the "
            "program, which makes a new one. (SQLITE_CANTOPEN)\n"
        )

    def test_a_disk_that_takes_no_more_and_then_does_again(self, path: Path) -> None:
        script = """
        store = SqliteStore(path)
        done = 0

        def fill():
            global done
            for n in range(1000):
                store.open(key(n), first("a"), FREE)
                done += 1

        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        attempt(fill)
        print(done > 3, store.peek(key(done - 1), FREE).verdict.value)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        print(store.peek(key(done), FREE).verdict.value)
        attempt(fill)
        print(store.health().warnings)
        """
        first, *rest = run(NOBODY + textwrap.dedent(script), path).splitlines()
        assert first.startswith(f"StoreError: {path} cannot ")
        assert "full" in first
        assert rest == ["True pending", "gone", "done", "()"]
