"""Several recipients in one request to the SMSPM gateway, without I/O: the fields, and the outcome
of each recipient in the reply.

The reply to a batch is trusted less than the reply to a single message: it must have an entry for
every recipient. An entry belongs to the recipient whose number it contains. Entries without a
number are matched by position, but only if there is one entry per recipient and every entry with
a number is at the position of that number. A recipient without an entry may have been sent the
message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from otpverify.core.results import Message, Receipt
from otpverify.errors import DeliveryError, DeliveryRejected
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
