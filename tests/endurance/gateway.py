"""The gateway: the sandbox, and in front of it a server that forwards, or is slow, fails, or cuts
connections. What the sandbox has taken is written down."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from clients import HASH, TOKEN

from endurance.ledger import Arrived, Ledger
from otpverify.sandbox import Sandbox

WELL, SLOW, FAILING, CUTTING = "well", "slow", "failing", "cutting"
MODES = (WELL, SLOW, FAILING, CUTTING)
_SLOWEST_SECONDS = 0.8  # longer than the workers' clients wait
_LOOK_SECONDS = 0.25
_STATUSES = (500, 502, 503)


class _Front(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.mode = WELL

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up when they have waited long enough."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Front
    behind: HTTPConnection | None = None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mode = self.server.mode
        if mode == FAILING and random.random() < 0.8:
            self._reply(random.choice(_STATUSES), "application/json", b'{"error": "failing"}')
            return
        try:
            status, kind, answer = self._forward(body)
        except (OSError, HTTPException):  # a number for which the sandbox hangs up
            self.behind = None
            self.close_connection = True
            return
        if mode == CUTTING and random.random() < 0.5:
            self.close_connection = True
            return
        if mode == SLOW:
            time.sleep(random.uniform(0, _SLOWEST_SECONDS))
        self._reply(status, kind, answer)

    def finish(self) -> None:
        if self.behind is not None:
            self.behind.close()
        super().finish()

    def _forward(self, body: bytes) -> tuple[int, str, bytes]:
        if self.behind is None:
            self.behind = HTTPConnection("127.0.0.1", self.server.behind, timeout=5)
        names = ("Content-Type", "Accept", "Idempotency-Key")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        self.behind.request("POST", self.path, body, headers)
        reply = self.behind.getresponse()
        return reply.status, reply.headers.get("Content-Type", ""), reply.read()

    def _reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(folder: str, line: Any) -> None:
    """Be the gateway's process.

    Args:
        folder: Where the ledger is.
        line: One end of a pipe: it is given the address, and gives modes; `None` ends the process.
    """
    os.nice(5)
    ledger = Ledger(Path(folder), "gateway")
    ended = threading.Event()
    with Sandbox(hash=HASH, token=TOKEN, stall_seconds=1, reports=None) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with _Front(port) as front:
            threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()
            watch = threading.Thread(target=_watch, args=(sandbox, ledger, ended))
            watch.start()
            line.send(f"http://127.0.0.1:{front.server_port}")
            with contextlib.suppress(EOFError):
                while (mode := line.recv()) is not None:
                    front.mode = mode
            front.shutdown()
            ended.set()
            watch.join()


def _watch(sandbox: Sandbox, ledger: Ledger, ended: threading.Event) -> None:
    """Write down what the sandbox took, long before it forgets it."""
    newest, last = "", False
    while not last:
        last = ended.wait(_LOOK_SECONDS)
        found = sandbox.messages
        for message in found:
            if message.id == newest:
                break
            at = time.monotonic()
            ledger.arrived(Arrived(message.to, message.code or "", message.reference or "", at))
        newest = found[0].id if found else newest
