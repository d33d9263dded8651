"""`send_bulk`, as its callers see it: the options, the progress and the results.

No `repr` here shows a full phone number.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar

from otpverify.core.results import mask
from otpverify.errors import ConfigurationError, OtpVerifyError

P = ParamSpec("P")
T = TypeVar("T")
Batch = tuple[str, ...]
LARGEST_BATCH = 100
"""The largest number of recipients that the gateway takes in a request."""
SLOWEST_RATE = 1 / 86_400
"""One recipient a day. Slower rates would mean waits that no clock can measure."""
LARGEST_CONCURRENCY = 32
"""The number of connections that the clients keep."""


class BulkOptions(TypedDict, total=False):
    """The options of `send_bulk`; all are optional.

    Attributes:
        region: The ISO 3166-1 alpha-2 code, such as `"EE"`, for numbers without a country code.
        reference: Your own reference, sent as `smsId`. No delivery reports are requested, so it
            appears only in the gateway's own records.
        batch_size: The largest number of recipients in a request, 1 to 100; 100 if left out.
        concurrency: The largest number of requests at a time, 1 to 32; 4 if left out.
        recipients_per_second: The largest number of recipients per second, spread evenly; at least
            1/86400, one a day. A batch is never larger than this, or is one recipient. No limit
            if left out.
        on_sending: Called with the numbers (E.164) of a request right before it is made, so that
            you can record them first. If it raises, the request is not made. When the gateway
            refuses a batch that it may accept in another form, it is called again with those
            numbers.
        on_progress: Called with a `BulkProgress` after entries are settled. The first call has
            the invalid numbers and duplicates, if there are any.
    """

    region: str | None
    reference: str | None
    batch_size: int
    concurrency: int
    recipients_per_second: float | None
    on_sending: Callable[[Batch], object] | None
    on_progress: Callable[[BulkProgress], object] | None


DEFAULTS: dict[str, Any] = {"batch_size": LARGEST_BATCH, "concurrency": 4}
"""The options that are not `None` if left out."""


def names_options(method: Callable[P, T]) -> Callable[P, T]:
    """Let editors and `inspect` show each option of a method that takes `**options`."""
    signature = inspect.signature(method)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS.get(name))
        for name in BulkOptions.__annotations__
    ]
    method.__signature__ = signature.replace(parameters=own + named)  # type: ignore[attr-defined]  # inspect reads it
    return method


def check_options(options: BulkOptions) -> None:
    """Check the options, except `region`, which is checked with the numbers.

    Raises:
        TypeError: There is no such option.
        ConfigurationError: An option is invalid.
    """
    for name in options:
        if name not in BulkOptions.__annotations__:
            raise TypeError(f"send_bulk() got an unexpected keyword argument {name!r}")
    _check_range("batch_size", options.get("batch_size", 1), LARGEST_BATCH)
    _check_range("concurrency", options.get("concurrency", 1), LARGEST_CONCURRENCY)
    rate = options.get("recipients_per_second")
    if rate is not None and (
        isinstance(rate, bool)
        or not isinstance(rate, int | float)
        or not SLOWEST_RATE <= rate < float("inf")
    ):
        raise ConfigurationError(
            "recipients_per_second must be a number, at least 1/86400 (one a day)."
        )
    if not isinstance(options.get("reference"), str | None):
        raise ConfigurationError("reference must be a str.")
    for name in ("on_sending", "on_progress"):
        hook = options.get(name)
        if hook is not None and not callable(hook):
            raise ConfigurationError(f"{name} must be callable.")


def _check_range(name: str, value: object, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise ConfigurationError(f"{name} must be a whole number from 1 to {largest}.")


Status = Literal["sent", "failed", "unknown", "duplicate"]


@dataclass(frozen=True, slots=True, repr=False)
class BulkEntry:
    """The result for one recipient.

    Attributes:
        index: Its place in the input, from 0.
        given: The number as it was given.
        phone: The number in E.164; `None` when it is not a phone number.
        message_id: The gateway's id of the message; `None` when the gateway gave no id or no
            message was sent.
        error: Why it was not sent: `InvalidPhoneNumber`, `DeliveryRejected`, or
            `DeliveryUnavailable`, whose `maybe_sent` says whether the message may have been sent
            despite the error. `None` when it was sent, and for a duplicate.
        duplicate_of: For a duplicate, the index of the first entry with the same number. That
            entry has the outcome; each number gets one message. Otherwise `None`.
    """

    index: int
    given: object
    phone: str | None
    message_id: str | None = None
    error: OtpVerifyError | None = None
    duplicate_of: int | None = None

    @property
    def status(self) -> Status:
        """`"sent"` (the gateway took it), `"failed"` (certainly not sent), `"unknown"` (it may
        have been sent) or `"duplicate"`."""
        if self.duplicate_of is not None:
            return "duplicate"
        if self.error is None:
            return "sent"
        return "unknown" if getattr(self.error, "maybe_sent", False) else "failed"

    @property
    def reason(self) -> str | None:
        """The reason as one stable word, such as `"not_in_use"` or `"no_balance"`; `None` when
        the error has no reason, or there is no error."""
        code = getattr(self.error, "provider_code", None) or getattr(self.error, "reason", None)
        return code if isinstance(code, str) else None

    def __repr__(self) -> str:
        shown = mask(self.phone) if self.phone else "***"
        why = f", reason={self.reason!r}" if self.reason else ""
        return f"BulkEntry(index={self.index}, phone={shown!r}, status={self.status!r}{why})"


@dataclass(frozen=True, slots=True)
class BulkCounts:
    """The number of recipients by outcome.

    Attributes:
        sent: The gateway took the message.
        failed: Certainly not sent: the number is invalid, the gateway refused the message or
            was not reached, or the send was not attempted.
        unknown: The message may have been sent; the outcome is unknown.
        duplicates: The same number appeared earlier in the input.
    """

    sent: int = 0
    failed: int = 0
    unknown: int = 0
    duplicates: int = 0

    @classmethod
    def of(cls, entries: Iterable[BulkEntry]) -> BulkCounts:
        """The counts of these entries."""
        found = Counter(entry.status for entry in entries)
        return cls(found["sent"], found["failed"], found["unknown"], found["duplicate"])

    def __add__(self, other: BulkCounts) -> BulkCounts:
        return BulkCounts(
            self.sent + other.sent,
            self.failed + other.failed,
            self.unknown + other.unknown,
            self.duplicates + other.duplicates,
        )

    @property
    def total(self) -> int:
        """The sum of all counts."""
        return self.sent + self.failed + self.unknown + self.duplicates


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """The progress of a bulk send, passed to `on_progress`.

    Attributes:
        entries: The entries settled since the last call, by index.
        counts: The counts of all entries settled so far.
        total: The number of entries.
    """

    entries: tuple[BulkEntry, ...] = field(repr=False)
    counts: BulkCounts
    total: int

    @property
    def done(self) -> int:
        """The number of settled entries."""
        return self.counts.total


@dataclass(frozen=True, slots=True)
class BulkResult:
    """The results for all recipients.

    Attributes:
        entries: One for each number that was given, in the same order.
        counts: The number of recipients by outcome.
    """

    entries: tuple[BulkEntry, ...] = field(repr=False)
    counts: BulkCounts

    @classmethod
    def of(cls, entries: Iterable[BulkEntry]) -> BulkResult:
        """The result made of these entries."""
        kept = tuple(entries)
        return cls(kept, BulkCounts.of(kept))

    @property
    def sent(self) -> int:
        """The number of messages that the gateway accepted."""
        return self.counts.sent

    @property
    def failed(self) -> int:
        """The number of messages that were certainly not sent."""
        return self.counts.failed

    @property
    def unknown(self) -> int:
        """The number of messages whose outcome is unknown: they may have been sent."""
        return self.counts.unknown

    @property
    def duplicates(self) -> int:
        """The number of entries that repeat an earlier number."""
        return self.counts.duplicates


class BulkInterrupted(OtpVerifyError):
    """A bulk send ended early because a callback raised. Its cause is the callback's error.

    Attributes:
        result: The known result for each recipient. Those that were not attempted failed with
            `provider_code="not_attempted"`.
    """

    def __init__(
        self, message: str = "Sending ended early.", *, result: BulkResult | None = None
    ) -> None:
        super().__init__(message)
        self.result = result
