"""A small Flask site, and a person in front of it."""

from __future__ import annotations

import secrets
import time
from typing import Any

from flask import Flask, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from support import QUICK
from werkzeug.test import TestResponse

from otpverify import MemoryStore, Verified
from otpverify.demo.script import Page
from otpverify.integrations.flask import OtpVerify
from otpverify.testing import OutboxSender

PHONE, STRANGER, TYPED = "+12025550123", "+12025550199", "+37256789045"
USER, PASSWORD = "customer", "open sesame"


class Shop:
    """An application with an account, and the calls of its hooks.

    Attributes:
        app: The application.
        otp: Its extension.
        outbox: What was sent.
        told: What the hooks were called with.
    """

    def __init__(self, outbox: OutboxSender | None = None, *, sender: Any = None) -> None:
        self.outbox = OutboxSender() if outbox is None else outbox
        self.store = MemoryStore()
        self.told: list[tuple[Any, ...]] = []
        self.phones = {"7": PHONE}
        self.otp = OtpVerify(sender=sender or self.outbox, store=self.store, hasher=QUICK)
        self.app = Flask("shop")
        self.app.config.update(SECRET_KEY="a key of the session's cookie", TESTING=True)
        self._hooks()

    def _hooks(self) -> None:
        otp = self.otp

        @otp.authenticate
        def authenticate(user: str, password: str) -> str | None:
            return "7" if (user, password) == (USER, PASSWORD) else None

        @otp.get_phone
        def get_phone(account: str) -> str | None:
            return self.phones.get(account)

        @otp.find_accounts
        def find_accounts(phone: str) -> str | None:
            return next((who for who, known in self.phones.items() if known == phone), None)

        @otp.account_loader
        def account_loader() -> str | None:
            return session.get("account")

        @otp.on_login
        def on_login(account: str) -> None:
            self.told.append(("login", account))
            session["account"] = account

        @otp.on_confirmed
        def on_confirmed(verified: Verified) -> None:
            self.told.append(("confirmed", verified.phone))

        @otp.set_password
        def set_password(account: str, password: str) -> None:
            self.told.append(("password", account, password))

    def mount(self, **config: Any) -> Shop:
        """Set the application up, with all flows under `/account`."""
        self.app.config.update(config)
        self.otp.init_app(self.app)
        self.app.register_blueprint(self.otp.blueprint(), url_prefix="/account")
        return self

    def code(self, count: int) -> str:
        """The newest code, once so many messages came; some come behind the reply's back."""
        for _ in range(60_000):  # by no clock, for a test may have stopped it
            if len(self.outbox) >= count:
                break
            time.sleep(0.001)
        assert len(self.outbox) >= count, "no message came"
        return self.outbox.code()

    def person(self) -> Person:
        """Somebody new."""
        return Person(self.app)


class KeptSession(SecureCookieSession):
    """A session on the server."""

    def __init__(self, kept: dict[str, Any], sid: str) -> None:
        super().__init__(kept)
        self.sid = sid


class ServerSessions(SessionInterface):
    """Sessions on the server, as Flask-Session has them: the cookie holds the id alone."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def open_session(self, app: Flask, request: Any) -> KeptSession:
        sid = request.cookies.get("session", "")
        return KeptSession(self.kept.get(sid, {}), sid if sid in self.kept else self._id())

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        if session.modified:
            self.kept[session.sid] = dict(session)
            response.set_cookie("session", session.sid)

    def regenerate(self, session: Any) -> None:
        self.kept.pop(session.sid, None)
        session.sid = self._id()
        session.modified = True

    @staticmethod
    def _id() -> str:
        return secrets.token_hex(16)


class Person:
    """One person with one browser, by Flask's test client.

    Attributes:
        client: The test client.
        page: What is open.
        locations: Where every redirect led.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        self.page = Page("", 0, "")
        self.locations: list[str] = []

    def open(self, path: str, **more: Any) -> Page:
        """Open a page."""
        return self._see(self.client.get(path, follow_redirects=True, **more))

    def send(self, action: str, /, **fields: str) -> Page:
        """Send the open page's form."""
        form = {**self.page.forms[action], **fields}
        return self._see(self.client.post(action, data=form, follow_redirects=True))

    def begin(self, flow: str, **fields: str) -> Page:
        """Open a flow's first page and send its form."""
        self.open(f"/account/{flow}")
        if flow == "login":
            fields = {"user": USER, "password": PASSWORD, **fields}
        return self.send(f"/account/{flow}", **fields)

    @property
    def cookie(self) -> str:
        """What the browser keeps."""
        found = self.client.get_cookie("session")
        return found.value if found is not None else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie("session", value)

    @property
    def kept(self) -> dict[str, Any]:
        """What a reader of the cookie sees."""
        serializer = SecureCookieSessionInterface().get_signing_serializer(self.app)
        assert serializer is not None
        found: dict[str, Any] = serializer.loads(self.cookie)
        return found

    @property
    def notice(self) -> Any:
        """What waits to be said, as a reader of its cookie sees it."""
        found = self.client.get_cookie("otpverify_notice")
        if found is None:
            return None
        return URLSafeTimedSerializer("").loads_unsafe(found.decoded_value)[1]

    def _see(self, response: TestResponse) -> Page:
        for reply in (*response.history, response):
            self.locations.append(reply.headers.get("Location", ""))
        self.page = Page(
            response.request.path, response.status_code, response.text, dict(response.headers)
        )
        return self.page
