"""What every example's program needs: its options, a free port, and a browser for `--script`."""

from __future__ import annotations

import argparse
import re
import socket
import time
from html import unescape

import requests

from otpverify.sandbox import Sandbox

HOST = "127.0.0.1"


def options(description: str, port: int) -> argparse.Namespace:
    """The options of an example.

    Args:
        description: What the example shows, for `--help`.
        port: The usual port of its site.

    Returns:
        `listening` (a socket that listens on the port: the usual one if it is free),
        `sandbox_port` (0: any free one) and `script`. The socket stays open, so that no other
        program takes the port before the site serves it.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--port", type=int, help=f"0 for any free one (default: {port}, or a free one)"
    )
    parser.add_argument("--sandbox-port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--script", action="store_true", help="walk through the flows and end")
    found = parser.parse_args()
    wanted = 0 if found.script else port if found.port is None else found.port
    try:
        found.listening = socket.create_server((HOST, wanted))
    except (OSError, OverflowError):
        if found.port is not None:
            parser.error(f"port {found.port} cannot be used: choose another, or 0 for a free one")
        found.listening = socket.create_server((HOST, 0))
    return found


class Browser:
    """Opens pages and fills in their forms.

    Attributes:
        path: The path of the open page.
        text: Its HTML, without character references.
    """

    def __init__(self, site: str) -> None:
        self._site = site
        self._http = requests.Session()
        self._http.trust_env = False
        self.path = self.text = ""

    def open(self, path: str) -> str:
        """Open a page and return its heading."""
        return self._see(self._http.get(self._site + path, timeout=30))

    def send(self, action: str, **fields: str) -> str:
        """Send a form of the open page and return the heading of the page that follows."""
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', self.text)
        form = {**dict(hidden), **fields}
        return self._see(self._http.post(self._site + action, form, timeout=30))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _see(self, reply: requests.Response) -> str:
        reply.raise_for_status()
        self.path, self.text = reply.url.removeprefix(self._site), unescape(reply.text)
        heading = re.search(r"<h1>\s*(.*?)\s*</h1>", self.text)
        reply.close()
        return heading[1] if heading else ""


def code_of(sandbox: Sandbox, count: int) -> str:
    """The newest code, once there are so many messages: the reset sends in the background."""
    deadline = time.monotonic() + 60
    while len(sandbox.messages) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(sandbox.messages)} messages came, not {count}")
        time.sleep(0.01)
    return sandbox.messages[0].code or ""


def wrong(code: str) -> str:
    """Another code."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
