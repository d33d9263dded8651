"""The sandbox: the gateway's contract from its own side, the inbox, starting and stopping."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from otpverify import ConfigurationError, DeliveryRejected, Message, SmspmClient, Verifier
from otpverify.sandbox import Captured, Sandbox
from otpverify.sandbox.faults import FAULTS, REPORTS, fault_of, on_purpose
from otpverify.sandbox.outbox import Outbox, find_code
from otpverify.testing import AsyncOutboxSender, OutboxSender, code_in

PHONE = "+12025550123"
ACCOUNT = {"hash": "sandbox-hash", "token": "sandbox-token"}
FIELDS = {**ACCOUNT, "toNumber": "12025550123", "text": "123456 is your code."}
MORE = ["12025550124", "12025550125"]


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """Plain HTTP/1.1 on one connection that stays open."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        content = json.dumps(body).encode() if isinstance(body, dict | list) else body
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            names.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, content, names)
        reply = self.connection.getresponse()
        return Reply(reply.status, reply.headers, reply.read())


@pytest.fixture
def browser(smspm_sandbox: Sandbox) -> Iterator[Browser]:
    browser = Browser(smspm_sandbox.url)
    yield browser
    browser.connection.close()


# Sending


def test_a_json_post_is_queued_and_captured(smspm_sandbox: Sandbox, browser: Browser) -> None:
    fields = {**FIELDS, "toNumber": PHONE, "fromNumber": "MyApp", "smsId": "ref-1"}
    reply = browser.ask("POST", "/", fields)
    (captured,) = smspm_sandbox.messages
    entry = {"id": captured.id, "toNumber": "12025550123", "status": "Added to queue"}
    assert (reply.status, reply.json) == (200, {"messages": [entry]})
    assert datetime.now(UTC) - captured.received_at < timedelta(seconds=5)
    assert captured == Captured(
        id=captured.id,
        to=PHONE,
        sender_id="MyApp",
        text=FIELDS["text"],
        encoding="GSM-7",
        units=20,
        parts=1,
        reference="ref-1",
        received_at=captured.received_at,
        code="123456",
    )


@pytest.mark.parametrize("spelling", ["12025550123", PHONE])
def test_queries_and_forms_are_taken_too(
    smspm_sandbox: Sandbox, browser: Browser, spelling: str
) -> None:
    query = urlencode({**FIELDS, "toNumber": spelling})
    form = {"Content_Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert browser.ask("GET", f"/?{query}").status == 200
    assert browser.ask("POST", "/", query.encode(), **form).status == 200
    assert [message.to for message in smspm_sandbox.messages] == [PHONE, PHONE]


def test_the_tutorials_dialect_is_spoken_on_request(browser: Browser) -> None:
    tutorial = {"X_Sandbox_Dialect": "tutorial"}
    said = browser.ask("POST", "/", FIELDS, **tutorial)
    assert said.status == 200
    assert said.json == {
        "status": "success",
        "messageId": said.json["messageId"],
        "parts": 1,
        "cost": 0.04,
        "currency": "EUR",
    }
    refused = browser.ask("POST", "/", {**FIELDS, "token": "x"}, **tutorial)
    assert refused.status == 200
    assert refused.json == {"status": "error", "message": "Unauthorized"}
    batch = browser.ask("POST", "/", {**FIELDS, "toNumber": MORE}, **tutorial)
    assert batch.json == {"status": "error", "message": "toNumber must be one number"}
    assert browser.ask("POST", "/", FIELDS, X_Sandbox_Dialect="3").status == 400


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"token": None}, 400, "Token is required"),
        ({"hash": ""}, 400, "Hash is required"),
        ({"token": "wrong"}, 401, "Unauthorized"),
        ({"hash": 5}, 401, "Unauthorized"),
        ({"toNumber": "123"}, 400, "Invalid phone number: 123"),
        ({"toNumber": "+1 202 555 0123"}, 400, "Invalid phone number: +1 202 555 0123"),
        ({"toNumber": ["5550123"]}, 400, "Invalid phone number: 5550123"),
        ({"toNumber": None}, 400, "toNumber is required"),
        ({"toNumber": []}, 400, "toNumber is required"),
        ({"toNumber": 12025550123}, 400, "toNumber must be a string or an array of strings"),
        ({"toNumber": ["12025550123", 5]}, 400, "toNumber must be a string or an array of strings"),
        ({"toNumber": ["12025550123"] * 101}, 400, "toNumber takes up to 100 numbers"),
        ({"text": ""}, 400, "Text is required"),
        ({"text": ["x"]}, 400, "Text is required"),
        ({"fromNumber": "TwelveLetter"}, 400, "Invalid sender ID"),
    ],
)
def test_bad_fields_are_refused(
    smspm_sandbox: Sandbox, browser: Browser, change: dict[str, Any], status: int, error: str
) -> None:
    reply = browser.ask("POST", "/", {**FIELDS, **change})
    assert (reply.status, reply.json) == (status, {"error": error})
    assert smspm_sandbox.messages == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_malformed_json_is_refused(browser: Browser, body: bytes) -> None:
    reply = browser.ask("POST", "/", body)
    assert (reply.status, reply.json) == (400, {"error": "Malformed JSON"})


def test_a_hundred_recipients_are_taken(smspm_sandbox: Sandbox, browser: Browser) -> None:
    numbers = [f"1{area}5550123" for area in range(201, 301)]
    entries = browser.ask("POST", "/", {**FIELDS, "toNumber": numbers}).json["messages"]
    assert [entry["toNumber"] for entry in entries] == numbers
    assert len(smspm_sandbox.messages) == sum("id" in entry for entry in entries) > 50


def test_one_bad_number_of_a_batch_fails_alone(smspm_sandbox: Sandbox, browser: Browser) -> None:
    numbers = ["12025550124", "+12025550140", "12", "12025550125"]
    entries = browser.ask("POST", "/", {**FIELDS, "toNumber": numbers}).json["messages"]
    assert [entry.get("error") for entry in entries] == [
        None,
        "Invalid phone number: +12025550140",
        "Invalid phone number: 12",
        None,
    ]
    assert [m.to for m in smspm_sandbox.messages] == ["+12025550125", "+12025550124"]


@pytest.mark.parametrize(("first", "status"), [("141", 401), ("127", 429), ("150", 500)])
def test_the_first_other_fault_rules_a_whole_batch(
    smspm_sandbox: Sandbox, browser: Browser, first: str, status: int
) -> None:
    numbers = ["12025550124", "12025550140", f"12025550{first}", "12025550142"]
    assert browser.ask("POST", "/", {**FIELDS, "toNumber": numbers}).status == status
    assert smspm_sandbox.messages == []


def test_too_many_requests_say_when_to_come_back(browser: Browser) -> None:
    reply = browser.ask("POST", "/", {**FIELDS, "toNumber": "14155550129"})
    assert (reply.status, reply.headers["Retry-After"]) == (429, "1")


def sent_to(browser: Browser, number: str) -> int | None:
    """The status of a send, without an answer `None`."""
    try:
        return browser.ask("POST", "/", {**FIELDS, "toNumber": number}).status
    except (OSError, http.client.HTTPException):
        browser.connection.close()
        return None


@pytest.mark.parametrize("digits", FAULTS)
def test_rare_faults_have_numbers_in_one_area_only(digits: str) -> None:
    fault = FAULTS[digits]
    for area in ("202", "212", "989"):
        assert fault_of(f"+1{area}55501{digits}") == (fault if fault.common else None)
    assert fault_of(f"+141555501{digits}") is fault


def test_few_numbers_of_an_area_fail() -> None:
    failing = [nth for nth in range(100) if on_purpose(f"+120255501{nth:02d}")]
    assert len(failing) <= 13
    assert on_purpose("+12025550128") is None
    for number in ("+12025550240", "+12025551140", "+442025550140", "+1202555014", PHONE):
        assert on_purpose(number) is None


@pytest.mark.parametrize("digits", [*FAULTS, *REPORTS])
def test_the_inbox_says_what_fails_on_purpose(digits: str) -> None:
    with Sandbox(stall_seconds=0) as sandbox:
        browser = Browser(sandbox.url)
        number = f"+141555501{digits}"
        if digits not in ("09", "10"):  # they take half a minute
            sent_to(browser, number)
        else:
            browser.connection.request("GET", "/?" + urlencode({**FIELDS, "toNumber": number}))
            while not sandbox.messages:
                time.sleep(0.001)
            browser.connection.close()
        page = Page(browser.ask("GET", "/inbox").body)
        what = on_purpose(number)
        assert what
        assert f"On purpose {what}" in page.text
        assert page.text.count("On purpose") == 1
        taken = FAULTS[digits].taken if digits in FAULTS else True
        if digits == "13":
            taken = False  # its first request fails
        assert [message.to for message in sandbox.messages] == ([number] if taken else [])
        assert browser.ask("DELETE", "/messages").status == 204
        assert "On purpose" not in Page(browser.ask("GET", "/inbox").body).text
        browser.connection.close()


def test_the_inbox_marks_no_other_message(smspm_sandbox: Sandbox, browser: Browser) -> None:
    numbers = ["12025550123", "12025550140", "12025550128"]
    browser.ask("POST", "/", {**FIELDS, "toNumber": numbers})
    page = Page(browser.ask("GET", "/inbox").body)
    assert page.text.count("On purpose") == 1
    assert "Refused message to +12025550140" in browser.ask("GET", "/inbox").body.decode()
    assert [message.on_purpose for message in smspm_sandbox.messages] == [None, None]


def test_balance_and_sender_ids_need_credentials(browser: Browser) -> None:
    account = urlencode(ACCOUNT)
    assert browser.ask("GET", f"/balance?{account}").json == {"balance": 12.34}
    senders = browser.ask("GET", f"/sender-ids?{account}").json
    assert senders == {"senders": ["SMSPM.com", "MyApp"]}
    assert browser.ask("GET", "/balance").json == {"error": "Token is required"}
    assert browser.ask("GET", "/sender-ids?token=x&hash=y").status == 401


# HTTP


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/", 405),
        ("DELETE", "/inbox", 405),
        ("OPTIONS", "/messages", 405),
        ("HEAD", "/inbox", 405),
        ("POST", "/balance", 405),
        ("BREW", "/", 501),
    ],
)
def test_wrong_paths_and_methods(browser: Browser, method: str, path: str, status: int) -> None:
    reply = browser.ask(method, path)
    assert reply.status == status
    assert (status == 405) == ("Allow" in reply.headers)
    assert reply.body == b"" if method == "HEAD" else "error" in reply.json


def test_a_body_over_one_mebibyte_is_refused(browser: Browser) -> None:
    assert browser.ask("POST", "/", {**FIELDS, "smsId": "x" * (1 << 20)}).status == 413
    assert browser.ask("POST", "/", {**FIELDS, "smsId": "x" * 1_000_000}).status == 200


@pytest.mark.parametrize("length", ["-1", "many"])
def test_a_malformed_length_is_refused(browser: Browser, length: str) -> None:
    assert browser.ask("POST", "/", b"", Content_Length=length).status == 400


def test_requests_under_a_rebound_name_are_refused(browser: Browser) -> None:
    for host in ("localhost", "localhost:80", "a.localhost", "127.0.0.1:1", "[::1]:80"):
        assert browser.ask("GET", "/messages", Host=host).status == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "[", ""):
        assert browser.ask("GET", "/messages", Host=host).status == 421


OWN = "OWN"  # stands for the sandbox's own origin
FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:8000"},
    {"Origin": "https://127.0.0.1"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "CROSS-SITE"},
    {"Sec_Fetch_Site": "cross-site", "Origin": OWN},
    {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"},
    {"Referer": "https://evil.example/page"},
    {"Referer": "http://127.0.0.1:1/page"},
]
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
CHANGING: list[tuple[str, str, Any, dict[str, str]]] = [
    ("GET", f"/?{urlencode(FIELDS)}", None, {}),
    ("POST", "/", FIELDS, {}),
    ("POST", "/", urlencode(FIELDS).encode(), FORM),
    ("POST", "/report", {"id": "x", "status": "delivered"}, {}),
    ("POST", "/read", {}, {}),
    ("DELETE", "/messages/x", None, {}),
    ("DELETE", "/messages", None, {}),
]


def sent_by(browser: Browser, headers: dict[str, str]) -> dict[str, str]:
    own = f"http://{browser.connection.host}:{browser.connection.port}"
    return {name: own if value is OWN else value for name, value in headers.items()}


@pytest.mark.parametrize("headers", FOREIGN, ids=repr)
@pytest.mark.parametrize(("method", "path", "body", "kind"), CHANGING)
def test_pages_of_other_sites_change_nothing(
    smspm_sandbox: Sandbox,
    browser: Browser,
    method: str,
    path: str,
    body: Any,
    kind: dict[str, str],
    headers: dict[str, str],
) -> None:
    assert browser.ask("POST", "/", FIELDS).status == 200
    before = smspm_sandbox.messages
    reply = browser.ask(method, path, body, **kind, **sent_by(browser, headers))
    assert reply.status == 403
    assert reply.json == {"error": "Requests from pages of other sites are refused"}
    assert "Access-Control-Allow-Origin" not in reply.headers
    assert smspm_sandbox.messages == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN},
        {"Sec_Fetch_Site": "same-origin", "Origin": OWN},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin"},
    ],
    ids=repr,
)
def test_programs_and_the_inbox_itself_do(browser: Browser, headers: dict[str, str]) -> None:
    sent = sent_by(browser, headers)
    for method, path, body, kind in CHANGING:
        statuses = {"/report": 404, "/read": 204, "/messages/x": 404, "/messages": 204}
        expected = statuses.get(path, 200)
        assert browser.ask(method, path, body, **kind, **sent).status == expected


def test_a_page_of_this_machine_may_show_the_inbox(browser: Browser) -> None:
    demo = {"Sec_Fetch_Site": "same-site", "Referer": "http://localhost:8000/"}
    assert browser.ask("GET", "/inbox?embed=1", **demo).status == 200
    assert browser.ask("GET", "/", **demo).status == 303


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain; application/json", "multipart/form-data", "", "json"]
)
@pytest.mark.parametrize("path", ["/", "/report", "/read"])
def test_json_needs_its_content_type(
    smspm_sandbox: Sandbox, browser: Browser, path: str, kind: str
) -> None:
    """A form of any page can send `text/plain` without asking first."""
    reply = browser.ask("POST", path, FIELDS, Content_Type=kind)
    assert reply.status == 415
    assert reply.json == {"error": "JSON needs Content-Type: application/json"}
    assert smspm_sandbox.messages == []


def test_nothing_is_printed(browser: Browser, capfd: pytest.CaptureFixture[str]) -> None:
    browser.ask("GET", "/?" + urlencode(FIELDS))
    browser.ask("BREW", "/")
    assert capfd.readouterr() == ("", "")


# The inbox


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("code", ["123456", "12"])
def test_the_inbox_escapes_whatever_was_sent(browser: Browser, code: str) -> None:
    plain = Page(browser.ask("GET", "/inbox").body).tags
    attack = code + ' </p><script>alert("1")</script><img src=x onerror=alert(1)> & $id'
    sender = "<b>\"'x"
    browser.ask("POST", "/", {**FIELDS, "text": attack, "fromNumber": sender})
    reply = browser.ask("GET", "/inbox")
    page = Page(reply.body)
    assert attack in page.text
    assert sender in page.text
    for tag in ("script", "img", "b"):
        assert page.tags.count(tag) == plain.count(tag), tag
    assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
    assert "unsafe" not in reply.headers["Content-Security-Policy"]


def test_the_inbox_marks_the_code_and_hides_its_header_in_a_frame(browser: Browser) -> None:
    browser.ask("POST", "/", {**FIELDS, "text": "123456 is it.\n\n@example.com #123456"})
    whole = browser.ask("GET", "/inbox")
    assert whole.headers["Content-Type"] == "text/html; charset=utf-8"
    assert whole.body.count(b"<mark>123456</mark>") == 2
    assert b'data-code="123456"' in whole.body
    assert b'class="whole"' in whole.body
    assert b'class="embedded"' in browser.ask("GET", "/inbox?embed=1").body


def test_the_code_s_button_is_named_by_what_it_shows(browser: Browser) -> None:
    browser.ask("POST", "/", FIELDS)
    html = browser.ask("GET", "/inbox").body.decode()
    button = re.search(r"<button class=\"code\".*?</button>", html, re.DOTALL)
    assert button is not None
    assert "aria-" not in button[0]
    assert Page(button[0].encode()).text == "123456 Copy"


def test_the_embedded_inbox_keeps_its_heading_for_readers(browser: Browser) -> None:
    assert b"<h1>Sandbox inbox</h1>" in browser.ask("GET", "/inbox?embed=1").body
    css = browser.ask("GET", "/inbox.css").body.decode()
    (rule,) = re.findall(r"[^\n]*\.embedded \.banner \{[^}]*\}", css)
    assert "clip-path" in rule
    assert "display" not in rule


def test_what_needs_the_script_is_hidden_without_it(browser: Browser) -> None:
    css = browser.ask("GET", "/inbox.css").body.decode()
    assert "[hidden] { display: none !important; }" in css
    hidden = re.search(r"html:not\(\.scripted\) :is\(([^)]*)\) \{ display: none; \}", css)
    assert hidden is not None
    only = {".code .hint", ".state", ".clear", ".mark", ".options", ".delete"}
    assert set(hidden[1].split(", ")) == only
    assert b'classList.add("scripted")' in browser.ask("GET", "/inbox.js").body
    assert b"scripted" not in browser.ask("GET", "/inbox").body


def test_clearing_leaves_the_focus_on_a_heading(browser: Browser) -> None:
    assert b'<h2 id="none" tabindex="-1">' in browser.ask("GET", "/inbox").body
    assert b"none.focus()" in browser.ask("GET", "/inbox.js").body


def test_the_inbox_shows_texts_that_utf8_cannot_hold(browser: Browser) -> None:
    assert browser.ask("POST", "/", {**FIELDS, "text": "half \ud800"}).status == 200
    assert "half ?" in Page(browser.ask("GET", "/inbox").body).text
    assert browser.ask("GET", "/messages").json[0]["text"] == "half \ud800"


def test_the_page_needs_nothing_from_elsewhere(browser: Browser) -> None:
    for path, kind in (("/inbox.css", "text/css"), ("/inbox.js", "text/javascript")):
        reply = browser.ask("GET", path)
        assert reply.headers["Content-Type"].startswith(kind)
        assert b"//cdn" not in reply.body
        assert b"http" not in reply.body.replace(b"plain http", b"")
    assert browser.ask("GET", "/").headers["Location"] == "/inbox"


def test_messages_are_listed_newest_first_filtered_and_deleted(
    smspm_sandbox: Sandbox, browser: Browser
) -> None:
    for number in MORE:
        browser.ask("POST", "/", {**FIELDS, "toNumber": number})
    listed = browser.ask("GET", "/messages").json
    # With more fields: where it is, and what happened to it.
    assert [
        {name: entry[name] for name in message.as_json()}
        for entry, message in zip(listed, smspm_sandbox.messages, strict=True)
    ] == [message.as_json() for message in smspm_sandbox.messages]
    assert [message["to"] for message in listed] == ["+12025550125", "+12025550124"]
    for spelling in ("12025550124", "%2B12025550124", "+12025550124"):
        (found,) = browser.ask("GET", f"/messages?to={spelling}").json
        assert found["to"] == "+12025550124"
    deleted = browser.ask("DELETE", "/messages")
    assert (deleted.status, deleted.body) == (204, b"")
    assert browser.ask("GET", "/messages").json == []


def test_the_live_stream_tells_of_every_change(smspm_sandbox: Sandbox, browser: Browser) -> None:
    stream = Browser(smspm_sandbox.url)
    stream.connection.request("GET", "/events")
    events = stream.connection.getresponse()
    assert events.headers["Content-Type"] == "text/event-stream"

    def newest() -> Any:
        while not (line := events.readline()).startswith(b"data: "):
            assert line, "the stream ended"
        return json.loads(line.removeprefix(b"data: "))["newest"]

    assert newest() is None
    browser.ask("POST", "/", FIELDS)
    assert newest()["code"] == "123456"
    smspm_sandbox.clear()
    assert newest() is None
    events.close()
    stream.connection.close()


def test_only_the_newest_messages_are_kept() -> None:
    outbox = Outbox(capacity=2)
    now = datetime.now(UTC)
    for id_ in "abc":
        outbox.add(Captured(id_, PHONE, "X", "", "GSM-7", 0, 1, None, now, None))
    assert [message.id for message in outbox.messages] == ["c", "b"]


# Starting and stopping


def test_stop_ends_stalled_requests_and_streams_at_once() -> None:
    threads = set(threading.enumerate())
    sandbox = Sandbox(stall_seconds=30).start()
    browsers = [Browser(sandbox.url) for _ in range(3)]
    stalled, stream, idle = (browser.connection for browser in browsers)
    fields = json.dumps({**FIELDS, "toNumber": "12025550108"})
    stalled.request("POST", "/", fields, {"Content-Type": "application/json"})
    stream.request("GET", "/events")
    events = stream.getresponse()
    assert browsers[2].ask("GET", "/messages").status == 200
    while not sandbox.messages:
        time.sleep(0.001)
    began = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - began < 15
    events.read()
    with pytest.raises(ConnectionError):
        stalled.getresponse()
    assert idle.sock.recv(1) == b""
    sandbox.stop()
    for connection in (stalled, stream, idle):
        connection.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(2)
        assert not thread.is_alive()


def test_a_stopped_sandbox_keeps_its_messages_and_starts_again() -> None:
    sandbox = Sandbox()
    with pytest.raises(ConfigurationError, match="does not run"):
        _ = sandbox.url
    for _ in range(2):
        with sandbox, sandbox.client() as client:
            assert sandbox.start() is sandbox
            client.send(Message(PHONE, "123456"))
    assert len(sandbox.messages) == 2
    assert repr(sandbox) == "<Sandbox stopped with 2 messages>"


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {port}: .* Choose another"):
            Sandbox(port=port).start()


@pytest.mark.parametrize(
    "options", [{"port": 70_000}, {"port": -1}, {"port": "x"}, {"host": "256.0.0.1"}]
)
def test_an_address_that_makes_no_sense_is_a_clear_error(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen"):
        Sandbox(**options).start()


@pytest.mark.parametrize(
    "options",
    [{"dialect": "3"}, {"stall_seconds": -1}, {"stall_seconds": float("nan")}, {"hash": ""}],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Sandbox(**options)


# Support for tests


def test_the_fixture_starts_empty(smspm_sandbox: Sandbox) -> None:
    assert smspm_sandbox.messages == []


def test_a_verifier_sends_to_the_fixture(smspm_sandbox: Sandbox) -> None:
    with SmspmClient.from_env(smspm_sandbox.environ) as client:
        verifier = Verifier(client)
        challenge = verifier.start(PHONE)
        code = code_in(smspm_sandbox.messages[0].text)
        assert verifier.check(PHONE, code, challenge=challenge.id).phone == PHONE


def test_the_outbox_keeps_messages(otp_outbox: OutboxSender) -> None:
    assert len(otp_outbox) == 0
    for lookup in (lambda: otp_outbox.last, otp_outbox.code, lambda: otp_outbox.code(PHONE)):
        with pytest.raises(LookupError, match="Nothing was sent"):
            lookup()
    otp_outbox.send(Message(PHONE, "123456"))
    otp_outbox.send(Message("+12025550124", "654321"))
    assert (otp_outbox.code(), otp_outbox.code(PHONE)) == ("654321", "123456")
    assert otp_outbox.last == otp_outbox.messages[-1]
    otp_outbox.fail_with = DeliveryRejected()
    with pytest.raises(DeliveryRejected):
        otp_outbox.send(Message(PHONE, "111111"))
    assert len(otp_outbox) == 2
    otp_outbox.clear()
    assert otp_outbox.messages == []


def test_the_awaitable_outbox_does_the_same() -> None:
    import asyncio

    outbox = AsyncOutboxSender()
    asyncio.run(outbox.send(Message(PHONE, "123456")))
    assert outbox.code(PHONE) == "123456"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("123456 is your code.", "123456"),
        ("Pay 25.00 with #0042.", "0042"),
        ("您的验证码是123456请勿", "123456"),
        ("a1234 123 12345678901", None),
        ("", None),
    ],
)
def test_the_code_in_a_text(text: str, code: str | None) -> None:
    assert find_code(text) == code
    if code is None:
        with pytest.raises(LookupError, match="no code"):
            code_in(text)
