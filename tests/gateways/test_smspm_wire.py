"""The gateway's replies, read without any network."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from otpverify import (
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    Message,
    Receipt,
)
from otpverify.gateways.call import OUTCOME_UNKNOWN, Call, Reply
from otpverify.gateways.retry import Attempts, Retry
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.account import Account, check_gateway_url
from otpverify.gateways.smspm.client import SmspmApi
from otpverify.gateways.smspm.wire import Balance, read_balance

ACCOUNT = Account("h4shQwertyuiop", "t0kenAsdfghjkl")
MESSAGE = Message("+12025550123", "904817 is your Zanzibar code.", "ref-1")
SENT = wire.send_fields(ACCOUNT, MESSAGE)
SECRETS = ("h4shqwertyuiop", "qwertyuiop", "t0kenasdfghjkl", "asdfghjkl", "2025550123", "904817")

ENTRY = {"id": "m-1", "toNumber": "12025550123", "status": "Added to queue"}


def read(status: int, reply: Any) -> Receipt:
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return wire.read_receipt(status, body, SENT)


def assert_says_nothing(error: DeliveryError) -> None:
    shown = f"{error!s} {error!r} {error.args!r} {error.provider_code} {error.__dict__}".lower()
    assert not [secret for secret in SECRETS if secret in shown]


def test_a_send_carries_the_number_as_bare_digits_and_our_reference() -> None:
    assert {
        "hash": "h4shQwertyuiop",
        "token": "t0kenAsdfghjkl",
        "toNumber": "12025550123",
        "fromNumber": "SMSPM.com",
        "text": MESSAGE.text,
        "smsId": "ref-1",
    } == SENT
    assert "smsId" not in wire.send_fields(ACCOUNT, Message("+12025550123", "x"))


def test_a_text_that_no_encoding_carries_is_rejected() -> None:
    with pytest.raises(DeliveryRejected) as raised:
        wire.send_fields(ACCOUNT, Message("+12025550123", "904817 \ud800"))
    assert raised.value.provider_code == "invalid_text"
    assert raised.value.__context__ is None
    assert_says_nothing(raised.value)


@pytest.mark.parametrize(
    ("reply", "message_id"),
    [
        ({"messages": [ENTRY]}, "m-1"),
        ({"messages": [{**ENTRY, "id": 17}]}, "17"),
        ({"messages": [{"toNumber": "12025550123", "status": "Added to queue"}]}, None),
        ({"messages": [{**ENTRY, "toNumber": 12025550123}]}, "m-1"),
        ({"messages": [{**ENTRY, "toNumber": "+1 (202) 555-0123"}]}, "m-1"),
        ({"messages": [{**ENTRY, "toNumber": None}]}, "m-1"),
        ({"messages": [{**ENTRY, "toNumber": ""}]}, "m-1"),
        ({"messages": [{**ENTRY, "id": "m" * 128}]}, "m" * 128),
        ({"messages": [{**ENTRY, "id": "m" * 129}]}, None),
        ({"messages": [{**ENTRY, "id": "m 1"}]}, None),
        ({"messages": [{**ENTRY, "id": "m\n1"}]}, None),
        ({"messages": [{**ENTRY, "id": "mé1"}]}, None),
        ({"status": "success", "messageId": "m\x1b[31m"}, None),
        ({"messages": [{**ENTRY, "id": ""}]}, None),
        ({"messages": [{**ENTRY, "id": True}]}, None),
        ({"messages": [{**ENTRY, "id": ["x"]}]}, None),
        ({"status": "success", "messageId": "t-1"}, "t-1"),
        (
            {"status": "success", "messageId": "t-1", "parts": 1, "cost": 0.04, "currency": "EUR"},
            "t-1",
        ),
        ({"status": "success"}, None),
        ({"messages": [ENTRY], "error": None}, "m-1"),
    ],
)
def test_success_in_both_dialects(reply: Any, message_id: str | None) -> None:
    assert read(200, reply) == Receipt(message_id)


def test_a_receipt_does_not_show_the_gateways_id() -> None:
    assert repr(read(200, {"messages": [{**ENTRY, "id": "12025550123"}]})) == (
        "Receipt(message_id=<11 characters>)"
    )
    assert repr(Receipt()) == "Receipt(message_id=None)"


UNAVAILABLE, REJECTED = DeliveryUnavailable, DeliveryRejected


@pytest.mark.parametrize(
    ("status", "reply", "kind", "code", "maybe_sent"),
    [
        (400, {"error": "Token is required"}, REJECTED, "token_required", False),
        (200, {"error": "Hash is required"}, REJECTED, "hash_required", False),
        (401, {"error": "Unauthorized"}, REJECTED, "unauthorized", False),
        (401, b"", REJECTED, "unauthorized", False),
        (402, {"error": "x"}, REJECTED, "no_balance", False),
        (402, b"<html>", REJECTED, "no_balance", False),
        (400, {"error": "Invalid phone number: +12025550123"}, REJECTED, None, False),
        (200, {"messages": [{**ENTRY, "error": "Unauthorized"}]}, REJECTED, "unauthorized", False),
        (200, {"status": "error", "message": "Unauthorized"}, REJECTED, "unauthorized", False),
        (200, {"status": "error"}, REJECTED, "rejected", False),
        (200, {"status": "error", "messages": [{"id": "1"}]}, REJECTED, "rejected", False),
        (200, {"messages": [{"id": "1", "status": "Rejected"}]}, REJECTED, "rejected", False),
        (200, {"messages": [{"status": "failed"}]}, REJECTED, "rejected", False),
        (200, {"messages": [{}]}, UNAVAILABLE, "unreadable_reply", True),
        (200, {"messages": [{**ENTRY, "toNumber": "12025550124"}]}, UNAVAILABLE, None, True),
        (200, {"messages": [{**ENTRY, "toNumber": 1202555012}]}, UNAVAILABLE, None, True),
        (
            200,
            {"messages": [{"toNumber": "12025550124", "error": "Unauthorized"}]},
            UNAVAILABLE,
            None,
            True,
        ),
        (200, {"messages": [{"toNumber": "1"}]}, UNAVAILABLE, "unreadable_reply", True),
        (200, {"status": "failed", "message": {"a": 1}}, REJECTED, "rejected", False),
        (200, {"status": None, "message": "?"}, REJECTED, "rejected", False),
        (200, {"error": {"code": 5}}, REJECTED, "rejected", False),
        (403, b"", REJECTED, "http_403", False),
        (404, {"detail": "x"}, REJECTED, "http_404", False),
        (429, {"error": "slow"}, UNAVAILABLE, "rate_limited", False),
        (429, b"\xff", UNAVAILABLE, "rate_limited", False),
        (408, b"", UNAVAILABLE, "http_408", True),
        (500, {"error": "Internal server error"}, UNAVAILABLE, "internal_error", True),
        (200, {"error": "Internal server error"}, UNAVAILABLE, "internal_error", True),
        (500, b"", UNAVAILABLE, "http_500", True),
        (503, b"<html>", UNAVAILABLE, "http_503", False),
        (503, {"error": "Internal server error"}, UNAVAILABLE, "internal_error", False),
        (504, b"", UNAVAILABLE, "http_504", True),
        (502, {"messages": [ENTRY]}, UNAVAILABLE, "http_502", True),
        (200, b"", UNAVAILABLE, "unreadable_reply", True),
        (200, b"<html>", UNAVAILABLE, "unreadable_reply", True),
        (200, b"\xff\xfe\x00", UNAVAILABLE, "unreadable_reply", True),
        (200, b'{"messages": [{"id', UNAVAILABLE, "unreadable_reply", True),
        (200, b"[" * 100_000, UNAVAILABLE, "unreadable_reply", True),
        (200, b"9" * 5_000, UNAVAILABLE, "unreadable_reply", True),
        (200, b"null", UNAVAILABLE, "unreadable_reply", True),
        (200, [ENTRY], UNAVAILABLE, "unreadable_reply", True),
        (200, {}, UNAVAILABLE, "unreadable_reply", True),
        (200, {"messages": []}, UNAVAILABLE, "unreadable_reply", True),
        (200, {"messages": [ENTRY, ENTRY]}, UNAVAILABLE, "unreadable_reply", True),
        (200, {"messages": "m-1"}, UNAVAILABLE, "unreadable_reply", True),
        (200, {"messages": [None]}, UNAVAILABLE, "unreadable_reply", True),
        (202, {"messages": [ENTRY]}, UNAVAILABLE, "unreadable_reply", True),
        (302, b"", UNAVAILABLE, "unreadable_reply", True),
    ],
)
def test_refusals_and_nonsense(
    status: int, reply: Any, kind: type[DeliveryError], code: str | None, maybe_sent: bool
) -> None:
    with pytest.raises(DeliveryError) as raised:
        read(status, reply)
    assert type(raised.value) is kind
    nameless = "invalid_phone_number" if kind is REJECTED else "unreadable_reply"
    assert raised.value.provider_code == (code or nameless)
    assert raised.value.maybe_sent is maybe_sent
    assert (OUTCOME_UNKNOWN in str(raised.value)) is maybe_sent
    assert raised.value.challenge is None
    assert_says_nothing(raised.value)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Sender ID not approved", "Sender ID not approved"),
        ("Blocked: 12025550123, again", "Blocked *** again"),
        ("hash h4shQwertyuiop", "hash ***"),
        ("seen QWERTYUIOP", "seen ***"),
        ("userqwertyuiopx", "***"),
        ("zanzibar", "***"),
        ("904 817", "*** ***"),
        ("904817", "***"),
    ],
)
def test_the_gateways_own_words_are_shown_without_ours(said: str, shown: str) -> None:
    with pytest.raises(DeliveryRejected) as raised:
        read(400, {"error": said})
    assert str(raised.value) == f"SMSPM refused the message: http_400 (HTTP 400). {shown}"


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (400, "Token is required", "Set SMSPM_TOKEN."),
        (400, "Hash is required", "Set SMSPM_HASH."),
        (401, "Unauthorized", "Check SMSPM_HASH and SMSPM_TOKEN."),
        (402, "x", "The account has no balance left."),
        (429, "x", "The gateway asks to slow down."),
        (503, "x", "The gateway is too busy, or down."),
    ],
)
def test_an_error_says_what_to_do(status: int, said: str, hint: str) -> None:
    with pytest.raises(DeliveryError) as raised:
        read(status, {"error": said})
    assert str(raised.value).endswith(f"(HTTP {status}). {hint}")


@pytest.mark.parametrize(
    ("said", "code"),
    [("Internal server error", "internal_error"), ("Unauthorized", "unauthorized"), ("x", None)],
)
def test_a_busy_gateways_reason_is_named_for_every_call(said: str, code: str | None) -> None:
    body = json.dumps({"error": said}).encode()
    with pytest.raises(DeliveryUnavailable) as raised:
        wire.raise_if_busy(503, body, SENT)
    assert raised.value.provider_code == (code or "http_503")
    assert not raised.value.maybe_sent
    wire.raise_if_busy(400, body, SENT)


@pytest.mark.parametrize("said", [{}, {"message": ""}, {"message": None}, {"message": 5}])
def test_a_refusal_without_a_reason_says_so(said: dict[str, Any]) -> None:
    with pytest.raises(DeliveryRejected, match="no reason given"):
        read(200, {"status": "error", **said})


echoes = st.sampled_from([*SENT.values(), *SECRETS, "+1 202 555 0123", "%2B12025550123"])
texts = st.lists(echoes | st.text(max_size=5), max_size=4).flatmap(
    lambda parts: st.sampled_from(["", " ", ":", "x"]).map(lambda glue: glue.join(parts))
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
replies = st.fixed_dictionaries(
    {},
    optional={
        "error": values,
        "status": st.just("success") | st.just("error") | values,
        "message": values,
        "messageId": values,
        "messages": values
        | st.lists(
            st.fixed_dictionaries({}, optional={"id": values, "error": values}),
            min_size=1,
            max_size=2,
        ),
    },
)
bodies = st.binary() | texts.map(str.encode) | replies.map(lambda reply: json.dumps(reply).encode())


@settings(deadline=None)
@given(
    status=st.sampled_from([200, 400, 401, 402, 404, 429, 500, 503]) | st.integers(100, 599),
    body=bodies,
)
def test_whatever_comes_back_gives_a_receipt_or_an_error_without_our_secrets(
    status: int, body: bytes
) -> None:
    try:
        receipt = wire.read_receipt(status, body, SENT)
    except DeliveryError as error:
        assert_says_nothing(error)
    else:
        assert status == 200
        assert receipt.message_id is None or re.fullmatch("[!-~]{1,128}", receipt.message_id)
    try:
        wire.read_object(status, body, SENT)
    except DeliveryError as error:
        assert_says_nothing(error)


accounts = st.fixed_dictionaries(
    {}, optional={"balance": values, "stale": values, "senders": values, "error": values}
)


@settings(deadline=None)
@given(
    status=st.sampled_from([200, 429, 503]) | st.integers(100, 599),
    body=bodies | accounts.map(lambda reply: json.dumps(reply).encode()),
    retry_after=st.lists(st.sampled_from(["0", "1", "99999999999"]) | st.text(), max_size=2),
)
def test_whatever_comes_back_ends_an_attempt_of_any_call(
    status: int, body: bytes, retry_after: list[str]
) -> None:
    api = SmspmApi(ACCOUNT, "https://api.smspm.com", "POST")
    calls: list[Call[Any]] = [
        api.send(MESSAGE),
        api.exchange(SENT, "send_bulk"),
        api.balance(),
        api.sender_ids(),
    ]
    for call in calls:
        attempts = Attempts(Retry(), "SmspmClient", None)
        try:
            result = attempts.conclude(call, Reply(status, body, tuple(retry_after)))
        except DeliveryError as error:
            assert_says_nothing(error)
            maybe_sent = error.maybe_sent or "It is unknown" in str(error)
        else:
            maybe_sent = False
            assert status == 200 or call.operation == "send_bulk"
            assert isinstance(result, Receipt | Balance | tuple)
        assert call.sends or not maybe_sent


@pytest.mark.parametrize("amount", [None, True, "12", [], math.nan, math.inf, 10**400])
def test_a_balance_that_is_no_figure_is_an_unreadable_reply(amount: object) -> None:
    with pytest.raises(DeliveryUnavailable) as raised:
        read_balance({"balance": amount})
    assert raised.value.provider_code == "unreadable_reply"
    assert not raised.value.maybe_sent


@pytest.mark.parametrize(
    "url",
    [
        "https://api.smspm.com",
        "https://gateway.example:8443/v2/",
        "http://localhost:8025",
        "http://127.0.0.2",
        "http://[::1]:8025",
        "http://sandbox:8025",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    assert check_gateway_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.smspm.com",
        "ftp://api.smspm.com",
        "https://",
        "https://me:secret@api.smspm.com",
        "https://api.smspm.com?x=1",
        "https://api.smspm.com#x",
        "https://[",
        "https://api.smspm.com:99999",
        "https://api.smspm.com:0",
        None,
        5,
        "https://api.smspm.com:port",
        "https://api smspm com",
        "https://api.smspm.com\n",
        "http://api.smspm.com",
        "http://127.example.com",
        "http://192.168.1.1",
        "http://3232235777",
        "http://0x7f000001",
        "http://[2001:db8::1]",
    ],
)
def test_addresses_that_are_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="SMSPM_URL"):
        check_gateway_url(url)
