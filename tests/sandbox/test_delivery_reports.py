"""The sandbox posts delivery reports as the gateway does: both shapes, late, twice, reordered."""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlencode

import pytest
from endpoint import Endpoint

from otpverify import ConfigurationError, Message
from otpverify.sandbox import Sandbox, delivery_reports
from otpverify.sandbox.delivery_reports import address
from otpverify.sandbox.faults import REPORTS

PHONE = "+12025550123"
TOKEN = "t0ken-of-the-application"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def send(sandbox: Sandbox, endpoint: Endpoint, to: str = PHONE, **options: Any) -> str:
    """Send a message that asks for reports; its id."""
    with sandbox.client(report_url=f"{endpoint.url}?app=1", **options) as client:
        client.send(Message(to, "123456 is your code.", report=TOKEN))
    return sandbox.messages[0].id


def ask(sandbox: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=20)
    kind = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), kind)
    reply = connection.getresponse()
    said = json.loads(reply.read() or b"null")
    connection.close()
    return reply.status, said


def test_a_message_is_reported_sent_and_delivered_by_post(endpoint: Endpoint) -> None:
    with Sandbox() as sandbox:
        message_id = send(sandbox, endpoint)
        first, second = endpoint.take(2)
    assert (first.status, second.status) == ("sent", "delivered")
    assert first.method == "POST"
    assert first.path == f"/sms/report?app=1&report_token={TOKEN}"
    body = json.loads(first.body)
    assert set(body) == {"messageId", "status", "to", "timestamp"}
    assert (body["messageId"], body["to"]) == (message_id, PHONE[1:])


def test_and_by_get(endpoint: Endpoint) -> None:
    with Sandbox(reports="get") as sandbox:
        message_id = send(sandbox, endpoint)
        first, second = endpoint.take(2)
    assert (first.method, first.body) == ("GET", b"")
    assert (first.status, second.status) == ("sent", "delivered")
    assert first.params == {
        "app": "1",
        "report_token": TOKEN,
        "id": message_id,
        "status": "sent",
        "toNumber": PHONE[1:],
    }


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_either_way_to_send_is_heard(endpoint: Endpoint, method: Literal["POST", "GET"]) -> None:
    with Sandbox() as sandbox:
        send(sandbox, endpoint, method=method)
        assert [call.status for call in endpoint.take(2)] == ["sent", "delivered"]


@pytest.mark.parametrize("field", ["report", "callbackUrl"])
def test_either_field_is_heard(endpoint: Endpoint, field: str) -> None:
    fields = {"hash": "sandbox-hash", "token": "sandbox-token", "text": "x", field: endpoint.url}
    with Sandbox() as sandbox:
        query = urlencode({**fields, "toNumber": PHONE})
        assert ask(sandbox, "GET", f"/?{query}")[0] == 200
        assert ask(sandbox, "POST", "/", {**fields, "toNumber": [PHONE, "+12025550124"]})[0] == 200
        assert {call.params["to"] for call in endpoint.take(6)} == {"12025550123", "12025550124"}


@pytest.mark.parametrize("digits", [digits for digits in REPORTS if REPORTS[digits].statuses])
def test_numbers_are_reported_as_the_table_says(endpoint: Endpoint, digits: str) -> None:
    with Sandbox() as sandbox:
        send(sandbox, endpoint, f"+141555501{digits}")
        statuses = REPORTS[digits].statuses
        assert tuple(call.status for call in endpoint.take(len(statuses))) == statuses


def test_a_number_that_is_never_reported(endpoint: Endpoint) -> None:
    with Sandbox() as sandbox:
        send(sandbox, endpoint, "+12025550194")
        send(sandbox, endpoint)
        assert {call.params["to"] for call in endpoint.take(2)} == {PHONE[1:]}


def test_the_table_of_reports_says_what_is_reported() -> None:
    for digits, reports_ in REPORTS.items():
        words = re.findall(r"as (\w+)( twice)?", reports_.description.replace("as by", ""))
        said = [word for word, twice in words for _ in range(2 if twice else 1)]
        assert tuple(said) == reports_.statuses, digits


def test_reports_on_request(endpoint: Endpoint) -> None:
    with Sandbox(reports=None) as sandbox:
        message_id = send(sandbox, endpoint)
        assert sandbox.report(message_id, "delivered") == 200
        assert sandbox.report(message_id, "sent", "get") == 200
        assert ask(sandbox, "POST", "/report", {"id": message_id, "status": "delivered"}) == (
            200,
            {"answered": 200},
        )
        said = {"id": message_id, "status": "odd", "shape": "get"}
        assert ask(sandbox, "POST", "/report", said)[0] == 200
    assert [(call.method, call.status) for call in endpoint.take(4)] == [
        ("POST", "delivered"),
        ("GET", "sent"),
        ("POST", "delivered"),
        ("GET", "odd"),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"id": "x"}, 400),
        ({"id": 1, "status": "sent"}, 400),
        ({"id": "x", "status": ["sent"]}, 400),
        ({"id": "x", "status": "sent", "shape": "put"}, 400),
        ([], 400),
        ({"id": "x", "status": "sent"}, 404),
    ],
)
def test_requests_that_make_no_sense(smspm_sandbox: Sandbox, body: Any, status: int) -> None:
    assert ask(smspm_sandbox, "POST", "/report", body)[0] == status
    assert ask(smspm_sandbox, "GET", "/report")[0] == 405


def test_a_message_without_an_address_has_no_reports(smspm_sandbox: Sandbox) -> None:
    with smspm_sandbox.client() as client:
        client.send(Message(PHONE, "x", report=TOKEN))
    with pytest.raises(LookupError):
        smspm_sandbox.report(smspm_sandbox.messages[0].id, "sent")


def test_what_was_cleared_is_reported_no_more(endpoint: Endpoint) -> None:
    with Sandbox(reports=None) as sandbox:
        message_id = send(sandbox, endpoint)
        sandbox.clear()
        with pytest.raises(LookupError):
            sandbox.report(message_id, "sent")
        message_id = send(sandbox, endpoint)
        ask(sandbox, "DELETE", "/messages")
        with pytest.raises(LookupError):
            sandbox.report(message_id, "sent")


def test_the_inbox_shows_what_was_taken(endpoint: Endpoint) -> None:
    with Sandbox(reports=None) as sandbox:
        message_id = send(sandbox, endpoint)
        assert sandbox.messages[0].reported is None
        sandbox.report(message_id, "<b>odd</b>")
        assert sandbox.messages[0].reported == "<b>odd</b>"
        assert ask(sandbox, "GET", "/messages")[1][0]["reported"] == "<b>odd</b>"
        connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=20)
        connection.request("GET", "/inbox")
        page = connection.getresponse().read().decode()
        connection.close()
        assert 'data-reported="&lt;b&gt;odd&lt;/b&gt;"' in page
        assert "<dt>Report</dt><dd>&lt;b&gt;odd&lt;/b&gt;</dd>" in page
        assert TOKEN not in page


def test_a_report_that_is_not_taken_is_repeated() -> None:
    answers = iter([503, 500, 200, 200])
    with Endpoint(lambda _: next(answers)) as endpoint, Sandbox() as sandbox:
        sandbox._reporter._retry_seconds = 0.01
        send(sandbox, endpoint)
        assert [c.status for c in endpoint.take(4)] == ["sent", "sent", "sent", "delivered"]


def test_an_application_that_is_not_there(endpoint: Endpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Sandbox(reports=None) as sandbox:
        endpoint.url = f"http://127.0.0.1:{port}/"
        message_id = send(sandbox, endpoint)
        assert sandbox.report(message_id, "sent") is None
        assert sandbox.messages[0].reported is None


def test_redirects_are_not_followed(endpoint: Endpoint) -> None:
    with Endpoint(lambda _: 302) as elsewhere, Sandbox(reports=None) as sandbox:
        assert sandbox.report(send(sandbox, elsewhere), "sent") == 302
        assert len(elsewhere.calls) == 1


def test_stop_ends_a_report_under_way_and_those_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery_reports, "_TIMEOUT_SECONDS", 120)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        sandbox = Sandbox().start()
        with sandbox.client(report_url=url) as client:
            client.send(Message(PHONE, "x", report=TOKEN))
        held, _ = silent.accept()
        with held:
            assert held.recv(1024)
            sandbox.stop()
            deadline = time.monotonic() + 30
            while "otpverify-sandbox-reports" in {t.name for t in threading.enumerate()}:
                assert time.monotonic() < deadline
                time.sleep(0.005)


@pytest.mark.parametrize(
    ("given", "here", "anywhere"),
    [
        ("http://127.0.0.1:8000/r", True, True),
        ("http://localhost/r?x=1", True, True),
        ("https://[::1]:8443/r", True, True),
        ("https://app.example/r", False, True),
        ("http://app:8000/r", False, True),
        ("http://169.254.169.254/latest", False, True),
        ("http://me:secret@127.0.0.1/r", False, False),
        ("http://127.0.0.1:0/r", False, False),
        ("http://127.0.0.1:99999/r", False, False),
        ("http://127.0.0.1/r\r\nX: y", False, False),
        ("http://127.0.0.1/grüße", False, False),
        ("ftp://127.0.0.1/r", False, False),
        ("file:///etc/passwd", False, False),
        ("http://[", False, False),
        ("", False, False),
        (["http://127.0.0.1/r"], False, False),
        (7, False, False),
    ],
)
def test_where_reports_may_go(given: object, here: bool, anywhere: bool) -> None:
    assert (address(given, anywhere=False) is not None) == here
    assert (address(given, anywhere=True) is not None) == anywhere


def test_an_address_elsewhere_is_refused_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(1)
    with Sandbox() as sandbox:
        with sandbox.client(report_url="https://app.example/r") as client:
            for _ in range(3):
                client.send(Message(PHONE, "x", report=TOKEN))
        with pytest.raises(LookupError):
            sandbox.report(sandbox.messages[0].id, "sent")
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "report_anywhere" in said.getMessage()
    assert TOKEN not in caplog.text


def test_nothing_shows_the_token(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    with Sandbox() as sandbox:
        send(sandbox, endpoint)
        endpoint.take(2)
        shown = f"{sandbox!r} {sandbox.messages!r} {sandbox._reporter._targets!r}"
    written = capfd.readouterr()
    assert TOKEN not in shown + caplog.text + written.out + written.err


def test_a_shape_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="reports"):
        Sandbox(reports="put")  # type: ignore[arg-type]  # what is tested
