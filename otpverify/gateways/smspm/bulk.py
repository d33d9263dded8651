"""One text to many numbers: batches, rate, retries, and a result for each number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

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
from otpverify.gateways.smspm.bulk_wire import (
    LARGEST_BATCH,
    BatchReply,
    Fields,
    Outcome,
    Reply,
    batch_fields,
    read_batch,
)
from otpverify.gateways.smspm.wire import Account

Batch = tuple[str, ...]

_INTERRUPTED = DeliveryUnavailable(
    "Sending was interrupted. It is unknown whether the message was taken.",
    provider_code="interrupted",
)


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """Who is to be sent to.

    Attributes:
        given: The numbers as they were given.
        recipients: The index of each number that is to be sent to, by its E.164 form, in
            input order.
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
        ConfigurationError: `numbers` is one string, or `region` is no region.
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
        return normalize(raw, region), None  # type: ignore[arg-type]  # it refuses what is no text
    except InvalidPhoneNumber as error:
        # A list of a million bad numbers should not keep a million frames.
        return None, error.with_traceback(None)


def batches(recipients: Iterable[str], size: int) -> list[Batch]:
    """The recipients in batches of at most `size`, in order."""
    waiting = tuple(recipients)
    return [waiting[start : start + size] for start in range(0, len(waiting), size)]


class Pace:
    """Spreads recipients evenly over time.

    Args:
        per_second: How many recipients a second at most; `None` for no limit.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._next_at = 0.0

    def largest(self, size: int) -> int:
        """The largest batch up to `size` that is no more than a second's worth."""
        return size if self._per_second is None else max(1, min(size, int(self._per_second)))

    def wait(self, now: float) -> float:
        """Seconds until the next batch may go out."""
        return 0.0 if self._per_second is None else max(0.0, self._next_at - now)

    def waited(self) -> None:
        """That long was waited, whatever the clock says: a test may have stopped it."""
        self._next_at = 0.0

    def book(self, now: float, count: int) -> None:
        """A batch of `count` recipients goes out."""
        if self._per_second is not None:
            self._next_at = max(now, self._next_at) + count / self._per_second


class Run:
    """What is waiting, what is in flight and what is known. A batch is taken before its request
    is made: what was taken and never settled may have been sent.

    Args:
        plan: Who is to be sent to.
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
        """The batch that comes next; `None` when none is to be sent any more."""
        return self._waiting[0] if self._waiting and self._account_refused is None else None

    def take(self) -> Batch:
        """The next batch, which counts as in flight from now on."""
        batch = self._waiting.popleft()
        self._flying.add(batch)
        return batch

    def settle(self, batch: Batch, reply: BatchReply) -> None:
        """A reply came for a batch. Settling one twice changes nothing."""
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
        """No reply came for a batch, for this reason."""
        self.settle(batch, BatchReply(tuple(copy(error) for _ in batch)))

    def end(self) -> None:
        """Nothing more is sent: whoever is in flight may have been sent to, and whoever is
        waiting certainly was not."""
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
        """What was settled since it was last reported; `None` for nothing."""
        if not self._unreported:
            return None
        entries = tuple(self._unreported[index] for index in sorted(self._unreported))
        return BulkProgress(entries, self._counts, len(self._plan.given))

    def reported(self, progress: BulkProgress) -> None:
        """This was reported, and need not be again."""
        for entry in progress.entries:
            self._unreported.pop(entry.index, None)

    def result(self) -> BulkResult:
        """What became of everyone, in input order. Call it after `end`."""
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
