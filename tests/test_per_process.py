"""What belongs to one process (threads, locks, connections, event loops) is made at first use, in
the process that uses it: also after a fork, and under gevent, which replaces the standard library's
threads after an application was loaded."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import queue
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from servers import Server, binary
from support import SECRET, missing

import otpverify
from otpverify import (
    Argon2Hasher,
    AsyncRedisStore,
    AsyncVerifier,
    HmacHasher,
    MemoryStore,
    Messages,
    Policy,
    RedisStore,
    SmspmClient,
    SqliteStore,
    Verifier,
)
from otpverify._per_process import ForkLock, PerProcess, process
from otpverify.gateways.fallback import AsyncFallbackSender, FallbackSender
from otpverify.integrations.web.background import BackgroundSender
from otpverify.sandbox import Sandbox
from otpverify.testing import OutboxSender

LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event)
HELD = (
    *LOCKS,
    threading.Semaphore,
    threading.Barrier,
    threading.Thread,
    threading.local,
    Executor,
    Future,
    queue.Queue,
    queue.SimpleQueue,
    socket.socket,
)
# Servers and tools of one process, which nothing forks: a sandbox, a demo, an outbox for tests.
OF_ONE_PROCESS = ("otpverify.sandbox", "otpverify.demo", "otpverify.testing", "otpverify.cli")
# Their own tests walk them.
OF_A_PROJECT = tuple(
    f"otpverify.integrations.{name}" for name in ("allauth", "django", "two_factor")
)


def held_by(thing: object, path: str = "") -> Iterator[str]:
    """Everything of the kind within an object of ours: in its attributes, containers, and in what
    its functions and other parts hold, but not in modules, classes, or other people's sessions."""
    seen: set[int] = set()
    waiting = [(thing, path or type(thing).__name__)]
    while waiting:
        one, where = waiting.pop()
        if id(one) in seen or isinstance(one, (type, ModuleType, str, bytes, int, float)):
            continue
        seen.add(id(one))
        if isinstance(one, HELD):
            yield f"{where}: {type(one).__name__}"
            continue
        if isinstance(one, FunctionType):
            cells = [(cell, "cell") for cell in one.__closure__ or ()]
            waiting += [(cell.cell_contents, f"{where}()") for cell, _ in cells]
        elif isinstance(one, dict):
            waiting += [(value, f"{where}[{key!r}]") for key, value in one.items()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += [(value, f"{where}[]") for value in one]
        elif type(one).__module__.startswith(("otpverify", "functools", "builtins")):
            named = dict(getattr(one, "__dict__", {}))
            for kind in type(one).__mro__:
                for slot in getattr(kind, "__slots__", ()):
                    if hasattr(one, slot):
                        named[slot] = getattr(one, slot)
            for name in ("func", "args", "keywords", "__self__", "__func__"):
                if type(one).__module__ != "otpverify" and hasattr(one, name):
                    named[name] = getattr(one, name)
            waiting += [(value, f"{where}.{name}") for name, value in named.items()]


def modules() -> list[ModuleType]:
    names = [
        info.name
        for info in pkgutil.walk_packages(otpverify.__path__, "otpverify.")
        if not info.name.startswith(OF_ONE_PROCESS) and not info.name.endswith("__main__")
    ]
    found = []
    for name in names:
        if name.startswith(OF_A_PROJECT):
            continue
        found.append(importlib.import_module(name))
    return found


def held_by_modules() -> list[str]:
    return [
        line
        for module in modules()
        for name, value in vars(module).items()
        if not name.startswith("__")
        for line in held_by(value, f"{module.__name__}.{name}")
    ]


def test_no_module_makes_one_when_it_is_imported() -> None:
    """In a new process: in this one, other tests may have used what is made at first use."""
    program = f"import runpy; print(runpy.run_path({__file__!r})['held_by_modules']())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "[]\n", done.stderr


def verifier_of(kind: Any, **parts: Any) -> Any:
    return kind(OutboxSender(), secret=SECRET, hasher=Argon2Hasher(), **parts)


MADE: dict[str, Callable[[Path], object]] = {
    "MemoryStore": lambda _: MemoryStore(),
    "SqliteStore": lambda folder: SqliteStore(folder / "codes.db"),
    "RedisStore": lambda _: RedisStore.from_url("redis://localhost"),
    "RedisStore of a cluster": lambda _: RedisStore.from_url("redis+cluster://localhost"),
    "RedisStore of a Sentinel": lambda _: RedisStore.from_url("redis+sentinel://localhost/m"),
    "AsyncRedisStore": lambda _: AsyncRedisStore.from_url("redis://localhost"),
    "AsyncRedisStore of a cluster": lambda _: AsyncRedisStore.from_url("redis+cluster://h"),
    "BackgroundSender": lambda _: BackgroundSender(SmspmClient("hash", "token")),
    "FallbackSender": lambda _: FallbackSender(SmspmClient("h", "t"), SmspmClient("h", "t")),
    "AsyncFallbackSender": lambda _: AsyncFallbackSender(
        SmspmClient("h", "t"), SmspmClient("h", "t")
    ),
    "SmspmClient": lambda _: SmspmClient("hash", "token"),
    "AsyncSmspmClient": lambda _: otpverify.AsyncSmspmClient("hash", "token"),
    "Verifier": lambda _: Verifier(SmspmClient("h", "t"), secret=SECRET),
    "AsyncVerifier": lambda _: AsyncVerifier(SmspmClient("h", "t"), secret=SECRET),
    "AsyncVerifier in threads": lambda folder: AsyncVerifier(
        SmspmClient("h", "t"), store=SqliteStore(folder / "codes.db"), secret=SECRET
    ),
    "Messages": lambda _: Messages(),
    "Policy": lambda _: Policy(),
    "HmacHasher": lambda _: HmacHasher(),
}


@pytest.mark.parametrize("name", MADE)
def test_no_object_makes_one_when_it_is_constructed(name: str, tmp_path: Path) -> None:
    assert list(held_by(MADE[name](tmp_path), name)) == []


def test_the_walk_finds_what_it_looks_for() -> None:
    class Holder:
        __slots__ = ("lock",)
        lock: object

    Holder.__module__ = "otpverify.x"
    holder = Holder()
    holder.lock = threading.Lock()
    executor = ThreadPoolExecutor(1)
    assert list(held_by({"a": [holder]})) == ["dict['a'][].lock: lock"]
    assert list(held_by(lambda: executor)) == ["function(): ThreadPoolExecutor"]


class TestPerProcess:
    def test_threads_that_ask_at_once_get_the_same(self) -> None:
        one = PerProcess(object)
        at_once = threading.Barrier(8)

        def ask(_: int) -> int:
            at_once.wait()
            return id(one.get())

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(ask, range(8)))) == 1

    def test_it_is_made_at_first_use_and_again_after_it_was_dropped(self) -> None:
        one: PerProcess[list[int]] = PerProcess(list)
        assert one.made is None
        assert one.drop() is None
        first = one.get()
        assert one.made is first is one.get()
        assert one.drop() is first
        assert one.get() is not first

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
    def test_a_child_and_a_grandchild_have_their_own(self) -> None:
        assert run_forked(
            """
            from otpverify._per_process import PerProcess, process
            one = PerProcess(list)
            one.get().append("parent")
            def grandchild():
                return str(one.made) + str(one.get())
            def child():
                before = str(one.made)
                one.get().append("child")
                return before + str(one.get()) + forked(grandchild)
            print(forked(child), one.get())
            """
        ) == ["None['child']None[] ['parent']"]


class TestForkLock:
    def test_it_is_re_entrant_and_gone_with_its_object(self) -> None:
        lock = ForkLock()
        with lock.get(), lock.get():
            pass
        del lock
        gc.collect()
        before = process()
        assert before == process()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
    def test_forks_of_many_threads_wait_for_each_other_and_for_the_lock(self) -> None:
        """Each child finds the data whole, and the lock free."""
        assert run_forked(
            """
            import threading
            from otpverify._per_process import ForkLock
            lock, data = ForkLock(), [0, 0]
            stop = threading.Event()

            def change():
                while not stop.is_set():
                    with lock.get():
                        data[0] += 1
                        data[1] += 1

            def look():
                with lock.get():
                    return "whole" if data[0] == data[1] else "torn"

            found = []
            def fork_often():
                for _ in range(5):
                    found.append(forked(look))

            sys.setswitchinterval(1e-6)
            changing = [threading.Thread(target=change) for _ in range(2)]
            forking = [threading.Thread(target=fork_often) for _ in range(3)]
            for thread in changing + forking:
                thread.start()
            for thread in forking:
                thread.join()
            stop.set()
            for thread in changing:
                thread.join()
            print(len(found), set(found))
            """
        ) == ["15 {'whole'}"]


COMMON = """
import os, signal, sys
signal.alarm(100)  # a lock that nobody will release hangs for ever

def forked(work):
    ours, theirs = os.pipe()
    number = os.fork()
    if not number:
        try:
            os.write(theirs, str(work()).encode())
        except BaseException as error:
            os.write(theirs, repr(error).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as reading:
        said = reading.read()
    os.waitpid(number, 0)
    return said
"""


def run_forked(script: str) -> list[str]:
    """What a script prints that may fork, in a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            COMMON + textwrap.dedent(script),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


PRELOADED = """
import logging, time
from otpverify import *
from otpverify.integrations.web.background import BackgroundSender

{imports}
sender = BackgroundSender(SmspmClient.from_env(), threads=2)
options = {{"secret": os.environ["SECRET"], "policy": Policy(sends_per_ip=())}}
stores = [
    MemoryStore(allow_workers=True),
    SqliteStore(os.environ["FILE"]),
    RedisStore.from_url(os.environ["REDIS"] + "?max_connections=3"),
]
verifiers = [Verifier(sender, store=store, **options) for store in stores]

def reset(nth):
    for verifier in verifiers:
        verifier.start("+12025550123", purpose=f"reset {{nth}}", deliver=True)

def worker():
    import gevent
    from gevent import monkey
    monkey.patch_all()
    gevent.joinall([gevent.spawn(reset, nth) for nth in range(3)], timeout=60, raise_error=True)
    sender.close()
    return "sent"

{before}
print(forked(worker))
sender.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("before", ["", "reset(3)"], ids=["unused", "used"])
def test_an_application_works_that_was_loaded_before_a_fork_and_a_patch(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `gunicorn --preload -k gevent` does it."""
    if find_spec("gevent") is None:
        missing("gevent is not installed")
    with Server(binary("valkey9")) as server, Sandbox() as sandbox:
        variables = {"SECRET": SECRET, "FILE": str(tmp_path / "codes.db"), "REDIS": server.url}
        for name, value in {**sandbox.environ, **variables}.items():
            monkeypatch.setenv(name, value)
        quiet = "import warnings; warnings.simplefilter('ignore')"  # gevent's, of patching late
        assert run_forked(PRELOADED.format(imports=quiet, before=before)) == ["sent"]
        assert len(sandbox.messages) == (12 if before else 9)
