"""The page of the FastAPI example, in a real browser: its forms follow what the API says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from support import long_form

from examples.fastapi_app.accounts import PASSWORD, PHONE, USER
from examples.fastapi_app.application import create_app
from otpverify import Policy
from otpverify.sandbox import Sandbox

pytestmark = long_form


class Site:
    """The example, and what its owner reads in the inbox."""

    def __init__(self, url: str, sandbox: Sandbox) -> None:
        self.url = url
        self.sandbox = sandbox

    def code(self) -> str:
        """The code of the newest message, which is delivered after the reply."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for message in self.sandbox.messages:
                if message.to == PHONE and message.code:
                    return message.code
            time.sleep(0.01)
        raise AssertionError("no message arrived")


@pytest.fixture
def site() -> Iterator[Site]:
    with Sandbox() as sandbox, socket.create_server(("127.0.0.1", 0)) as listening:
        policy = Policy(resend_cooldown_seconds=0)
        app = create_app(sandbox.environ, inbox_url=sandbox.inbox_url, policy=policy)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", sandbox)
        finally:
            server.should_exit = True
            thread.join()


def check(page: Page, heading: str) -> None:
    """The page is this one, and people can use it."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    found = Axe().run(page).response["violations"]
    assert found == [], heading
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, heading


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_a_person_goes_through_the_flows(
    browser: Browser, site: Site, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.goto(site.url)
    check(page, "otpverify with FastAPI")
    page.get_by_text("Approve a payment").click()
    expect(page.get_by_text("Sign in first.")).to_be_visible()
    page.get_by_text("Sign in by phone").click()
    page.get_by_label("Phone number").fill("five")
    page.get_by_text("Send a code").click()
    expect(page.get_by_role("alert")).to_be_visible()
    check(page, "Sign in by phone")
    page.get_by_label("Phone number").fill(PHONE)
    page.get_by_text("Send a code").click()
    check(page, "Enter the code")
    page.reload()  # the server knows where the flow stands
    page.get_by_label("Code from the message").fill("12")
    page.get_by_text("Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("did not count")
    check(page, "Enter the code")
    page.get_by_label("Code from the message").fill(site.code())
    page.get_by_text("Continue").click()
    check(page, "You are signed in")

    site.sandbox.clear()
    page.get_by_text("Back to the first page").click()
    page.get_by_text("Approve a payment").click()
    page.get_by_text("Send a code").click()
    page.get_by_label("Code from the message").fill(site.code())
    page.get_by_text("Continue").click()
    check(page, "Paid")

    site.sandbox.clear()
    page.get_by_text("Back to the first page").click()
    page.get_by_text("Reset your password").click()
    page.get_by_label("Phone number").fill(PHONE)
    page.get_by_text("Send a code").click()
    page.get_by_label("Code from the message").fill(site.code())
    page.get_by_text("Continue").click()
    page.get_by_label("New password").fill("short")
    page.get_by_text("Change the password").click()
    expect(page.get_by_role("alert")).to_contain_text("8 characters")
    page.get_by_label("New password").fill("correct horse")
    page.get_by_text("Change the password").click()
    check(page, "Password changed")

    page.get_by_text("Back to the first page").click()
    page.get_by_text("Sign in with a password").click()
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_text("Send a code").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    check(page, "Sign in with a password")

    site.sandbox.clear()
    page.get_by_label("Password").fill("correct horse")
    page.get_by_text("Send a code").click()
    page.get_by_label("Remember this browser for 30 days").check()
    check(page, "Enter the code")
    page.get_by_label("Code from the message").fill(site.code())
    page.get_by_text("Continue").click()
    check(page, "You are signed in")
    page.get_by_text("Back to the first page").click()
    page.get_by_text("Sign out").click()
    page.get_by_text("Sign in with a password").click()
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill("correct horse")
    page.get_by_text("Send a code").click()
    check(page, "You are signed in")  # the browser is remembered
    assert errors == []
    context.close()
