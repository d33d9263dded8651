"""Resources that belong to one event loop, such as connections: one for each loop that asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from otpverify._per_process import process
from otpverify._sync import require_asyncio

T = TypeVar("T")
# A transport that is closed lets go of its socket in one of the loop's next rounds.
_ROUNDS = 3


class PerLoop(Generic[T]):
    """One object for each event loop. A loop that ends closes its object without a call: a loop
    that shuts down finishes its asynchronous generators, one of which holds the object; any other
    loop closes it within `close`.

    Args:
        what: What needs the loop, as the subject of a sentence.
        make: Makes one. It must not know this object: in a cycle of references a generator would
            be finished too late to close anything.
        close: Closes it, in its loop.
    """

    def __init__(
        self, what: str, make: Callable[[], T], close: Callable[[T], Awaitable[None]]
    ) -> None:
        self._what = what
        self._make = make
        self._close = close
        self._open: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[AsyncGenerator[T, None], T]
        ] = WeakKeyDictionary()

    async def current(self) -> T:
        """The running loop's. Made when it is first asked for.

        Raises:
            ConfigurationError: No loop of asyncio runs.
        """
        loop = require_asyncio(self._what)
        found = self._open.get(loop)
        if found is None:
            self._forget_closed()
            keeper = _keep(self._make(), self._close)
            found = self._open[loop] = keeper, await anext(keeper)
            _finish_at_close(loop, keeper)
        return found[1]

    async def aclose(self) -> None:
        """Close the running loop's."""
        found = self._open.pop(require_asyncio(self._what), None)
        if found is not None:
            await found[0].aclose()

    def _forget_closed(self) -> None:
        """Let go of what closed loops left. A connection holds its loop, so neither would go by
        itself."""
        for ref in self._open.keyrefs():  # a list: other threads may bring loops meanwhile
            loop = ref()
            if loop is not None and loop.is_closed():
                self._open.pop(loop, None)


async def _keep(made: T, close: Callable[[T], Awaitable[None]]) -> AsyncGenerator[T, None]:
    # The only generator: a loop that ends finishes all of them at once, and one within another
    # would be finished twice.
    try:
        yield made
    finally:
        await close(made)


def _finish_at_close(loop: asyncio.AbstractEventLoop, keeper: AsyncGenerator[T, None]) -> None:
    """Let the loop's `close` finish the generator first, if nothing did so before."""
    close, opener = loop.close, process()

    async def finish() -> None:
        await keeper.aclose()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    def close_in_order() -> None:
        with contextlib.suppress(AttributeError):
            del loop.close
        # Not in a forked process: the loop and its connections are the parent's.
        if opener == process() and not (loop.is_running() or loop.is_closed()):
            loop.run_until_complete(finish())
        close()

    with contextlib.suppress(AttributeError):  # a loop that takes no attributes
        loop.close = close_in_order  # type: ignore[method-assign]  # this object alone
