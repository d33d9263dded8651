"""A MemoryStore under several workers is refused where that can be known: real servers, real
forks."""

from __future__ import annotations

import contextlib
import gc
import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from support import long_form, missing

from otpverify import ConfigurationError, Limit, MemoryStore
from otpverify.core.answers import Reserved
from otpverify.stores.workers import Claim

PATIENCE_SECONDS = 120
REMEDY = (
    "Set OTPVERIFY_SQLITE_PATH or pass store=SqliteStore(path), which all processes of one machine "
    "share. Or set OTPVERIFY_REDIS_URL or pass a RedisStore. Or run one worker."
)


def announced(server: str, workers: int) -> str:
    return (
        f"ConfigurationError: {server} runs {workers} worker processes, and each would have a "
        "MemoryStore of its own: a code that one of them sent is unknown to the others, and every "
        f"limit holds {workers} times. {REMEDY}\n"
    )


COPIED = (
    "Several processes use copies of one MemoryStore: it was made before they were forked. A code "
    "that one of them sent is unknown to the others, and every limit applies to each "
    "of them separately. " + REMEDY
)

APP = """
import os
from functools import cache
from otpverify import Limit, MemoryStore, SqliteStore

@cache
def store():
    return SqliteStore(os.environ["FILE"]) if "FILE" in os.environ else MemoryStore()

if "LAZY" not in os.environ:
    store()

def count():
    answer = store().reserve("network", (Limit(20, 3600),))
    return f"{type(answer).__name__} {os.getpid()}".encode()

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [count()]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    body = count()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

GUNICORN = ("gunicorn", "wsgi", "--bind=unix:", "--no-control-socket")
UVICORN = ("uvicorn", "asgi", "--uds=", "--lifespan=off")
HYPERCORN = ("hypercorn", "asgi", "--bind=unix:", "--log-level=info")
GRANIAN = ("granian", "asgi", "--uds=", "--interface=asgi")
Server = tuple[str, str, str, str]


class Case(NamedTuple):
    """A server's command line and environment, and how many workers the check must see."""

    server: Server
    options: str
    environ: Mapping[str, str] = {}
    workers: int = 2

    def __str__(self) -> str:
        return f"{self.server[0]} {self.options} {dict(self.environ) or ''}"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket: needs no port."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(str(self._path))


class Running:
    """A server with the app above, and what it printed.

    Args:
        folder: Where the app, the socket and the log go.
        case: How it is started.
    """

    def __init__(self, folder: Path, case: Case) -> None:
        (folder / "app.py").write_text(APP)
        (folder / "three.conf.py").write_text("workers = 3\n")
        module, callable_, bind, plain = case.server
        self._socket, self._log = folder / "socket", folder / "log"
        command = (sys.executable, "-m", module, f"app:{callable_}", f"{bind}{self._socket}", plain)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *case.options.split()],
                cwd=folder,
                env={**environment(), **case.environ},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """All that it printed so far."""
        return self._log.read_text()

    def ask(self) -> tuple[int, str]:
        """The reply to one request, once there is somebody to reply."""
        for _ in self.patiently():
            with (
                contextlib.closing(UnixConnection(self._socket)) as connection,
                contextlib.suppress(OSError, http.client.HTTPException),
            ):
                connection.request("GET", "/")
                response = connection.getresponse()
                return response.status, response.read().decode()
        raise AssertionError(self.said)

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this."""
        for _ in self.patiently():
            if text in self.said:
                return
        assert text in self.said

    def patiently(self) -> Iterator[None]:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            yield
            time.sleep(0.005)

    def stop(self) -> None:
        """End it and all its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def environment() -> dict[str, str]:
    """This process's, without what concerns servers."""
    told = {"WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"}
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    return {k: v for k, v in os.environ.items() if k not in told} | {"PYTHONPATH": path}


@contextlib.contextmanager
def running(folder: Path, case: Case) -> Iterator[Running]:
    started = Running(folder, case)
    try:
        yield started
    finally:
        started.stop()


CONCURRENCY = {"WEB_CONCURRENCY": "2"}


@pytest.mark.parametrize(
    "case",
    [
        Case(GUNICORN, "--workers 2"),
        pytest.param(Case(GUNICORN, "--workers 2 --preload"), marks=long_form),
        pytest.param(Case(GUNICORN, "", CONCURRENCY), marks=long_form),
        pytest.param(Case(GUNICORN, "-c three.conf.py", workers=3), marks=long_form),
        pytest.param(Case(GUNICORN, "", {"GUNICORN_CMD_ARGS": "-w 4"}, 4), marks=long_form),
        pytest.param(Case(UVICORN, "--workers 2"), marks=long_form),
        pytest.param(Case(UVICORN, "", CONCURRENCY), marks=long_form),
        pytest.param(Case(UVICORN, "--workers 3 --loop asyncio", workers=3), marks=long_form),
        pytest.param(Case(GUNICORN, "--workers 2 -k gevent"), marks=long_form),
        pytest.param(Case(GUNICORN, "--workers 2 -k gevent --preload"), marks=long_form),
        pytest.param(Case(GRANIAN, "--workers 2"), marks=long_form),
    ],
    ids=str,
)
def test_several_workers_are_refused_when_they_start(tmp_path: Path, case: Case) -> None:
    with running(tmp_path, case) as server:
        server.wait_for(announced(case.server[0], case.workers))


LAZY = {"LAZY": "1"}


@pytest.mark.parametrize(
    "case",
    [
        Case(GUNICORN, "--workers 2 -k gevent", LAZY),
        pytest.param(Case(GUNICORN, "--workers 2", LAZY), marks=long_form),
        pytest.param(Case(GUNICORN, "--workers 2 -k gevent --preload", LAZY), marks=long_form),
        pytest.param(Case(GUNICORN, "--workers 2 --threads 4", LAZY), marks=long_form),
        pytest.param(Case(GUNICORN, "--workers 2 --threads 4 --preload", LAZY), marks=long_form),
        pytest.param(Case(UVICORN, "--workers 2", LAZY), marks=long_form),
        pytest.param(Case(HYPERCORN, "--workers 2", LAZY), marks=long_form),
        pytest.param(Case(GRANIAN, "--workers 2", LAZY), marks=long_form),
    ],
    ids=str,
)
def test_or_when_they_make_it_later(tmp_path: Path, case: Case) -> None:
    with running(tmp_path, case) as server:
        assert server.ask()[0] == 500
        server.wait_for(announced(case.server[0], case.workers))


@pytest.mark.parametrize(
    "case",
    [
        Case(GUNICORN, "--workers 1 --threads 8", {"WEB_CONCURRENCY": "4"}),
        pytest.param(Case(GUNICORN, "--workers 1 --preload"), marks=long_form),
        pytest.param(Case(GUNICORN, ""), marks=long_form),
        pytest.param(Case(UVICORN, "--workers 1", CONCURRENCY), marks=long_form),
        pytest.param(Case(UVICORN, "--reload", CONCURRENCY), marks=long_form),
        pytest.param(Case(UVICORN, "--reload --workers 4"), marks=long_form),
        pytest.param(Case(GUNICORN, "--workers 1 -k gevent", LAZY), marks=long_form),
        pytest.param(Case(HYPERCORN, "", CONCURRENCY), marks=long_form),
        pytest.param(Case(HYPERCORN, "--workers 1", LAZY), marks=long_form),
        pytest.param(Case(GRANIAN, "--workers 1"), marks=long_form),
    ],
    ids=str,
)
def test_one_worker_is_told_nothing(tmp_path: Path, case: Case) -> None:
    with running(tmp_path, case) as server:
        for _ in range(3):
            status, text = server.ask()
            assert (status, text.split()[0]) == (200, "Reserved")
        assert "MemoryStore" not in server.said


@long_form
@pytest.mark.parametrize(
    "case",
    [
        Case(GUNICORN, "--workers 2"),
        Case(GUNICORN, "--workers 3 --threads 4"),
        Case(GUNICORN, "--workers 3 --preload"),
        Case(UVICORN, "--workers 2"),
    ],
    ids=str,
)
def test_several_workers_share_a_file(tmp_path: Path, case: Case) -> None:
    shared = case._replace(environ={"FILE": str(tmp_path / "codes.db")})
    seen: Counter[str] = Counter()
    workers = set()
    with running(tmp_path, shared) as server:
        for _ in server.patiently():
            status, text = server.ask()
            assert status == 200, server.said
            answer, worker = text.split()
            seen[answer] += 1
            workers.add(worker)
            if len(workers) > 1 and seen.total() >= 40:
                break
    assert seen["Reserved"] == 20
    assert len(workers) > 1


CELERY = """
from celery import Celery
from celery.signals import worker_process_init
from otpverify import MemoryStore, OtpVerifyError

app = Celery("app", broker="memory://")

@worker_process_init.connect
def begin(**_):
    try:
        MemoryStore()
    except OtpVerifyError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    else:
        print("It is well.", flush=True)
"""


@long_form
@pytest.mark.parametrize(
    ("options", "said"),
    [("-c 2", announced("celery", 2)), ("-c 1", "It is well.\n"), ("-P solo", "ready.")],
)
def test_prefork_workers_of_celery(tmp_path: Path, options: str, said: str) -> None:
    if find_spec("celery") is None:
        missing("celery is not installed")
    (tmp_path / "tasks.py").write_text(CELERY)
    command = (sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel=info")
    with (tmp_path / "log").open("w+") as log:
        worker = subprocess.Popen(
            [*command, *options.split()],
            cwd=tmp_path,
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + PATIENCE_SECONDS
            while said not in (seen := (tmp_path / "log").read_text()):
                assert time.monotonic() < end, seen
                assert worker.poll() is None, seen
                time.sleep(0.005)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


PARALLEL = """
import pytest
from otpverify import Limit, MemoryStore

store = MemoryStore()

@pytest.mark.parametrize("nth", range(8))
def test_it(nth, caplog):
    for one in (store, MemoryStore()):
        one.reserve("network", (Limit(1000, 60),))
    assert not caplog.records
"""


@long_form
def test_workers_of_pytest_are_strangers_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "test_parallel.py").write_text(PARALLEL)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-W", "error", "test_parallel.py"],
        cwd=tmp_path,
        env=environment() | CONCURRENCY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "8 passed" in done.stdout, done.stdout


# What the scripts below share. Each of them is a process that may fork.
COMMON = """
import os, signal, sys, threading
from otpverify import ConfigurationError, Limit, MemoryStore

def use(store):
    try:
        store.reserve("network", (Limit(1000, 60),))
    except ConfigurationError as error:
        return str(error)
    return "used"

def child(work, wait=True):
    # What a child finds, and its number; it lives on if nobody waits for it.
    ours, theirs = os.pipe()
    number = os.fork()
    if not number:
        os.write(theirs, work().encode())
        os.close(theirs)
        if not wait:
            signal.pause()
        os._exit(0)
    os.close(theirs)
    with open(ours) as file:
        found = file.read() if wait else os.read(ours, 9999).decode()
    if wait:
        os.waitpid(number, 0)
    return found, number

store = MemoryStore()
"""


def run(script: str, **environ: str) -> str:
    done = subprocess.run(
        # Python 3.12 warns of forks beside threads, which are what is tested.
        [sys.executable, "-W", "ignore", "-c", COMMON + textwrap.dedent(script)],
        env=environment() | environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def forks() -> list[str]:
    """What processes found that were forked in all manners, from one that forks only."""
    return run(
        """
        print(child(lambda: use(store))[0])  # one after the other, nobody else
        print(child(lambda: use(store))[0])
        first, number = child(lambda: use(store), wait=False)
        print(first)
        print(child(lambda: use(store))[0])  # beside the first
        print(use(store))  # the parent, too
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        print(child(lambda: use(store))[0])  # its successor

        knowing = MemoryStore(allow_workers=True)
        first, number = child(lambda: use(knowing), wait=False)
        print(child(lambda: use(knowing))[0], use(knowing))
        os.kill(number, signal.SIGKILL)

        store = MemoryStore()
        print(use(store), child(lambda: use(store))[0])  # a child goes on with what it inherits
        print(use(store))  # which its parent misses
        print(child(lambda: use(MemoryStore()))[0], len(store))
        """
    ).splitlines()


def test_one_process_after_the_other_may_use_it(forks: list[str]) -> None:
    assert forks[:3] == ["used", "used", "used"]
    assert forks[5] == "used"


def test_two_at_once_may_not(forks: list[str]) -> None:
    assert forks[3:5] == [COPIED, COPIED]


def test_who_knows_is_let(forks: list[str]) -> None:
    assert forks[6] == "used used"


def test_what_a_child_did_is_missed_by_its_parent(forks: list[str]) -> None:
    assert forks[7:9] == ["used used", COPIED]


def test_a_store_of_ones_own_and_a_look_are_well(forks: list[str]) -> None:
    assert forks[9:] == ["used 0"]


def test_a_fork_amid_operations_hangs_nobody_and_tears_nothing() -> None:
    assert (
        run(
            """
            store = MemoryStore(allow_workers=True)
            stop = threading.Event()

            def keep_busy():
                while not stop.is_set():
                    store.reserve("network", (Limit(10**6, 60),))

            def works():
                signal.alarm(100)  # a lock that nobody will release hangs for ever
                return use(store)

            sys.setswitchinterval(1e-6)
            threads = [threading.Thread(target=keep_busy) for _ in range(4)]
            for thread in threads:
                thread.start()
            found = {child(works)[0] for _ in range(15)}
            stop.set()
            for thread in threads:
                thread.join()
            print(found)
            """
        )
        == "{'used'}\n"
    )


def test_a_handler_that_forks_amid_an_operation_does_not_hang() -> None:
    assert (
        run(
            """
            import time
            signal.alarm(100)
            forking = True

            def clock():
                global forking
                if forking:
                    forking = False
                    print(child(lambda: use(store))[0], flush=True)
                return time.time()

            store = MemoryStore(clock=clock, allow_workers=True)
            print(use(store))
            """
        )
        == "used\nused\n"
    )


def test_a_worker_of_an_unknown_server_is_warned_once() -> None:
    script = """
        import multiprocessing

        def work():
            MemoryStore()
            MemoryStore()

        work()  # no worker
        for concurrency in ("", "1", "4"):
            os.environ["WEB_CONCURRENCY"] = concurrency
            worker = multiprocessing.get_context("fork").Process(target=work)
            worker.start()
            worker.join()
    """
    assert run(script, WEB_CONCURRENCY="4") == (
        "WEB_CONCURRENCY is 4 and this is a worker process, so others like it seem to have a "
        f"MemoryStore of their own: codes are refused and limits do not hold. {REMEDY}\n"
    )


@pytest.mark.parametrize(
    ("module", "attribute", "server"),
    [("uwsgi", "numproc", "uWSGI"), ("mod_wsgi", "maximum_processes", "mod_wsgi")],
)
def test_servers_that_bring_a_module(
    module: str, attribute: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uWSGI, and mod_wsgi in its daemon and in Apache's own processes."""
    brought = ModuleType(module)
    monkeypatch.setitem(sys.modules, module, brought)
    MemoryStore()  # a module of that name which says nothing
    setattr(brought, attribute, 1)
    MemoryStore()
    setattr(brought, attribute, 3)
    with pytest.raises(ConfigurationError, match=f"{server} runs 3 worker processes"):
        MemoryStore()
    MemoryStore(allow_workers=True)


@pytest.mark.parametrize(
    ("module", "named", "server"),
    [
        ("gunicorn.arbiter", {"self": SimpleNamespace(num_workers=3)}, "gunicorn"),
        (
            "uvicorn._subprocess",
            {"config": SimpleNamespace(should_reload=False, workers=3)},
            "uvicorn",
        ),
        ("hypercorn.asyncio.run", {"config": SimpleNamespace(workers=3)}, "hypercorn"),
        ("hypercorn.trio.run", {"config": SimpleNamespace(workers=3)}, "hypercorn"),
        ("granian.server.common", {"self": SimpleNamespace(workers=3)}, "granian"),
        ("celery.concurrency.prefork", {"self": SimpleNamespace(limit=3)}, "celery"),
    ],
)
def test_servers_on_the_stack(module: str, named: dict[str, object], server: str) -> None:
    """Below the application, and below other functions of the server's module."""
    names: dict[str, Any] = {"__name__": module}
    exec(
        f"def other(app): return app()\ndef serve({next(iter(named))}, *, app): return other(app)",
        names,
    )
    with pytest.raises(ConfigurationError, match=f"^{server} runs 3 worker processes"):
        names["serve"](**named, app=lambda: MemoryStore())
    one = SimpleNamespace(**dict.fromkeys(vars(next(iter(named.values()))), 1))
    names["serve"](one, app=lambda: MemoryStore())


@pytest.mark.parametrize("simulated", ["sys.platform", "os.name", "os.fork"])
def test_windows_is_sent_no_signal(simulated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, `os.kill(process, 0)` is Ctrl+C for the whole console."""
    killed: list[object] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    match simulated:
        case "sys.platform":
            monkeypatch.setattr(sys, "platform", "win32")
        case "os.name":
            monkeypatch.setattr(sys, "platform", "win32")
            monkeypatch.setattr(os, "name", "nt")
        case _:
            monkeypatch.setattr(sys, "platform", "win32")
            monkeypatch.delattr(os, "fork")
    store = MemoryStore()
    for _ in range(3):
        assert isinstance(store.reserve("network", (Limit(10, 60),)), Reserved)
    assert Claim()._lives(os.getpid()) in (True, False)
    assert killed == []


@pytest.mark.parametrize("collects", [True, False])
def test_a_store_made_in_a_thread_leaves_the_collector_as_it_was(collects: bool) -> None:
    """It stands still while the main thread's stack is looked at: CPython's issue 106883."""
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(MemoryStore).result(), MemoryStore)
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()
