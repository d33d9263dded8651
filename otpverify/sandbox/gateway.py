"""The gateway's contract, from the gateway's side: fields in, reply out, no I/O."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from typing import Literal, Self

from otpverify import InvalidPhoneNumber
from otpverify.gateways.smspm.account import DEFAULT_SENDER_ID, is_sender_id
from otpverify.phone import normalize
from otpverify.sandbox.faults import INVALID_NUMBER, Fault, fault_of, on_purpose
from otpverify.sandbox.outbox import Captured, find_code
from otpverify.sms import segments

LARGEST_BATCH = 100
BALANCE_EUR = 12.34
SENDER_IDS = (DEFAULT_SENDER_ID, "MyApp")
_PRICE_EUR = 0.04
_LONGEST_SHOWN = 40
_WRITTEN = re.compile(r"\+?[1-9][0-9]{3,14}")


Dialect = Literal["2.0", "tutorial"]
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, before it is written.

    Attributes:
        status: The HTTP status.
        body: The body's bytes.
        content_type: What they are.
        headers: Further headers.
    """

    status: int
    body: bytes = field(default=b"", repr=False)  # the inbox: numbers and codes
    content_type: str = "application/json"
    headers: Headers = ()

    @classmethod
    def of_json(cls, value: object, status: int = 200, headers: Headers = ()) -> Self:
        """A reply that says `value`."""
        return cls(status, json.dumps(value).encode(), headers=headers)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, independent of the dialect.

    Attributes:
        text: The error text.
        status: The HTTP status, in the dialect 2.0.
        headers: Further headers.
    """

    text: str = field(repr=False)  # it may repeat a number
    status: int = 400
    headers: Headers = ()

    def worded(self, dialect: Dialect) -> Reply:
        """The reply that says so."""
        if dialect == "2.0":
            return Reply.of_json({"error": self.text}, self.status, self.headers)
        # What HTTP itself defines (402, 429, 5xx) keeps its status.
        status = 200 if self.status in (400, 401) else self.status
        return Reply.of_json({"status": "error", "message": self.text}, status, self.headers)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a request must contain."""

    hash: str = field(repr=False)
    token: str = field(repr=False)

    def refuse(self, fields: Mapping[str, object]) -> Refusal | None:
        """The refusal of a request without them; `None` when they are correct."""
        for name, text in (("token", "Token is required"), ("hash", "Hash is required")):
            if not fields.get(name):
                return Refusal(text)
        if fields["token"] != self.token or fields["hash"] != self.hash:
            return Refusal("Unauthorized", 401)
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a send.

    Attributes:
        reply: The reply.
        captured: The messages that the gateway accepted, oldest first.
        refused: The messages that it refused, each with the reason.
        transport: How the transport of the reply fails, or `None` when it does not fail.
    """

    reply: Reply
    captured: tuple[Captured, ...] = ()
    refused: tuple[tuple[Captured, str], ...] = ()
    transport: str | None = None


def answer_send(
    fields: Mapping[str, object], credentials: Credentials, dialect: Dialect, turns: set[str]
) -> Answer:
    """Answer a send.

    Args:
        fields: The request's fields, from the query or the body; any JSON values.
        credentials: The credentials that it must contain.
        dialect: The wording of the reply.
        turns: The numbers whose last request failed by an alternating fault. Updated in place.
    """
    answer = credentials.refuse(fields) or _answer_recipients(fields, dialect, turns)
    if not isinstance(answer, Refusal):
        return answer
    return Answer(answer.worded(dialect), refused=_refused_request(fields, answer.text))


def _refused_request(fields: Mapping[str, object], reason: str) -> tuple[tuple[Captured, str], ...]:
    """What a refused request wanted to send, as far as it says: one message to its first number."""
    given = fields.get("toNumber")
    first = given[0] if isinstance(given, list) and given else given
    text, sender_id = fields.get("text"), fields.get("fromNumber")
    message = _captured(
        (_e164(first) or first[:_LONGEST_SHOWN]) if isinstance(first, str) else "",
        text if isinstance(text, str) else "",
        sender_id[:_LONGEST_SHOWN] if isinstance(sender_id, str) else DEFAULT_SENDER_ID,
        fields.get("smsId"),
    )
    return ((replace(message, on_purpose=None), reason),)  # no fault decided this


def answer_account(path: str, fields: Mapping[str, object], credentials: Credentials) -> Reply:
    """Answer `/balance` or `/sender-ids`."""
    refusal = credentials.refuse(fields)
    if refusal is not None:
        return refusal.worded("2.0")
    return Reply.of_json(
        {"balance": BALANCE_EUR} if path == "/balance" else {"senders": SENDER_IDS}
    )


def _answer_recipients(
    fields: Mapping[str, object], dialect: Dialect, turns: set[str]
) -> Answer | Refusal:
    given = fields.get("toNumber")
    recipients: list[object] = given if isinstance(given, list) else [given]
    numbers = [number for number in recipients if isinstance(number, str)]
    text, sender_id = fields.get("text"), fields.get("fromNumber") or DEFAULT_SENDER_ID
    if given in (None, "", []):
        return Refusal("toNumber is required")
    if len(numbers) < len(recipients):
        return Refusal("toNumber must be a string or an array of strings")
    if len(numbers) > LARGEST_BATCH:
        return Refusal(f"toNumber takes up to {LARGEST_BATCH} numbers")
    if not isinstance(text, str) or not text:
        return Refusal("Text is required")
    if not isinstance(sender_id, str) or not is_sender_id(sender_id):
        return Refusal("Invalid sender ID")
    if len(numbers) == 1:
        return _answer_one(numbers[0], text, sender_id, fields.get("smsId"), dialect, turns)
    if dialect == "tutorial":
        return Refusal("toNumber must be one number")
    return _answer_many(numbers, text, sender_id, fields.get("smsId"), turns)


def _answer_one(
    number: str, text: str, sender_id: str, reference: object, dialect: Dialect, turns: set[str]
) -> Answer | Refusal:
    e164 = _e164(number)
    if e164 is None:
        return Refusal(INVALID_NUMBER.format(number=number))
    fault = _fault_now(e164, turns)
    message = _captured(e164, text, sender_id, reference)
    success = _success(message, number, dialect, with_id=fault is None or not fault.without_id)
    if fault is None:
        return Answer(success, (message,))
    return _faulty(fault, number, success, (message,), dialect)


def _faulty(
    fault: Fault,
    number: str,
    success: Reply,
    messages: tuple[Captured, ...],
    dialect: Dialect,
) -> Answer:
    """The answer to a whole request with this fault.

    Args:
        fault: The fault.
        number: The number that has it, as it was sent.
        success: The reply without the fault.
        messages: All messages of the request, accepted or refused as the fault says.
        dialect: The wording of the reply.
    """
    headers = fault.headers
    reason = f"{fault.status} {HTTPStatus(fault.status).phrase}"
    if fault.error is not None:
        reason = f"{fault.status}: {fault.error.format(number=number)}"
    refusals = tuple((message, reason) for message in messages)
    if fault.retry_in_seconds is not None:
        date = formatdate(time.time() + fault.retry_in_seconds, usegmt=True)
        headers = (*headers, ("Retry-After", date))
    if fault.error is not None:
        refusal = Refusal(fault.error.format(number=number), fault.status, headers)
        return Answer(refusal.worded(dialect), refused=refusals)
    if fault.body is not None:
        reply = Reply(fault.status, fault.body, fault.content_type, headers)
    else:
        body = b" " * fault.padding + success.body
        reply = replace(success, body=body, content_type=fault.content_type)
    if fault.taken:
        return Answer(reply, messages, transport=fault.transport)
    return Answer(reply, refused=refusals, transport=fault.transport)


def _fault_now(e164: str | None, turns: set[str]) -> Fault | None:
    """The fault that this number causes for the request, if any."""
    fault = fault_of(e164) if e164 else None
    if e164 is None or fault is None or (fault.alternating and not _has_turn(e164, turns)):
        return None
    return fault


def _has_turn(e164: str, turns: set[str]) -> bool:
    """Whether it is this request's turn to fail by an alternating fault."""
    if e164 in turns:
        turns.discard(e164)
        return False
    turns.add(e164)
    return True


def _answer_many(
    numbers: list[str], text: str, sender_id: str, reference: object, turns: set[str]
) -> Answer | Refusal:
    ruling: tuple[str, Fault] | None = None
    answered: list[tuple[str, Captured | None]] = []
    invalid: list[tuple[Captured, str]] = []
    for number in numbers:
        e164 = _e164(number)
        fault = fault_of(e164) if e164 else None
        message = _captured(e164 or number[:_LONGEST_SHOWN], text, sender_id, reference)
        if e164 is None or (fault and fault.error == INVALID_NUMBER):
            answered.append((number, None))
            invalid.append((message, INVALID_NUMBER.format(number=number)))
            continue
        answered.append((number, message))
        if ruling is None and (found := _fault_now(e164, turns)):
            ruling = number, found
    with_id = ruling is None or not ruling[1].without_id
    entries = [
        _entry(message.id if with_id else None, number)
        if message
        else {"toNumber": number, "error": INVALID_NUMBER.format(number=number)}
        for number, message in answered
    ]
    success = Reply.of_json({"messages": entries})
    valid = tuple(message for _, message in answered if message)
    if ruling is None:
        return Answer(success, valid, tuple(invalid))
    number, fault = ruling
    answer = _faulty(fault, number, success, valid, "2.0")
    return replace(answer, refused=(*answer.refused, *invalid))


def _success(message: Captured, number: str, dialect: Dialect, *, with_id: bool = True) -> Reply:
    message_id = message.id if with_id else None
    if dialect == "2.0":
        return Reply.of_json({"messages": [_entry(message_id, number)]})
    values: dict[str, object] = {"status": "success", "messageId": message_id}
    if not with_id:
        del values["messageId"]
    cost = round(_PRICE_EUR * message.parts, 4)
    return Reply.of_json({**values, "parts": message.parts, "cost": cost, "currency": "EUR"})


def _entry(message_id: str | None, number: str) -> dict[str, str]:
    entry = {"toNumber": number.removeprefix("+"), "status": "Added to queue"}
    return entry if message_id is None else {"id": message_id, **entry}


def _e164(number: str) -> str | None:
    """The number in E.164, or `None` when the gateway would refuse it."""
    if not _WRITTEN.fullmatch(number):
        return None
    e164 = "+" + number.removeprefix("+")
    if fault_of(e164):
        return e164
    try:
        return normalize(e164)
    except InvalidPhoneNumber:
        return None


def _captured(e164: str, text: str, sender_id: str, reference: object) -> Captured:
    counted = segments(text)
    return Captured(
        id=uuid.uuid4().hex,
        to=e164,
        sender_id=sender_id,
        text=text,
        encoding=counted.encoding,
        units=counted.units,
        parts=counted.parts,
        reference=None if reference is None else str(reference),
        received_at=datetime.now(UTC),
        code=find_code(text),
        on_purpose=on_purpose(e164),
    )
