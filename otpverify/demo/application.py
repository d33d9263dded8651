"""The site: the pages of the Flask integration, sending through the real client to the sandbox."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Flask, redirect, render_template, request, session, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from otpverify import BlockNumberTypes, Limit, MemoryStore, Messages, Policy, Sender, Verifier
from otpverify.demo.accounts import COOKIE, PASSWORD, PHONE, USER, Accounts, Guesses, Sessions
from otpverify.integrations.flask import OtpVerify, harden
from otpverify.integrations.flask.pages import (
    ENTRY,
    carry,
    check_csrf,
    csrf_fields,
    set_notice_cookie,
)
from otpverify.integrations.flask.site import CONTENT_SECURITY_POLICY
from otpverify.integrations.web.background import BackgroundSender
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.sentences import BUSY, Sentence
from otpverify.sandbox import Sandbox
from otpverify.sandbox.faults import FAULTS, REPORTS

REPORT_PATH = "/sms/report"
GATEWAY_TIMEOUT_SECONDS = 3.0
_FAULTS = [
    *((f"+1 202 555 01{nn}", fault.description) for nn, fault in FAULTS.items() if fault.common),
    *((f"+1 202 555 01{nn}", found.description) for nn, found in REPORTS.items() if found.common),
]
_WENT_WRONG = ("Something went wrong here", str(BUSY))
_ERRORS = {
    404: ("Page not found", "There is no page at this address."),
    405: ("This page cannot be used that way", "Start on the first page."),
}


def create_app(
    sandbox: Sandbox,
    *,
    url: str | None = None,
    cooldown_seconds: int = 60,
    sender: Sender | None = None,
) -> Flask:
    """The site as a Flask application. All its state is in memory.

    Args:
        sandbox: Takes the messages. Its inbox is beside the forms.
        url: The site's own address, for delivery reports; without it there are none.
        cooldown_seconds: Between two messages to one phone for one purpose.
        sender: Delivers the messages instead of the sandbox's own client.

    Returns:
        The application. To close it, call `app.extensions["otpverify_demo"]` one after the other.
    """
    app, accounts, guesses, sessions = Flask(__name__), Accounts(), Guesses(), Sessions()
    app.session_interface = sessions
    app.config.update(
        SECRET_KEY=secrets.token_hex(32),  # signs the notices of pages
        SESSION_COOKIE_NAME=COOKIE,
        OTPVERIFY_CONTENT_SECURITY_POLICY=f"frame-src {sandbox.url}; {CONTENT_SECURITY_POLICY}",
        # What other tabs do goes on when a person signs in.
        OTPVERIFY_KEEP_AT_LOGIN=("otpverify.phone", "otpverify.password-reset", ENTRY),
    )
    client = sandbox.client(
        read_timeout_seconds=GATEWAY_TIMEOUT_SECONDS, report_url=url and url + REPORT_PATH
    )
    deliver: Sender = client if sender is None else sender
    later = BackgroundSender(deliver)
    parts: dict[str, Any] = {
        "store": MemoryStore(),
        "secret": secrets.token_bytes(32),
        # Codes are as strong as by default. One person tries everything from one address, so only
        # the limits are higher.
        "policy": Policy(
            resend_cooldown_seconds=cooldown_seconds,
            sends_per_phone=(Limit(30, 3600),),
            sends_per_ip=(Limit(200, 3600),),
        ),
        "messages": Messages(brand="Demo"),
        "guards": [BlockNumberTypes()],
        "region": "EE",
    }
    otp = OtpVerify(
        app, verifier=Verifier(deliver, **parts), reset_verifier=Verifier(later, **parts)
    )
    app.extensions["otpverify_demo"] = (later.close, client.close)

    @otp.authenticate
    def authenticate(user: str, password: str) -> str | None:
        address = request.remote_addr or ""
        guesses.count(user, address)
        if not accounts.password_is_right(user, password):
            return None
        guesses.forgive(user, address)
        return USER

    @otp.on_login
    def on_login(account: str) -> None:
        session["account"] = account

    @otp.on_confirmed
    def on_confirmed(_: object) -> None:
        """A real site stores `verified.phone` here."""

    @otp.set_password
    def set_password(account: str, password: str) -> None:
        accounts.set_password(password)
        sessions.sign_out(account)

    otp.account_loader(lambda: session.get("account"))
    otp.phone_of({USER: PHONE}.get)
    otp.find_account({PHONE: USER}.get)
    otp.locale(lambda: "en")  # as the rest of the site

    def sign_out() -> Response:
        """End what belongs to the login, and nothing else."""
        check_csrf()
        session.pop("account", None)
        otp.flow("login").forget()
        carry("login first", Carried(Notice(Sentence("You are signed out."), error=False)))
        return redirect(url_for("otpverify.login"), 303)

    app.register_blueprint(otp.blueprint())
    app.add_url_rule("/login/out", view_func=sign_out, methods=["POST"])
    app.add_url_rule("/", "index", lambda: render_template("index.html", faults=_FAULTS))
    app.register_error_handler(HTTPException, _error)
    app.after_request(set_notice_cookie)
    app.after_request(harden)
    app.after_request(_without_referrer)
    app.context_processor(
        lambda: {
            "accounts": accounts,
            "csrf": csrf_fields,
            "demo": {"user": USER, "password": PASSWORD, "phone": PHONE},
            "inbox_url": sandbox.inbox_url,
        }
    )
    return app


def _error(error: HTTPException) -> tuple[str, int]:
    if error.code == 400:
        title, text = "This form could not be sent", error.description or ""
    else:
        title, text = _ERRORS.get(error.code or 500, _WENT_WRONG)
    return render_template("error.html", title=title, text=text), error.code or 500


def _without_referrer(response: Any) -> Any:
    response.headers["Referrer-Policy"] = "no-referrer"  # all forms are on this site
    return response
