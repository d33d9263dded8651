"""Concurrent requests for bulk sends, in threads or in tasks."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Self

from otpverify.gateways.smspm.bulk import Flight
from otpverify.gateways.smspm.bulk_batches import Fields, Reply
from otpverify.gateways.smspm.bulk_options import Batch


class Threads:
    """The sync ports. Callbacks run in the caller's own thread.

    Args:
        submit: Makes one request, and returns status and body.
        concurrency: The largest number of requests at a time.
    """

    def __init__(self, submit: Callable[[Fields], Reply], concurrency: int) -> None:
        self._submit = submit
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="otpverify-bulk")
        self._flights: dict[Future[Reply], Flight] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # After a second Ctrl-C, requests in progress are not waited for.
        self._pool.shutdown(wait=not self._flights, cancel_futures=True)

    now = staticmethod(time.monotonic)

    @property
    def flying(self) -> int:
        """As `Ports`."""
        return len(self._flights)

    def start(self, batch: Batch, fields: Fields) -> None:
        """As `Ports`."""
        future = self._pool.submit(copy_context().run, self._submit, fields)
        self._flights[future] = Flight(batch, fields, future)

    async def landed(self, seconds: float | None) -> Sequence[Flight]:
        """As `Ports`."""
        if not self._flights:
            time.sleep(seconds or 0)  # noqa: ASYNC251 - sync ports; there is no event loop
            return ()
        done, _ = wait(self._flights, seconds, FIRST_COMPLETED)
        return [self._flights[future] for future in done]

    def dismiss(self, flight: Flight) -> None:
        """As `Ports`."""
        self._flights = {f: other for f, other in self._flights.items() if other is not flight}

    def cancel(self) -> None:
        """Does nothing: a thread cannot be cancelled. The deadline of its request ends it."""

    async def call(self, hook: Callable[[Any], object], about: object) -> None:
        """As `Ports`."""
        hook(about)


@dataclass(frozen=True, slots=True, repr=False)
class _TaskReply:
    """The outcome of a task, in an object whose `repr` does not show it. In debug mode asyncio logs
    a task's result, and the gateway repeats numbers in its replies."""

    reply: Reply


@dataclass(frozen=True, slots=True, repr=False)
class _TaskFuture:
    """A task, as `Future`."""

    task: asyncio.Task[_TaskReply]

    def cancelled(self) -> bool:
        return self.task.cancelled()

    def result(self) -> Reply:
        return self.task.result().reply


class Tasks:
    """The async ports. Callbacks may be coroutine functions.

    Args:
        submit: Makes one request, and returns status and body.
    """

    def __init__(self, submit: Callable[[Fields], Coroutine[Any, Any, Reply]]) -> None:
        self._submit = submit
        self._flights: dict[asyncio.Task[_TaskReply], Flight] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    now = staticmethod(time.monotonic)

    @property
    def flying(self) -> int:
        """As `Ports`."""
        return len(self._flights)

    def start(self, batch: Batch, fields: Fields) -> None:
        """As `Ports`."""
        task = asyncio.get_running_loop().create_task(self._fetch(fields))
        self._flights[task] = Flight(batch, fields, _TaskFuture(task))

    async def _fetch(self, fields: Fields) -> _TaskReply:
        return _TaskReply(await self._submit(fields))

    async def landed(self, seconds: float | None) -> Sequence[Flight]:
        """As `Ports`."""
        if not self._flights:
            await asyncio.sleep(seconds or 0)
            return ()
        done, _ = await asyncio.wait(
            self._flights, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        return [self._flights[task] for task in done]

    def dismiss(self, flight: Flight) -> None:
        """As `Ports`."""
        self._flights = {t: other for t, other in self._flights.items() if other is not flight}

    def cancel(self) -> None:
        """As `Ports`."""
        for task in self._flights:
            task.cancel()

    async def call(self, hook: Callable[[Any], object], about: object) -> None:
        """As `Ports`."""
        done = hook(about)
        if inspect.isawaitable(done):
            await done
