"""A Django project with the three flows, on the sandbox.

Install: .venv/bin/python -m pip install '.[django]' (make test has done it)
Run it:  .venv/bin/python examples/django_project/main.py
By itself, without a browser: .venv/bin/python examples/django_project/main.py --script
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import threading
from html import unescape
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
import requests
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

from otpverify.sandbox import Sandbox

USER, PASSWORD, NEW_PASSWORD = "customer", "open sesame", "close sesame"
PHONE = "+12025550123"  # reserved for fiction: nobody's


def main() -> int:
    """Serve, or walk through the flows."""
    parser = argparse.ArgumentParser(description="The three flows in Django, on the sandbox.")
    parser.add_argument("--port", type=int, default=8000, help="0 for any free one")
    parser.add_argument("--sandbox-port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--script", action="store_true", help="walk through the flows and end")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="otpverify-django-") as folder,
        Sandbox(port=options.sandbox_port) as sandbox,
    ):
        os.environ.update(sandbox.environ)
        os.environ["EXAMPLE_DATABASE"] = str(Path(folder, "db.sqlite3"))
        if options.script:
            os.environ["EXAMPLE_COOLDOWN_SECONDS"] = "0"
        prepare()
        port = 0 if options.script else options.port
        server = make_server("127.0.0.1", port, get_wsgi_application(), Server, Handler)
        site = f"http://127.0.0.1:{server.server_port}"
        with server:
            if options.script:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                walk(site, sandbox)
                server.shutdown()
            else:
                print(f"Site:  {site}\nInbox: {sandbox.inbox_url}", flush=True)
                try:
                    server.serve_forever()
                except KeyboardInterrupt:
                    print()
    return 0


def prepare() -> None:
    """Set Django up, with a database that has one customer."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    users: Any = get_user_model().objects
    users.create_user(USER, password=PASSWORD, phone=PHONE)


class Server(ThreadingMixIn, WSGIServer):
    """`manage.py runserver` would do, too, but for the port that it is given."""

    daemon_threads = True


class Handler(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Keep quiet."""


class Browser:
    """Opens pages and fills in their forms."""

    def __init__(self, site: str) -> None:
        self._site = f"{site}/account/"
        self._http = requests.Session()
        self._http.trust_env = False
        self.text = ""

    def open(self, path: str) -> str:
        """Open a page."""
        return self._see(self._http.get(self._site + path, timeout=30))

    def send(self, path: str, **fields: str) -> str:
        """Send a form of the open page."""
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', self.text)
        form = {**dict(hidden), **fields}
        return self._see(self._http.post(self._site + path, form, timeout=30))

    def _see(self, reply: requests.Response) -> str:
        reply.raise_for_status()
        self.text = unescape(reply.text)
        heading = re.search(r"<h1>\s*(.*?)\s*</h1>", self.text)
        reply.close()
        return heading[1] if heading else ""


def walk(site: str, sandbox: Sandbox) -> None:
    """The three flows, as a person goes through them."""
    browser = Browser(site)
    browser.open("login/")
    browser.send("login/", username=USER, password=PASSWORD)
    assert PHONE not in browser.text, "a password alone tells nobody the number"
    browser.send("login/code/", code=wrong(code(sandbox, 1)))
    assert "4 attempts left" in browser.text
    print("login:", browser.send("login/code/", code=code(sandbox, 1)))

    browser.open("phone/")
    browser.send("phone/", phone="5678 9045")
    print("phone:", browser.send("phone/code/", code=code(sandbox, 2)))

    browser.open("reset/")
    browser.send("reset/", phone=PHONE)
    browser.send("reset/code/", code=code(sandbox, 3))
    browser.send("reset/password/", new_password1="short", new_password2="short")
    assert "too short" in browser.text
    fields = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    print("reset:", browser.send("reset/password/", **fields))
    print("signed in before:", browser.open(""))


def code(sandbox: Sandbox, count: int) -> str:
    """The newest code, once there are so many: some are sent behind the reply's back."""
    pause = threading.Event()
    for _ in range(3000):
        if len(sandbox.messages) >= count:
            return sandbox.messages[0].code or ""
        pause.wait(0.01)
    raise TimeoutError(f"{len(sandbox.messages)} messages came, not {count}")


def wrong(right: str) -> str:
    """Another code."""
    return f"{(int(right) + 1) % 1_000_000:06d}"


if __name__ == "__main__":
    raise SystemExit(main())
