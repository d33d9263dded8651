"""One text to many numbers: the sequence of requests, and the threads or tasks that make them."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future as ThreadFuture, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from otpverify.errors import (
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
)
from otpverify.gateways.send_bulk import (
    DEFAULTS,
    Batch,
    BulkInterrupted,
    BulkOptions,
    BulkResult,
    check_options,
)
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.smspm.bulk_batches import (
    Fields,
    Pace,
    Plan,
    Reply,
    Run,
    batch_fields,
    plan,
    read_batch,
)

if TYPE_CHECKING:
    import asyncio


class Future(Protocol):
    """The outcome of a request; the sync and async ports each have their own class."""

    def cancelled(self) -> bool:
        """Whether the request was cancelled."""

    def result(self) -> Reply:
        """The reply; raises the exception of the request."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Flight:
    """A request that is in progress or done."""

    batch: Batch
    fields: Fields
    future: Future


class Ports(Protocol):
    """The I/O that the sequence needs. The sync ports never suspend."""

    def now(self) -> float:
        """Seconds on a monotonic clock."""

    @property
    def flying(self) -> int:
        """The number of requests that are in progress, or not yet dismissed."""

    def start(self, batch: Batch, fields: Fields) -> None:
        """Start a request, concurrently with the others."""

    async def landed(self, seconds: float | None) -> Sequence[Flight]:
        """Wait until a request is done, or for at most this many seconds."""

    def dismiss(self, flight: Flight) -> None:
        """Drop a request whose outcome is recorded."""

    def cancel(self) -> None:
        """Cancel the requests in progress, where that is possible."""

    async def call(self, hook: Callable[[Any], object], about: object) -> None:
        """Call a callback."""


@dataclass(frozen=True, slots=True, repr=False)
class Bulk:
    """One text for many recipients.

    Raises:
        TypeError: There is no such option.
        ConfigurationError: An option is invalid, or the text is not a str or is only white space.
        DeliveryRejected: The text is empty, or no encoding can carry it.
    """

    account: Account
    text: str
    options: BulkOptions

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or (self.text and not self.text.strip()):
            raise ConfigurationError("text must be a str that is not only white space.")
        if not self.text:
            raise DeliveryRejected("The text is empty.", provider_code="invalid_text")
        # Building the fields checks the text.
        batch_fields(self.account, ("+0",), self.text)
        check_options(self.options)

    @property
    def concurrency(self) -> int:
        """The largest number of requests at a time."""
        return self.options.get("concurrency", DEFAULTS["concurrency"])

    def plan(self, numbers: Iterable[str]) -> Plan:
        """Find invalid numbers and duplicates. This is slow for very long lists."""
        return plan(numbers, self.options.get("region"))

    async def send(self, plan: Plan, ports: Ports) -> BulkResult:
        """Send to everyone in the plan. `send_bulk` documents the errors."""
        pace = Pace(self.options.get("recipients_per_second"))
        run = Run(plan, pace.largest(self.options.get("batch_size", DEFAULTS["batch_size"])))
        try:
            await self._send_all(run, pace, ports)
        except GeneratorExit:
            raise
        except Exception as error:
            failure = error
        except BaseException as error:
            # Cancelled or interrupted: the callback reports the known outcomes, because we must
            # not replace an exception of this kind.
            ports.cancel()
            for fault in await self._bring_in(run, ports):
                error.add_note(f"A request ended with {type(fault).__name__}, too.")
            run.end()
            await self._report(run, ports)
            raise
        else:
            return run.result()
        faults = await self._bring_in(run, ports)
        run.end()
        message = f"Sending ended early: {type(failure).__name__}."
        cause = ExceptionGroup(message, [failure, *faults]) if faults else failure
        raise BulkInterrupted(message, result=run.result()) from cause

    async def _send_all(self, run: Run, pace: Pace, ports: Ports) -> None:
        await self._report(run, ports)
        while run.next is not None or ports.flying:
            patience = await self._start_what_may(run, pace, ports)
            landed = await ports.landed(patience)
            if patience is not None and not landed:
                pace.waited()
            for flight in landed:
                self._settle(run, ports, flight)
                await self._report(run, ports)
        run.end()
        await self._report(run, ports)

    async def _start_what_may(self, run: Run, pace: Pace, ports: Ports) -> float | None:
        """Start batches. Return the seconds until another may start, `None` if unknown."""
        on_sending = self.options.get("on_sending")
        while (batch := run.next) is not None and ports.flying < self.concurrency:
            if wait := pace.wait(ports.now()):
                return wait
            if on_sending is not None:
                await ports.call(on_sending, batch)
            pace.book(ports.now(), len(batch))
            fields = batch_fields(self.account, batch, self.text, self.options.get("reference"))
            run.take()
            ports.start(batch, fields)
        return None

    async def _bring_in(self, run: Run, ports: Ports) -> list[Exception]:
        """Wait for the requests in progress. Return the unexpected exceptions that they raised."""
        faults: list[Exception] = []
        while ports.flying:
            for flight in await ports.landed(None):
                try:
                    self._settle(run, ports, flight)
                except Exception as error:
                    faults.append(error)
        return faults

    def _settle(self, run: Run, ports: Ports, flight: Flight) -> None:
        """Record the outcome of a request. The request is dismissed last, so that an interruption
        in between loses nothing."""
        try:
            if not flight.future.cancelled():
                reply = flight.future.result()
                run.settle(flight.batch, read_batch(*reply, flight.batch, flight.fields))
        except DeliveryError as error:
            run.fail(flight.batch, error)
        except Exception:
            ports.dismiss(flight)
            raise
        ports.dismiss(flight)

    async def _report(self, run: Run, ports: Ports) -> None:
        on_progress = self.options.get("on_progress")
        progress = run.progress()
        if progress is None:
            return
        if on_progress is not None:
            await ports.call(on_progress, progress)
        run.reported(progress)


class Threads:
    """The sync ports. Callbacks run in the caller's own thread.

    Args:
        submit: Makes one request, and returns status and body.
        concurrency: The largest number of requests at a time.
    """

    def __init__(self, submit: Callable[[Fields], Reply], concurrency: int) -> None:
        self._submit = submit
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="otpverify-bulk")
        self._flights: dict[ThreadFuture[Reply], Flight] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # After a second Ctrl-C, requests in progress are not waited for.
        self._pool.shutdown(wait=not self._flights, cancel_futures=True)

    now: Callable[[], float] = staticmethod(time.monotonic)

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

    now: Callable[[], float] = staticmethod(time.monotonic)

    @property
    def flying(self) -> int:
        """As `Ports`."""
        return len(self._flights)

    def start(self, batch: Batch, fields: Fields) -> None:
        """As `Ports`."""
        from asyncio import get_running_loop  # the programs that come here have loaded it

        task = get_running_loop().create_task(self._fetch(fields))
        self._flights[task] = Flight(batch, fields, _TaskFuture(task))

    async def _fetch(self, fields: Fields) -> _TaskReply:
        return _TaskReply(await self._submit(fields))

    async def landed(self, seconds: float | None) -> Sequence[Flight]:
        """As `Ports`."""
        from asyncio import sleep, wait as wait_for_tasks

        if not self._flights:
            await sleep(seconds or 0)
            return ()
        done, _ = await wait_for_tasks(self._flights, timeout=seconds, return_when=FIRST_COMPLETED)
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
