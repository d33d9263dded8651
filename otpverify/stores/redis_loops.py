"""Clients of `redis.asyncio`, one for each event loop: none serves two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from otpverify.stores.redis_client import is_single, sentinels_of
from otpverify.stores.redis_lane_async import AsyncLanes


class Held(NamedTuple):
    """A client, and its lanes where it has any."""

    client: Any
    lanes: AsyncLanes | None


_Keeper: TypeAlias = AsyncGenerator[Held, None]


class Loops:
    """The client of each loop that asks for one. A loop that ends in order closes its own: it is
    held by an asynchronous generator, which `asyncio` finishes then.

    Args:
        make: Makes a client.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[_Keeper, Held]] = (
            WeakKeyDictionary()
        )

    async def held(self) -> Held:
        """The client of the loop that runs."""
        loop = asyncio.get_running_loop()
        found = self._open.get(loop)
        if found is None:
            keeper = _keep(self._make())
            found = self._open[loop] = keeper, await anext(keeper)
        return found[1]

    async def aclose(self) -> None:
        """Close the connections of the loop that runs."""
        found = self._open.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[0].aclose()


async def _keep(client: Any) -> _Keeper:
    """Hold a client open. It knows nothing of `Loops`: in a cycle of references it would be
    finished too late to close anything."""
    try:
        yield Held(client, AsyncLanes(client) if is_single(client) else None)
    finally:
        await close(client)


async def close(client: Any) -> None:
    """Close a client's connections."""
    for one in (client, *sentinels_of(client)):
        await one.aclose()
