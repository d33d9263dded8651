"""Threads, locks, connections: what belongs to one process, and what a fork does to it.

A fork copies the memory of a process, but not its threads, and the copy of a lock may stay locked
for ever. So nothing of the kind is made when an object is constructed or a module is imported: it
is made at first use, in the process that uses it, and again in a forked process. A server that
loads an application, forks, and then lets gevent replace the standard library's threads
(`gunicorn --preload -k gevent`) gets locks and threads of gevent's kind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")
_forks = 0


def process() -> tuple[int, int]:
    """The identity of this process. A process id alone may be reused by a descendant."""
    return os.getpid(), _forks


class PerProcess(Generic[T]):
    """One object for each process, made when it is first used there.

    Several threads that ask at the same time may each make one. All of them get the same one, and
    the others are dropped unused, so making one must not start or open anything.

    A process never uses or closes the object that it inherited from its parent.

    Args:
        make: Makes one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[tuple[int, int], T] = {}

    def get(self) -> T:
        """This process's."""
        mine = process()
        found = self._made.get(mine)
        if found is None:
            # Atomic, and without a lock, which would itself belong to one process.
            found = self._made.setdefault(mine, self._make())
        return found

    @property
    def made(self) -> T | None:
        """This process's, if it was used; `None` otherwise."""
        return self._made.get(process())

    def drop(self) -> T | None:
        """Forget this process's, and return it. The next use makes another one."""
        return self._made.pop(process(), None)


def thread_pool(threads: int) -> PerProcess[Executor]:
    """A pool of threads for each process, made when it is first used there. Its class is loaded
    now: at first use no file may be left to open.

    Args:
        threads: The largest number of threads.
    """
    from concurrent.futures import ThreadPoolExecutor  # costly to import, needed here alone

    return PerProcess(lambda: ThreadPoolExecutor(threads, thread_name_prefix="otpverify"))


class Forkable(Protocol):
    """Something that must be at rest while a process forks."""

    def before_fork(self) -> None:
        """Bring it to rest. Called in the forking thread."""

    def after_fork(self) -> None:
        """Continue, in the parent."""


_watched: dict[int, ref[Forkable]] = {}
# One list for each fork under way: a signal handler may fork while its thread is about to fork.
_resting: list[list[Forkable]] = []


def rest_at_forks(part: Forkable) -> None:
    """Let the part rest whenever this process forks, for as long as it lives."""
    key = id(part)
    _watched[key] = ref(part, lambda _dead: _watched.pop(key, None))


class ForkLock:
    """A re-entrant lock that is free in every forked process, and protects data that no fork copies
    half-changed: a fork waits until the lock is free.

    A signal handler that forks while its own thread holds the lock does not wait.
    """

    def __init__(self) -> None:
        # `threading.RLock` is looked up late: gevent may have replaced it by then.
        self._locks = PerProcess(lambda: threading.RLock())
        rest_at_forks(self)

    def get(self) -> threading.RLock:
        """The lock of this process, for one `with` statement."""
        return self._locks.get()

    def before_fork(self) -> None:
        """See `Forkable`."""
        self._locks.get().acquire()

    def after_fork(self) -> None:
        """See `Forkable`."""
        self._locks.get().release()


_forking = PerProcess(lambda: threading.RLock())  # one thread forks at a time


def _before_fork() -> None:
    _forking.get().acquire()
    resting: list[Forkable] = []
    _resting.append(resting)
    for one in list(_watched.values()):
        part = one()
        if part is not None:
            part.before_fork()
            resting.append(part)


def _after_fork_in_parent() -> None:
    for part in _resting.pop():
        part.after_fork()
    _forking.get().release()


def _after_fork_in_child() -> None:
    global _forks
    _forks += 1
    _resting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
