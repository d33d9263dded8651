"""A whole session that is put back: a cookie or a token of before, after the code was used, after a
cancel, after a logout. The store alone decides what is still good."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, ClassVar

import django_site
import httpx2
import pytest
from fastapi import Depends, FastAPI
from flask import Flask, jsonify, session
from starlette.middleware.sessions import SessionMiddleware
from support import QUICK, SECRET
from web_sites import (
    KNOWN,
    TOKENS,
    DjangoAsyncPages,
    DjangoJson,
    DjangoPages,
    FastApi,
    FastApiTokens,
    FlaskJson,
    FlaskPages,
    Site,
    has_account,
    on_asgi,
)

from otpverify import AsyncVerifier, MemoryStore, Verified
from otpverify.integrations.fastapi import (
    cookie_session,
    fresh_proof,
    get_verifier,
    otp_router,
)
from otpverify.integrations.flask import OtpVerify
from otpverify.testing import OutboxSender

django_site.set_up()

from django.contrib.auth import get_user_model  # noqa: E402 - the settings come first
from django.contrib.auth.signals import user_logged_in  # noqa: E402
from django.test import override_settings  # noqa: E402
from django_support import (  # noqa: E402
    ACCOUNT_PHONE,
    BASE,
    PASSWORD,
    Person,
    login,
)

SIGNED = {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}


class FlaskPagesToSpend(FlaskPages):
    def mount(self) -> None:
        super().mount()
        self.passwords: list[str] = []
        self.otp.set_password(lambda _account, password: self.passwords.append(password))


class FlaskJsonToSpend(FlaskJson):
    def mount(self) -> None:
        super().mount()
        self.app.register_error_handler(Exception, lambda error: (str(error), 403))
        self.app.add_url_rule("/spend", "spend", self._spend, methods=["POST"])

    def _spend(self) -> Any:
        return jsonify(phone=self.otp.redeem(KNOWN, purpose="enter").phone)


class SignedDjango(DjangoPages):
    name = "django signed cookies pages"

    def open(self, opened: ExitStack) -> httpx2.Client:
        opened.enter_context(override_settings(**SIGNED))
        return super().open(opened)


class SignedAsyncDjango(SignedDjango, DjangoAsyncPages):
    name = "django signed cookies async pages"


class SignedJsonDjango(SignedDjango, DjangoJson):
    name = "django signed cookies json"


class FastApiToSpend(FastApi):
    session: ClassVar[Any] = staticmethod(cookie_session)

    def open(self, opened: ExitStack) -> httpx2.Client:
        app = FastAPI()
        app.add_middleware(SessionMiddleware, secret_key=SECRET)
        prefix = self.steps["start"].removesuffix("/start")
        app.include_router(
            otp_router("reset", deliver=has_account, session=self.session), prefix=prefix
        )

        async def spend(
            verified: Verified = Depends(fresh_proof("reset", session=self.session)),  # noqa: B008 - it is local, and annotations are postponed
        ) -> str:
            return verified.phone

        app.post("/spend")(spend)
        verifier = AsyncVerifier(self.sender, **self.parts)
        app.dependency_overrides[get_verifier] = lambda: verifier
        return on_asgi(app)


class FastApiTokensToSpend(FastApiToSpend, FastApiTokens):
    name = "fastapi tokens"
    session: ClassVar[Any] = TOKENS


KINDS: list[type[Site]] = [
    FlaskPagesToSpend,
    FlaskJsonToSpend,
    SignedDjango,
    SignedAsyncDjango,
    SignedJsonDjango,
    FastApiToSpend,
    FastApiTokensToSpend,
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


class Copy:
    """A copy of all that a client has of its session."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies = list(site.client.cookies.jar)
        self.token = site.client.headers.get("otp-flow")

    def put_back(self) -> None:
        client: Any = self.site.client
        client.cookies.jar.clear()
        for cookie in self.cookies:
            client.cookies.jar.set_cookie(cookie)
        client.headers.pop("otp-flow", None)
        if self.token is not None:
            client.headers["otp-flow"] = self.token
        if not self.site.programs:
            self.site.page(self.site.steps["start"])


def spend(site: Site, nth: int) -> bool:
    """Do what a right code allows, and say whether it was done."""
    password = f"a new password, number {nth}"
    if isinstance(site, FlaskPagesToSpend):
        form = {**site.hidden(), "password": password}
        site.ask("POST", "/account/reset/password", data=form)
        return password in site.passwords
    if isinstance(site, SignedDjango):
        fields = {"new_password1": password, "new_password2": password}
        given = {"json": fields} if site.programs else {"data": {**site.hidden(), **fields}}
        site.ask("POST", "/reset/password/", headers=site.headers, **given)
        users: Any = get_user_model().objects
        return bool(users.get(username="ann").check_password(password))
    return site.ask("POST", "/spend").status == 200


@every_kind
def test_no_proof_is_used_twice(kind: type[Site]) -> None:
    outbox = OutboxSender()
    with kind(outbox) as site:
        site.send("start", phone=KNOWN)
        pending, code = Copy(site), outbox.code()
        site.send("code", code=code)
        assert '"verified"' in site.status().body
        proved = Copy(site)
        assert spend(site, 1)
        used = Copy(site)
        for nth, copy in enumerate((pending, proved, used, proved, pending), 2):
            copy.put_back()
            site.send("code", code=code)
            assert not spend(site, nth)
        proved.put_back()
        assert not spend(site, 9), "without a code, too"


@every_kind
def test_what_was_cancelled_does_not_come_back(kind: type[Site]) -> None:
    outbox = OutboxSender()
    with kind(outbox) as site:
        site.send("start", phone=KNOWN)
        pending, code = Copy(site), outbox.code()
        site.send("cancel")
        pending.put_back()
        site.send("code", code=code)
        assert '"verified"' not in site.status().body
        assert not spend(site, 1)


@every_kind
def test_a_proof_that_was_cancelled_does_not_come_back(kind: type[Site]) -> None:
    outbox = OutboxSender()
    with kind(outbox) as site:
        site.send("start", phone=KNOWN)
        site.send("code", code=outbox.code())
        proved = Copy(site)
        site.send("cancel")
        assert '"verified"' not in site.status().body
        proved.put_back()
        assert not spend(site, 1)


@every_kind
def test_attempts_do_not_come_back(kind: type[Site]) -> None:
    outbox = OutboxSender()
    with kind(outbox) as site:
        site.send("start", phone=KNOWN)
        fresh, code = Copy(site), outbox.code()
        for nth in range(5):
            fresh.put_back()
            site.send("code", code=f"{(int(code) + nth + 1) % 10**6:06d}")
        fresh.put_back()
        site.send("code", code=code)
        assert '"verified"' not in site.status().body
        assert not spend(site, 1)


# One code signs in once. What an application puts into a signed cookie is the application's: a
# cookie of a session that was signed in signs in again, until its key or its own mark changes.


def test_flask_signs_in_once_with_one_code() -> None:
    outbox, logins = OutboxSender(), []
    otp = OtpVerify(sender=outbox, store=MemoryStore(), hasher=QUICK)
    otp.authenticate(lambda _user, _password: "7")
    otp.get_phone(lambda _account: KNOWN)

    @otp.on_login
    def on_login(account: str) -> None:
        logins.append(account)
        session["account"] = account

    app = Flask("site")
    app.config.update(SECRET_KEY=SECRET)
    otp.init_app(app)
    app.register_blueprint(otp.blueprint("login"), url_prefix="/account")

    @app.get("/out")
    def out() -> str:
        otp.forget()
        session.clear()
        return "bye"

    client = app.test_client()

    def send(action: str, **fields: str) -> None:
        with client.session_transaction() as held:
            token = held["_otpverify"]["csrf"]
        client.post(action, data={"otpverify_token": token, **fields})

    client.get("/account/login")
    send("/account/login", user="ann", password="open sesame")
    found = client.get_cookie("session")
    assert found is not None
    before, code = found.value, outbox.code()
    send("/account/login/code", code=code)
    assert logins == ["7"]
    client.get("/out")
    for _ in range(2):
        client.set_cookie("session", before)
        send("/account/login/code", code=code)
        with client.session_transaction() as held:
            assert "account" not in held
    assert logins == ["7"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_django_signs_in_once_with_one_code(mode: str) -> None:
    django_site.migrate()
    users: Any = get_user_model().objects
    users.all().delete()
    users.create_user("ann", password=PASSWORD, phone=ACCOUNT_PHONE)
    outbox = OutboxSender()
    logins: list[object] = []

    def signed_in(**named: object) -> None:
        logins.append(named["user"])

    options = {**BASE, "SENDER": outbox, "STORE": MemoryStore()}
    user_logged_in.connect(signed_in)
    try:
        with override_settings(OTPVERIFY=options, **SIGNED):
            person = Person(mode)
            login(person)
            before, code = person.client.cookies["sessionid"].value, outbox.code(ACCOUNT_PHONE)
            person.send("/login/code/", code=code)
            assert len(logins) == 1
            person.client.logout()
            for _ in range(2):
                person.client.cookies["sessionid"] = before
                person.send("/login/code/", code=code)
                assert len(logins) == 1
                assert not person.signed_in
    finally:
        user_logged_in.disconnect(signed_in)
