"""A fake of the Messages API on this machine, with the faults of a real one."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

Answer = tuple[int, dict[str, str], bytes]

BUSY: Answer = (429, {"Retry-After": "0"}, b'{"code": 20429, "status": 429}')
BROKEN: Answer = (500, {}, b'{"code": 20500, "status": 500}')
UNREADABLE: Answer = (200, {}, b"<html>")


def refusal(number: str) -> Answer:
    """The refusal of a number, which repeats the number."""
    text = f"The 'To' number {number} is not a valid phone number."
    return 400, {}, json.dumps({"code": 21211, "message": text, "status": 400}).encode()


class FakeTwilio:
    """Takes messages, and answers with `faults` first: each in turn, `None` for no answer."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.faults: list[Answer | None] = []
        self.requests: list[tuple[str, str | None]] = []
        self._over = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fake.requests.append((self.path, self.headers["Authorization"]))
                answer = fake.faults.pop(0) if fake.faults else fake.take(form)
                if answer is None:
                    fake._over.wait(10)
                    return
                self.send_response(answer[0])
                for name, value in {"Content-Length": str(len(answer[2])), **answer[1]}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer[2])

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, form: str) -> Answer:
        """Take a message."""
        self.messages.append({name: values[0] for name, values in parse_qs(form).items()})
        reply = {"sid": f"SM{len(self.messages):032d}", "status": "queued"}
        return 201, {}, json.dumps(reply).encode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
