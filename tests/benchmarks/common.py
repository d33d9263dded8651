"""What the benchmarks share: a pinned server, a sender that does nothing, and clocks."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from redis.utils import HIREDIS_AVAILABLE

from benchmarks import HIREDIS

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from servers import Server, binaries

from otpverify import HmacHasher, Message, Policy, Receipt, RedisStore, Verifier
from otpverify.stores.redis.connections import packed

SECRET = "iA64b34S0uwavoENKoSS2Cde5HWA5KB6moMaBfB0oQ0"
POLICY = Policy(sends_per_ip=())
FLOOR = "return redis.call('GET', KEYS[1])"
"""A script of one command."""


class NoOpSender:
    """Takes a message and does nothing but remember its code."""

    code = ""

    def send(self, message: Message) -> Receipt:
        self.code = message.text[:6]
        return Receipt()


def phone(number: int) -> str:
    """A valid number, another one for every argument up to 7,999,999."""
    return f"+49151{10_000_000 + number}"


@contextlib.contextmanager
def pinned_server(name: str = "valkey9") -> Iterator[Server]:
    """A server on the first core; this process on all others. Unpinned figures are bimodal."""
    with Server(binaries()[name]) as server:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            server.pin({cores[0]})
            os.sched_setaffinity(0, set(cores[1:]))
        try:
            yield server
        finally:
            os.sched_setaffinity(0, set(cores))


def verifier_on(url: str, sender: NoOpSender) -> Verifier:
    """A verifier whose checks cost little but the round trip."""
    return Verifier(
        sender, store=RedisStore.from_url(url), secret=SECRET, hasher=HmacHasher(), policy=POLICY
    )


def microseconds(call: Callable[[int], object], count: int) -> float:
    """The wall time of one call, over `count` of them."""
    began = time.perf_counter()
    for number in range(count):
        call(number)
    return (time.perf_counter() - began) / count * 1e6


def best(samples: list[float]) -> float:
    """The lower quartile: what the work takes when nobody else has the core."""
    return statistics.quantiles(samples, n=4)[0] if len(samples) > 1 else samples[0]


def floor(client: redis.Redis, count: int) -> float:
    """The wall time of one bare one-command EVALSHA through redis-py."""
    digest = client.script_load(FLOOR)
    return microseconds(lambda _: client.evalsha(digest, 1, "key"), count)


class RawSocket:
    """The floor's script over a bare socket: no client, and the reply is not read.

    Args:
        client: Of the server.
    """

    def __init__(self, client: redis.Redis) -> None:
        where = client.connection_pool.connection_kwargs
        self._socket = socket.create_connection((where["host"], where["port"]))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        digest = client.script_load(FLOOR)
        [self._command] = packed(("EVALSHA", digest, 1, b"key"))

    def floor(self, count: int) -> float:
        """The wall time of one round trip."""

        def call(_: int) -> None:
            self._socket.sendall(self._command)
            self._socket.recv(65_536)

        return microseconds(call, count)

    def close(self) -> None:
        self._socket.close()


def server_cpu(client: Any) -> float:
    """Seconds of CPU that the server took so far: scripts, sockets and all."""
    spent = client.info("cpu")
    return float(spent["used_cpu_sys"] + spent["used_cpu_user"])


def again_with_hiredis(module: str) -> None:
    """Run a benchmark once more with hiredis, where `make bench` put it."""
    folder = Path(sys.prefix) / "hiredis"
    if not HIREDIS_AVAILABLE and folder.exists():
        sys.stdout.write("\n")
        sys.stdout.flush()
        command = [sys.executable, "-m", module]
        subprocess.run(command, env=os.environ | {HIREDIS: str(folder)}, check=True)


def row(*cells: object) -> None:
    """Print a line of a table."""
    sys.stdout.write("| " + " | ".join(str(cell) for cell in cells) + " |\n")
    sys.stdout.flush()
