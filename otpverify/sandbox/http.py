"""The sandbox's HTTP: it routes paths to actions, reads requests, and writes replies or lets their
transport fail."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from socketserver import BaseServer
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

from otpverify.gateways.urls import is_loopback
from otpverify.sandbox import inbox
from otpverify.sandbox.delivery_reports import SHAPES, Reporter
from otpverify.sandbox.exchange import exchange_of
from otpverify.sandbox.gateway import (
    Credentials,
    Dialect,
    Refusal,
    Reply,
    answer_account,
    answer_send,
)
from otpverify.sandbox.outbox import Outbox, Search

LARGEST_BODY = 1 << 20
_LARGEST_DISCARDED = 1 << 24
_KEEP_ALIVE_SECONDS = 15.0
_DIALECTS: dict[str, Dialect] = {"2.0": "2.0", "tutorial": "tutorial"}


@dataclass(frozen=True, slots=True)
class State:
    """What the handlers of all connections share.

    Attributes:
        credentials: The credentials that requests to the gateway must contain.
        dialect: The wording of replies, unless a request names another dialect.
        stall_seconds: How long a stalled request waits.
        outbox: Where messages go.
        reporter: Sends delivery reports.
        stopping: Set when the server stops.
        local_only: The server is bound to this machine, so a request under any other name
            comes from a page that rebound its own name to this address.
        turns: The numbers whose last request failed by an alternating fault.
    """

    credentials: Credentials
    dialect: Dialect
    stall_seconds: float
    outbox: Outbox
    reporter: Reporter
    stopping: threading.Event
    local_only: bool
    turns: set[str] = field(default_factory=set)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "otpverify-sandbox"
    sys_version = ""
    timeout: ClassVar[float | None] = 60.0
    # Headers and body leave in one write; two would wait for each other's acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def __init__(self, state: State, request: Any, client: Any, server: BaseServer) -> None:
        self._state = state
        self._body = b""
        self._url = urlsplit("")
        super().__init__(request, client, server)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: query strings hold credentials and codes."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that http.server could not parse, as JSON, and close the connection."""
        self.close_connection: bool = True
        self._write(Refusal(message or explain or HTTPStatus(code).phrase, code).worded("2.0"))

    def _answer(self) -> None:
        reply = self._read_request() or self._route()
        if reply is not None:
            self._write(reply)

    do_GET: ClassVar[Callable[[Handler], None]] = _answer  # noqa: N815 - this and below: http.server's names
    do_POST: ClassVar[Callable[[Handler], None]] = _answer  # noqa: N815
    do_DELETE: ClassVar[Callable[[Handler], None]] = _answer  # noqa: N815
    do_PUT: ClassVar[Callable[[Handler], None]] = _answer  # noqa: N815
    do_PATCH: ClassVar[Callable[[Handler], None]] = _answer  # noqa: N815
    do_HEAD: ClassVar[Callable[[Handler], None]] = _answer  # noqa: N815
    do_OPTIONS: ClassVar[Callable[[Handler], None]] = _answer  # noqa: N815

    def _read_request(self) -> Reply | None:
        """Read the request. Return a reply if the request is not acceptable."""
        try:
            self._url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if length < 0 or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return Refusal("Malformed request").worded("2.0")
        if length > LARGEST_BODY:
            # Discarded, not left unread: closing on unread data would reset the connection
            # before the client has the reply.
            self.close_connection = True
            self._discard(min(length, _LARGEST_DISCARDED))
            return Refusal("Request body too large", 413).worded("2.0")
        self._body = self.rfile.read(length)
        if self._state.local_only and not names_this_machine(self.headers.get("Host")):
            return Refusal("Not this host", 421).worded("2.0")
        return None

    def _discard(self, length: int) -> None:
        while length > 0:
            length -= len(self.rfile.read(min(length, 1 << 16)) or b" " * length)

    def _route(self) -> Reply | None:
        # A GET sends a message, too, if it has fields.
        reads = self.command in ("GET", "HEAD", "OPTIONS")
        changes = not reads or (self._url.path == "/" and bool(self._url.query))
        if changes and from_another_site(self.headers):
            return Refusal("Requests from pages of other sites are refused", 403).worded("2.0")
        is_message = self._url.path.startswith(_MESSAGE)
        methods = _ROUTES.get(_MESSAGE if is_message else self._url.path)
        if methods is None:
            return Refusal("Not found", 404).worded("2.0")
        action = methods.get(self.command)
        if action is None:
            allowed = (("Allow", ", ".join(methods)),)
            return Refusal("Method not allowed", 405, allowed).worded("2.0")
        return action(self)

    def _send(self) -> Reply | None:
        if self.command == "GET" and not self._url.query:
            return Reply(303, headers=(("Location", "/inbox"),))
        named = self.headers.get("X-Sandbox-Dialect", self._state.dialect)
        dialect = _DIALECTS.get(named)
        if dialect is None:
            return Refusal('X-Sandbox-Dialect must be "2.0" or "tutorial"').worded("2.0")
        fields = self._fields()
        if isinstance(fields, Refusal):
            return fields.worded(dialect)
        state = self._state
        answer = answer_send(fields, state.credentials, dialect, state.turns)
        account = (state.credentials.hash, state.credentials.token)
        request = (self.command, self._url, self.headers, fields)
        exchange = exchange_of(*request, answer.reply, credentials=account)
        for message in answer.captured:
            state.outbox.add(message, exchange)
            state.reporter.take(message, fields.get("report") or fields.get("callbackUrl"))
        for message, reason in answer.refused:
            state.outbox.add(message, exchange, refused=reason)
        if answer.transport is None:
            return answer.reply
        self.close_connection = True
        out = (self.connection, self.wfile, state.stopping, state.stall_seconds)
        fail_transport(answer.transport, answer.reply, *out)
        return None

    def _account(self) -> Reply:
        return answer_account(self._url.path, query_of(self._url), self._state.credentials)

    def _messages(self) -> Reply:
        """The messages that a search finds, newest first; a `Link` header names the next page."""
        query = {name: str(value) for name, value in query_of(self._url).items()}
        limit, before = (_count(query.get(name)) for name in ("limit", "before"))
        if limit == 0 or -1 in (limit, before):
            return Refusal("limit and before must be whole numbers, limit from 1").worded("2.0")
        search = Search(*(query.get(name, "") for name in ("to", "q", "status")))
        found = self._state.outbox.find(
            search, limit=limit, before=before, accepted_only=search.status != "refused"
        )
        headers = [("X-Total-Count", str(found.total))]
        if found.entries and found.newer + len(found.entries) < found.total:
            more = urlencode({**query, "before": found.entries[-1].seq})
            headers.append(("Link", f'</messages?{more}>; rel="next"'))
        return Reply.of_json([one.as_json() for one in found.entries], headers=tuple(headers))

    def _message(self) -> Reply:
        entry = self._state.outbox.get(self._url.path.removeprefix(_MESSAGE))
        if entry is None:
            return Refusal("No message with this id", 404).worded("2.0")
        return Reply.of_json(entry.details_as_json())

    def _delete(self) -> Reply:
        message_id = self._url.path.removeprefix(_MESSAGE)
        if not self._state.outbox.delete(message_id):
            return Refusal("No message with this id", 404).worded("2.0")
        self._state.reporter.forget(message_id)
        return Reply(204)

    def _mark_read(self) -> Reply:
        """Mark a message as read: `{"id": ...}`; all of them: `{}`."""
        fields = self._fields()
        if isinstance(fields, Refusal):
            return fields.worded("2.0")
        message_id = fields.get("id")
        if message_id is not None and not isinstance(message_id, str):
            return Refusal('Give "id", or nothing for all messages').worded("2.0")
        if not self._state.outbox.mark_read(message_id):
            return Refusal("No message with this id", 404).worded("2.0")
        return Reply(204)

    def _report(self) -> Reply:
        """Send one more delivery report: `{"id": ..., "status": ...}`, and perhaps `shape`."""
        fields = self._fields()
        if isinstance(fields, Refusal):
            return fields.worded("2.0")
        message_id, status = fields.get("id"), fields.get("status")
        shape = SHAPES.get(str(fields.get("shape", "post")))
        if not (isinstance(message_id, str) and isinstance(status, str) and shape):
            return Refusal('Give "id", "status" and perhaps "shape": "post" or "get"').worded("2.0")
        try:
            answered = self._state.reporter.report(message_id, status, shape)
        except LookupError:
            return Refusal("No message with this id asked for reports", 404).worded("2.0")
        return Reply.of_json({"answered": answered})

    def _clear(self) -> Reply:
        self._state.outbox.clear()
        self._state.reporter.clear()
        return Reply(204)

    def _inbox(self) -> Reply:
        query = {name: str(value) for name, value in query_of(self._url).items()}
        if "id" in query and not from_another_site(self.headers):
            self._state.outbox.mark_read(query["id"])
        return inbox.inbox(self._state.outbox, query)

    def _asset(self) -> Reply:
        return inbox.asset(self._url.path.removeprefix("/"))

    def _events(self) -> None:
        """Server-sent events: one `outbox` event at once, and one after every change."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"retry: 1000\n\n")
        seen = -1
        while (version := self._state.outbox.wait(seen, _KEEP_ALIVE_SECONDS)) is not None:
            newest = self._state.outbox.newest
            data = json.dumps({"version": version, "newest": newest.as_json() if newest else None})
            event = f"event: outbox\ndata: {data}\n\n" if version != seen else ": waiting\n\n"
            self.wfile.write(event.encode())
            self.wfile.flush()
            seen = version

    def _fields(self) -> dict[str, object] | Refusal:
        """The request's fields, from the query or the body."""
        if self.command == "GET":
            return query_of(self._url)
        kind = self.headers.get_content_type()
        if kind == "application/x-www-form-urlencoded":
            return pairs_of(self._body.decode(errors="replace"))
        if kind != "application/json":
            return Refusal("JSON needs Content-Type: application/json", 415)
        try:
            fields = json.loads(self._body)
        except (ValueError, RecursionError):
            fields = None
        return fields if isinstance(fields, dict) else Refusal("Malformed JSON")

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        if reply.body:
            self.send_header("Content-Type", reply.content_type)
        if reply.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in reply.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


_MESSAGE = "/messages/"
_Action = Callable[[Handler], Reply | None]
_ROUTES: dict[str, dict[str, _Action]] = {
    "/": {"GET": Handler._send, "POST": Handler._send},
    "/balance": {"GET": Handler._account},
    "/sender-ids": {"GET": Handler._account},
    "/messages": {"GET": Handler._messages, "DELETE": Handler._clear},
    _MESSAGE: {"GET": Handler._message, "DELETE": Handler._delete},
    "/read": {"POST": Handler._mark_read},
    "/report": {"POST": Handler._report},
    "/inbox": {"GET": Handler._inbox},
    "/inbox.css": {"GET": Handler._asset},
    "/inbox.js": {"GET": Handler._asset},
    "/events": {"GET": Handler._events},
}


def _count(given: str | None) -> int | None:
    """A whole number of a query: -1 if it is not one, `None` if it is not there."""
    if given is None:
        return None
    return int(given) if re.fullmatch(r"[0-9]{1,15}", given, re.ASCII) else -1


def names_this_machine(host: str | None) -> bool:
    """Whether a `Host` header names this machine; HTTP/1.0 clients may send none."""
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name)


def from_another_site(headers: Message) -> bool:
    """Whether a browser sent the request for a page of another site.

    Browsers name the page's site in `Sec-Fetch-Site` (Fetch Metadata), and its origin in `Origin`
    (RFC 6454; `null` for a page that has none) or at least in `Referer`. Other programs send none
    of them. Another port of this machine is another origin: another program serves it.
    """
    sites = {site.strip().lower() for site in headers.get_all("Sec-Fetch-Site", [])}
    if sites - {"same-origin", "none"}:  # "none": the person typed the address
        return True
    own = f"http://{headers.get('Host', '')}".lower()
    if any(origin.strip().lower() != own for origin in headers.get_all("Origin", [])):
        return True
    pages = [page.strip().lower() for page in headers.get_all("Referer", [])]
    return any(page != own and not page.startswith(f"{own}/") for page in pages)


def query_of(url: SplitResult) -> dict[str, object]:
    """The fields of an address's query."""
    return pairs_of(url.query)


def pairs_of(text: str) -> dict[str, object]:
    """Decoded name and value pairs; a recipient that is named several times is a batch."""
    found = parse_qs(text, keep_blank_values=True)
    fields: dict[str, object] = {name: values[-1] for name, values in found.items()}
    if len(numbers := found.get("toNumber", [])) > 1:
        fields["toNumber"] = numbers
    return fields


_SECONDS_A_BYTE = 0.02
# Together 30 seconds: longer than a client's default `Retry.total_seconds`.
_DRIPPED_BYTES = 1500
# The kernel then discards unsent data and resets the connection.
_NO_LINGER = struct.pack("ii", 1, 0)


def fail_transport(
    how: str,
    reply: Reply,
    connection: socket.socket,
    wfile: BufferedIOBase,
    stopping: threading.Event,
    stall_seconds: float,
) -> None:
    """Let the transport of a reply fail. The connection is not usable afterwards.

    Args:
        how: `"stalled"`, `"dropped"`, `"reset"`, `"slow headers"` or `"slow body"`.
        reply: The reply without the fault.
        connection: The client's.
        wfile: Writes to it.
        stopping: Set when the sandbox stops.
        stall_seconds: How long a stalled reply is delayed.
    """
    if how == "stalled":
        stopping.wait(stall_seconds)
    elif how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        socket.close(connection.detach())
    elif how in ("slow headers", "slow body"):
        slow_body = how == "slow body"
        body = b" " * _DRIPPED_BYTES + reply.body if slow_body else reply.body
        padding = "" if slow_body else f"X-Padding: {'x' * _DRIPPED_BYTES}\r\n"
        head = (
            f"HTTP/1.1 {reply.status} OK\r\n{padding}Content-Type: {reply.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        whole = head + body
        at_once = len(head) if slow_body else 0
        wfile.write(whole[:at_once])
        for place in range(at_once, len(whole)):
            wfile.write(whole[place : place + 1])
            wfile.flush()
            if stopping.wait(_SECONDS_A_BYTE):
                return
