"""The application's endpoint for delivery reports, as a server of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Call:
    """One request, as it came in."""

    method: str
    path: str
    body: bytes

    @property
    def query(self) -> str:
        return urlsplit(self.path).query

    @property
    def params(self) -> dict[str, Any]:
        """The query's parameters merged with the JSON body."""
        return {**dict(parse_qsl(self.query)), **(json.loads(self.body) if self.body else {})}

    @property
    def status(self) -> str:
        return str(self.params["status"])


class Endpoint:
    """Keeps what it is sent, and answers 200.

    Args:
        answer: Called with every request in the server's thread; gives the HTTP status.
    """

    def __init__(self, answer: Callable[[Call], int] = lambda _: 200) -> None:
        self.calls: list[Call] = []
        self._taken = 0
        self._came = threading.Condition()
        self._answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/sms/report"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, count: int = 1) -> list[Call]:
        """The next requests that were not taken yet; waits for them."""
        with self._came:
            begin, end = self._taken, self._taken + count
            came = self._came.wait_for(lambda: len(self.calls) >= end, _PATIENCE_SECONDS)
            assert came, f"{len(self.calls) - begin} of {count} requests came"
            self._taken = end
            return self.calls[begin:end]

    def forget(self) -> None:
        """Keep what arrived so far."""
        with self._came:
            self._taken = len(self.calls)

    def answered(self, call: Call) -> int:
        status = self._answer(call)
        with self._came:
            self.calls.append(call)
            self._came.notify_all()
        return status


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, endpoint: Endpoint, *args: Any) -> None:
        self.endpoint = endpoint
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = self.endpoint.answered(Call(self.command, self.path, body))
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    do_POST = do_GET  # noqa: N815 - http.server's name
