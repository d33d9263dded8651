"""What became of one text to many recipients. None of it shows a full phone number in its
`repr`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from otpverify.core.masking import mask
from otpverify.errors import OtpVerifyError

Status = Literal["sent", "failed", "unknown", "duplicate"]


@dataclass(frozen=True, slots=True, repr=False)
class BulkEntry:
    """What became of one recipient.

    Attributes:
        index: Its place in the input, from 0.
        given: The number as it was given.
        phone: The number in E.164; `None` when it is not a phone number.
        message_id: The gateway's id of the message, or `None` when it gave none or none was
            sent.
        error: Why it was not sent: `InvalidPhoneNumber`, `DeliveryRejected`, or
            `DeliveryUnavailable`, whose `maybe_sent` says whether it may have gone out all the
            same. `None` when it was sent, and for a duplicate.
        duplicate_of: The index of the first entry with the same number, which has the outcome;
            the number is sent to once. Otherwise `None`.
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
        """Why, in one stable word, such as `"not_in_use"` or `"no_balance"`; `None` when the
        error names none, and where there is none."""
        said = getattr(self.error, "provider_code", None) or getattr(self.error, "reason", None)
        return said if isinstance(said, str) else None

    def __repr__(self) -> str:
        shown = mask(self.phone) if self.phone else "***"
        why = f", reason={self.reason!r}" if self.reason else ""
        return f"BulkEntry(index={self.index}, phone={shown!r}, status={self.status!r}{why})"


@dataclass(frozen=True, slots=True)
class BulkCounts:
    """How many recipients ended how.

    Attributes:
        sent: The gateway took the message.
        failed: Certainly not sent: the number is invalid, the gateway said no or was not
            reached, or it was not attempted.
        unknown: The message may have been sent; nobody knows.
        duplicates: The same number stood earlier in the input.
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
        """All of them."""
        return self.sent + self.failed + self.unknown + self.duplicates


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far sending in bulk has come; given to `on_progress`.

    Attributes:
        entries: Those that were settled since the last call, by index.
        counts: All that are settled so far.
        total: How many there are.
    """

    entries: tuple[BulkEntry, ...] = field(repr=False)
    counts: BulkCounts
    total: int

    @property
    def done(self) -> int:
        """How many are settled."""
        return self.counts.total


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of every recipient.

    Attributes:
        entries: One for each number that was given, in the same order.
        counts: How many ended how.
    """

    entries: tuple[BulkEntry, ...] = field(repr=False)
    counts: BulkCounts

    @classmethod
    def of(cls, entries: Iterable[BulkEntry]) -> BulkResult:
        """The result that these entries make."""
        kept = tuple(entries)
        return cls(kept, BulkCounts.of(kept))

    @property
    def sent(self) -> int:
        """How many the gateway took."""
        return self.counts.sent

    @property
    def failed(self) -> int:
        """How many were certainly not sent."""
        return self.counts.failed

    @property
    def unknown(self) -> int:
        """How many may have been sent; nobody knows."""
        return self.counts.unknown

    @property
    def duplicates(self) -> int:
        """How many were the same number again."""
        return self.counts.duplicates


class BulkInterrupted(OtpVerifyError):
    """A bulk send ended early because a callback raised. Its cause is the callback's error.

    Attributes:
        result: What is known of each recipient. Those that were not attempted failed with
            `provider_code="not_attempted"`.
    """

    def __init__(
        self, message: str = "Sending ended early.", *, result: BulkResult | None = None
    ) -> None:
        super().__init__(message)
        self.result = result
