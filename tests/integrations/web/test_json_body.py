"""The JSON body of a request, as the endpoints of all frameworks read it."""

from __future__ import annotations

import pytest

from otpverify.integrations.web.json_body import MOST_BYTES, json_object
from otpverify.integrations.web.problems import INVALID_REQUEST, NOT_JSON, TOO_LARGE


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "Application/JSON ;v=1"],
)
def test_an_object_is_read(kind: str) -> None:
    assert json_object(kind, b'{"code": "123456"}') == {"code": "123456"}


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/json-seq",
        "application/problem+json",
        "json",
    ],
)
def test_another_type_is_refused_however_its_body_looks(kind: str | None) -> None:
    assert json_object(kind, b"{}") is NOT_JSON


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"1", b"{", b"{}{}", b"\xff\xfe", b"[" * 16_000],
)
def test_what_is_not_an_object_is_invalid(body: bytes) -> None:
    assert json_object("application/json", body) is INVALID_REQUEST


def test_a_long_body_is_refused_before_it_is_parsed() -> None:
    longest = b'{"phone": "' + b"1" * (MOST_BYTES - 13) + b'"}'
    assert len(longest) == MOST_BYTES
    assert isinstance(json_object("application/json", longest), dict)
    assert json_object("application/json", longest + b" ") is TOO_LARGE
