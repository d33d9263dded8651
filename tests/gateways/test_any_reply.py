"""A typed error or a result for every reply and every report, however odd (promise 8), and nothing
that was sent in an error."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from otpverify import Balance, DeliveryError, DeliveryUnavailable, Message, Receipt
from otpverify.gateways import ReportFields
from otpverify.gateways.delivery_reports import callback_params, read_report
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.smspm.bulk_batches import batch_fields, read_batch

CODE = "904817"
TOKEN = "Qwertyuiopasdfgh"
ACCOUNT = Account("Zxcvbnmlkjhgfdsa", TOKEN)
MESSAGE = Message("+37256789045", f"Your code is {CODE}.", "ref-1")
SENT = wire.send_fields(ACCOUNT, MESSAGE)
BATCH = ("+37256789045", "+37256789046", "+37256789047")
SECRETS = (CODE, TOKEN, ACCOUNT.hash, *(phone[1:] for phone in BATCH), "Your code is")

ODD_NUMBERS = st.sampled_from(
    [0, -1, 2**31, 2**63, 2**64, 10**20, 10**30, -(10**308), 10**4000, 1e308, math.nan, math.inf]
) | st.sampled_from([-math.inf, 1e-320, -0.0, True, False])
NAMES = st.sampled_from(
    ["messages", "id", "messageId", "status", "error", "message", "toNumber", "balance", "senders"]
) | st.text(max_size=5)
WORDS = st.sampled_from(
    ["success", "Added to queue", "rejected", "Unauthorized", "Invalid phone number: 37256789045"]
) | st.sampled_from(
    [*BATCH, BATCH[0][1:], CODE, TOKEN, "", " ", "\ud800", "\x00\x1b[2J", "9" * 5000]
)
VALUES = st.recursive(
    st.none() | ODD_NUMBERS | WORDS | st.text() | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def written(value: object) -> bytes:
    return json.dumps(value).encode()


DEEP = [b"[" * 10_000, b'{"messages":' * 10_000, b"[" * 10_000 + b"]" * 10_000]
DEEP += [b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b'{"messages":[' + b"[" * 10_000]
ODD = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"messages": [{"id": "\xff"}]}',
    b'{"balance": ' + b"9" * 5000 + b"}",
    b'{"balance": 1' + b"0" * 60_000 + b"}",
    b'{"balance": NaN}',
    b'{"balance": -Infinity}',
    b'{"messages": [{"id": ' + b"1" * 20 + b"}]}",
    b'{"messages": [{"id": ' + b"1" * 5000 + b"}]}",
    b'{"status": "success", "status": "error", "messageId": "a", "messageId": "b"}',
    b'{"messages": [{"id": "1"}], "messages": "x"}',
    b'{"messages": [{"id": "1", "toNumber": 1e400}]}',
    b'{"error": {"error": {"error": "Unauthorized"}}}',
    b'{"messages": [' + b",".join([b'{"id": "1"}'] * 9000) + b"]}",
    b"<html>" + b"a" * 100_000,
    b'"' + b"a" * 100_000,
    *DEEP,
]
BODIES = (
    VALUES.map(written)
    | st.binary(max_size=200)
    | st.sampled_from(ODD)
    # Two objects in one: every name may be there twice.
    | st.tuples(VALUES, VALUES).map(
        lambda pair: b'{"messages": %b, "messages": %b}' % (written(pair[0]), written(pair[1]))
    )
    | st.tuples(VALUES.map(written), st.integers(0, 50)).map(lambda cut: cut[0][: cut[1]])
)
STATUSES = st.sampled_from([200, 201, 204, 301, 400, 401, 402, 404, 408, 429, 500, 502, 503, 504])
STATUSES |= st.integers(100, 999)


def harmless(error: BaseException) -> None:
    shown = f"{error} {error!r} {vars(error)}"
    for secret in SECRETS:
        assert secret not in shown
    assert len(shown) < 2000
    assert re.fullmatch(r"[ -~]*", str(error)), "printable"
    assert error.__cause__ is error.__context__ is None


def result_of(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except DeliveryError as error:
        harmless(error)
        return error


@settings(deadline=None)
@given(STATUSES, BODIES)
def test_every_reply_to_a_message(status: int, body: bytes) -> None:
    result = result_of(lambda: wire.read_receipt(status, body, SENT))
    if isinstance(result, Receipt):
        assert status == 200
        assert result.message_id is None or re.fullmatch("[!-~]{1,128}", result.message_id)
    else:
        assert isinstance(result, DeliveryError)


@settings(deadline=None)
@given(STATUSES, BODIES)
def test_every_reply_to_a_batch(status: int, body: bytes) -> None:
    fields = batch_fields(ACCOUNT, BATCH, MESSAGE.text)
    reply = read_batch(status, body, BATCH, fields)
    assert len(reply.outcomes) == len(BATCH) or reply.split is not None
    for outcome in reply.outcomes:
        if isinstance(outcome, DeliveryError):
            harmless(outcome)
        else:
            assert status == 200
            assert isinstance(outcome, Receipt)


@settings(deadline=None)
@given(STATUSES, BODIES)
def test_every_reply_to_a_question(status: int, body: bytes) -> None:
    fields = ACCOUNT.credentials
    for read in (wire.read_balance, wire.read_sender_ids):
        result = result_of(lambda read=read: read(wire.read_object(status, body, fields)))  # type: ignore[misc]  # a default
        if isinstance(result, Balance):
            assert math.isfinite(result.amount)
        elif isinstance(result, tuple):
            assert all(isinstance(sender, str) for sender in result)
        else:
            assert isinstance(result, DeliveryError)
            assert not result.maybe_sent
    with contextlib.suppress(DeliveryUnavailable):
        wire.raise_if_busy(status, body, fields)


@settings(deadline=None)
@given(BODIES, BODIES)
@example(b"a=1&" * 200, b"")
@example(b"%ff=%ff&report_token=%00", b"status=delivered")
def test_every_report(query: bytes, body: bytes) -> None:
    for text in (query, query.decode("latin-1")):
        params = callback_params(text, body)
        assert all(isinstance(part, str) for pair in params.items() for part in pair)
        assert isinstance(read_report(params), ReportFields)


@settings(deadline=None)
@given(VALUES)
def test_every_report_that_a_framework_parsed(params: object) -> None:
    report = read_report(params)
    assert isinstance(report, ReportFields)
    assert report.message_id is None or re.fullmatch("[!-~]{1,128}", report.message_id)
    assert report.number is None or re.fullmatch(r"\+[1-9][0-9]{3,14}", report.number)


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_known_oddities(body: bytes) -> None:
    for status in (200, 400, 500):
        assert isinstance(
            result_of(lambda status=status: wire.read_receipt(status, body, SENT)),  # type: ignore[misc]  # a default
            DeliveryError | Receipt,
        )
        read_batch(status, body, BATCH, batch_fields(ACCOUNT, BATCH, MESSAGE.text))
    read_report(callback_params(b"", body))
