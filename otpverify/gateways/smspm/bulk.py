"""One text to many numbers: batches, rate, retries, and a result for each number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

from otpverify.core.phone import check_region, normalize
from otpverify.core.results import Receipt
from otpverify.errors import (
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
)
from otpverify.gateways.bulk_results import (
    BulkCounts,
    BulkEntry,
    BulkInterrupted,
    BulkProgress,
    BulkResult,
)
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.smspm.bulk_batches import (
    BatchReply,
    Fields,
    Outcome,
    Reply,
    batch_fields,
    read_batch,
)
from otpverify.gateways.smspm.bulk_options import (
    DEFAULTS,
    Batch,
    BulkOptions,
    check_options,
)

_INTERRUPTED = DeliveryUnavailable(
    "Sending was interrupted. It is unknown whether the message was taken.",
    provider_code="interrupted",
)


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """The recipients of a bulk send.

    Attributes:
        given: The numbers as they were given.
        recipients: Maps the E.164 form of each recipient to its index, in input order.
        found: The entries that are settled before anything is sent: invalid numbers and
            duplicates.
    """

    given: tuple[object, ...]
    recipients: dict[str, int]
    found: tuple[BulkEntry, ...]


def plan(numbers: Iterable[object], region: str | None = None) -> Plan:
    """Find invalid numbers and duplicates, before anything is sent.

    Args:
        numbers: The numbers as people wrote them.
        region: The ISO 3166-1 alpha-2 code for numbers without a country code.

    Raises:
        ConfigurationError: `numbers` is one string, or `region` is not a region.
    """
    if isinstance(numbers, str | bytes):
        raise ConfigurationError("numbers must be a list of numbers, not one string.")
    region = check_region(region)
    given = tuple(numbers)
    recipients: dict[str, int] = {}
    found: list[BulkEntry] = []
    for index, raw in enumerate(given):
        phone, error = _normalized(raw, region)
        if phone is None:
            found.append(BulkEntry(index, raw, None, error=error))
        elif (first := recipients.setdefault(phone, index)) != index:
            found.append(BulkEntry(index, raw, phone, duplicate_of=first))
    return Plan(given, recipients, tuple(found))


def _normalized(raw: object, region: str | None) -> tuple[str | None, InvalidPhoneNumber | None]:
    try:
        return normalize(raw, region), None  # type: ignore[arg-type]  # it refuses other types
    except InvalidPhoneNumber as error:
        # A list of a million invalid numbers should not keep a million stack frames.
        return None, error.with_traceback(None)


def batches(recipients: Iterable[str], size: int) -> list[Batch]:
    """The recipients in batches of at most `size`, in order."""
    waiting = tuple(recipients)
    return [waiting[start : start + size] for start in range(0, len(waiting), size)]


class Pace:
    """Spreads recipients evenly over time.

    Args:
        per_second: The largest number of recipients per second; `None` for no limit.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._next_at = 0.0

    def largest(self, size: int) -> int:
        """The size of the largest batch, up to `size`, that one second allows."""
        return size if self._per_second is None else max(1, min(size, int(self._per_second)))

    def wait(self, now: float) -> float:
        """Seconds until the next batch may go out."""
        return 0.0 if self._per_second is None else max(0.0, self._next_at - now)

    def waited(self) -> None:
        """Record that the wait is over, even if the clock did not move: a test may stop it."""
        self._next_at = 0.0

    def book(self, now: float, count: int) -> None:
        """Record that a batch of `count` recipients is sent now."""
        if self._per_second is not None:
            self._next_at = max(now, self._next_at) + count / self._per_second


class Run:
    """The batches that are waiting or in flight, and the known outcomes. A batch is taken before
    its request is made, so a batch that was taken and never settled may have been sent.

    Args:
        plan: The recipients.
        size: The largest batch.
    """

    def __init__(self, plan: Plan, size: int) -> None:
        self._plan = plan
        self._waiting = deque(batches(plan.recipients, size))
        self._flying: set[Batch] = set()
        self._entries: dict[int, BulkEntry] = {}
        self._counts = BulkCounts()
        self._unreported: dict[int, BulkEntry] = {}
        self._account_refused: str | None = None
        self._add(plan.found)

    @property
    def next(self) -> Batch | None:
        """The next batch; `None` when there is nothing more to send."""
        return self._waiting[0] if self._waiting and self._account_refused is None else None

    def take(self) -> Batch:
        """Take the next batch. From now on it counts as in flight."""
        batch = self._waiting.popleft()
        self._flying.add(batch)
        return batch

    def settle(self, batch: Batch, reply: BatchReply) -> None:
        """Record the reply to a batch. Settling a batch twice changes nothing."""
        if batch not in self._flying:
            return
        self._flying.discard(batch)
        self._account_refused = self._account_refused or reply.account_refused
        if reply.split is None:
            self._add(map(self._entry, batch, reply.outcomes))
        elif reply.split == "halves":
            self._waiting.extendleft(reversed(batches(batch, -(-len(batch) // 2))))
        else:
            everyone = [phone for waiting in (batch, *self._waiting) for phone in waiting]
            self._waiting = deque(batches(everyone, 1))

    def fail(self, batch: Batch, error: DeliveryError) -> None:
        """Record that a batch got no reply, and the reason."""
        self.settle(batch, BatchReply(tuple(copy(error) for _ in batch)))

    def end(self) -> None:
        """End the run; nothing more is sent. Recipients in flight may have been sent the message;
        recipients still waiting certainly were not."""
        for batch in tuple(self._flying):
            self.fail(batch, _INTERRUPTED)
        why = "sending ended early"
        if self._account_refused is not None:
            why = f"SMSPM refused the account ({self._account_refused})"
        error = DeliveryUnavailable(
            f"Not attempted: {why}.", provider_code="not_attempted", maybe_sent=False
        )
        while self._waiting:
            self._flying.add(batch := self._waiting.popleft())
            self.fail(batch, error)

    def progress(self) -> BulkProgress | None:
        """The entries settled since the last report; `None` when there are none."""
        if not self._unreported:
            return None
        entries = tuple(self._unreported[index] for index in sorted(self._unreported))
        return BulkProgress(entries, self._counts, len(self._plan.given))

    def reported(self, progress: BulkProgress) -> None:
        """Record that this progress was reported."""
        for entry in progress.entries:
            self._unreported.pop(entry.index, None)

    def result(self) -> BulkResult:
        """The result for every recipient, in input order. Call it after `end`."""
        return BulkResult(
            tuple(self._entries[index] for index in range(len(self._plan.given))), self._counts
        )

    def _entry(self, phone: str, outcome: Outcome) -> BulkEntry:
        index = self._plan.recipients[phone]
        given = self._plan.given[index]
        if isinstance(outcome, Receipt):
            return BulkEntry(index, given, phone, message_id=outcome.message_id)
        return BulkEntry(index, given, phone, error=outcome)

    def _add(self, settled: Iterable[BulkEntry]) -> None:
        entries = {entry.index: entry for entry in settled}
        self._entries |= entries
        self._unreported |= entries
        self._counts += BulkCounts.of(entries.values())


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
