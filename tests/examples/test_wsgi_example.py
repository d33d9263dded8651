"""A framework of one's own, on the shared web flow: the WSGI example, run against the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests
from support import QUICK, SECRET

from examples.wsgi_app import main
from otpverify import Verifier
from otpverify.sandbox import Sandbox

PHONE = "+12025550124"


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Browser(requests.Session):
    """A person's browser at the example."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site

    def fill_in(self, path: str, **form: str) -> requests.Response:
        return self.post(self.site + path, data=form, timeout=60)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def browser(sandbox: Sandbox) -> Iterator[Browser]:
    with sandbox.client() as client:
        app = main.App(Verifier(client, hasher=QUICK, secret=SECRET))
        server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with Browser(f"http://127.0.0.1:{server.server_port}") as browser:
            yield browser
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_is_short() -> None:
    assert len(Path(main.__file__).read_text().splitlines()) < 80


def test_from_the_number_to_the_proof(browser: Browser, sandbox: Sandbox) -> None:
    assert "not a phone number" in browser.fill_in("/phone", phone="<b>").text
    assert "Enter the code" in browser.fill_in("/phone", phone=PHONE).text
    message = sandbox.messages[0]
    code = message.code or ""
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    assert "That code is incorrect. 4 attempts left." in browser.fill_in("/code", code=wrong).text
    assert "You can request another one in" in browser.fill_in("/resend").text
    browser.headers["Accept-Language"] = "fr;q=0.1, de"
    assert "Noch 3 Versuche" in browser.fill_in("/code", code=wrong).text
    done = browser.post(
        f"{browser.site}/code", {"code": message.text}, allow_redirects=False, timeout=60
    )
    assert done.headers["Location"] == "/done"
    assert f"Confirmed: {PHONE}" in browser.fill_in("/code", code=code).text, "sent twice"
    assert "Confirmed" not in browser.get(f"{browser.site}/done", timeout=60).text, "once"
    assert len(sandbox.messages) == 1


def test_another_person_has_no_part_in_it(browser: Browser, sandbox: Sandbox) -> None:
    browser.fill_in("/phone", phone=PHONE)
    code = sandbox.messages[0].code or ""
    other = Browser(browser.site)
    assert "expired" in other.fill_in("/code", code=code).text
    assert f"Confirmed: {PHONE}" in browser.fill_in("/code", code=code).text


def test_it_takes_delivery_reports(browser: Browser) -> None:
    reply = browser.get(f"{browser.site}/sms/report?status=sent", timeout=60)
    assert (reply.status_code, reply.text, reply.cookies.get("id")) == (200, "OK", None)
