"""The sandbox's listening socket and its connections: begun, and ended all at once."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from otpverify.sandbox.handler import Handler, State

_POLL_SECONDS = 0.05
_LONGEST_GOODBYE_SECONDS = 2.0


class Running:
    """A listener and its thread."""

    def __init__(self, listener: Listener, stopping: threading.Event) -> None:
        self.port: int = listener.server_address[1]
        self._listener = listener
        self._stopping = stopping
        self._thread = threading.Thread(
            target=partial(listener.serve_forever, _POLL_SECONDS),
            name="otpverify-sandbox",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._listener.hang_up()
        self._thread.join()


class Listener(ThreadingHTTPServer):
    """Accepts connections, and can end them all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], state: State) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[socket.socket] = set()
        self._ended = threading.Condition()
        super().__init__(address, partial(Handler, state))

    def server_bind(self) -> None:
        """Bind; without the base class's look-up of this machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._ended:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._ended:
            self._open.discard(request)
            self._ended.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no error; anything else is one of ours, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End every connection, and wait until their threads have let go of them."""
        with self._ended:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._ended.wait_for(lambda: not self._open, _LONGEST_GOODBYE_SECONDS)
