"""The sandbox's server: starting, stopping, and what a test or a demo asks of it."""

from __future__ import annotations

import math
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, get_args

from otpverify import ConfigurationError
from otpverify.sandbox.contract import Credentials
from otpverify.sandbox.handler import State
from otpverify.sandbox.hosts import is_loopback
from otpverify.sandbox.listener import Listener, Running
from otpverify.sandbox.outbox import Captured, Outbox
from otpverify.sandbox.replies import Dialect
from otpverify.sandbox.reporter import Reporter
from otpverify.sandbox.reports import SHAPES, Shape

if TYPE_CHECKING:
    from otpverify import SmspmClient

_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


class Sandbox:
    """A small server that speaks the SMSPM gateway's contract and sends nothing.

    It keeps the newest 1000 messages in memory and shows them at `inbox_url`. Some reserved
    numbers make it fail, or report a failure: `otpverify.sandbox.faults` and
    `otpverify.sandbox.reports` list them.

    Args:
        host: The address to listen on. Whoever reaches it reads all messages.
        port: The port; 0 for any free one.
        hash: The hash that requests must carry.
        token: The token that requests must carry.
        dialect: How replies are worded: `"2.0"`, or `"tutorial"`. A request's header
            `X-Sandbox-Dialect` takes precedence.
        stall_seconds: How long the number that never answers is waited for.
        reports: How a message whose send named an address for delivery reports is reported:
            `"post"`, `"get"`, or `None` for by `report` alone.
        report_anywhere: Let reports leave this machine.

    Raises:
        ConfigurationError: One of these makes no sense.
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
            The HTTP status of the answer; `None` when none came.

        Raises:
            LookupError: No such message asked for reports.
        """
        return self._reporter.report(message_id, status, shape)

    def client(self, **options: Any) -> SmspmClient:
        """A real client that sends to this sandbox.

        Args:
            **options: Whatever `SmspmClient` takes; it takes precedence.
        """
        from otpverify import SmspmClient  # loads requests, which the server does without

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
