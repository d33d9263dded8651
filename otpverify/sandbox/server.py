"""`Sandbox`: the server, started and stopped."""

from __future__ import annotations

import contextlib
import math
import socket
import sys
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, get_args

from otpverify import ConfigurationError
from otpverify.gateways.urls import is_loopback
from otpverify.sandbox.delivery_reports import SHAPES, Reporter, Shape
from otpverify.sandbox.gateway import Credentials, Dialect
from otpverify.sandbox.http import Handler, State
from otpverify.sandbox.outbox import Captured, Outbox

if TYPE_CHECKING:
    from otpverify import SmspmClient

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
        self.address_family: int = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[socket.socket] = set()
        self._ended = threading.Condition()
        super().__init__(address, partial(Handler, state))

    def server_bind(self) -> None:
        """Bind; without the base class's look-up of this machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name: str = str(self.server_address[0])
        self.server_port: int = self.server_address[1]

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
        """Ignore clients that disconnect. Any other error is a bug of the sandbox: show it."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End every connection, and wait until their threads have released them."""
        with self._ended:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._ended.wait_for(lambda: not self._open, _LONGEST_GOODBYE_SECONDS)


_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


class Sandbox:
    """A small server that speaks the SMSPM gateway's contract and sends nothing.

    It keeps the newest 10,000 messages in memory and shows them at `inbox_url`. Some reserved
    numbers make it fail, or report a failure: `otpverify.sandbox.faults` and
    `otpverify.sandbox.delivery_reports` list them.

    Args:
        host: The address to listen on. Anyone who can connect to it can read all messages.
        port: The port; 0 for any free one.
        hash: The hash that requests must carry.
        token: The token that requests must carry.
        dialect: The wording of replies: `"2.0"`, or `"tutorial"`. A request's header
            `X-Sandbox-Dialect` takes precedence.
        stall_seconds: How long requests to the number that never answers stay open.
        reports: The format of automatic delivery reports, for sends that named an address:
            `"post"`, `"get"`, or `None` for reports by `report` alone.
        report_anywhere: Allow reports to leave this machine.

    Raises:
        ConfigurationError: One of the arguments is not valid.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        hash: str = "sandbox-hash",  # noqa: A002 - the gateway's own name for it
        token: str = "sandbox-token",  # noqa: S107 - known to everybody, and opens nothing
        dialect: Dialect = "2.0",
        stall_seconds: float = 30.0,
        reports: Shape | None = "post",
        report_anywhere: bool = False,
    ) -> None:
        if dialect not in get_args(Dialect):
            raise ConfigurationError('dialect must be "2.0" or "tutorial".')
        if reports is not None and reports not in SHAPES:
            raise ConfigurationError('reports must be "post", "get" or None.')
        if not (stall_seconds >= 0 and math.isfinite(stall_seconds)):
            raise ConfigurationError("stall_seconds must be 0 or more.")
        if not (hash and token):
            raise ConfigurationError("The sandbox needs both a hash and a token.")
        self._host = host
        self._port = port
        self._credentials = Credentials(hash, token)
        self._dialect: Dialect = dialect
        self._stall_seconds = stall_seconds
        self._outbox = Outbox()
        self._reporter = Reporter(self._outbox, reports, anywhere=report_anywhere)
        self._lock = threading.Lock()
        self._running: Running | None = None

    def __repr__(self) -> str:
        where = "stopped" if self._running is None else self.url
        return f"<Sandbox {where} with {len(self.messages)} messages>"

    def start(self) -> Self:
        """Serve in a thread of its own, which does not keep the program alive.

        Raises:
            ConfigurationError: It cannot listen there; most often the port is taken.
        """
        with self._lock:
            if self._running is None:
                self._outbox.open()
                self._running = self._listen()
        return self

    def stop(self) -> None:
        """Stop serving: stalled requests and live streams end at once. Messages stay."""
        with self._lock:
            running, self._running = self._running, None
            if running is not None:
                self._outbox.close()
                running.stop()
                self._reporter.stop()  # now that no request can begin with reports any more

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The gateway's address, such as `"http://127.0.0.1:8025"`.

        Raises:
            ConfigurationError: The sandbox does not run.
        """
        running = self._running
        if running is None:
            raise ConfigurationError("The sandbox does not run: call start(), or use `with`.")
        host = _WILDCARDS.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{running.port}"

    @property
    def inbox_url(self) -> str:
        """The page that shows what was sent; with `?embed=1` without its header."""
        return f"{self.url}/inbox"

    @property
    def messages(self) -> list[Captured]:
        """What was sent, newest first; a copy."""
        return self._outbox.messages

    def clear(self) -> None:
        """Forget all messages."""
        self._outbox.clear()
        self._reporter.clear()

    def report(self, message_id: str, status: str, shape: Shape = "post") -> int | None:
        """Send one delivery report, late, again or out of order as you like, and wait for the
        application's answer.

        Args:
            message_id: A message's id.
            status: What to report, such as `"undelivered"`.
            shape: `"post"` or `"get"`.

        Returns:
            The HTTP status of the answer; `None` without an answer.

        Raises:
            LookupError: No such message asked for reports.
        """
        return self._reporter.report(message_id, status, shape)

    def client(self, **options: Any) -> SmspmClient:
        """A real client that sends to this sandbox.

        Args:
            **options: Arguments of `SmspmClient`; they take precedence.
        """
        from otpverify import SmspmClient  # imports requests, which the server does not need

        account = {"hash": self._credentials.hash, "token": self._credentials.token}
        return SmspmClient(**{**account, "url": self.url, **options})

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables by which `SmspmClient.from_env` finds this sandbox."""
        return {
            "SMSPM_HASH": self._credentials.hash,
            "SMSPM_TOKEN": self._credentials.token,
            "SMSPM_URL": self.url,
        }

    def _listen(self) -> Running:
        stopping = threading.Event()
        state = State(
            credentials=self._credentials,
            dialect=self._dialect,
            stall_seconds=self._stall_seconds,
            outbox=self._outbox,
            reporter=self._reporter,
            stopping=stopping,
            local_only=is_loopback(self._host),
        )
        try:
            listener = Listener((self._host, self._port), state)
        except (OSError, OverflowError, TypeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"The sandbox cannot listen on {self._host} port {self._port}: {why}. "
                "Choose another port, or 0 for any free one."
            ) from error
        return Running(listener, stopping)
