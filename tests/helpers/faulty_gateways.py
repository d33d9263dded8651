"""Gateways that answer as a test says, over real sockets."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, quote_plus

import trustme
from clients import HASH, TOKEN

from otpverify import Message
from otpverify.sandbox.faults import FAULTS

CODE = "904817"
TEXT = f"{CODE} is your verification code.\n\n@example.com #{CODE}"
GOOD = Message("+14155550123", TEXT, "ref-1")


@dataclass
class Recorder:
    """What a plain server was sent, and what it answers: first each of `replies` in turn (a
    status, or `None` to hang up, and headers), then always the same."""

    replies: list[tuple[int | None, Mapping[str, str | list[str]]]] = field(default_factory=list)
    status: int = 200
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    body: bytes = b'{"messages": [{"id": "m-1"}]}'
    last: bool = False
    """Whether the first request is the last: it then listens no more."""
    url: str = ""
    connections: int = 0
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


class _RecordingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, recorder: Recorder, *args: Any) -> None:
        self.recorder = recorder
        recorder.connections += 1
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        recorder = self.recorder
        recorder.requests.append((self.command, self.path, dict(self.headers), body))
        if recorder.last:
            self.server.server_close()
        status: int | None
        headers: Mapping[str, str | list[str]]
        status, headers, answer = recorder.status, recorder.headers, recorder.body
        if recorder.replies:
            (status, headers), answer = recorder.replies.pop(0), b"{}"
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            for one in [value] if isinstance(value, str) else value:
                self.send_header(name, one)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - http.server's name


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may hang up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def recording() -> Iterator[Recorder]:
    """A server that records requests and answers as the test says."""
    recorder = Recorder()
    listener = _Listener(("127.0.0.1", 0), partial(_RecordingHandler, recorder))
    recorder.url = f"http://127.0.0.1:{listener.server_port}"
    with _serving(listener):
        yield recorder


@contextmanager
def _serving(listener: _Listener) -> Iterator[None]:
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield
    listener.shutdown()
    listener.server_close()
    thread.join()


@contextmanager
def answering(
    answer: Callable[[bytes], bytes],
    hold: threading.Event | None = None,
    until: bytes = CODE.encode(),
) -> Iterator[str]:
    """A server that reads one request up to these bytes, answers it with any bytes, and
    hangs up; after `hold` is set, if given."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                request = b""
                while until not in request:
                    request += connection.recv(65_536)
                connection.sendall(answer(request))
                if hold is not None:
                    hold.wait(5)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def unused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def spellings(*secrets: str) -> set[str]:
    """All that must not be revealed, in any spelling."""
    values = {HASH, TOKEN, CODE, "4155550123", "Qwertyuiop", "dfghjkl", *secrets}
    values |= {f"41555501{digits}" for digits in FAULTS}
    return {spelt(value).lower() for value in values for spelt in (str, quote, quote_plus)}


def assert_secret(error: BaseException, records: list[logging.LogRecord], *secrets: str) -> None:
    """Neither the error, with all that is chained to it, nor the log tells a secret."""
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(inner)
    shown = ["".join(traceback.format_exception(error))]
    for link in chain:
        shown += [str(link), repr(link), repr(link.args), repr(vars(link))]
    formatter = logging.Formatter()
    for record in records:
        shown += [record.getMessage(), repr(record.args), formatter.format(record)]
    everything = "\n".join(shown).lower()
    assert [secret for secret in spellings(*secrets) if secret in everything] == []


@contextmanager
def resetting() -> Iterator[str]:
    """A server that resets every connection when the request is there, without reading it."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not stopped.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                select.select([connection], [], [], 5)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stopped.set()
        thread.join()


@contextmanager
def encrypted(recorder: Recorder, authority: trustme.CA) -> Iterator[str]:
    """The recorder behind TLS, with a certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    listener = _Listener(("127.0.0.1", 0), partial(_RecordingHandler, recorder))
    # The handshake is the handler's: here it would hold up the thread that accepts.
    listener.socket = context.wrap_socket(
        listener.socket, server_side=True, do_handshake_on_connect=False
    )
    with _serving(listener):
        yield f"https://localhost:{listener.server_port}"
