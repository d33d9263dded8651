"""The flows, walked through by a program that reads the sandbox's inbox."""

from __future__ import annotations

import time
from typing import Any

import requests

from examples.fastapi_app.accounts import PASSWORD, PHONE, USER
from otpverify.sandbox import Sandbox

NEW_PHONE = "+12025550124"
STRANGER = "+12025550125"
_TIMEOUT_SECONDS = 60


class Browser:
    """A client that keeps its cookies.

    Args:
        url: The API's address.
        sandbox: Where its owner reads messages.
    """

    def __init__(self, url: str, sandbox: Sandbox) -> None:
        self._url = url
        self._sandbox = sandbox
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy between us and localhost

    def call(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        """Call the API; end the program when it answers something else than it should."""
        reply = self._http.request(method, self._url + path, json=body, timeout=_TIMEOUT_SECONDS)
        if reply.status_code != status:
            raise SystemExit(f"{method} {path}: {reply.status_code} {reply.text}")
        return reply.json() if reply.content else None

    def enter_code(self, at: str, phone: str) -> None:
        """Read the newest message to a phone, and enter its code."""
        self.call("POST", f"{at}/check", {"code": self._code(phone)})

    def _code(self, phone: str) -> str:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            for message in self._sandbox.messages:  # newest first
                if message.to == phone and message.code:
                    return message.code
            time.sleep(0.01)  # it is delivered after the reply
        raise SystemExit("No message arrived.")


def walk(url: str, sandbox: Sandbox) -> None:
    """All flows, and what they refuse."""
    browser = Browser(url, sandbox)
    browser.call("POST", "/login/code/start", {}, status=401)
    browser.call("POST", "/login", {"user": USER, "password": "wrong"}, status=401)
    assert browser.call("POST", "/login", {"user": USER, "password": PASSWORD})["code"]
    browser.call("POST", "/login/code/start", {}, status=202)
    wrong = browser.call("POST", "/login/code/check", {"code": "12"}, status=400)
    print("login:  refused:", wrong["detail"])
    browser.enter_code("/login/code", PHONE)
    browser.call("GET", "/me", status=401)
    print("login:  signed in as", browser.call("POST", "/login/done", {"remember": True})["user"])
    browser.call("POST", "/login/done", {}, status=401)
    browser.call("POST", "/sign-out", {}, status=204)
    assert not browser.call("POST", "/login", {"user": USER, "password": PASSWORD})["code"]
    print("login:  remembered, signed in as", browser.call("GET", "/me")["user"])

    browser.call("POST", "/phone/start", {"phone": NEW_PHONE}, status=202)
    again = browser.call("POST", "/phone/start", {"phone": NEW_PHONE}, status=429)
    print("phone:  refused:", again["title"], "while a code is", again["flow"]["state"])
    browser.call("PUT", "/me/phone", {}, status=403)
    browser.enter_code("/phone", NEW_PHONE)
    print("phone:  confirmed", browser.call("PUT", "/me/phone", {})["phone"])

    browser.call("POST", "/payments/1", {}, status=403)
    browser.call("POST", "/payments/1/approval/start", {}, status=202)
    browser.enter_code("/payments/1/approval", NEW_PHONE)
    text = next(message.text for message in sandbox.messages if message.to == NEW_PHONE)
    assert "25.00 EUR" in text, text
    print("payment: paid", browser.call("POST", "/payments/1", {})["amount"])
    browser.call("POST", "/payments/1", {}, status=403)

    forgetful = Browser(url, sandbox)
    sandbox.clear()
    replies = [
        forgetful.call("POST", "/reset/start", {"phone": phone}, status=202)
        for phone in (STRANGER, NEW_PHONE)
    ]
    for reply in replies:
        del reply["expires_in"], reply["resend_in"]  # a second may have passed
    stranger, known = replies
    print("reset:  the same reply with and without an account:", stranger == known)
    forgetful.enter_code("/reset", NEW_PHONE)
    assert len(sandbox.messages) == 1
    forgetful.call("POST", "/reset/password", {"password": "short"}, status=422)
    forgetful.call("POST", "/reset/password", {"password": "correct horse"}, status=204)
    browser.call("GET", "/me", status=401)
    again = {"user": USER, "password": "correct horse"}
    assert browser.call("POST", "/login", again)["code"], "no browser is remembered any more"
    print("reset:  password changed, other sessions ended")

    by_phone = Browser(url, sandbox)
    sandbox.clear()
    by_phone.call("POST", "/sign-in/start", {"phone": NEW_PHONE}, status=202)
    by_phone.enter_code("/sign-in", NEW_PHONE)
    by_phone.call("POST", "/sign-in/done", {})
    print("sign-in: signed in by phone as", by_phone.call("GET", "/me")["user"])
