"""The real client, against the real sandbox and against servers that behave badly."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from clients import HASH, TOKEN, Client
from faulty_gateways import (
    CODE,
    GOOD,
    TEXT,
    Recorder,
    answering,
    assert_secret,
    recording,
    unused_url,
)
from support import Mode

from otpverify import (
    Balance,
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    Message,
    Receipt,
    SmspmClient,
    __version__,
)
from otpverify.gateways.http import new_session
from otpverify.sandbox import Sandbox
from otpverify.sandbox.faults import FAULTS

Method = Literal["POST", "GET"]
METHODS: list[Method] = ["POST", "GET"]
Connect = Callable[..., Client]


def to_fault(digits: str) -> Message:
    return Message(f"+141555501{digits}", TEXT, "ref-1")


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(hash=HASH, token=TOKEN, stall_seconds=5) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.clear()
    return server


@pytest.fixture
def connect(mode: Mode) -> Connect:
    """Makes a client of the test's mode."""
    return partial(Client, mode)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


# What goes over the wire


def test_a_post_carries_everything_in_its_body(connect: Connect, recorder: Recorder) -> None:
    with connect(sender_id="MyApp", url=recorder.url + "/") as client:
        assert client.send(GOOD) == Receipt("m-1")
    ((command, path, headers, body),) = recorder.requests
    assert (command, path) == ("POST", "/")
    assert json.loads(body) == {
        "hash": HASH,
        "token": TOKEN,
        "toNumber": "14155550123",
        "fromNumber": "MyApp",
        "text": TEXT,
        "smsId": "ref-1",
    }
    assert headers["User-Agent"] == f"otpverify/{__version__}"
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers


def test_a_get_carries_the_same_in_its_query(connect: Connect, recorder: Recorder) -> None:
    with connect(url=recorder.url, method="GET") as client:
        client.send(GOOD)
    ((command, path, _, body),) = recorder.requests
    assert (command, body) == ("GET", b"")
    assert {name: value for name, (value,) in parse_qs(urlsplit(path).query).items()} == {
        "hash": HASH,
        "token": TOKEN,
        "toNumber": "14155550123",
        "fromNumber": "SMSPM.com",
        "text": TEXT,
        "smsId": "ref-1",
    }


def test_several_sends_share_one_connection_whatever_the_replies(
    connect: Connect, recorder: Recorder
) -> None:
    with connect(url=recorder.url) as client:
        for status in (200, 500, 400, 200):
            recorder.status = status
            try:
                client.send(GOOD)
            except DeliveryError:
                assert status != 200
        client_connections = recorder.connections
    assert (len(recorder.requests), client_connections) == (4, 1)


def test_redirects_are_not_followed(connect: Connect, recorder: Recorder, sandbox: Sandbox) -> None:
    recorder.status, recorder.headers = 307, {"Location": f"{sandbox.url}/"}
    with connect(url=recorder.url) as client, pytest.raises(DeliveryUnavailable):
        client.send(GOOD)
    assert len(recorder.requests) == 1
    assert sandbox.messages == []


def test_cookies_are_not_kept(connect: Connect, recorder: Recorder) -> None:
    recorder.headers = {"Set-Cookie": "a=b"}
    with connect(url=recorder.url) as client:
        client.send(GOOD)
        client.send(GOOD)
    assert "Cookie" not in recorder.requests[1][2]


def test_netrc_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    request = requests.Request("POST", "https://api.smspm.com")
    with requests.Session() as plain:
        assert "Authorization" in plain.prepare_request(request).headers
    with new_session(proxies=True) as session:
        assert "Authorization" not in session.prepare_request(request).headers


def test_a_proxy_is_not_asked_for_the_sandbox(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", unused_url())
    monkeypatch.delenv("no_proxy", raising=False)
    with connect(url=sandbox.url) as client:
        client.send(GOOD)
    assert len(sandbox.messages) == 1


def test_an_endless_reply_is_cut_off(connect: Connect, recorder: Recorder) -> None:
    recorder.body = b'{"messages": [{"id": "' + b"m" * (1 << 20) + b'"}]}'
    with (
        connect(url=recorder.url) as client,
        pytest.raises(DeliveryUnavailable) as raised,
    ):
        client.send(GOOD)
    assert raised.value.provider_code == "unreadable_reply"


# Against the sandbox


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dialect", ["2.0", "tutorial"])
def test_a_message_arrives(
    connect: Connect, method: Method, dialect: Literal["2.0", "tutorial"]
) -> None:
    with (
        Sandbox(dialect=dialect) as sandbox,
        connect("sandbox-hash", "sandbox-token", url=sandbox.url, method=method) as client,
    ):
        receipt = client.send(GOOD)
        (captured,) = sandbox.messages
    assert receipt == Receipt(captured.id)
    assert (captured.to, captured.text, captured.code) == (GOOD.to, TEXT, CODE)
    assert captured.reference == "ref-1"


def test_balance_and_sender_ids(connect: Connect, sandbox: Sandbox) -> None:
    with connect(url=sandbox.url) as client:
        assert client.balance() == Balance(12.34)
        assert client.sender_ids() == ("SMSPM.com", "MyApp")
    with connect(token="wrong", url=sandbox.url) as client:
        for call in (client.balance, client.sender_ids):
            with pytest.raises(DeliveryRejected) as raised:
                call()
            assert raised.value.provider_code == "unauthorized"


def test_a_stale_balance_and_odd_sender_ids(connect: Connect, recorder: Recorder) -> None:
    with connect(url=recorder.url) as client:
        recorder.body = b'{"balance": 3, "stale": true, "senders": ["A", 7, null]}'
        assert client.balance() == Balance(3.0, stale=True)
        assert client.sender_ids() == ("A",)
        recorder.body = b'{"senders": "A"}'
        for call in (client.balance, client.sender_ids):
            with pytest.raises(DeliveryUnavailable) as raised:
                call()
            assert raised.value.provider_code == "unreadable_reply"
            assert not raised.value.maybe_sent


def test_twenty_threads_share_a_client(sandbox: Sandbox) -> None:
    together = threading.Barrier(20)

    def send(thread: int) -> None:
        together.wait(5)
        for turn in range(5):
            client.send(Message("+14155550123", f"{thread:02}{turn:02} is your code."))

    with sandbox.client() as client, ThreadPoolExecutor(20) as pool:
        list(pool.map(send, range(20)))
    codes = {message.code for message in sandbox.messages}
    assert codes == {f"{thread:02}{turn:02}" for thread in range(20) for turn in range(5)}


FAILURES: dict[str, tuple[type[DeliveryError], str, bool]] = {
    "40": (DeliveryRejected, "invalid_phone_number", False),
    "41": (DeliveryRejected, "unauthorized", False),
    "42": (DeliveryRejected, "no_balance", False),
    "27": (DeliveryUnavailable, "rate_limited", False),
    "28": (DeliveryUnavailable, "rate_limited", False),
    "29": (DeliveryUnavailable, "rate_limited", False),
    "50": (DeliveryUnavailable, "internal_error", True),
    "02": (DeliveryUnavailable, "http_502", True),
    "03": (DeliveryUnavailable, "http_503", False),
    "04": (DeliveryUnavailable, "http_504", True),
    "08": (DeliveryUnavailable, "timeout", True),
    "60": (DeliveryUnavailable, "unreadable_reply", True),
    "61": (DeliveryUnavailable, "unreadable_reply", True),
    "62": (DeliveryUnavailable, "unreadable_reply", True),
    "64": (DeliveryUnavailable, "unreadable_reply", True),
    "65": (DeliveryUnavailable, "unreadable_reply", True),
    "70": (DeliveryUnavailable, "connection_lost", True),
    "71": (DeliveryUnavailable, "connection_lost", True),
}
SUCCESSES = {"13", "63", "66"}
# What drips takes its time: test_smspm_faults has it.
SLOW = {"09", "10"}


def quick(digits: str) -> dict[str, Any]:
    """Options by which a fault that takes its time shows soon."""
    return {"read_timeout_seconds": 0.05} if digits == "08" else {}


@pytest.mark.parametrize("dialect", ["2.0", "tutorial"])
def test_every_fault_number_gives_its_own_error(
    connect: Connect, dialect: Literal["2.0", "tutorial"]
) -> None:
    assert FAILURES.keys() | SUCCESSES | SLOW == FAULTS.keys()
    with Sandbox(dialect=dialect) as sandbox:
        for digits, (kind, code, maybe_sent) in FAILURES.items():
            with (
                connect(
                    "sandbox-hash", "sandbox-token", url=sandbox.url, **quick(digits)
                ) as client,
                pytest.raises(kind) as raised,
            ):
                client.send(to_fault(digits))
            assert (type(raised.value), raised.value.provider_code) == (kind, code), digits
            assert raised.value.maybe_sent is maybe_sent, digits
        with connect("sandbox-hash", "sandbox-token", url=sandbox.url) as client:
            assert client.send(to_fault("63")) == Receipt(None)
            assert client.send(to_fault("66")).message_id == sandbox.messages[0].id
            with pytest.raises(DeliveryUnavailable):
                client.send(to_fault("13"))
            assert client.send(to_fault("13")).message_id == sandbox.messages[0].id
        taken = [message.to[-2:] for message in reversed(sandbox.messages)]
    assert taken == ["08", "60", "61", "64", "70", "71", "63", "66", "13"]


def test_a_gateway_that_is_not_there_took_nothing(connect: Connect) -> None:
    with (
        connect(url=unused_url()) as client,
        pytest.raises(DeliveryUnavailable) as raised,
    ):
        client.send(GOOD)
    assert raised.value.provider_code == "unreachable"
    assert not raised.value.maybe_sent


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_reply_that_stops_arriving_is_a_timeout(connect: Connect, begun: bytes) -> None:
    released = threading.Event()
    with (
        answering(lambda request: begun, released) as url,
        connect(url=url, read_timeout_seconds=0.05) as client,
    ):
        with pytest.raises(DeliveryUnavailable) as raised:
            client.send(GOOD)
        released.set()
    assert raised.value.provider_code == "timeout"


# Settings


def test_settings_from_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**sandbox.environ, "SMSPM_SENDER": "MyApp"}.items():
        monkeypatch.setenv(name, value)
    with SmspmClient.from_env() as client:
        client.send(GOOD)
    assert sandbox.messages[0].sender_id == "MyApp"


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({}, "SMSPM_HASH and SMSPM_TOKEN"),
        ({"SMSPM_HASH": "x", "SMSPM_TOKEN": ""}, "SMSPM_TOKEN"),
        ({"SMSPM_TOKEN": "x"}, "SMSPM_HASH"),
    ],
)
def test_missing_variables_are_named(environ: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^Set {missing} to the account's credentials"):
        SmspmClient.from_env(environ)


@pytest.mark.parametrize(
    "options",
    [
        {"sender_id": ""},
        {"sender_id": "TwelveLetter"},
        {"url": "http://api.smspm.com"},
        {"method": "PUT"},
        {"connect_timeout_seconds": 0},
        {"read_timeout_seconds": -1},
        {"read_timeout_seconds": math.nan},
        {"read_timeout_seconds": math.inf},
        {"read_timeout_seconds": 1e12},
        {"read_timeout_seconds": None},
        {"read_timeout_seconds": "3"},
        {"read_timeout_seconds": True},
        {"connect_timeout_seconds": False},
        {"sender_id": None},
        {"sender_id": 5},
        {"url": None},
        {"report_url": 5},
        {"hash": 5},
        {"token": b"t"},
        {"hash": ""},
        {"token": ""},
    ],
)
def test_unsafe_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SmspmClient(**{"hash": HASH, "token": TOKEN, **options})
    assert HASH not in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_a_numeric_sender_id_may_be_longer(connect: Connect) -> None:
    with connect(sender_id="3725678904512") as client:
        assert client.real.sender_id == "3725678904512"


def test_repr_holds_no_credentials(sandbox: Sandbox) -> None:
    client = sandbox.client(sender_id="MyApp")
    shown = f"{client!r} {client._api.account!r} {sandbox!r}"
    assert sandbox.url in shown
    assert HASH not in shown
    assert TOKEN not in shown


# Secrecy


def echo(before: bytes, after: bytes = b"\r\n\r\n") -> Callable[[bytes], bytes]:
    """An answer that repeats the whole request, on one line."""

    def answer(request: bytes) -> bytes:
        said = request.replace(b"\r\n", b" ").replace(b"\\n", b" ")
        return before + said + b" %2B14155550123 +14155550123 " + CODE.encode() + after

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
BAD_ANSWERS = {
    "no HTTP": echo(b""),
    "status line": echo(b"HTTP/1.1 "),
    "status text": echo(b"HTTP/1.1 400 "),
    "header without a colon": echo(OK + b"X-A: b\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
    "length": echo(OK + b"Content-Length: "),
    "chunk size": echo(OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "encoding": echo(OK + b"Content-Encoding: gzip\r\n\r\n"),
    "short body": echo(OK + b"Content-Length: 100000\r\n\r\n"),
    "cookie": echo(OK + b"Set-Cookie: "),
    "redirect": echo(b"HTTP/1.1 302 Found\r\nLocation: http://[x/"),
    "redirect in Latin-1": echo(b"HTTP/1.1 302 Found\r\nLocation: \xff"),
    "redirect to a port": echo(b"HTTP/1.1 302 Found\r\nLocation: http://a:"),
    "plain text": echo(b"HTTP/1.1 500 Oops\r\n\r\n"),
    "error text": lambda request: (
        b"HTTP/1.1 400 Bad\r\n\r\n"
        + json.dumps(
            {"error": f"No: {request.decode()} 14155550123 +14155550123 {CODE} {HASH} {TOKEN}"}
        ).encode()
    ),
}


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    for name in (None, "urllib3", "requests", "httpx2", "httpcore2", "stamina", "otpverify"):
        caplog.set_level(1, logger=name)
    return caplog


def send_and_fail(
    connect: Connect, url: str, method: Method, message: Message, **options: Any
) -> DeliveryError:
    with (
        connect(url=url, method=method, **options) as client,
        pytest.raises(DeliveryError) as raised,
    ):
        client.send(message)
    return raised.value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("digits", FAILURES)
def test_no_fault_tells_a_secret(
    connect: Connect, digits: str, method: Method, sandbox: Sandbox, logs: pytest.LogCaptureFixture
) -> None:
    error = send_and_fail(connect, sandbox.url, method, to_fault(digits), **quick(digits))
    names = {record.name for record in logs.records}
    assert names & {"urllib3.connectionpool", "httpcore2.http11"}
    assert_secret(error, logs.records)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_no_bad_answer_tells_a_secret(
    connect: Connect,
    answer: Callable[[bytes], bytes],
    method: Method,
    logs: pytest.LogCaptureFixture,
) -> None:
    with answering(answer) as url:
        error = send_and_fail(connect, url, method, GOOD)
    assert_secret(error, logs.records)


@pytest.mark.parametrize("method", METHODS)
def test_no_failed_connection_tells_a_secret(
    connect: Connect, method: Method, sandbox: Sandbox, logs: pytest.LogCaptureFixture
) -> None:
    assert_secret(send_and_fail(connect, unused_url(), method, GOOD), logs.records)
    plain = sandbox.url.replace("http:", "https:")
    error = send_and_fail(connect, plain, method, GOOD)
    assert error.provider_code == "tls_failed"
    assert_secret(error, logs.records)


def test_no_account_call_tells_a_secret(
    connect: Connect, sandbox: Sandbox, logs: pytest.LogCaptureFixture
) -> None:
    for url, token in ((sandbox.url, TOKEN[:-1]), (unused_url(), TOKEN)):
        with (
            connect(token=token, url=url) as client,
            pytest.raises(DeliveryError) as raised,
        ):
            client.balance()
        assert_secret(raised.value, logs.records)
