"""The site as a server in a thread."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from types import TracebackType
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server

from otpverify import ConfigurationError, Sender
from otpverify.demo.application import create_app
from otpverify.sandbox import Sandbox

SITE_PORT = 8000
_STOP_SECONDS = 5.0


class _Quiet(WSGIRequestHandler):
    """Logs errors, and no line for each request."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        if type != "info":
            super().log(type, message, *args)


class Site:
    """The demo site on a port of its own, for a `with` block.

    Args:
        sandbox: A started sandbox.
        host: The address to listen on.
        port: The port; 0 for any free one, `None` for 8000 or, when that is taken, a free one.
        cooldown_seconds, sender: As for `create_app`.

    Raises:
        ConfigurationError: It cannot listen on the port.
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
        # Numbers that fail on purpose would fill the terminal with what the page says, too.
        logging.getLogger("otpverify.integrations").addHandler(logging.NullHandler())
        self._socket = _listen(host, port)
        bound = self._socket.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
        self._app = create_app(
            sandbox, url=self.url, cooldown_seconds=cooldown_seconds, sender=sender
        )
        self._server = make_server(
            host,
            bound,
            self._app,
            threaded=True,
            request_handler=_Quiet,
            fd=self._socket.fileno(),
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="otpverify-demo", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop, once messages that are being sent have been sent."""
        self._server.shutdown()
        self._thread.join(_STOP_SECONDS)
        self._server.server_close()
        self._socket.close()
        for close in self._app.extensions["otpverify_demo"]:
            close()


def _listen(host: str, port: int | None) -> socket.socket:
    wanted = SITE_PORT if port is None else port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, wanted), family=family, backlog=128)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return socket.create_server((host, 0), family=family, backlog=128)
        raise ConfigurationError(
            f"Cannot listen on {host}:{wanted}: {error.strerror or error}."
        ) from error
