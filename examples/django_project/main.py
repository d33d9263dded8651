"""A Django project with sign-in by phone and the three flows, on the sandbox.

Install: .venv/bin/python -m pip install '.[django]' (make test has done it)
Run it:  .venv/bin/python examples/django_project/main.py
By itself, without a browser: .venv/bin/python examples/django_project/main.py --script
"""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

from otpverify.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from examples.runner import HOST, Browser, code_of, options, wrong

USER, PASSWORD, NEW_PASSWORD = "customer", "open sesame", "close sesame"
PHONE = "+12025550123"  # reserved for fiction: nobody's; so is the next
NEW_PHONE = "+12025550177"
CHANGED_PHONE = "+12025550188"


def main() -> int:
    """Serve, or walk through the flows."""
    chosen = options("Sign-in by phone and the three flows in Django, on the sandbox.", port=8000)
    with (
        chosen.listening,
        tempfile.TemporaryDirectory(prefix="otpverify-django-") as folder,
        Sandbox(port=chosen.sandbox_port) as sandbox,
    ):
        os.environ.update(sandbox.environ)
        os.environ["EXAMPLE_DATABASE"] = str(Path(folder, "db.sqlite3"))
        if chosen.script:
            os.environ["EXAMPLE_COOLDOWN_SECONDS"] = "0"
        prepare()
        server = Server(chosen.listening)
        site = f"http://{HOST}:{server.server_port}"
        with server:
            if chosen.script:
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
    """A server on a socket that listens, on any free port: `manage.py runserver` has neither."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(listening.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = listening.getsockname()
        self.setup_environ()
        self.set_app(get_wsgi_application())


class Handler(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Keep quiet."""


def walk(site: str, sandbox: Sandbox) -> None:
    """The flows, as a person goes through them."""
    browser = Browser(f"{site}/account/")
    browser.open("login/")
    browser.send("login/", username=USER, password=PASSWORD)
    assert PHONE not in browser.text, "a password alone tells nobody the number"
    browser.send("login/code/", code=wrong(code_of(sandbox, 1)))
    assert "4 attempts left" in browser.text
    print("login:", browser.send("login/code/", code=code_of(sandbox, 1)))

    browser.open("phone/")
    browser.send("phone/", phone="5678 9045")
    print("phone:", browser.send("phone/code/", code=code_of(sandbox, 2)))

    browser.open("reset/")
    browser.send("reset/", phone=PHONE)
    browser.send("reset/code/", code=code_of(sandbox, 3))
    browser.send("reset/password/", new_password1="short", new_password2="short")
    assert "too short" in browser.text
    fields = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    print("reset:", browser.send("reset/password/", **fields))
    print("signed in before:", browser.open(""))
    browser.close()

    browser = Browser(f"{site}/account/")
    browser.open("sign-in/")
    browser.send("sign-in/", phone="+1 202 555 0177")
    browser.send("sign-in/code/", code=code_of(sandbox, 4))
    assert "Create your account" in browser.text
    print("sign-up:", browser.send("sign-in/account/", username="anna", email="anna@example.org"))
    assert NEW_PHONE in browser.text
    browser.close()
    browser = Browser(f"{site}/account/")
    browser.open("sign-in/")
    browser.send("sign-in/", phone=NEW_PHONE)
    print("sign-in:", browser.send("sign-in/code/", code=code_of(sandbox, 5)))
    assert "anna" in browser.text

    browser.open("payment/")
    browser.send("payment/", amount="40.00 EUR", note="For Anna")
    browser.send("step-up/payment/")
    browser.send("step-up/payment/code/", code=code_of(sandbox, 6))
    assert "40.00 EUR" in sandbox.messages[0].text, "the message names the amount"
    print("payment:", browser.send("payment/"))  # the form was kept: one press
    assert "For Anna" in browser.text
    browser.close()
    walk_second_factor(site, sandbox)


def walk_second_factor(site: str, sandbox: Sandbox) -> None:
    """A browser that is remembered, another phone, and a backup code."""
    browser = Browser(f"{site}/account/")
    browser.open("login/")
    browser.send("login/", username=USER, password=NEW_PASSWORD)
    browser.send("login/code/", code=code_of(sandbox, 7), remember="on")
    browser.send("sign-out/")
    browser.open("login/")
    print("remembered:", browser.send("login/", username=USER, password=NEW_PASSWORD))

    prove_again(browser, sandbox, 8)
    browser.send("my-phone/", phone=CHANGED_PHONE)
    print("change of phone:", browser.send("my-phone/code/", code=code_of(sandbox, 9)))
    notice = sandbox.messages[0]
    assert PHONE.endswith(notice.to.lstrip("+")), "the old number learns of it"
    assert "phone number of your account was changed" in notice.text

    browser.open("backup-codes/")
    browser.send("backup-codes/")
    prove_again(browser, sandbox, 11)
    browser.send("backup-codes/")
    codes = re.findall(r"<code>([^<]+)</code>", browser.text)
    browser.open("")
    browser.send("sign-out/")
    browser.open("login/")
    browser.send("login/", username=USER, password=NEW_PASSWORD)
    browser.open("login/other/")
    print("backup code:", browser.send("login/other/", code=codes[0]))
    browser.close()


def prove_again(browser: Browser, sandbox: Sandbox, count: int) -> None:
    """The password, and a code to the account's phone."""
    browser.open("my-phone/check/")
    browser.send("my-phone/check/", password=NEW_PASSWORD)
    browser.send("my-phone/check/code/", code=code_of(sandbox, count))


if __name__ == "__main__":
    raise SystemExit(main())
