"""The flows in Flask, with enrolment and backup codes, on the sandbox.

Install: .venv/bin/python -m pip install '.[flask]' (make test has done it)
Run it:  .venv/bin/python examples/flask_app/main.py
By itself, without a browser: .venv/bin/python examples/flask_app/main.py --script
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from pathlib import Path

from werkzeug.serving import make_server

from otpverify import Policy
from otpverify.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from examples.flask_app import accounts
from examples.flask_app.application import create_app
from examples.runner import HOST, Browser, code_of, options, wrong

NEW_PASSWORD, NEW_PHONE = "close sesame", "+12025550188"


def main() -> int:
    """Serve, or walk through the flows."""
    chosen = options("The flows in Flask, on the sandbox.", port=5000)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
    with chosen.listening, Sandbox(port=chosen.sandbox_port) as sandbox:
        config = {"OTPVERIFY_POLICY": Policy(resend_cooldown_seconds=0)} if chosen.script else {}
        app = create_app(sandbox.environ, **config)
        server = make_server(HOST, 0, app, threaded=True, fd=chosen.listening.fileno())
        site = f"http://{HOST}:{server.port}"
        if chosen.script:
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


def walk(site: str, sandbox: Sandbox) -> None:
    """The flows and a payment, as a person goes through them."""
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
    print("reset:  ", browser.send("/account/reset/password", password=NEW_PASSWORD))

    browser.open("/payment")
    browser.send("/payment", amount="40.00 EUR", note="For Anna")
    assert browser.path.startswith("/account/proof/payment"), "a payment takes a fresh proof"
    browser.send("/account/proof/payment")
    browser.send("/account/proof/payment/code", code=code_of(sandbox, 4))
    assert "40.00 EUR" in sandbox.messages[0].text, "the message names the amount"
    print("payment:", browser.send("/payment"))  # the form was kept: one press
    assert "For Anna" in browser.text
    browser.send("/sign-out")

    browser.open("/account/sign-in")
    browser.send("/account/sign-in", phone="5678 9046")
    print("sign-up:", browser.send("/account/sign-in/code", code=code_of(sandbox, 5)))
    browser.close()
    walk_second_factor(site, sandbox)


def walk_second_factor(site: str, sandbox: Sandbox) -> None:
    """A browser that is remembered, another phone, and a backup code."""
    browser = Browser(site)
    browser.open("/account/login")
    browser.send("/account/login", user=accounts.USER, password=NEW_PASSWORD)
    browser.send("/account/login/code", code=code_of(sandbox, 6), remember="1")
    browser.send("/sign-out")
    browser.open("/account/login")
    end = browser.send("/account/login", user=accounts.USER, password=NEW_PASSWORD)
    print("remembered:", end)

    browser.open("/account/enrolment/phone")
    assert browser.path.startswith("/account/enrolment/prove"), "a session alone is not enough"
    browser.send("/account/enrolment/prove", password=NEW_PASSWORD)
    browser.send("/account/enrolment/prove/code", code=code_of(sandbox, 7))
    browser.send("/account/enrolment/phone", phone=NEW_PHONE)
    browser.send("/account/enrolment/phone/code", code=code_of(sandbox, 8))
    confirmed = f"{NEW_PHONE} is confirmed."
    assert confirmed in browser.text
    print("change of phone:", confirmed)
    notice = sandbox.messages[0]
    assert accounts.PHONE.endswith(notice.to.lstrip("+")), "the old number learns of it"
    assert "phone number of your account was changed" in notice.text

    browser.open("/account/enrolment/codes")
    browser.send("/account/enrolment/prove", password=NEW_PASSWORD)
    browser.send("/account/enrolment/prove/code", code=code_of(sandbox, 10))
    browser.send("/account/enrolment/codes")
    codes = re.findall(r"<code>([^<]+)</code>", browser.text)
    browser.send("/sign-out")
    browser.open("/account/login")
    browser.send("/account/login", user=accounts.USER, password=NEW_PASSWORD)
    assert "Enter the code" in browser.text, "another phone ends remembered browsers"
    browser.open("/account/login/other?way=backup-code")
    print("backup code:", browser.send("/account/login/other?way=backup-code", code=codes[0]))
    browser.close()


if __name__ == "__main__":
    sys.exit(main())
