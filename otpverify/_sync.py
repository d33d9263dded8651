"""Run the coroutines of the engine synchronously (`run_sync`) or in an event loop; and the end of
`with` blocks."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from otpverify.errors import ConfigurationError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from concurrent.futures import Executor

P = ParamSpec("P")
T = TypeVar("T")


def run_sync(sequence: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine whose ports never suspend, right here.

    Raises:
        RuntimeError: It did suspend: one of its ports was asynchronous.
    """
    try:
        sequence.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    sequence.close()
    raise RuntimeError("A port suspended in a synchronous sequence.")


def inline(function: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """The function as a port that never suspends."""

    @wraps(function)
    async def port(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    return port


def require_asyncio(what: str) -> AbstractEventLoop:
    """The running event loop.

    Args:
        what: What needs it, as the subject of a sentence.

    Raises:
        ConfigurationError: No loop of asyncio runs: the code runs under trio, or in no coroutine.
    """
    # Costly to import, and of no use to synchronous programs.
    from asyncio import get_running_loop

    try:
        return get_running_loop()
    except RuntimeError:
        pass
    raise ConfigurationError(
        f"{what} needs a running asyncio event loop. Another library, such as trio, has none: use "
        "the synchronous class in a thread there (trio.to_thread.run_sync)."
    )


def in_thread(
    function: Callable[P, T], executor: Callable[[], Executor]
) -> Callable[P, Awaitable[T]]:
    """The function as a port that runs in a thread, with the context variables of the task that
    calls it.

    Args:
        function: The function.
        executor: Gives the threads of this process, such as `PerProcess.get`.
    """

    @wraps(function)
    async def port(*args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(copy_context().run, function, *args, **kwargs)
        return await require_asyncio("AsyncVerifier").run_in_executor(executor(), call)

    return port


async def straight(work: Callable[[], Awaitable[T]], _undo: Callable[[T], Awaitable[object]]) -> T:
    """Run `work`, in a program without event loop: nothing cancels it."""
    return await work()


_BACKGROUND: set[object] = set()
"""Tasks that nobody awaits. An event loop alone does not keep them alive."""


async def to_its_end(
    work: Callable[[], Coroutine[Any, Any, T]],
    undo: Callable[[T], Coroutine[Any, Any, object]],
) -> T:
    """Run `work`, to its end also if the task that awaits it is cancelled. Then its result is
    undone in the background, since nobody will use it.

    Args:
        work: What to run. If it fails, there is nothing to undo.
        undo: Takes its result back.
    """
    from asyncio import CancelledError, shield

    loop = require_asyncio("AsyncVerifier")
    task = loop.create_task(work())

    async def take_back() -> None:
        try:
            result = await task
        except Exception:  # it undid itself, and its caller is gone
            return
        await undo(result)

    try:
        return await shield(task)
    except CancelledError:
        undoing = loop.create_task(take_back())
        _BACKGROUND.add(undoing)
        undoing.add_done_callback(_BACKGROUND.discard)
        raise


def suspends(function: Callable[..., object]) -> bool:
    """Whether calling it gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - asked of an object, not tested for
    )


class Closing(ABC):
    """The end of a `with` block closes it."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClosing(ABC):
    """`Closing`, awaitable: the end of an `async with` block closes it."""

    @abstractmethod
    async def aclose(self) -> None:
        """Free what it holds."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
