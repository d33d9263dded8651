"""The flows in Flask, on the sandbox.

Install: .venv/bin/python -m pip install '.[flask]' (make test has done it)
Run it:  .venv/bin/python examples/flask_app/main.py
By itself, without a browser: .venv/bin/python examples/flask_app/main.py --script
"""

from __future__ import annotations

import logging
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


def main() -> int:
    """Serve, or walk through the flows."""
    chosen = options("The flows in Flask, on the sandbox.", port=5000)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
    with Sandbox(port=chosen.sandbox_port) as sandbox:
        config = {"OTPVERIFY_POLICY": Policy(resend_cooldown_seconds=0)} if chosen.script else {}
        app = create_app(sandbox.environ, **config)
        server = make_server(HOST, chosen.port, app, threaded=True)
        site = f"http://{HOST}:{server.server_port}"
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
    end = browser.send("/account/reset/password", password="close sesame")  # noqa: S106 - an example
    print("reset:  ", end)

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


if __name__ == "__main__":
    sys.exit(main())
