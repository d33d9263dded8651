"""Delivery reports, from the gateway's side: which reports it sends, and their format.

A message whose send named an address for reports (`report` or `callbackUrl`) is reported
`sent` and then `delivered`, or as `otpverify.sandbox.faults.REPORTS` says.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Literal
from urllib.parse import SplitResult, urlencode, urlsplit

from otpverify.gateways.urls import is_loopback
from otpverify.sandbox.faults import reports_of
from otpverify.sandbox.outbox import CAPACITY, Captured, Outbox, SentReport

Shape = Literal["post", "get"]
SHAPES: Mapping[str, Shape] = {"post": "post", "get": "get"}

_URL = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the application.

    Attributes:
        secure: Whether it goes over TLS.
        host: The host to connect to.
        port: The port; `None` for the scheme's own.
        method: `"POST"` or `"GET"`.
        target: Path and query, the application's token included.
        body: The body, or `None`.
    """

    secure: bool
    host: str
    port: int | None
    method: str
    target: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


def address(given: object, *, anywhere: bool) -> SplitResult | None:
    """The address for reports, or `None` when reports to it are not allowed.

    Args:
        given: The address in the send request.
        anywhere: Whether reports may leave this machine.
    """
    if not isinstance(given, str) or not _URL.fullmatch(given):
        return None
    try:
        url = urlsplit(given)
        host, port = url.hostname, url.port  # reading the port validates it
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not host or port == 0 or "@" in url.netloc:
        return None
    return url if anywhere or is_loopback(host) else None


def request_of(
    url: SplitResult, message_id: str, to: str, status: str, shape: Shape, now: datetime
) -> Request:
    """One report: a POST with JSON, or a GET with everything in the query."""
    query, body = url.query, None
    number = to.removeprefix("+")
    if shape == "post":
        values = {"messageId": message_id, "status": status, "to": number}
        body = json.dumps({**values, "timestamp": now.isoformat()}).encode()
    else:
        fields = urlencode({"id": message_id, "status": status, "toNumber": number})
        query = f"{query}&{fields}" if query else fields
    return Request(
        secure=url.scheme == "https",
        host=url.hostname or "",
        port=url.port,
        method=shape.upper(),
        target=(url.path or "/") + (f"?{query}" if query else ""),
        body=body,
    )


_log = logging.getLogger("otpverify.sandbox")
_TIMEOUT_SECONDS = 5.0
_TRIES = 3
_MOST_READ = 4096
_LONGEST_GOODBYE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Target:
    """The address for the reports of one message, and the message's number."""

    url: SplitResult = field(repr=False)
    to: str = field(repr=False)


class Reporter:
    """Sends the delivery reports of messages. Safe to share between threads.

    Args:
        outbox: Records the reports, and how the application answered.
        shape: The format of automatic reports; `None`: no automatic reports.
        anywhere: Whether reports may leave this machine.
        retry_seconds: The time between the three attempts of a report without a 2xx answer.
    """

    def __init__(
        self, outbox: Outbox, shape: Shape | None, *, anywhere: bool, retry_seconds: float = 1.0
    ) -> None:
        self._outbox = outbox
        self._shape: Shape | None = shape
        self._anywhere = anywhere
        self._retry_seconds = retry_seconds
        self._targets: OrderedDict[str, _Target] = OrderedDict()
        self._lock = threading.Lock()
        self._sender: _Sender | None = None
        self._warned = False

    def take(self, message: Captured, given: object) -> None:
        """Store the address for the reports of a message, and start to send them.

        Args:
            message: The message.
            given: The address in its send request.
        """
        if given is None:
            return
        url = address(given, anywhere=self._anywhere)
        with self._lock:
            if url is None:
                self._warn()
                return
            self._targets[message.id] = _Target(url, message.to)
            if len(self._targets) > CAPACITY:
                self._targets.popitem(last=False)
            if self._shape is not None:
                if self._sender is None:
                    self._sender = _Sender(self, self._retry_seconds)
                for status in reports_of(message.to).statuses:
                    self._sender.queue.put((message.id, status, self._shape))

    def report(
        self, message_id: str, status: str, shape: Shape, connection: _Connection | None = None
    ) -> int | None:
        """Send one report, and wait for the answer.

        Returns:
            The HTTP status of the application's answer; `None` without an answer.

        Raises:
            LookupError: No such message asked for reports.
        """
        with self._lock:
            target = self._targets.get(message_id)
        if target is None:
            raise LookupError("No message with this id asked for reports.")
        now = datetime.now(UTC)
        request = request_of(target.url, message_id, target.to, status, shape, now)
        answered = (connection or _Connection()).send(request)
        self._outbox.record(message_id, SentReport(now, status, answered))
        return answered

    def forget(self, message_id: str) -> None:
        """Forget a message's address for reports."""
        with self._lock:
            self._targets.pop(message_id, None)

    def clear(self) -> None:
        """Forget the addresses for reports, and drop the reports that wait."""
        with self._lock:
            self._targets.clear()

    def stop(self) -> None:
        """End the thread and its current request. The addresses stay."""
        with self._lock:
            sender, self._sender = self._sender, None
        if sender is not None:
            sender.stop()

    def _warn(self) -> None:
        # Once, and without the address, which holds the application's token.
        if not self._warned:
            self._warned = True
            _log.warning(
                "Delivery reports go to http(s) addresses on this machine only, unless the "
                "sandbox has report_anywhere=True; one was asked for elsewhere."
            )


class _Sender:
    """The thread, and the reports that wait for it."""

    def __init__(self, reporter: Reporter, retry_seconds: float) -> None:
        self.queue: SimpleQueue[tuple[str, str, Shape] | None] = SimpleQueue()
        self._reporter = reporter
        self._retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._calls = _Connection()
        self._thread = threading.Thread(
            target=self._run, name="otpverify-sandbox-reports", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.queue.put(None)
        self._calls.cut()
        self._thread.join(_LONGEST_GOODBYE_SECONDS)

    def _run(self) -> None:
        while (waiting := self.queue.get()) is not None and not self._stopping.is_set():
            # Do not report a message that was forgotten in the meantime.
            with contextlib.suppress(LookupError):
                self._deliver(*waiting)

    def _deliver(self, message_id: str, status: str, shape: Shape) -> None:
        for _ in range(_TRIES):
            answered = self._reporter.report(message_id, status, shape, self._calls)
            if answered is not None and 200 <= answered < 300:
                return
            if self._stopping.wait(self._retry_seconds):
                return


class _Connection:
    """Sends one request after the other; the current one can be aborted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._cut = False

    def send(self, request: Request) -> int | None:
        """The HTTP status of the answer; `None` without an answer."""
        kind = http.client.HTTPSConnection if request.secure else http.client.HTTPConnection
        connection = kind(request.host, request.port, timeout=_TIMEOUT_SECONDS)
        with self._lock:
            if self._cut:
                return None
            self._connection = connection
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        try:
            connection.request(request.method, request.target, request.body, headers)
            with connection.getresponse() as response:
                response.read(_MOST_READ)
                return response.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def cut(self) -> None:
        """Abort the current request, and accept no more."""
        with self._lock:
            self._cut = True
            sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
