"""Resources that belong to one event loop, such as connections: one for each loop that asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One of a kind for each event loop. A loop that ends in order closes its own: it is held by an
    asynchronous generator, which `asyncio` finishes then.

    Args:
        make: Makes one, as what `async with` takes. It must not know this object: in a cycle of
            references a generator would be finished too late to close anything.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._make = make
        self._open: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[AsyncGenerator[T, None], T]
        ] = WeakKeyDictionary()

    async def current(self) -> T:
        """The running loop's. Made when it is first asked for."""
        loop = asyncio.get_running_loop()
        found = self._open.get(loop)
        if found is None:
            self._forget_closed()
            keeper = _keep(self._make())
            found = self._open[loop] = keeper, await anext(keeper)
        return found[1]

    async def aclose(self) -> None:
        """Close the running loop's."""
        found = self._open.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[0].aclose()

    def _forget_closed(self) -> None:
        """Let go of what loops left that were closed without an end in order. A connection holds
        its loop, so neither would go by itself."""
        for ref in self._open.keyrefs():  # a list: other threads may bring loops meanwhile
            loop = ref()
            if loop is not None and loop.is_closed():
                self._open.pop(loop, None)


async def _keep(manager: AbstractAsyncContextManager[T]) -> AsyncGenerator[T, None]:
    async with manager as held:
        yield held
