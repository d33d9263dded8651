"""Sending to many recipients: the one sequence for both colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from otpverify.core.bulk import BulkProgress, BulkResult
from otpverify.errors import BulkInterrupted, ConfigurationError, DeliveryError, DeliveryRejected
from otpverify.sms.bulk import Batch, Pace, Plan, Run, plan
from otpverify.sms.smspm_account import Account
from otpverify.sms.smspm_batch import LARGEST_BATCH, Fields, Reply, batch_fields, read_batch

LARGEST_CONCURRENCY = 32
"""As many as the clients keep connections."""


class BulkOptions(TypedDict, total=False):
    """What `send_bulk` may be told; all of it can be left out.

    Attributes:
        region: The ISO 3166-1 alpha-2 code, such as `"EE"`, for numbers without a country code.
        reference: Our own, sent as `smsId`. No delivery reports are asked for, so it shows in the
            gateway's own records only.
        batch_size: How many recipients a request has at most, 1 to 100; 100 if left out.
        concurrency: How many requests are made at a time at most, 1 to 32; 4 if left out.
        recipients_per_second: How many recipients are sent to a second at most, spread evenly;
            batches shrink to a second's worth. No limit if left out.
        on_sending: Called with the numbers (E.164) of a request right before it is made, so
            that they can be written down first. If it raises, the request is not made. It is
            called again with those of a batch that the gateway refused and may take otherwise.
        on_progress: Called with a `BulkProgress` after something was settled, the first time
            with the invalid numbers and duplicates, if there are any.
    """

    region: str | None
    reference: str | None
    batch_size: int
    concurrency: int
    recipients_per_second: float | None
    on_sending: Callable[[Batch], object] | None
    on_progress: Callable[[BulkProgress], object] | None


class Future(Protocol):
    """What comes of a request; both colours have one of their own."""

    def cancelled(self) -> bool:
        """Whether it was given up."""

    def result(self) -> Reply:
        """What it brought; raises what the request raised."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Flight:
    """A request on its way, or come back."""

    batch: Batch
    fields: Fields
    future: Future


class Ports(Protocol):
    """What the sequence needs of the outside. Those of the blocking colour never suspend."""

    def now(self) -> float:
        """Seconds on a steady clock."""

    @property
    def flying(self) -> int:
        """How many requests are on their way, or not yet dismissed."""

    def start(self, batch: Batch, fields: Fields) -> None:
        """Make a request beside the others."""

    async def landed(self, seconds: float | None) -> Sequence[Flight]:
        """Wait until a request is done, or for so many seconds."""

    def dismiss(self, flight: Flight) -> None:
        """What it brought is written down."""

    def cancel(self) -> None:
        """End the requests on their way, where that is possible."""

    async def call(self, hook: Callable[[Any], object], about: object) -> None:
        """Call a callback."""


@dataclass(frozen=True, slots=True, repr=False)
class Bulk:
    """One text for many recipients.

    Raises:
        ConfigurationError: An option makes no sense, or the text is none or only white space.
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
        # Building the fields is what checks the text.
        batch_fields(self.account, ("+0",), self.text)
        check_options(self.options)

    @property
    def concurrency(self) -> int:
        """How many requests are made at a time."""
        return self.options.get("concurrency", 4)

    def plan(self, numbers: Iterable[str]) -> Plan:
        """Find invalid numbers and duplicates. It takes a while for very many."""
        return plan(numbers, self.options.get("region"))

    async def send(self, plan: Plan, ports: Ports) -> BulkResult:
        """Send to everyone in the plan. `send_bulk` says how it ends."""
        pace = Pace(self.options.get("recipients_per_second"))
        run = Run(plan, pace.largest(self.options.get("batch_size", LARGEST_BATCH)))
        try:
            await self._send_all(run, pace, ports)
        except GeneratorExit:
            raise
        except Exception as error:
            failure = error
        except BaseException as error:
            # Cancelled or interrupted: what is known goes out through the callback, since an
            # exception of this kind is not ours to replace.
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
        """Start batches; give the seconds after which another may start, `None` for unknown."""
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
        """Wait for the requests that are on their way; give what they should not have raised."""
        faults: list[Exception] = []
        while ports.flying:
            for flight in await ports.landed(None):
                try:
                    self._settle(run, ports, flight)
                except Exception as error:
                    faults.append(error)
        return faults

    def _settle(self, run: Run, ports: Ports, flight: Flight) -> None:
        """Write down what a request brought. It is dismissed last, so that an interruption in
        between loses nothing."""
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


def check_options(options: BulkOptions) -> None:
    """See that the options make sense, but for `region`, which is checked with the numbers.

    Raises:
        ConfigurationError: One does not.
    """
    _check_range("batch_size", options.get("batch_size", 1), LARGEST_BATCH)
    _check_range("concurrency", options.get("concurrency", 1), LARGEST_CONCURRENCY)
    rate = options.get("recipients_per_second")
    if rate is not None and (
        isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf")
    ):
        raise ConfigurationError("recipients_per_second must be a number above 0.")
    if not isinstance(options.get("reference"), str | None):
        raise ConfigurationError("reference must be a str.")
    for name in ("on_sending", "on_progress"):
        hook = options.get(name)
        if hook is not None and not callable(hook):
            raise ConfigurationError(f"{name} must be callable.")


def _check_range(name: str, value: object, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise ConfigurationError(f"{name} must be a whole number from 1 to {largest}.")
