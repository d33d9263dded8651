"""Several requests of a blocking client at a time, each in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, Self

from otpverify.sms.bulk import Batch
from otpverify.sms.bulk_drive import Flight
from otpverify.sms.smspm_batch import Fields, Reply


class Threads:
    """The blocking colour's ports. Callbacks run in the caller's own thread.

    Args:
        submit: Makes one request, and gives status and body.
        concurrency: How many at a time.
    """

    def __init__(self, submit: Callable[[Fields], Reply], concurrency: int) -> None:
        self._submit = submit
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="otpverify-bulk")
        self._flights: dict[Future[Reply], Flight] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What is still on its way after a second Ctrl-C is not waited for.
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
            time.sleep(seconds or 0)  # noqa: ASYNC251 - of the blocking colour; no loop waits
            return ()
        done, _ = wait(self._flights, seconds, FIRST_COMPLETED)
        return [self._flights[future] for future in done]

    def dismiss(self, flight: Flight) -> None:
        """As `Ports`."""
        self._flights = {f: other for f, other in self._flights.items() if other is not flight}

    def cancel(self) -> None:
        """A thread cannot be ended; its request's own deadline ends it."""

    async def call(self, hook: Callable[[Any], object], about: object) -> None:
        """As `Ports`."""
        hook(about)
