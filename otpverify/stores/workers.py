"""Detect several processes that would each have a `MemoryStore`: how many workers the server runs,
and whether another process uses a copy of this one's memory."""

from __future__ import annotations

import gc
import logging
import mmap
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from otpverify.errors import ConfigurationError

_log = logging.getLogger("otpverify")
_REMEDY = (
    "Set OTPVERIFY_SQLITE_PATH or pass store=SqliteStore(path), which all processes of one machine "
    "share. Or set OTPVERIFY_REDIS_URL or pass a RedisStore. Or run one worker."
)
# Servers, by a module on the main thread's stack: the server's name, and how to read the number of
# workers from that module's frame.
_SERVERS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "gunicorn.arbiter": ("gunicorn", lambda names: names["self"].num_workers),
    "uvicorn._subprocess": (
        "uvicorn",
        lambda names: 1 if names["config"].should_reload else names["config"].workers,
    ),
    "hypercorn.asyncio.run": ("hypercorn", lambda names: names["config"].workers),
    "hypercorn.trio.run": ("hypercorn", lambda names: names["config"].workers),
    "granian.server.common": ("granian", lambda names: names["self"].workers),
    "celery.concurrency.prefork": ("celery", lambda names: names["self"].limit),
}
# Servers that are known by a module which they bring, and its number of processes.
_BUILT_IN = {"uwsgi": ("uWSGI", "numproc"), "mod_wsgi": ("mod_wsgi", "maximum_processes")}
# The processes that these fork are independent: each runs its own tests.
_TEST_RUNNERS = {"django.test.runner"}
_warned = False


def refuse_several_workers() -> None:
    """Refuse a store in memory if the server runs several processes. If that is only likely, log
    one warning.

    Raises:
        ConfigurationError: The server certainly runs several.
    """
    found = _server()
    if found is not None:
        server, workers = found
        if workers > 1:
            raise ConfigurationError(
                f"{server} runs {workers} worker processes, and each would have a MemoryStore of "
                "its own: a code that one of them sent is unknown to the others, and every limit "
                f"holds {workers} times. {_REMEDY}"
            )
        return
    likely = os.environ.get("WEB_CONCURRENCY", "")
    if likely.isdecimal() and int(likely) > 1 and _is_worker():
        _warn_once(likely)


def _server() -> tuple[str, int] | None:
    """The server that runs this process, and its number of workers, as far as they can be found."""
    return _on_the_stack() or _built_in() or _gunicorn()


def _built_in() -> tuple[str, int] | None:
    """uWSGI and Apache's mod_wsgi bring a module that only their own processes have."""
    for module, (server, attribute) in _BUILT_IN.items():
        workers = getattr(sys.modules.get(module), attribute, None)
        if isinstance(workers, int):
            return server, workers
    return None


def _gunicorn() -> tuple[str, int] | None:
    """Gunicorn's workers of gevent and eventlet run requests on stacks of their own, which do not
    show the server. Each worker has a copy of the object that forked it."""
    module = sys.modules.get("gunicorn.arbiter")
    kind = getattr(module, "Arbiter", None)
    if not isinstance(kind, type):
        return None
    for one in gc.get_objects():
        # `isinstance` would ask objects that stand for others, such as Flask's `request`.
        if issubclass(type(one), kind):
            workers = getattr(one, "num_workers", None)
            if isinstance(workers, int):
                return "gunicorn", workers
    return None


def _on_the_stack() -> tuple[str, int] | None:
    """The server that the main thread's stack shows."""
    for module, frame in _main_stack():
        if module in _SERVERS:
            server, count = _SERVERS[module]
            try:
                workers = count(frame.f_locals)
            except (AttributeError, KeyError):
                continue  # another function of that module, or another version
            if isinstance(workers, int):
                return server, workers
    return None


def _main_stack() -> list[tuple[str, FrameType]]:
    """The main thread's frames, innermost first, and the modules that they belong to. A forked
    process has those of its parent at the bottom."""
    # In Python 3.11 a collection must not begin between the frames of another thread: that thread
    # would run, and leave the frame that is read (CPython's issue 106883 is a part of it).
    collects = gc.isenabled()
    gc.disable()
    try:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        found = []
        while frame is not None:
            found.append((str(frame.f_globals.get("__name__")), frame))
            frame = frame.f_back
    finally:
        if collects:
            gc.enable()
    return found


def _is_worker() -> bool:
    """Whether `multiprocessing` started this process. It does not import the module to find out."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def _warn_once(workers: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        _log.warning(
            "WEB_CONCURRENCY is %s and this is a worker process, so others like it seem to have a "
            "MemoryStore of their own: codes are refused and limits do not hold. %s",
            workers,
            _REMEDY,
        )


class Claim:
    """Records which process uses an object in memory, for all processes that have a copy of it.

    A fork copies the memory of a process; a page that all of them share records who used it last.
    One process after the other is allowed (a replaced worker, a daemon's child). Two at once are
    not.
    """

    def __init__(self) -> None:
        self._page = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._mine = 0

    def take(self) -> None:
        """Record that this process uses it.

        Raises:
            ConfigurationError: Another process uses a copy, or did since this one used its own.
        """
        process = os.getpid()
        if self._page[0] != process:
            self._take_over(process)

    def _take_over(self, process: int) -> None:
        last = self._page[0]
        # Use before the fork was recorded in the copy, and is not a second user.
        beside = last not in (0, self._mine) and (self._mine == process or self._lives(last))
        if beside and not any(module in _TEST_RUNNERS for module, _ in _main_stack()):
            raise ConfigurationError(
                "Several processes use copies of one MemoryStore: it was made before they were "
                "forked. A code that one of them sent is unknown to the others, and every limit "
                f"applies to each of them separately. {_REMEDY}"
            )
        self._page[1] = _born(process)
        self._page[0] = self._mine = process

    def _lives(self, process: int) -> bool:
        born = _born(process)
        return born == self._page[1] and born >= 0


def _born(process: int) -> int:
    """When a process began, in the system's ticks, so that a reused process id is recognised; 0
    where the system does not report it, -1 if the process ended."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return -1
        return -1 if fields[0] in "ZX" else int(fields[19])
    if not can_fork():
        return 0  # there, os.kill(process, 0) presses Ctrl+C instead of looking
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return -1
    except PermissionError:
        pass  # it exists, and belongs to another user
    return 0


def can_fork() -> bool:
    """Whether processes may be forked here, so that two may have copies of one object. Windows
    starts each process with a memory of its own."""
    return os.name == "posix" and sys.platform != "win32" and hasattr(os, "fork")
