"""The site as a server in a thread."""

from __future__ import annotations

import errno
import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn

from otpverify import ConfigurationError, Sender
from otpverify.demo.app import create_app
from otpverify.sandbox import Sandbox

SITE_PORT = 8000
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0


class Site:
    """The demo site on a port of its own, for a `with` block.

    Args:
        sandbox: A started sandbox.
        host: The address to listen on.
        port: The port; 0 for any free one, `None` for 8000 or, when that is taken, a free one.
        cooldown_seconds: See `create_app`; so is `sender`.
        sender: Delivers instead of the sandbox's client.

    Raises:
        ConfigurationError: The port cannot be had.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        cooldown_seconds: int = 60,
        sender: Sender | None = None,
    ) -> None:
        self._socket = _listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"
        app = create_app(sandbox, url=self.url, cooldown_seconds=cooldown_seconds, sender=sender)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                ws="none",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="otpverify-demo", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise ConfigurationError("The demo site did not start; the log says why.")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer what was asked, then end."""
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._socket.close()


def _listen(host: str, port: int | None) -> socket.socket:
    wanted = SITE_PORT if port is None else port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, wanted), family=family)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return socket.create_server((host, 0), family=family)
        raise ConfigurationError(
            f"Cannot listen on {host}:{wanted}: {error.strerror or error}."
        ) from error
