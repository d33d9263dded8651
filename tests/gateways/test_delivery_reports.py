"""Delivery reports in every shape in which they come, and in shapes in which they never should."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, strategies as st

from otpverify import DeliveryStatus
from otpverify.gateways import ReportFields
from otpverify.gateways.delivery_reports import read_report
from otpverify.sms import callback_params

POSTED = {
    "report_token": "T",
    "messageId": "m-1",
    "status": "delivered",
    "to": "37256789045",
    "timestamp": "2026-03-01T12:00:00Z",
}
ASKED = {"report_token": "T", "id": "m-1", "status": "delivered", "toNumber": "37256789045"}
QUERY = urlencode(ASKED)


def facts(report: ReportFields) -> tuple[object, ...]:
    return report.token, report.message_id, report.status, report.number


READ = ("T", "m-1", DeliveryStatus.DELIVERED, "+37256789045")


@pytest.mark.parametrize(
    "params",
    [
        POSTED,
        ASKED,
        {**ASKED, "toNumber": "+37256789045"},
        {**POSTED, "to": 37256789045},
        {name.upper(): f"  {value}\n" for name, value in POSTED.items()},
        {**ASKED, "status": " DELIVERED "},
        {**ASKED, "price": 0.04, "parts": None, "network": {"mcc": 248}, "flags": []},
        parse_qs(QUERY),
        parse_qs(QUERY.encode()),
        {"report_token": "T", "messages": [{**POSTED, "report_token": "other"}]},
        {"report_token": "T", "Messages": {"id": "m-1", **ASKED}},
        # A gateway that puts a second `?` behind our query.
        {"report_token": "T?id=m-1", "status": "delivered", "to": "37256789045"},
    ],
)
def test_every_shape_is_read(params: Any) -> None:
    assert facts(read_report(params)) == READ


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (QUERY, b""),
        (QUERY.encode(), ""),
        ("report_token=T", json.dumps(POSTED).encode()),
        ("report_token=T", json.dumps(POSTED).encode("utf-16")),
        ("report_token=T", json.dumps([POSTED])),
        ("report_token=T", json.dumps({"messages": [POSTED]}).encode()),
        ("report_token=T", urlencode(POSTED).encode()),
        ("report_token=T?id=m-1&status=delivered&toNumber=37256789045", b""),
        ("a=1&report_token=T&b", json.dumps(POSTED).encode()),
    ],
)
def test_every_request_is_read(query: Any, body: Any) -> None:
    assert facts(read_report(callback_params(query, body))) == READ


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", "QUEUED"),
        ("Added to queue", "QUEUED"),
        ("submitted", "SENT"),
        ("sent", "SENT"),
        ("pending", "SENT"),
        ("delivered", "DELIVERED"),
        ("undelivered", "UNDELIVERED"),
        ("rejected", "REJECTED"),
        ("expired", "EXPIRED"),
        ("failed", "FAILED"),
    ],
)
def test_the_gateway_s_words(word: str, status: str) -> None:
    assert read_report({"status": word}).status is DeliveryStatus[status]
    assert read_report({"status": [word.upper()]}).status is DeliveryStatus[status]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("enroute", "enroute"),
        ("ACCEPTED", "accepted"),
        ("904817", None),
        ("delivered to +37256789045", None),
        ("x" * 100, None),
        (True, None),
        (1, None),
        (None, None),
        ({"status": "delivered"}, None),
    ],
)
def test_other_words_are_no_status(said: object, word: str | None) -> None:
    found = read_report({**ASKED, "status": said})
    assert (found.status, found.word) == (None, word)


@pytest.mark.parametrize("params", [None, "", "delivered", b"x", 7, [], [POSTED], {}, {"x": "y"}])
def test_what_is_no_report_says_nothing(params: object) -> None:
    assert read_report(params) == ReportFields()


@pytest.mark.parametrize("odd", ["", "a b", "x" * 129, "\ud800", "id\n2", True, None, 1.5])
def test_odd_ids_and_numbers_are_left_out(odd: object) -> None:
    found = read_report({**ASKED, "id": odd, "toNumber": odd})
    assert (found.message_id, found.number) == (None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = st.sampled_from([*POSTED, *ASKED, "messages", "STATUS", " id "]) | st.text()
VALUES = JSON | st.binary() | st.tuples(st.text()) | st.sampled_from(["delivered", "T?id=1"])


@given(st.dictionaries(NAMES | st.binary() | st.integers() | st.none(), VALUES) | VALUES)
def test_whatever_comes_is_read_quietly(params: Any) -> None:
    assert isinstance(read_report(params), ReportFields)
    if isinstance(params, dict):
        assert isinstance(read_report({**ASKED, "messages": params}), ReportFields)


@given(query=st.text() | st.binary(), body=st.binary() | st.text() | JSON.map(json.dumps))
def test_whatever_is_sent_is_read_quietly(query: Any, body: Any) -> None:
    params = callback_params(query, body)
    assert all(isinstance(part, str) for pair in params.items() for part in pair)
    assert isinstance(read_report(params), ReportFields)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"messages":' * 100_000,
        b"9" * 10_000,
        b'{"id":' + b"9" * 10_000 + b"}",
        b'{"id": NaN, "status": 1e999}',
        b"&".join([b"a=1"] * 10_000),
        b"\xff\xfe\x00",
    ],
)
def test_hostile_bodies_are_read_quietly(body: bytes) -> None:
    assert read_report(callback_params("", body)) == ReportFields()


def test_nothing_at_all_may_be_none() -> None:
    """Some frameworks give `None` for a query or a body that is not there."""
    assert callback_params(None, None) == {}
    assert callback_params("a=1", None) == {"a": "1"}
    assert callback_params(None, b"a=1") == {"a": "1"}


def test_what_has_more_fields_than_any_report_is_not_read() -> None:
    assert callback_params("&".join(f"a{n}=1" for n in range(60))) == {}


def test_nothing_of_it_shows() -> None:
    shown = repr(read_report({**ASKED, "report_token": "s3cret"}))
    assert "s3cret" not in shown
    assert "56789045" not in shown
