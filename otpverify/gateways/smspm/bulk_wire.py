"""Several recipients in one request to the SMSPM gateway, without any I/O: the fields, and what
the reply says of each recipient.

A batch is one line of trust narrower than a single message: the reply must account for every
recipient. Entries belong to recipients by the number that they name. By their position they do
only where every named one stands at its own, and there is one for each. Whoever is not
accounted for may have been sent the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from otpverify.core.results import Message, Receipt
from otpverify.errors import DeliveryError, DeliveryRejected
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.wire import Account

LARGEST_BATCH = 100

Fields = dict[str, str | list[str]]
Reply = tuple[int, bytes]
"""HTTP status and body."""
Outcome = Receipt | DeliveryError
Split = Literal["halves", "singles"]

ACCOUNT_CODES = {"unauthorized", "no_balance", "token_required", "hash_required"}
"""Those that refuse the account, whoever the recipients."""


@dataclass(frozen=True, slots=True, repr=False)
class BatchReply:
    """What the reply to a batch means.

    Attributes:
        outcomes: What became of each recipient, in the order of the request.
        split: The gateway took nobody, and might take the same recipients otherwise:
            `"singles"`, since it takes one number a request (as that of the 2025 tutorial);
            `"halves"`, since one number spoils the batch. `None` when the outcomes stand.
        account_refused: The code by which the account itself was refused, whoever the
            recipients, or `None`.
    """

    outcomes: tuple[Outcome, ...]
    split: Split | None = None
    account_refused: str | None = None


def batch_fields(
    account: Account, numbers: Sequence[str], text: str, reference: str | None = None
) -> Fields:
    """The fields of a send to these numbers.

    Args:
        account: Who sends.
        numbers: 1 to 100 numbers in E.164. One alone is sent as every gateway takes it.
        text: The whole text.
        reference: Our own, which comes back in the delivery reports of all of them.

    Raises:
        DeliveryRejected: The text holds half a surrogate pair, which no encoding can carry.
    """
    first, *others = numbers
    fields: Fields = {**wire.send_fields(account, Message(first, text, reference))}
    if others:
        fields["toNumber"] = [number.removeprefix("+") for number in numbers]
    return fields


def read_batch(status: int, body: bytes, numbers: Sequence[str], sent: Fields) -> BatchReply:
    """What the gateway said of each recipient.

    Args:
        status: The HTTP status.
        body: The reply's body.
        numbers: The recipients in E.164, each once.
        sent: The request's fields, of which nothing may show in an error.
    """
    flat = _flat(sent)
    reply = wire.json_object(body)
    entries = reply.get("messages")
    if isinstance(entries, list) and entries:
        # An error of the whole beside entries contradicts those that were taken.
        taken = status == 200 and wire.refusal_in(reply, None) is None
        outcomes = _matched(entries, numbers, flat, status if taken else None)
        return BatchReply(outcomes, account_refused=_account_code(outcomes))
    if len(numbers) == 1:
        outcome = _single(status, body, flat)
        return BatchReply((outcome,), account_refused=_account_code((outcome,)))
    refusal = wire.refusal_in(reply, None)
    # Without entries, nobody knows how many of them even a success took.
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
    """Why the account is refused, if one of them says so."""
    codes = (o.provider_code for o in outcomes if isinstance(o, DeliveryRejected))
    return next((code for code in codes if code in ACCOUNT_CODES), None)


def _split(outcome: Outcome, reply: Mapping[str, Any], refusal: str | None) -> Split | None:
    """How else the gateway might take a batch that it refused whole."""
    if not isinstance(outcome, DeliveryRejected):
        return None
    if outcome.provider_code == "invalid_phone_number":
        return "halves"
    # The tutorial's dialect, or a refusal of the field that holds them.
    one_alone = "status" in reply or "tonumber" in (refusal or "").lower()
    return "singles" if one_alone else None


def _matched(
    entries: list[Any], numbers: Sequence[str], sent: dict[str, str], status: int | None
) -> tuple[Outcome, ...]:
    """The outcome of each number. `status` is `None` when no success is believed."""
    own: dict[str, list[Outcome]] = {number: [] for number in numbers}
    for number, entry in zip(_owners(entries, numbers), entries, strict=True):
        if number is not None:
            own[number].append(_read_entry(entry, sent, status))
    return tuple(_one_of(outcomes) for outcomes in own.values())


def _owners(entries: list[Any], numbers: Sequence[str]) -> list[str | None]:
    """Whose entry each is; `None` for those of nobody."""
    digits = {number.removeprefix("+"): number for number in numbers}
    named = [_named(entry) for entry in entries]
    owners = [digits.get(name) if name else None for name in named]
    in_order = len(entries) == len(numbers) and all(
        name is None or owner == number
        for name, owner, number in zip(named, owners, numbers, strict=True)
    )
    return list(numbers) if in_order else owners


def _named(entry: object) -> str | None:
    """The digits of the number that an entry names, or `None`."""
    said = entry.get("toNumber") if isinstance(entry, dict) else None
    if isinstance(said, bool) or not isinstance(said, str | int):
        return None
    return "".join(str(said).split()).removeprefix("+") or None


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
    """What several entries for one number say together: nothing, unless they agree."""
    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, DeliveryRejected)]
    agreed: list[Outcome] = [*(receipts or refused)]
    if agreed and len(agreed) == len(outcomes):
        return agreed[0]
    return outcomes[0] if len(outcomes) == 1 else wire.not_understood(200)
