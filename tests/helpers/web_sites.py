"""One concealed flow on the sites of all frameworks, as pages and as JSON, behind one face: WSGI
and ASGI applications, which one HTTP client asks in this process.

To add a framework, add a `Site` to `BUILT_IN`.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import Any, ClassVar, Self

import django_site
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask, request
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from support import QUICK, SECRET, long_form

from examples.wsgi_app import main as wsgi_example
from otpverify import AsyncVerifier, MemoryStore, Sender, Verifier
from otpverify.integrations.fastapi import (
    FlowTokens,
    TypedPhone,
    get_verifier,
    otp_router,
    report_router,
)
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.web.flow import Flow

django_site.set_up()

from django.contrib.auth import get_user_model  # noqa: E402 - the settings come first
from django.core import signing  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import include, path  # noqa: E402
from django_support import BASE, urlconf  # noqa: E402
from django_views import AsyncEnter, Enter  # noqa: E402

from otpverify.integrations.django.views import (  # noqa: E402
    AsyncPasswordResetView,
    AsyncSignInView,
    PasswordResetView,
    SignInView,
)

HUMAN = {"x-human": "yes"}
KNOWN, STRANGER = "+12025550123", "+12025550199"
TOKENS = FlowTokens(SECRET)


@dataclass(frozen=True)
class Seen:
    """All that a person sees of one reply."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


class Site(ABC):
    """The site of one framework: a context manager.

    Attributes:
        name: The framework, the kind of its views, and the style.
        programs: Whether it is asked by JSON.
        steps: The address of each step.
        ends: The state after a right code; "none" where the code itself ends the flow.
        checks_humans: Whether it has a human check, which the header of `HUMAN` passes.
    """

    name: ClassVar[str]
    programs: ClassVar[bool] = False
    steps: ClassVar[dict[str, str]]
    headers: ClassVar[dict[str, str]] = {}
    ends: ClassVar[str] = "verified"
    checks_humans = False
    report: str

    def __init__(self, sender: Sender, store: MemoryStore | None = None, **options: Any) -> None:
        self.parts: dict[str, Any] = {
            "store": MemoryStore() if store is None else store,
            "secret": SECRET,
            "hasher": QUICK,
            **options,
        }
        self.sender = sender
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self.client = self._opened.enter_context(self.open(self._opened))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @abstractmethod
    def open(self, opened: ExitStack) -> httpx2.Client:
        """A client of the site; `opened` closes what else it needs."""

    def read(self, name: str, value: str) -> str:
        """A cookie's or a token's value, as its owner can read it."""
        return value

    def verifier(self) -> Verifier:
        """The site's synchronous verifier."""
        return Verifier(self.sender, **self.parts)

    def ask(self, method: str, address: str, **more: Any) -> Seen:
        """Send one request, as it stands."""
        reply = self.client.request(method, address, follow_redirects=False, **more)
        headers = [(name.lower(), value) for name, value in reply.headers.multi_items()]
        return Seen(reply.status_code, headers, reply.text)

    def send(self, step: str, **fields: str) -> list[Seen]:
        """Send a form or an object to a step, and open the page that the reply leads to."""
        if self.programs:
            return [self.ask("POST", self.steps[step], json=fields, headers=self.headers)]
        reply = self.ask("POST", self.steps[step], data={**self.hidden(), **fields})
        return [
            reply,
            *([self.page(reply.header("location"))] if reply.status in (302, 303) else []),
        ]

    def status(self) -> Seen:
        return self.ask("GET", self.steps["status"], headers=self.headers)

    def page(self, address: str) -> Seen:
        """Open a page, whose hidden fields the next form has."""
        found = self.ask("GET", address)
        self._html = found.body
        return found

    def hidden(self) -> dict[str, str]:
        """The hidden fields of the page that is open."""
        if not hasattr(self, "_html"):
            self.page(self.steps["start"])
        fields = r'<input type="hidden" name="([^"]+)" value="([^"]*)">'
        return {name: unescape(value) for name, value in re.findall(fields, self._html)}


ODD = "<ff>"
"""Stands for the byte FF in a header, which the HTTP client would not send."""


def on_wsgi(app: Any) -> httpx2.Client:
    def odd(environ: dict[str, Any], start: Any) -> Any:
        for name, value in environ.items():
            if isinstance(value, str):
                environ[name] = value.replace(ODD, "\xff")
        return app(environ, start)

    transport = httpx2.WSGITransport(app=odd, raise_app_exceptions=False)
    return httpx2.Client(transport=transport, base_url="http://testserver")


def on_asgi(app: Any) -> httpx2.Client:
    async def odd(scope: Any, receive: Any, send: Any) -> None:
        headers = [(k, v.replace(ODD.encode(), b"\xff")) for k, v in scope.get("headers", ())]
        await app({**scope, "headers": headers}, receive, send)

    return TestClient(odd, client=("127.0.0.1", 50_000), raise_server_exceptions=False)


def steps_below(prefix: str, end: str = "", start: str = "") -> dict[str, str]:
    named = {step: f"{prefix}/{step}{end}" for step in ("code", "resend", "cancel", "status")}
    return {"start": f"{prefix}{start}{end}", **named}


class FlaskPages(Site):
    name = "flask pages"
    steps = steps_below("/account/reset")

    def open(self, opened: ExitStack) -> httpx2.Client:
        verifier = self.verifier()
        self.otp = OtpVerify(verifier=verifier, reset_verifier=verifier)
        self.app = Flask("site")
        self.app.config.update(SECRET_KEY=SECRET)
        self.otp.init_app(self.app)
        self.otp.find_accounts(lambda phone: "7" if phone == KNOWN else None)
        self.otp.set_password(lambda _account, _password: None)
        if self.checks_humans:
            self.otp.human_check(lambda: is_human(request.headers))
        self.mount()
        return on_wsgi(self.app.wsgi_app)

    def mount(self) -> None:
        self.app.register_blueprint(self.otp.blueprint("reset", "report"), url_prefix="/account")
        self.report = "/account/sms/report"

    def read(self, name: str, value: str) -> str:
        salt = "otpverify.notice" if name == "otpverify_notice" else "cookie-session"
        return str(URLSafeTimedSerializer("", salt=salt).loads_unsafe(value)[1])


class FlaskJson(FlaskPages):
    name = "flask json"
    programs = True
    steps: ClassVar[dict[str, str]] = {**steps_below("/otp", start="/start"), "code": "/otp/check"}

    def mount(self) -> None:
        super().mount()
        blueprint = self.otp.json_blueprint("enter", deliver=lambda phone: phone == KNOWN)
        self.app.register_blueprint(blueprint, url_prefix="/otp")


class FlaskSignInPages(FlaskPages):
    """Existing accounts sign in by phone."""

    name = "flask sign-in pages"
    steps = steps_below("/account/sign-in")
    ends = "none"

    def mount(self) -> None:
        self.otp.on_sign_in(lambda _account: None)
        self.app.register_blueprint(self.otp.blueprint("signin", "report"), url_prefix="/account")
        self.report = "/account/sms/report"


class FlaskSignInJson(FlaskSignInPages):
    name = "flask sign-in json"
    programs = True
    steps: ClassVar[dict[str, str]] = {**steps_below("/otp", start="/start"), "code": "/otp/check"}

    def mount(self) -> None:
        super().mount()
        self.app.register_blueprint(self.otp.json_blueprint("sign-in"), url_prefix="/otp")


def _with_lifespan(handler: Any) -> Any:
    """Django's handler takes no lifespan; servers know that, and the client does not."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await handler(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})

    return app


class DjangoSite(Site):
    view: ClassVar[Any] = PasswordResetView
    steps = steps_below("/reset", "/")
    report = "/sms/report/"

    def open(self, opened: ExitStack) -> httpx2.Client:
        django_site.migrate()
        users: Any = get_user_model().objects
        users.all().delete()
        users.create_user("ann", password="open sesame", phone=KNOWN)
        options = {key.upper(): value for key, value in self.parts.items()}
        setting = {**BASE, **options, "SENDER": self.sender, "DELIVER_IN_BACKGROUND": False}
        if self.checks_humans:
            setting["HUMAN_CHECK"] = lambda request: is_human(request.headers)
        opened.enter_context(override_settings(OTPVERIFY=setting))
        ours = path("", include("otpverify.integrations.django.urls"))
        account = path("account/", lambda request: HttpResponse("Signed in."))
        opened.enter_context(urlconf(*self.view.urls(), ours, account))
        if self.view.view_is_async:
            return on_asgi(_with_lifespan(ASGIHandler()))
        return on_wsgi(WSGIHandler())

    def read(self, name: str, value: str) -> str:
        if name != "otpverify_notice" or not value:
            return value
        return str(signing.loads(value, salt="otpverify.notice"))


class DjangoPages(DjangoSite):
    name = "django sync pages"


class DjangoAsyncPages(DjangoSite):
    name = "django async pages"
    view = AsyncPasswordResetView


class DjangoSignInPages(DjangoSite):
    name = "django sync sign-in pages"
    view = SignInView
    steps = steps_below("/sign-in", "/")
    ends = "none"


class DjangoAsyncSignInPages(DjangoSignInPages):
    name = "django async sign-in pages"
    view = AsyncSignInView


class DjangoOwnPages(DjangoSite):
    name = "django own view pages"
    view = Enter
    steps = steps_below("/enter", "/")


class DjangoOwnAsyncPages(DjangoOwnPages):
    name = "django own async view pages"
    view = AsyncEnter


class _DjangoPrograms(DjangoSite):
    programs = True
    headers: ClassVar[dict[str, str]] = {"accept": "application/json"}


class DjangoJson(_DjangoPrograms):
    name = "django sync json"


class DjangoAsyncJson(_DjangoPrograms):
    name = "django async json"
    view = AsyncPasswordResetView


class DjangoSignInJson(_DjangoPrograms):
    name = "django sync sign-in json"
    view = SignInView
    steps = steps_below("/sign-in", "/")
    ends = "none"


class DjangoAsyncSignInJson(DjangoSignInJson):
    name = "django async sign-in json"
    view = AsyncSignInView


class DjangoOwnJson(_DjangoPrograms):
    name = "django own view json"
    view = Enter
    steps = steps_below("/enter", "/")


class DjangoOwnAsyncJson(DjangoOwnJson):
    name = "django own async view json"
    view = AsyncEnter


def is_human(headers: Any) -> bool:
    return bool(headers.get("x-human") == "yes")


async def passed_human_check(request: Request) -> bool:
    return is_human(request.headers)


async def has_account(phone: TypedPhone) -> bool:
    return phone == KNOWN


@cache
def fastapi_app() -> FastAPI:
    """It takes long to build, and cannot be built while time stands."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.include_router(otp_router("reset", deliver=has_account), prefix="/cookie")
    app.include_router(otp_router("reset", deliver=has_account, session=TOKENS), prefix="/token")
    app.include_router(
        otp_router("reset", deliver=has_account, human_check=passed_human_check), prefix="/human"
    )
    app.include_router(report_router())
    verifier = AsyncVerifier(_no_sender)
    app.dependency_overrides[get_verifier] = lambda: verifier
    with TestClient(app) as client:
        for prefix in ("/cookie", "/token"):
            client.get(f"{prefix}/status")
            client.post(f"{prefix}/start", json={"phone": "1"})
    return app


class _NoSender:
    def send(self, message: Any) -> Any:
        raise NotImplementedError


_no_sender: Any = _NoSender()


class FastApi(Site):
    name = "fastapi cookies"
    programs = True
    steps: ClassVar[dict[str, str]] = {
        **steps_below("/cookie", start="/start"),
        "code": "/cookie/check",
    }
    report = "/sms/report"

    def open(self, opened: ExitStack) -> httpx2.Client:
        app = fastapi_app()
        if self.checks_humans:
            self.steps = {name: f"/human/{at[8:]}" for name, at in self.steps.items()}  # type: ignore[misc]  # of this site alone
        verifier = AsyncVerifier(self.sender, **self.parts)
        before = app.dependency_overrides[get_verifier]
        app.dependency_overrides[get_verifier] = lambda: verifier
        opened.callback(app.dependency_overrides.__setitem__, get_verifier, before)
        return on_asgi(app)

    def read(self, name: str, value: str) -> str:
        data, signed, _ = value.partition(".")
        if not signed:  # the cookie is dropped
            return value
        return b64decode(data + "=" * (-len(data) % 4)).decode()


class FastApiTokens(FastApi):
    name = "fastapi tokens"
    steps: ClassVar[dict[str, str]] = {
        **steps_below("/token", start="/start"),
        "code": "/token/check",
    }

    def ask(self, method: str, address: str, **more: Any) -> Seen:
        seen = super().ask(method, address, **more)
        if token := seen.header("otp-flow"):
            self.client.headers["otp-flow"] = token
        return seen

    def read(self, name: str, value: str) -> str:
        try:
            return str(URLSafeTimedSerializer("").loads_unsafe(value)[1])
        except BadData:
            return value


class WsgiExample(Site):
    """The documentation's example for a framework of one's own, its flow made concealed."""

    name = "wsgi pages"
    steps: ClassVar[dict[str, str]] = {
        "start": "/phone",
        "code": "/code",
        "resend": "/resend",
        "cancel": "/code",  # it does not have that button
        "status": "/code",
    }
    report = "/sms/report"

    def open(self, opened: ExitStack) -> httpx2.Client:
        example: Any = wsgi_example
        opened.callback(setattr, example, "Flow", example.Flow)
        example.Flow = _Concealed
        return on_wsgi(wsgi_example.App(self.verifier()))


class _Concealed(Flow):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, concealed=True)

    def start(self, to: Any = None, **_: Any) -> Any:
        return super().start(to, deliver=lambda phone: phone == KNOWN)


BUILT_IN: list[type[Site]] = [
    FlaskPages,
    FlaskJson,
    FlaskSignInPages,
    FlaskSignInJson,
    DjangoPages,
    DjangoAsyncPages,
    DjangoJson,
    DjangoAsyncJson,
    DjangoSignInPages,
    DjangoAsyncSignInPages,
    DjangoSignInJson,
    DjangoAsyncSignInJson,
    FastApi,
    FastApiTokens,
]
"""A site on each kind of view that the package brings."""

SITES: list[type[Site]] = [
    *BUILT_IN,
    DjangoOwnPages,
    DjangoOwnAsyncPages,
    DjangoOwnJson,
    DjangoOwnAsyncJson,
    WsgiExample,
]
"""Those, and sites with views of their own."""

SLOW = (
    DjangoAsyncPages,
    DjangoAsyncJson,
    DjangoAsyncSignInPages,
    DjangoAsyncSignInJson,
    DjangoOwnAsyncPages,
    DjangoOwnAsyncJson,
)
"""The asynchronous views of Django take long, and share all code with the synchronous ones: where a
test sends much, they are left to the long form."""


def slow_in_long_form(kinds: Iterable[type[Site]]) -> list[Any]:
    """Parameters of a test: of the slow kinds, the long form asks."""
    return [pytest.param(kind, marks=long_form if kind in SLOW else ()) for kind in kinds]


_LONG = re.compile(r"[A-Za-z0-9_+/=.:-]{20,}")


def comparable(site: Site, seen: Seen, phone: str) -> str:
    """A reply, without the number and random parts. Cookies and tokens are shown as
    their owner can read them."""
    shown = [str(seen.status)]
    for name, value in seen.headers:
        if name == "set-cookie":
            named, _, rest = value.strip().partition(";")
            cookie, _, held = named.partition("=")
            held = held.strip('"')
            shown.append(f"{name}: {cookie}={_readable(site, cookie, held)};{rest}")
        elif name == "otp-flow":
            shown.append(f"{name}: {_readable(site, name, value)}")
        else:
            shown.append(f"{name}: {value}")
    text = "\n".join([shown[0], *sorted(shown[1:]), seen.body])
    for written in (phone, phone.replace("+", "%2B"), phone.replace("+", "&#43;")):
        text = text.replace(written, "<phone>")
    return text


def _readable(site: Site, name: str, value: str) -> str:
    return json.dumps(site.read(name, value)) if value else "<empty>"


def without_tokens(text: str) -> str:
    """A reply without tokens, which are long: only their length is shown."""
    return _LONG.sub(lambda found: f"<{len(found[0])}>", text)
