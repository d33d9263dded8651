"""The inbox: what it finds, pages, keeps, deletes, and says of each message; secrets are masked."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from endpoint import Endpoint

from otpverify.sandbox import Captured, Sandbox
from otpverify.sandbox.inbox import PAGE_SIZE
from otpverify.sandbox.outbox import CAPACITY, Entry, Exchange, Outbox, Search, SentReport

PHONE = "+12025550123"
HASH, TOKEN = "hash-of-the-account", "token-of-the-account"
FIELDS = {"hash": HASH, "token": TOKEN, "toNumber": PHONE, "text": "123456 is your code."}
FORM = "application/x-www-form-urlencoded"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Client:
    """Plain HTTP to one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.connection = http.client.HTTPConnection(
            sandbox.url.removeprefix("http://"), timeout=30
        )

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, str, http.client.HTTPMessage]:
        sent = json.dumps(body) if isinstance(body, dict | list) else body
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if sent is not None:
            names.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, sent, names)
        reply = self.connection.getresponse()
        return reply.status, reply.read().decode(), reply.headers

    def send(self, to: str = PHONE, text: str = "123456 is your code.", **more: Any) -> int:
        return self.ask("POST", "/", {**FIELDS, "toNumber": to, "text": text, **more})[0]

    def json(self, path: str) -> Any:
        return json.loads(self.ask("GET", path)[1])

    def page(self, **query: Any) -> str:
        return self.ask("GET", f"/inbox?{urlencode(query)}" if query else "/inbox")[1]

    def shown(self, **query: Any) -> list[str]:
        """The numbers on the page, as they are written."""
        found = re.findall(r'class="to".*?<bdi dir="ltr">(.*?)</bdi>', self.page(**query))
        return [unescape(number) for number in found]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(hash=HASH, token=TOKEN) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    client = Client(sandbox)
    yield client
    client.connection.close()


def captured(nth: int, **fields: Any) -> Captured:
    given: dict[str, Any] = {
        "id": f"id-{nth}",
        "to": f"+1202555{nth % 10_000:04d}",
        "sender_id": "MyApp",
        "text": f"{100_000 + nth} is your code.",
        "encoding": "GSM-7",
        "units": 20,
        "parts": 1,
        "reference": None,
        "received_at": BEGAN + timedelta(seconds=nth),
        "code": str(100_000 + nth),
    }
    return Captured(**{**given, **fields})


# Finding


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), "cba"),
        (Search(to="+12025550123"), "a"),
        (Search(to="12025550123"), "a"),
        (Search(to="2025550123"), ""),
        (Search(q="+1 (202) 555-0123"), "a"),
        (Search(q="0123"), "a"),
        (Search(q="555 01"), "ca"),
        (Search(q="771203"), "b"),
        (Search(q="YOUR code"), "ba"),
        (Search(q="code shop"), "b"),
        (Search(q="shop nothing"), ""),
        (Search(q="ref-7"), "b"),
        (Search(q="מספר"), "c"),
        (Search(q="straße"), "b"),
        (Search(q="STRASSE"), "b"),
        (Search(q="refused"), "c"),
        (Search(q="401"), "c"),
        (Search(q=".*"), ""),
        (Search(q="   "), "cba"),
        (Search(status="refused"), "c"),
        (Search(status="delivered"), "b"),
        (Search(status="queued"), "a"),
        (Search(status="unread"), "ca"),
        (Search(status="unread", q="is your"), "a"),
        (Search(status="nonsense"), ""),
    ],
    ids=lambda given: None if isinstance(given, str) else f"{given.to}:{given.q}:{given.status}",
)
def test_what_a_search_finds(search: Search, found: str) -> None:
    outbox = Outbox()
    outbox.add(captured(1, id="a", to=PHONE, text="123456 is your code", code="123456"))
    texts = {"text": "Shop, Straße 1: your code is 771203", "code": "771203"}
    outbox.add(captured(2, id="b", to="+37256789045", reference="ref-7", **texts))
    outbox.add(captured(3, id="c", to="+12025550141", text="מספר", code=None), refused="401: No")
    outbox.record("b", SentReport(BEGAN, "delivered", 200))
    outbox.mark_read("b")
    assert "".join(entry.message.id for entry in outbox.find(search).entries) == found


def test_the_page_and_the_api_search_alike(client: Client) -> None:
    client.send("12025550123", "Shop: 123456")
    client.send("+37256789045", "Bank: 771203")
    client.send("12025550142", "Shop: 999999")  # refused
    assert client.shown() == ["+1 202 555 0142", "+372 5678 9045", "+1 202 555 0123"]
    assert client.shown(q="shop") == ["+1 202 555 0142", "+1 202 555 0123"]
    assert client.shown(status="refused") == ["+1 202 555 0142"]
    assert client.shown(to="+37256789045") == ["+372 5678 9045"]
    assert client.shown(q="nobody") == []
    assert [one["code"] for one in client.json("/messages?q=shop")] == ["123456"]
    (refused,) = client.json("/messages?status=refused")
    assert (refused["to"], refused["refused"]) == ("+12025550142", "402: Insufficient balance")
    assert [one["code"] for one in client.json("/messages?q=5678+9045")] == ["771203"]
    assert "Nothing found" in client.page(q="nobody")


# Pages and capacity


def test_pages_are_walked_by_the_link_header(client: Client) -> None:
    for nth in range(7):
        client.send("12025550123", f"{1000 + nth}")
    codes, path, pages = [], "/messages?limit=3&q=10", 0
    while path:
        _, body, headers = client.ask("GET", path)
        assert headers["X-Total-Count"] == "7"
        codes += [one["code"] for one in json.loads(body)]
        link = re.fullmatch(r'<(.*)>; rel="next"', headers.get("Link", ""))
        path = link[1] if link else ""
        pages += 1
        client.send("12025550123", "later")  # moves no page that was begun
        client.ask("DELETE", f"/messages/{client.json('/messages?limit=1')[0]['id']}")
    assert (codes, pages) == ([str(1006 - nth) for nth in range(7)], 3)


def test_a_page_goes_on_where_its_last_message_was_deleted(client: Client) -> None:
    for nth in range(4):
        client.send("12025550123", f"{1000 + nth}")
    last = client.json("/messages?limit=2")[-1]
    assert client.ask("DELETE", f"/messages/{last['id']}")[0] == 204
    rest = client.json(f"/messages?limit=2&before={last['seq']}")
    assert [one["code"] for one in rest] == ["1001", "1000"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=-1", "before=", "before=id", "limit="]
)
def test_pages_that_are_none(client: Client, query: str) -> None:
    assert client.ask("GET", f"/messages?{query}")[0] == 400
    assert client.ask("GET", f"/inbox?{query}")[0] == 200


def test_the_page_holds_one_page(client: Client) -> None:
    numbers = [f"+1202555{nth:04d}" for nth in range(2000, 2000 + 2 * PAGE_SIZE + 5)]
    for number in numbers:
        client.send(number)
    written = [f"+1 202 555 {number[-4:]}" for number in reversed(numbers)]
    shown, page = [], client.page(q="code")
    for rows in (PAGE_SIZE, PAGE_SIZE, 5):
        found = re.findall(r'class="to".*?<bdi dir="ltr">(.*?)</bdi>', page)
        assert len(found) == rows
        shown += found
        older = re.search(r'class="older"[^>]*href="([^"]*)"', page)
        if older:
            page = client.ask("GET", unescape(older[1]))[1]
            assert "q=code" in older[1]
    assert shown == written
    assert f"{2 * PAGE_SIZE + 1} to {2 * PAGE_SIZE + 5} of {2 * PAGE_SIZE + 5}" in page
    newer = re.search(r'class="newer"[^>]*href="([^"]*)"', page)
    assert newer
    page = client.ask("GET", unescape(newer[1]))[1]
    assert f"{PAGE_SIZE + 1} to {2 * PAGE_SIZE} of" in page
    newer = re.search(r'class="newer"[^>]*href="([^"]*)"', page)
    assert newer
    assert unescape(newer[1]) == "/inbox?q=code"


def test_ten_thousand_messages_are_kept_and_no_more() -> None:
    outbox = Outbox()
    for nth in range(CAPACITY + 3):
        outbox.add(captured(nth))
    assert CAPACITY == 10_000
    assert len(outbox.messages) == CAPACITY
    assert outbox.messages[-1].id == "id-3"
    assert outbox.get("id-2") is None
    outbox.record("id-2", SentReport(BEGAN, "sent", 200))  # of one that is not there any more
    found = outbox.find(Search(q="is your code"), limit=50)
    assert (len(found.entries), found.total) == (50, CAPACITY)


def test_refused_messages_push_out_no_accepted_one() -> None:
    outbox = Outbox(capacity=2)
    for nth in range(4):
        outbox.add(captured(nth))
        outbox.add(captured(nth, id=f"no-{nth}"), refused="no")
    ids = [entry.message.id for entry in outbox.find(Search()).entries]
    assert ids == ["no-3", "id-3", "no-2", "id-2"]
    assert [message.id for message in outbox.messages] == ["id-3", "id-2"]


# One message


def test_a_message_with_all_that_happened(client: Client) -> None:
    client.send(smsId="order-1")
    listed = client.json("/messages")[0]
    whole = client.json(f"/messages/{listed['id']}")
    assert {name: whole[name] for name in listed} == listed
    assert set(whole) - set(listed) == {"request", "reply", "reports"}
    assert (whole["status"], whole["read"], whole["refused"]) == ("queued", False, None)
    assert whole["request"].startswith("POST /\nContent-Type: application/json\n")
    assert '"smsId": "order-1"' in whole["request"]
    assert whole["reply"].startswith("200 OK\nContent-Type: application/json\n")
    assert listed["id"] in whole["reply"]


@pytest.mark.parametrize("message_id", ["nothing", "", "../inbox"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_message_that_is_not_there(client: Client, method: str, message_id: str) -> None:
    client.send()
    assert client.ask(method, f"/messages/{message_id}")[0] == 404
    assert client.ask("POST", "/read", {"id": message_id})[0] == 404
    assert client.ask("PUT", f"/messages/{message_id}")[0] == 405
    assert len(client.json("/messages")) == 1
    assert 'data-id=""' in client.page(id=message_id)


def test_one_message_is_deleted(sandbox: Sandbox, client: Client) -> None:
    for number in (PHONE, "+12025550124", "+12025550141"):
        client.send(number)
    refused = client.json("/messages?status=refused")[0]["id"]
    accepted = client.json("/messages")[0]["id"]
    for message_id in (refused, accepted):
        assert client.ask("DELETE", f"/messages/{message_id}")[0] == 204
        assert client.ask("DELETE", f"/messages/{message_id}")[0] == 404
    assert [message.to for message in sandbox.messages] == [PHONE]
    assert client.shown() == ["+1 202 555 0123"]


def test_what_was_deleted_is_reported_no_more() -> None:
    with Endpoint() as endpoint, Sandbox(hash=HASH, token=TOKEN, reports=None) as sandbox:
        client = Client(sandbox)
        client.send(report=endpoint.url)
        message_id = sandbox.messages[0].id
        assert sandbox.report(message_id, "sent") == 200
        client.ask("DELETE", f"/messages/{message_id}")
        with pytest.raises(LookupError):
            sandbox.report(message_id, "delivered")
        client.connection.close()


def test_messages_are_unread_until_they_are_opened(client: Client) -> None:
    for number in (PHONE, "+12025550124", "+12025550141"):
        client.send(number)
    ids = [one["id"] for one in client.json("/messages")]
    assert client.page().count('class="dot"') == 3
    assert '<b id="unread">3</b>' in client.page()
    client.page(id=ids[0])
    assert [one["read"] for one in client.json("/messages")] == [True, False]
    assert client.shown(status="unread") == ["+1 202 555 0141", "+1 202 555 0123"]
    assert client.ask("POST", "/read", {"id": ids[1]})[0] == 204
    assert client.page().count('class="dot"') == 1
    assert client.ask("POST", "/read", {"id": 7})[0] == 400
    assert client.ask("POST", "/read", {})[0] == 204
    assert 'class="dot"' not in client.page()
    client.send()
    assert client.page().count('class="dot"') == 1


def test_a_page_of_another_site_marks_nothing_as_read(client: Client) -> None:
    client.send()
    (one,) = client.json("/messages")
    client.ask("GET", f"/inbox?id={one['id']}", Sec_Fetch_Site="cross-site")
    assert client.json("/messages")[0]["read"] is False


# Refused messages


@pytest.mark.parametrize(
    ("change", "to", "reason"),
    [
        ({"toNumber": "12025550140"}, "+12025550140", "400: Invalid phone number: 12025550140"),
        ({"toNumber": "12025550142"}, "+12025550142", "402: Insufficient balance"),
        ({"toNumber": "14155550165"}, "+14155550165", "307 Temporary Redirect"),
        ({"toNumber": "12"}, "12", "Invalid phone number: 12"),
        ({"toNumber": "<i>" * 50}, ("<i>" * 50)[:40], "Invalid phone number: " + "<i>" * 50),
        ({"toNumber": None}, "", "toNumber is required"),
        ({"toNumber": [PHONE, 7]}, PHONE, "toNumber must be a string or an array of strings"),
        ({"text": 7}, PHONE, "Text is required"),
        ({"fromNumber": "A very long sender"}, PHONE, "Invalid sender ID"),
        ({"token": "wrong"}, PHONE, "Unauthorized"),
        ({"hash": None}, PHONE, "Hash is required"),
    ],
    ids=repr,
)
def test_a_refused_message_is_shown_with_its_reason(
    sandbox: Sandbox, client: Client, change: dict[str, Any], to: str, reason: str
) -> None:
    client.ask("POST", "/", {**FIELDS, **change})
    assert sandbox.messages == []
    assert client.json("/messages") == []
    (one,) = client.json("/messages?status=refused")
    assert (one["to"], one["refused"], one["status"]) == (to, reason, "refused")
    page = client.page(id=one["id"])
    assert "<i>" not in page
    assert unescape(page).count(reason) >= 2  # in the list, and in the message
    assert "The gateway did not take the message." in page
    assert 'class="code"' not in page  # nobody receives it


def test_all_recipients_of_a_refused_request_are_shown(client: Client) -> None:
    numbers = ["12025550124", "12025550140", "12", "12025550142"]
    client.ask("POST", "/", {**FIELDS, "toNumber": numbers})
    refused = client.json("/messages?status=refused")
    assert {one["to"]: one["refused"] for one in refused} == {
        "+12025550124": "402: Insufficient balance",
        "+12025550142": "402: Insufficient balance",
        "+12025550140": "Invalid phone number: 12025550140",
        "12": "Invalid phone number: 12",
    }


# Secrets


@pytest.mark.parametrize(
    ("method", "kind"), [("POST", "application/json"), ("POST", FORM), ("GET", "")]
)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"hash": "somebody-s-own-hash", "token": "somebody-s-own-token"},
        {"toNumber": "12025550140"},
        {"toNumber": f"x{TOKEN}"},
        {"text": f"my token is {TOKEN} and my hash {HASH}"},
        {"smsId": TOKEN},
        {
            "Token": "in-other-letters",
            "PASSWORD": "in-other-letters",
            "Api-Key": "in-other-letters",
        },
        {TOKEN: "x"},
        {
            "report": "http://me:app-secret@127.0.0.1:1/r?a=app-secret&report_token=app-secret#app-secret"
        },
        {"callbackUrl": "http://127.0.0.1:1/r?app-only=app-secret"},
        {"report": "app-secret"},
        {"report": "http://["},
    ],
    ids=repr,
)
def test_no_secret_is_shown(client: Client, change: dict[str, str], method: str, kind: str) -> None:
    fields = {**FIELDS, **change}
    if method == "GET":
        client.ask("GET", f"/?{urlencode(fields)}")
    else:
        body = urlencode(fields) if kind == FORM else json.dumps(fields)
        client.ask("POST", "/", body, Content_Type=kind)
    listed: list[Any] = client.json("/messages") + client.json("/messages?status=refused")
    (one,) = listed
    whole = client.json(f"/messages/{one['id']}")
    raw = whole["request"] + whole["reply"]
    secrets = [HASH, TOKEN, "somebody-s-own", "in-other-letters", "app-secret"]
    assert [secret for secret in secrets if secret in raw] == []
    assert "***" in whole["request"]
    # The text and the number are the message itself, and shown as they were sent.
    if "text" not in change and "toNumber" not in change and "smsId" not in change:
        page = client.page(id=one["id"])
        assert [secret for secret in secrets if secret in page] == []


def test_secrets_in_nested_fields_are_masked(client: Client) -> None:
    deep: Any = TOKEN
    for _ in range(500):
        deep = [deep]
    client.send(more={"token": "app-secret", "list": [{"hash": "app-secret"}, TOKEN]}, deep=deep)
    (one,) = client.json("/messages")
    request = client.json(f"/messages/{one['id']}")["request"]
    assert "app-secret" not in request
    assert TOKEN not in request


def test_a_long_request_and_a_long_reply_are_shortened(client: Client) -> None:
    client.send("14155550164", "x" * 100_000)
    (one,) = client.json("/messages")
    whole = client.json(f"/messages/{one['id']}")
    assert len(whole["request"]) < 5000
    assert whole["request"].endswith(" more characters")
    assert "(1,048,576 spaces)" in whole["reply"]
    assert one["text"] == "x" * 100_000
    assert len(client.page()) < 20_000
    assert len(client.page(id=one["id"])) > 100_000


def test_nothing_of_an_exchange_is_in_a_repr() -> None:
    exchange = Exchange("GET /?toNumber=12025550123", "200 OK\n12025550123")
    entry = Entry(1, captured(1, to=PHONE), exchange, refused="Invalid phone number: 12025550123")
    for shown in (repr(exchange), repr(entry), repr(Search(to=PHONE, q="123456"))):
        assert "2025550123" not in shown
        assert "123456" not in shown


# The timeline


def events(page: str) -> list[tuple[str, str]]:
    """Status and sentence of each line."""
    found = re.findall(r"<li class=\"\w+\"><strong><bdi>(.*?)</bdi>.*?said\">(.*?)</span>", page)
    return [(unescape(status), said) for status, said in found]


def test_the_timeline_says_how_the_application_answered() -> None:
    answers = iter([200, 503, 302, 200, 200])
    endpoint = Endpoint(lambda _: next(answers))
    with endpoint, Sandbox(hash=HASH, token=TOKEN, reports=None) as sandbox:
        client = Client(sandbox)
        client.send(report=endpoint.url)
        message_id = sandbox.messages[0].id
        assert "No delivery report was sent yet." in client.page(id=message_id)
        for status in ("sent", "delivered", "delivered", "delivered", "<b>odd</b>"):
            sandbox.report(message_id, status)
        endpoint.__exit__(None, None, None)
        sandbox.report(message_id, "failed")
        page = client.page(id=message_id)
        assert events(page) == [
            ("queued", "The gateway took the message."),
            ("sent", "The application answered 200."),
            ("delivered", "The application answered 503."),
            ("delivered", "The application answered 302. Reported again."),
            ("delivered", "The application answered 200. Reported again."),
            ("<b>odd</b>", "The application answered 200."),
            ("failed", "The application gave no answer."),
        ]
        assert "<b>odd" not in page
        whole = client.json(f"/messages/{message_id}")
        assert [(one["status"], one["answered"]) for one in whole["reports"]][-2:] == [
            ("<b>odd</b>", 200),
            ("failed", None),
        ]
        for one in whole["reports"]:
            at = datetime.fromisoformat(one["at"])
            assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=1)
        assert whole["status"] == whole["reported"] == "<b>odd</b>"
        client.connection.close()


def test_the_timeline_of_a_message_without_reports(client: Client) -> None:
    client.send()
    page = client.page(id=client.json("/messages")[0]["id"])
    assert "The request named no address for delivery reports." in page
    assert events(page) == [("queued", "The gateway took the message.")]


def test_the_newest_hundred_reports_are_kept() -> None:
    outbox = Outbox()
    outbox.add(captured(1))
    for nth in range(250):
        outbox.record("id-1", SentReport(BEGAN, str(nth), 200))
    entry = outbox.get("id-1")
    assert entry is not None
    assert [report.status for report in entry.reports] == [str(nth) for nth in range(150, 250)]


# The page itself


@pytest.mark.parametrize(
    "attack", ['"><script>alert(1)</script>', "' onload=alert(1) x='", "$id", "\x00&#39;", "%22"]
)
@pytest.mark.parametrize("name", ["q", "status", "to", "before", "id", "embed"])
def test_the_address_is_escaped(client: Client, name: str, attack: str) -> None:
    client.send()
    page = client.page(**{name: attack})
    assert page.count("<script") == client.page().count("<script")
    assert "<script>" not in page
    assert "onload=alert(1) x='" not in page
    if name == "q":
        found = re.search(r'name="q" value="([^"]*)"', page)
        assert found
        assert unescape(found[1]) == unescape(attack.replace("\x00&#39;", "\x00&amp;#39;"))


def test_the_page_says_times_in_utc_until_the_script_runs(client: Client) -> None:
    client.send()
    (one,) = client.json("/messages")
    at = datetime.fromisoformat(one["received_at"])
    for page in (client.page(), client.page(id=one["id"])):
        assert f'datetime="{one["received_at"]}" title="{at:%Y-%m-%d %H:%M:%S} UTC"' in page
    assert f">{at:%H:%M:%S} UTC</time>" in client.page()


def test_texts_have_their_own_direction_and_numbers_one(client: Client) -> None:
    client.send("+972502345678", "הקוד שלך הוא 482913.")
    page = client.page()
    assert '<p class="text" dir="auto">הקוד' in page
    assert '<bdi dir="ltr">+972 50 234 5678</bdi>' in page


def test_without_the_script_the_page_loads_again_unless_it_is_read(client: Client) -> None:
    client.send()
    message_id = client.json("/messages")[0]["id"]
    assert 'http-equiv="refresh"' in client.page()
    assert 'http-equiv="refresh"' in client.page(embed=1)
    for query in ({"q": "x"}, {"status": "sent"}, {"id": message_id}, {"before": "2"}):
        assert 'http-equiv="refresh"' not in client.page(**query)


def test_the_search_stays_in_the_frame(client: Client) -> None:
    client.send()
    page = client.page(embed=1, q="code")
    assert '<input type="hidden" name="embed" value="1">' in page
    assert re.findall(r'class="to"[^>]*href="([^"]*)"', page)[0].startswith(
        "/inbox?embed=1&amp;q=code&amp;id="
    )
    _, _, headers = client.ask("GET", "/inbox")
    assert "form-action 'self'" in headers["Content-Security-Policy"]
