"""Sites of all frameworks with views that need a code first, behind one face.

| address | needs |
|---|---|
| `POST /name` | a code for `settings` within the last 300 seconds |
| `POST /pay/<amount>` | a code that approves this amount, and the payee of the form |
| `GET /export` | a code for `export`, used up |
| `GET /form` | nothing: the page that the forms are on |
| `POST /as/<account>`, `POST /out` | nothing: sign in and out |
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import cache
from typing import Annotated, Any, ClassVar

import httpx2
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from flask import request, session
from flask.sessions import SecureCookieSessionInterface
from starlette.middleware.sessions import SessionMiddleware
from support import QUICK, SECRET
from web_sites import FlaskPages, Seen, Site, _with_lifespan, on_asgi, on_wsgi

from otpverify import AsyncVerifier, MemoryStore, Sender, Verified
from otpverify.integrations.fastapi import (
    Proof,
    Recipient,
    add_exception_handlers,
    fresh_proof,
    get_verifier,
    held_proof,
    otp_router,
)
from otpverify.testing import OutboxSender

import django_site  # isort: skip - it is set up by web_sites
from django.contrib.auth import get_user_model, login, logout
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.test import override_settings
from django.urls import include, path
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django_support import BASE, urlconf

from otpverify.integrations.django.views import (
    AsyncStepUpView,
    CodeRequiredMixin,
    StepUpView,
    code_required,
)

PHONES = {"ann": "+12025550123", "bob": "+12025550199"}


class StepUpSite(Site):
    """A site whose person is signed in as Ann.

    Attributes:
        acted: What its views did.
        phones: The account's phones.
        programs: It has no pages.
        cookies_set: The cookies that the reply to the last form set.
    """

    steps: ClassVar[dict[str, str]] = {"start": "/form"}

    def __init__(self, sender: Sender, store: MemoryStore | None = None, **options: Any) -> None:
        super().__init__(sender, store, **options)
        self.acted: list[str] = []
        self.phones = dict(PHONES)
        self.passwords = dict.fromkeys(PHONES, "first")

    def page_of(self, purpose: str, step: str = "") -> str:
        """The address of a page of the step-up."""
        raise NotImplementedError

    def start_of(self, purpose: str, amount: str) -> str:
        """The address that starts the flow for programs."""
        raise NotImplementedError

    def check_of(self, start: str) -> str:
        """The address that takes the code, beside the one that starts the flow."""
        return start.replace("/start", "/check")

    def open_another(self) -> httpx2.Client:
        """Another client of the site."""
        raise NotImplementedError

    def sign_in(self, account: str) -> None:
        assert self.ask("POST", f"/as/{account}").status == 200

    def sign_out(self) -> None:
        assert self.ask("POST", "/out").status == 200

    def change_password(self, account: str) -> None:
        self.passwords[account] += "+"

    def change_phone(self, account: str, phone: str) -> None:
        self.phones[account] = phone

    def press(self, address: str, *, headers: Any = None, **fields: Any) -> Seen:
        """Send a form of the page that is open, and open the page that the reply leads to."""
        return self.press_only(address, {**self.hidden(), **fields}, headers)

    def press_only(self, address: str, data: dict[str, Any], headers: Any = None) -> Seen:
        """Send these fields, and open the page that the reply leads to."""
        seen = self.ask("POST", address, data=data, headers=headers or {})
        cookies = [value for name, value in seen.headers if name == "set-cookie"]
        self.cookies_set = {value.partition("=")[0].strip() for value in cookies}
        self._html = seen.body
        while seen.status in (302, 303):
            self.at = seen.header("location")
            seen = self.page(self.at)
        return seen

    def json(self, address: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """A program's request, and the reply's status and object."""
        seen = self.ask("POST", address, json=body, headers={"accept": "application/json"})
        try:
            return seen.status, json.loads(seen.body)
        except ValueError:
            return seen.status, {"text": seen.body}


class StepUpFlask(StepUpSite, FlaskPages):
    name = "flask"
    on_server = False

    def mount(self) -> None:
        otp, app = self.otp, self.app
        otp.account_loader(lambda: session.get("account"))
        otp.get_phone(lambda account: self.phones.get(account))
        otp.auth_hash(lambda account: self.passwords[account])
        if self.on_server:
            app.session_interface = ServerSessions()
        app.register_blueprint(otp.blueprint("proof"), url_prefix="/account")
        payment = otp.json_blueprint("payment", recipient=self._paying)
        app.register_blueprint(payment, url_prefix="/otp/payment/<amount>")
        settings = otp.json_blueprint("settings", recipient=self._member)
        app.register_blueprint(settings, url_prefix="/otp/settings")

        def facts(amount: str) -> dict[str, str]:
            return {"amount": f"{amount} EUR", "payee": request.form.get("payee", "Bob")}

        @app.get("/form")
        def form() -> str:
            return "<h1>Form</h1>"

        @app.post("/as/<account>")
        def sign_in(account: str) -> str:
            otp.forget()
            session["account"] = account
            return ""

        @app.post("/out")
        def sign_out() -> str:
            otp.forget()
            session.pop("account", None)
            return ""

        @app.post("/name")
        @otp.code_required("settings", within=300)
        def rename() -> str:
            return self.act("name", request.form.to_dict(flat=False))

        @app.post("/pay/<amount>")
        @otp.code_required("payment", binding=facts)
        def pay(amount: str, verified: Verified) -> str:
            return self.act(f"pay {amount} by {verified.phone}", request.form.to_dict(flat=False))

        @app.get("/export")
        @otp.code_required("export")
        def export(verified: Verified) -> str:
            return self.act(f"export by {verified.phone}", {})

    def open_another(self) -> httpx2.Client:
        return on_wsgi(self.app.wsgi_app)

    def act(self, what: str, fields: dict[str, Any]) -> str:
        own = {name: values for name, values in fields.items() if name != "otpverify_token"}
        self.acted.append(f"{what} {own}" if own else what)
        return f"<h1>Done</h1>{self.acted[-1]}"

    def _member(self) -> Recipient:
        account = session["account"]
        return Recipient(self.phones[account], account)

    def _paying(self, amount: str) -> Recipient:
        account = session["account"]
        bound = {"amount": f"{amount} EUR", "payee": "Bob"}
        return Recipient(self.phones[account], account, bound)

    def page_of(self, purpose: str, step: str = "") -> str:
        return f"/account/proof/{purpose}/{step}".rstrip("/")

    def start_of(self, purpose: str, amount: str) -> str:
        return f"/otp/payment/{amount}/start" if purpose == "payment" else "/otp/settings/start"


class ServerSessions(SecureCookieSessionInterface):
    """Sessions on the server, in a dict; the cookie has their key."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.made = 0

    def open_session(self, app: Any, request: Any) -> Any:
        found = super().open_session(app, request)
        if found is None:
            return None
        key = found.get("key")
        for name, value in json.loads(self.kept.get(str(key), "{}")).items():
            found.setdefault(name, value)
        found.modified = False
        return found

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        if not session.modified:
            return
        if "key" not in session:
            self.made += 1
            session["key"] = str(self.made)
        self.kept[session["key"]] = json.dumps(dict(session))
        only = self.session_class({"key": session["key"]})
        only.modified = True
        super().save_session(app, only, response)


class StepUpFlaskServer(StepUpFlask):
    name = "flask, sessions on the server"
    on_server = True


class StepUpDjango(StepUpSite):
    name = "django"
    view: ClassVar[Any] = StepUpView

    def open(self, opened: ExitStack) -> httpx2.Client:
        django_site.migrate()
        users: Any = get_user_model().objects
        users.all().delete()
        for name, phone in PHONES.items():
            users.create_user(name, password="open sesame", phone=phone)
        options = {key.upper(): value for key, value in self.parts.items()}
        opened.enter_context(
            override_settings(OTPVERIFY={**BASE, **options, "SENDER": self.sender})
        )
        ours = path("", include("otpverify.integrations.django.urls"))
        views = self.views()
        patterns = [path(address, view) for address, view in views.items()]
        opened.enter_context(urlconf(*patterns, *self.view.urls(), ours))
        if self.view.view_is_async:
            return on_asgi(_with_lifespan(ASGIHandler()))
        return on_wsgi(WSGIHandler())

    def open_another(self) -> httpx2.Client:
        return on_wsgi(WSGIHandler())

    def views(self) -> dict[str, Any]:
        act = self.act

        @csrf_exempt
        def sign_in(request: Any, account: str) -> HttpResponse:
            user = get_user_model().objects.get(username=account)
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return HttpResponse("")

        @csrf_exempt
        def sign_out(request: Any) -> HttpResponse:
            logout(request)
            return HttpResponse("")

        def form(request: Any) -> HttpResponse:
            field = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
            return HttpResponse(f"<h1>Form</h1>{field}")

        found = {"as/<str:account>": sign_in, "out": sign_out, "form": form}
        return {**found, **self.guarded(act)}

    def guarded(self, act: Any) -> dict[str, Any]:
        class Rename(CodeRequiredMixin, View):
            code_purpose = "settings"
            code_within = 300

            def post(self, request: Any) -> HttpResponse:
                return act("name", request)  # type: ignore[no-any-return]  # it is a reply

        @code_required("payment", binding=bound)
        def pay(request: Any, amount: str, verified: Verified) -> HttpResponse:
            return act(f"pay {amount} by {verified.phone}", request)  # type: ignore[no-any-return]  # a reply

        @code_required("export")
        def export(request: Any, verified: Verified) -> HttpResponse:
            return act(f"export by {verified.phone}", request)  # type: ignore[no-any-return]  # a reply

        exempt = {"name": Rename.as_view(), "pay/<str:amount>": pay}
        return {"export": export, **{name: json_is_exempt(view) for name, view in exempt.items()}}

    def act(self, what: str, request: Any) -> HttpResponse:
        fields = dict(request.POST.lists())
        own = {name: values for name, values in fields.items() if name != "csrfmiddlewaretoken"}
        self.acted.append(f"{what} {own}" if own else what)
        return HttpResponse(f"<h1>Done</h1>{self.acted[-1]}")

    def change_password(self, account: str) -> None:
        user = get_user_model().objects.get(username=account)
        user.set_password("another sesame")
        user.save()
        self.sign_in_again(account)

    def sign_in_again(self, account: str) -> None:
        """What `update_session_auth_hash` does for the session that changed the password."""
        from django.contrib.sessions.backends.db import SessionStore

        user = get_user_model().objects.get(username=account)
        kept = SessionStore(self.client.cookies["sessionid"])
        kept["_auth_user_hash"] = user.get_session_auth_hash()
        kept.save()

    def change_phone(self, account: str, phone: str) -> None:
        get_user_model().objects.filter(username=account).update(phone=phone)

    def page_of(self, purpose: str, step: str = "") -> str:
        return f"/step-up/{purpose}/{step}/".replace("//", "/")

    def start_of(self, purpose: str, amount: str) -> str:
        return self.page_of(purpose)

    def check_of(self, start: str) -> str:
        return f"{start}code/"


def bound(request: Any, amount: str) -> dict[str, str]:
    return {"amount": f"{amount} EUR", "payee": request.POST.get("payee", "Bob")}


def json_is_exempt(view: Any) -> Any:
    """The view, whose JSON needs no token, as an API's does not."""
    from asgiref.sync import iscoroutinefunction
    from django.views.decorators.csrf import csrf_protect

    checked = csrf_protect(view)

    if iscoroutinefunction(view):

        async def awaited(request: Any, **kwargs: Any) -> Any:
            program = request.content_type == "application/json"
            return await (view if program else checked)(request, **kwargs)

        return csrf_exempt(awaited)

    def called(request: Any, **kwargs: Any) -> Any:
        program = request.content_type == "application/json"
        return (view if program else checked)(request, **kwargs)

    return csrf_exempt(called)


class StepUpAsyncDjango(StepUpDjango):
    name = "django, asynchronous"
    view = AsyncStepUpView

    def guarded(self, act: Any) -> dict[str, Any]:
        class Rename(CodeRequiredMixin, View):
            code_purpose = "settings"
            code_within = 300

            async def post(self, request: Any) -> HttpResponse:
                return act("name", request)  # type: ignore[no-any-return]  # it is a reply

        @code_required("payment", binding=bound)
        async def pay(request: Any, amount: str, verified: Verified) -> HttpResponse:
            return act(f"pay {amount} by {verified.phone}", request)  # type: ignore[no-any-return]  # a reply

        @code_required("export")
        async def export(request: Any, verified: Verified) -> HttpResponse:
            return act(f"export by {verified.phone}", request)  # type: ignore[no-any-return]  # a reply

        exempt = {"name": Rename.as_view(), "pay/<str:amount>": pay}
        return {"export": export, **{name: json_is_exempt(view) for name, view in exempt.items()}}


_open: list[StepUpFastApi] = []


def _site() -> StepUpFastApi:
    return _open[-1]


async def member(request: Request) -> Recipient:
    account = request.session["account"]
    subject = f"{account}/{_site().passwords[account]}"
    return Recipient(_site().phones[account], subject)


async def paying(request: Request, amount: str) -> Recipient:
    to = await member(request)
    return Recipient(to.phone, to.subject, {"amount": f"{amount} EUR", "payee": "Bob"})


Recent = Annotated[Proof, Depends(held_proof("settings", recipient=member, max_age=300))]
Fresh = Annotated[Verified, Depends(fresh_proof("payment", recipient=paying))]


@cache
def fastapi_step_up() -> FastAPI:
    """It takes long to build, and cannot be built while time stands."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.include_router(otp_router("settings", recipient=member), prefix="/otp/settings")
    app.include_router(otp_router("payment", recipient=paying), prefix="/otp/payment/{amount}")
    add_exception_handlers(app)

    @app.post("/as/{account}")
    async def sign_in(request: Request, account: str) -> None:
        request.session.clear()
        request.session["account"] = account

    @app.post("/name")
    async def rename(proof: Recent) -> None:
        _site().acted.append("name")

    @app.post("/pay/{amount}")
    async def pay(amount: str, verified: Fresh) -> None:
        _site().acted.append(f"pay {amount} by {verified.phone}")

    app.dependency_overrides[get_verifier] = lambda: AsyncVerifier(OutboxSender(), hasher=QUICK)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.post("/name")
    return app


class StepUpFastApi(StepUpSite):
    name = "fastapi"
    programs = True

    def open(self, opened: ExitStack) -> httpx2.Client:
        app = fastapi_step_up()
        verifier = AsyncVerifier(self.sender, **self.parts)
        app.dependency_overrides[get_verifier] = lambda: verifier
        _open.append(self)
        opened.callback(_open.pop)
        return on_asgi(app)

    def start_of(self, purpose: str, amount: str) -> str:
        return f"/otp/payment/{amount}/start" if purpose == "payment" else "/otp/settings/start"


PAGES: list[type[StepUpSite]] = [StepUpFlask, StepUpFlaskServer, StepUpDjango, StepUpAsyncDjango]
PROGRAMS: list[type[StepUpSite]] = [StepUpFlask, StepUpDjango, StepUpAsyncDjango, StepUpFastApi]

SLOW: tuple[type[StepUpSite], ...] = (StepUpAsyncDjango,)
"""Its pages share all code with the synchronous ones: they are left to the long form."""
