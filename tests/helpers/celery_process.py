"""A real Celery worker in a process of its own, and what it says."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis.client import Monitor
from servers import Server, until

TESTS = Path(__file__).parent
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")


class Worker:
    """A worker with one pool process, its log at DEBUG, and its events on.

    Args:
        environ: What `celery_app` reads.
        log: Where its log goes; it is appended to.
    """

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._begins = log.stat().st_size if log.exists() else 0
        path = os.pathsep.join(map(str, (TESTS.parents[1], TESTS)))
        command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-l", "DEBUG"]
        command += ["-E", "-c", "1", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environ, "PYTHONPATH": path},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_for(" ready.")

    @property
    def said(self) -> str:
        """Its log."""
        return self.log.read_bytes()[self._begins :].decode()

    def wait_for(self, words: str) -> None:
        """Wait until it has said this."""

        def has_said() -> bool:
            assert self._process.poll() is None, self.said[-4000:]
            return words in self.said

        until(has_said)

    @property
    def children(self) -> list[int]:
        """The processes of its pool."""
        pid = self._process.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def pause(self) -> None:
        """Let it do nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and its pool at once, as a crash of the machine does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Overheard:
    """All commands and messages of a server while this is open, tasks and events."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lines: list[str] = []

    def __enter__(self) -> Overheard:
        self._client = self._server.client()
        self._monitor: Monitor = self._client.monitor()
        self._monitor.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        with self._server.client() as client:
            client.echo("that is all")
        while "that is all" not in self._next():
            pass
        self._monitor.__exit__()
        self._client.close()

    def wait_for(self, words: str) -> None:
        """Wait until this was said to the server."""
        while words not in "\n".join((line := self._next(), _opened(line))):
            pass

    def _next(self) -> str:
        heard: Any = self._monitor.next_command()
        self._lines.append(str(heard["command"]))
        return self._lines[-1]

    @property
    def text(self) -> str:
        """All of it, and what Base64 hides in it, two deep."""
        found = "\n".join(self._lines)
        once = _opened(found)
        return "\n".join((found, once, _opened(once)))


def _opened(text: str) -> str:
    found = []
    for part in _BASE64.findall(text):
        with contextlib.suppress(ValueError):
            raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_")
            found.append(raw.decode("latin-1"))
    return "\n".join(found)
