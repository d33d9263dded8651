"""What all frameworks read out of a request: a language, a pasted message, JSON, a report."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pasted import PASTED
from support import QUICK, SECRET

from otpverify import AsyncVerifier, StoreError, Verifier
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.languages import (
    page_language,
    preferred_language,
    translations,
)
from otpverify.integrations.web.problems import INVALID_REQUEST, NOT_JSON, TOO_LARGE
from otpverify.integrations.web.requests import (
    LARGEST_JSON,
    LARGEST_REPORT,
    json_object,
    take_report,
)
from otpverify.integrations.web.sentences import code_in
from otpverify.testing import OutboxSender


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("fr;q=0.1, de", "de"),
        ("de-AT, de;q=0.9, en;q=0.8", "de-AT"),
        ("en;q=0.5,et;q=0.5", "en"),
        ("fr ; q = 0.2 , zh-Hant-TW;q=1.000", "zh-Hant-TW"),
        ("de;q=0, et;q=0.001", "et"),
        ("*, de;q=0.5", "de"),
        ("", "en"),
        (None, "en"),
        ("de;q=2, et;q=0.1", "et"),
        ("de;q=x, <script>, et;q=0.1", "et"),
        ("x" * 100_000, "en"),
    ],
)
def test_the_preferred_language(header: str | None, language: str) -> None:
    assert preferred_language(header) == language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("eo, de;q=0.5", "de"),
        ("eo, en;q=0.3, de;q=0.5, et;q=0.4", "de"),
        ("et;q=0.1, en-GB", "en-GB"),
        ("de-AT, de;q=0.9, en;q=0.8", "de-AT"),
        ("DE-at", "DE-at"),
        ("eo, ku;q=0.9", "en"),
        ("eo, de;q=0", "en"),
        ("*", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_the_language_of_pages_is_one_that_they_have(header: str | None, language: str) -> None:
    assert page_language(header) == language


@pytest.mark.parametrize("tag", ["xx", "../../etc", "de/../et", "", "zz-ZZ"])
def test_other_languages_are_english(tag: str) -> None:
    assert translations(tag).gettext("Continue") == "Continue"


@pytest.mark.parametrize(("typed", "code"), PASTED)
def test_the_code_is_taken_out_of_a_pasted_message(typed: str, code: str) -> None:
    assert code_in(typed, 6) == code


def test_a_paste_is_read_in_linear_time() -> None:
    for part in ("1 ", "12", "a1,", "@a #1", "@"):
        assert len(code_in("a" + part * 200_000, 6)) <= 2000


class Reported:
    """A verifier that writes down the reports it gets."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[Any] = []

    def delivery_report(self, params: Any) -> None:
        if self.error:
            raise self.error
        self.seen.append(params)


REPORT: dict[str, Any] = {"query": "report_token=t", "body": b'{"status": "sent"}'}


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"method": "GET", **REPORT}, {"report_token": "t"}),
        ({"method": "POST", **REPORT}, {"report_token": "t", "status": "sent"}),
        (
            {"method": "POST", "content_type": "application/json; charset=utf-8", **REPORT},
            {"report_token": "t", "status": "sent"},
        ),
        ({"method": "POST", "content_type": "image/png", **REPORT}, {"report_token": "t"}),
        ({"method": "POST", "query": b"", "body": b"x=" + b"y" * LARGEST_REPORT}, {}),
    ],
)
def test_reports_are_taken_and_answered_alike(given: Any, seen: dict[str, str]) -> None:
    verifier: Any = Reported()
    assert run_sync(take_report(verifier, **given)) == (200, "OK")
    assert verifier.seen == [seen]


def test_a_report_is_sent_again_when_the_store_is_away(caplog: pytest.LogCaptureFixture) -> None:
    verifier: Any = Reported(StoreError("Away."))
    assert run_sync(take_report(verifier, method="POST", **REPORT)) == (503, "Later")
    assert "Away" in caplog.text


def test_both_kinds_of_verifier_take_reports() -> None:
    outbox = OutboxSender()
    sync = Verifier(outbox, secret=SECRET, hasher=QUICK)
    other = AsyncVerifier(outbox, secret=SECRET, hasher=QUICK)
    assert run_sync(take_report(sync, method="GET", query="a=b", body=b"")) == (200, "OK")
    assert asyncio.run(take_report(other, method="GET", query="a=b", body=b"")) == (200, "OK")


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
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b"{}{}",
        b"\xff\xfe",
        b"[" * 16_000,
        b'{"phone": "\\ud800"}',
        b'{"a": {"b": ["1\\udcff2"]}}',
        b'{"\\ud800": 1}',
    ],
)
def test_what_is_not_an_object_is_invalid(body: bytes) -> None:
    assert json_object("application/json", body) is INVALID_REQUEST


def test_a_long_body_is_refused_before_it_is_parsed() -> None:
    longest = b'{"phone": "' + b"1" * (LARGEST_JSON - 13) + b'"}'
    assert len(longest) == LARGEST_JSON
    assert isinstance(json_object("application/json", longest), dict)
    assert json_object("application/json", longest + b" ") is TOO_LARGE
