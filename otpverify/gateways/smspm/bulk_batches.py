"""Who a bulk send goes to, in which batches, and what came of each: without I/O.

The reply to a batch is trusted less than the reply to a single message: it must have an entry for
every recipient. An entry belongs to the recipient whose number it contains. Entries without a
number are matched by position, but only if there is one entry per recipient and every entry with
a number is at the position of that number. A recipient without an entry may have been sent the
message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

from otpverify.core.phone import check_region, normalize
from otpverify.core.results import Message, Receipt
from otpverify.errors import (
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
)
from otpverify.gateways.send_bulk import Batch, BulkCounts, BulkEntry, BulkProgress, BulkResult
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.account import Account

Fields = dict[str, str | list[str]]
Reply = tuple[int, bytes]
"""HTTP status and body."""
Outcome = Receipt | DeliveryError
Split = Literal["halves", "singles"]

ACCOUNT_CODES = {"unauthorized", "no_balance", "token_required", "hash_required"}
"""Codes that refuse the account, independently of the recipients."""


@dataclass(frozen=True, slots=True, repr=False)
class BatchReply:
    """The meaning of the reply to a batch.

    Attributes:
        outcomes: The outcome of each recipient, in the order of the request.
        split: How to send again to a batch that the gateway refused as a whole: `"singles"`
            because it takes one number per request (as in the 2025 tutorial), or `"halves"`
            because one invalid number makes it refuse the batch. `None` when the outcomes are
            final.
        account_refused: The code with which the gateway refused the account, independently of
            the recipients, or `None`.
    """

    outcomes: tuple[Outcome, ...]
    split: Split | None = None
    account_refused: str | None = None


def batch_fields(
    account: Account, numbers: Sequence[str], text: str, reference: str | None = None
) -> Fields:
    """The fields of a send to these numbers.

    Args:
        account: The account that sends.
        numbers: 1 to 100 numbers in E.164. A single number is sent as a string, which every
            gateway accepts.
        text: The whole text.
        reference: Your own reference, which the delivery reports of all of them repeat.

    Raises:
        DeliveryRejected: The text holds half a surrogate pair, which no encoding can carry.
    """
    first, *others = numbers
    fields: Fields = {**wire.send_fields(account, Message(first, text, reference))}
    if others:
        fields["toNumber"] = [number.removeprefix("+") for number in numbers]
    return fields


def read_batch(status: int, body: bytes, numbers: Sequence[str], sent: Fields) -> BatchReply:
    """Read the outcome of each recipient.

    Args:
        status: The HTTP status.
        body: The reply's body.
        numbers: The recipients in E.164, each once.
        sent: The request's fields. They must not appear in an error.
    """
    flat = _flat(sent)
    reply = wire.json_object(body)
    entries = reply.get("messages")
    if isinstance(entries, list) and entries:
        # An error for the whole batch contradicts entries that say a message was taken.
        taken = status == 200 and wire.refusal_in(reply, None) is None
        outcomes = _matched(entries, numbers, flat, status if taken else None)
        return BatchReply(outcomes, account_refused=_account_code(outcomes))
    if len(numbers) == 1:
        outcome = _single(status, body, flat)
        return BatchReply((outcome,), account_refused=_account_code((outcome,)))
    refusal = wire.refusal_in(reply, None)
    # Without entries, it is unknown how many recipients even a success includes.
    outcomes = tuple(_whole(status, refusal, flat) for _ in numbers)
    account = _account_code(outcomes)
    return BatchReply(outcomes, None if account else _split(outcomes[0], reply, refusal), account)


def _flat(sent: Fields) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else " ".join(value) for name, value in sent.items()
    }


def _single(status: int, body: bytes, sent: dict[str, str]) -> Outcome:
    try:
        return wire.read_receipt(status, body, sent)
    except DeliveryError as error:
        return error.with_traceback(None)


def _whole(status: int, refusal: str | None, sent: dict[str, str]) -> DeliveryError:
    if status == 200 and refusal is None:
        return wire.not_understood(status)
    return wire.failure(status, refusal, sent)


def _account_code(outcomes: Sequence[Outcome]) -> str | None:
    """The code with which the account is refused, if one of the outcomes has such a code."""
    codes = (o.provider_code for o in outcomes if isinstance(o, DeliveryRejected))
    return next((code for code in codes if code in ACCOUNT_CODES), None)


def _split(outcome: Outcome, reply: Mapping[str, Any], refusal: str | None) -> Split | None:
    """How to split a batch that the gateway refused as a whole."""
    if not isinstance(outcome, DeliveryRejected):
        return None
    if outcome.provider_code == "invalid_phone_number":
        return "halves"
    # The reply format of the tutorial, or a refusal of the field that holds the numbers.
    one_alone = "status" in reply or "tonumber" in (refusal or "").lower()
    return "singles" if one_alone else None


def _matched(
    entries: list[Any], numbers: Sequence[str], sent: dict[str, str], status: int | None
) -> tuple[Outcome, ...]:
    """The outcome of each number. `status` is `None` when a success cannot be trusted."""
    own: dict[str, list[Outcome]] = {number: [] for number in numbers}
    for number, entry in zip(_owners(entries, numbers), entries, strict=True):
        if number is not None:
            own[number].append(_read_entry(entry, sent, status))
    return tuple(_one_of(outcomes) for outcomes in own.values())


def _owners(entries: list[Any], numbers: Sequence[str]) -> list[str | None]:
    """The number to which each entry belongs; `None` for an entry of no recipient."""
    digits = {number.removeprefix("+"): number for number in numbers}
    named = [_named(entry) for entry in entries]
    owners = [digits.get(name) if name else None for name in named]
    in_order = len(entries) == len(numbers) and all(
        name is None or owner == number
        for name, owner, number in zip(named, owners, numbers, strict=True)
    )
    return list(numbers) if in_order else owners


def _named(entry: object) -> str | None:
    """The digits of the number in an entry, or `None`."""
    number = entry.get("toNumber") if isinstance(entry, dict) else None
    if isinstance(number, bool) or not isinstance(number, str | int):
        return None
    return "".join(str(number).split()).removeprefix("+") or None


def _read_entry(entry: object, sent: dict[str, str], status: int | None) -> Outcome:
    if not isinstance(entry, dict):
        return wire.not_understood(status or 200)
    refusal = wire.refusal_in({}, entry)
    if refusal is not None:
        return wire.failure(200, refusal, sent)
    if status is None or not ("id" in entry or "status" in entry):
        return wire.not_understood(status or 200)
    return Receipt(wire.text_or_none(entry.get("id")))


def _one_of(outcomes: list[Outcome]) -> Outcome:
    """The outcome of several entries for one number; unknown unless they agree."""
    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, DeliveryRejected)]
    agreed: list[Outcome] = [*(receipts or refused)]
    if agreed and len(agreed) == len(outcomes):
        return agreed[0]
    return outcomes[0] if len(outcomes) == 1 else wire.not_understood(200)


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
