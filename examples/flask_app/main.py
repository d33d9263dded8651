"""The three flows in Flask, on the sandbox.

Install: .venv/bin/python -m pip install '.[flask]' (make test has done it)
Run it:  .venv/bin/python examples/flask_app/main.py
By itself, without a browser: .venv/bin/python examples/flask_app/main.py --script
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import threading
import time
from html import unescape
from pathlib import Path

import requests
from werkzeug.serving import make_server

from otpverify import Policy
from otpverify.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from examples.flask_app import accounts
from examples.flask_app.application import create_app


def main() -> int:
    """Serve, or walk through the flows."""
    parser = argparse.ArgumentParser(description="The three flows in Flask, on the sandbox.")
    parser.add_argument("--port", type=int, default=5000, help="0 for any free one")
    parser.add_argument("--sandbox-port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--script", action="store_true", help="walk through the flows and end")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
    port = 0 if options.script else options.port
    with Sandbox(port=options.sandbox_port) as sandbox:
        config = {"OTPVERIFY_POLICY": Policy(resend_cooldown_seconds=0)} if options.script else {}
        app = create_app(sandbox.environ, **config)
        server = make_server("127.0.0.1", port, app, threaded=True)
        site = f"http://127.0.0.1:{server.server_port}"
        if options.script:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            walk(site, sandbox)
        else:
            print(f"Site:  {site}\nInbox: {sandbox.inbox_url}", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
        server.shutdown()
        server.server_close()
        app.extensions["otpverify"].close()
    return 0


class Browser:
    """Opens pages and fills in their forms."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._http = requests.Session()
        self._http.trust_env = False
        self.path = self.text = ""

    def open(self, path: str) -> str:
        """Open a page."""
        return self._see(self._http.get(self._site + path, timeout=30))

    def send(self, action: str, **fields: str) -> str:
        """Send a form of the open page."""
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', self.text)
        form = {**dict(hidden), **fields}
        return self._see(self._http.post(self._site + action, form, timeout=30))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _see(self, reply: requests.Response) -> str:
        self.path, self.text = reply.url.removeprefix(self._site), unescape(reply.text)
        heading = re.search(r"<h1>\s*(.*?)\s*</h1>", self.text)
        return heading[1] if heading else ""


def walk(site: str, sandbox: Sandbox) -> None:
    """The three flows and a payment, as a person goes through them."""
    browser = Browser(site)
    browser.open("/account/login")
    browser.send("/account/login", user=accounts.USER, password=accounts.PASSWORD)
    assert accounts.PHONE not in browser.text, "a password alone tells nobody the number"
    browser.send("/account/login/code", code=wrong(code_of(sandbox, 1)))
    assert "4 attempts left" in browser.text
    print("login:  ", browser.send("/account/login/code", code=code_of(sandbox, 1)))

    browser.open("/account/phone")
    browser.send("/account/phone", phone="5678 9045")
    print("phone:  ", browser.send("/account/phone/code", code=code_of(sandbox, 2)))

    browser.open("/account/reset")
    browser.send("/account/reset", phone=accounts.PHONE)
    browser.send("/account/reset/code", code=code_of(sandbox, 3))
    browser.send("/account/reset/password", password="short")  # noqa: S106 - is refused
    assert "at least 8 characters" in browser.text
    end = browser.send("/account/reset/password", password="close sesame")  # noqa: S106 - an example
    print("reset:  ", end)

    browser.open("/payment")
    browser.send("/payment")
    assert browser.path.startswith("/account/proof/payment"), "a payment takes a fresh proof"
    browser.send("/account/proof/payment")
    browser.send("/account/proof/payment/code", code=code_of(sandbox, 4))
    print("payment:", browser.send("/payment"))
    browser.close()


def code_of(sandbox: Sandbox, count: int) -> str:
    """The newest code, once so many messages came: the reset sends behind the reply's back."""
    deadline = time.monotonic() + 60
    while len(sandbox.messages) < count:
        assert time.monotonic() < deadline, "no message came"
        time.sleep(0.01)
    return sandbox.messages[0].code or ""


def wrong(code: str) -> str:
    """Another code."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


if __name__ == "__main__":
    sys.exit(main())
