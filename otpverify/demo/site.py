"""The site as an application and as a server in a thread: the pages of the Flask integration,
sending through the real client to the sandbox."""

from __future__ import annotations

import errno
import logging
import secrets
import socket
import threading
from types import TracebackType
from typing import Any, Self

from flask import Flask, redirect, render_template, request, session, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from otpverify import (
    BlockNumberTypes,
    ConfigurationError,
    FraudPolicy,
    Limit,
    MemoryStore,
    Messages,
    Policy,
    Sender,
    Verified,
    Verifier,
)
from otpverify.demo.accounts import (
    COOKIE,
    PASSWORD,
    PHONE,
    USER,
    Accounts,
    Guesses,
    Sessions,
    SignUpForm,
)
from otpverify.integrations.flask import OtpVerify, harden
from otpverify.integrations.flask.pages import (
    carry,
    check_csrf,
    csrf_fields,
    set_notice_cookie,
)
from otpverify.integrations.flask.site import CONTENT_SECURITY_POLICY
from otpverify.integrations.web.background import BackgroundSender
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.sentences import BUSY, Sentence
from otpverify.integrations.web.session import PAGES_ENTRY
from otpverify.sandbox import Sandbox
from otpverify.sandbox.faults import FAULTS, REPORTS

REPORT_PATH = "/sms/report"
GATEWAY_TIMEOUT_SECONDS = 3.0
_FAULTS = [
    *((f"+1 202 555 01{nn}", fault.description) for nn, fault in FAULTS.items() if fault.common),
    *((f"+1 202 555 01{nn}", found.description) for nn, found in REPORTS.items() if found.common),
]
PROTECTION = FraudPolicy(mode="enforce", over="human_check")
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
    fraud: FraudPolicy | None = PROTECTION,
) -> Flask:
    """The site as a Flask application. All its state is in memory.

    Args:
        sandbox: Takes the messages. Its inbox is beside the forms.
        url: The site's own address, for delivery reports; without it there are none.
        cooldown_seconds: Between two messages to one phone for one purpose.
        sender: Delivers the messages instead of the sandbox's own client.
        fraud: The protection against SMS pumping; `None` for none.

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
        OTPVERIFY_KEEP_AT_LOGIN=("otpverify.phone", "otpverify.password-reset", PAGES_ENTRY),
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
        "fraud": fraud,
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

    @otp.on_sign_in
    def on_sign_in(account: str) -> None:
        session["account"] = account

    @otp.before_sign_in
    def before_sign_in(account: str) -> Response | None:
        """An account with a password has two factors: the phone alone is not enough."""
        if account != USER:
            return None
        needed = Sentence("This account needs its password, too.")
        carry("login first", Carried(Notice(needed, error=False)))
        return redirect(url_for("otpverify.login"), 303)

    @otp.create_account
    def create_account(verified: Verified, form: SignUpForm) -> str | None:
        return accounts.create(verified.phone, form.name)

    @otp.on_confirmed
    def on_confirmed(_: object) -> None:
        """A real site stores `verified.phone` here."""

    @otp.set_password
    def set_password(account: str, password: str) -> None:
        accounts.set_password(password)
        sessions.sign_out(account)

    # A real site asks the provider of its CAPTCHA.
    otp.human_check(lambda: request.form.get("human") == "yes")
    otp.account_loader(lambda: session.get("account"))
    otp.get_phone(accounts.get_phone)
    otp.find_accounts(lambda phone: accounts.find(phone))
    otp.sign_up_form(SignUpForm)
    otp.locale(lambda: "en")  # as the rest of the site

    def sign_out(purpose: str = "login", first: str = "otpverify.login") -> Response:
        """End what belongs to the login, and nothing else."""
        check_csrf()
        session.pop("account", None)
        otp.flow("login").forget()
        otp.flow("sign-in").forget()
        carry(f"{purpose} first", Carried(Notice(Sentence("You are signed out."), error=False)))
        return redirect(url_for(first), 303)

    def signed_in() -> str | Response:
        """Where the sign-in by phone leads."""
        if "account" not in session:
            return redirect(url_for("otpverify.signin"), 303)
        return render_template("signed_in.html", account=session["account"])

    app.register_blueprint(otp.blueprint())
    app.add_url_rule("/login/out", view_func=sign_out, methods=["POST"])
    app.add_url_rule(
        "/sign-in/out",
        view_func=sign_out,
        methods=["POST"],
        defaults={"purpose": "sign-in", "first": "otpverify.signin"},
    )
    app.add_url_rule("/signed-in", view_func=signed_in)
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


SITE_PORT = 8000
_STOP_SECONDS = 5.0


class _Quiet(WSGIRequestHandler):
    """Logs errors, and no line for each request."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        if type != "info":
            super().log(type, message, *args)


class Site:
    """The demo site on a port of its own, for a `with` block.

    Args:
        sandbox: A started sandbox.
        host: The address to listen on.
        port: The port; 0 for any free one, `None` for 8000 or, when that is taken, a free one.
        cooldown_seconds, sender, fraud: As for `create_app`.

    Raises:
        ConfigurationError: It cannot listen on the port.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        cooldown_seconds: int = 60,
        sender: Sender | None = None,
        fraud: FraudPolicy | None = PROTECTION,
    ) -> None:
        # Numbers that fail on purpose would fill the terminal with what the page says, too.
        logging.getLogger("otpverify.integrations").addHandler(logging.NullHandler())
        self._socket = _listen(host, port)
        bound = self._socket.getsockname()[1]
        self.url: str = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
        self._app = create_app(
            sandbox,
            url=self.url,
            cooldown_seconds=cooldown_seconds,
            sender=sender,
            fraud=fraud,
        )
        self._server = make_server(
            host,
            bound,
            self._app,
            threaded=True,
            request_handler=_Quiet,
            fd=self._socket.fileno(),
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="otpverify-demo", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop, once messages that are being sent have been sent."""
        self._server.shutdown()
        self._thread.join(_STOP_SECONDS)
        self._server.server_close()
        self._socket.close()
        for close in self._app.extensions["otpverify_demo"]:
            close()


def _listen(host: str, port: int | None) -> socket.socket:
    wanted = SITE_PORT if port is None else port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, wanted), family=family, backlog=128)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return socket.create_server((host, 0), family=family, backlog=128)
        raise ConfigurationError(
            f"Cannot listen on {host}:{wanted}: {error.strerror or error}."
        ) from error
