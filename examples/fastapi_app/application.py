"""Flows as a JSON API: sign-in by phone, login with a second factor and remembered browsers, phone
confirmation, approval of a payment, password reset. And a page that calls it."""

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import FileResponse, HTMLResponse

from examples.fastapi_app.accounts import PASSWORD, SHORTEST_PASSWORD, USER, Accounts
from otpverify import AsyncSmspmClient, AsyncVerifier, MemoryStore, Messages, Policy, Verified
from otpverify.integrations import web
from otpverify.integrations.fastapi import (
    OtpFlow,
    Proof,
    Recipient,
    TypedPhone,
    add_exception_handlers,
    get_background_verifier,
    get_verifier,
    otp_lifespan,
    proof_responses,
)
from otpverify.integrations.web.remembered import REMEMBERED_COOKIE, RememberedBrowsers

HALF_SECONDS = 900
UNAUTHORIZED: dict[int | str, dict[str, Any]] = {401: {"description": "Sign in first."}}
HERE = Path(__file__).parent
PAGE = (HERE / "index.html").read_text()
ASSETS = Path(web.__file__).parent / "assets"  # the style of the library's own pages
INVOICES = {1: {"amount": "25.00 EUR", "payee": "Bookshop"}}  # yours come from the database


class Credentials(BaseModel):
    """The first factor."""

    user: str = Field(max_length=64, examples=[USER])
    password: str = Field(max_length=256, repr=False, examples=[PASSWORD])


class FirstStep(BaseModel):
    """The password was right."""

    code: bool = Field(description="Whether a code follows: not in a remembered browser.")


class SecondStep(BaseModel):
    """The code was right, too."""

    remember: bool = Field(False, description="Ask for no code in this browser for 30 days.")


class NewPassword(BaseModel):
    """The new password, after a right code. If the route refuses it, the proof stays valid."""

    password: str = Field(max_length=256, repr=False)


class Nothing(BaseModel):
    """An empty JSON object, which other sites cannot send."""


class Invoice(BaseModel):
    """A payment to approve, or one that is approved."""

    amount: str
    payee: str
    paid: bool = False


class Account(BaseModel):
    """Who is signed in."""

    user: str
    phone: str


async def accounts_of(request: Request) -> Accounts:
    """A dependency: the accounts."""
    found: Accounts = request.app.state.accounts
    return found


TheAccounts = Annotated[Accounts, Depends(accounts_of)]


async def browsers_of(verifier: Annotated[AsyncVerifier, Depends(get_verifier)]) -> Any:
    """A dependency: writes and reads the cookie of remembered browsers."""
    return RememberedBrowsers(verifier, days=30)


Browsers = Annotated[RememberedBrowsers, Depends(browsers_of)]


def ends_remembering(accounts: Accounts) -> dict[str, str]:
    """A new password, or another phone, ends all remembered browsers."""
    return {"auth_hash": str(accounts.version), "phone": accounts.phone}


async def half_signed_in(request: Request, accounts: TheAccounts) -> Recipient:
    """A dependency: the account whose password was right, and its phone. The phone is in no request
    and not in the cookie."""
    half = request.session.get("half")
    if half != [USER, accounts.version, half and half[2]] or half[2] < time.time():
        raise HTTPException(401, "Give your password first.")
    return Recipient(accounts.phone, subject=USER)


async def signed_in(request: Request, accounts: TheAccounts) -> Account:
    """A dependency: who is signed in, since the newest password."""
    if request.session.get("user") != [USER, accounts.version]:
        raise HTTPException(401, "Sign in first.")
    return Account(user=USER, phone=accounts.phone)


async def paying(payment: int, account: Annotated[Account, Depends(signed_in)]) -> Recipient:
    """A dependency: the code goes to the account, and approves this amount for this payee."""
    if payment not in INVOICES:
        raise HTTPException(404, "There is no such payment.")
    return Recipient(account.phone, f"{account.user}:{payment}", binding=INVOICES[payment])


async def has_account(phone: TypedPhone, accounts: TheAccounts) -> bool:
    """A dependency: whether a code is really sent. The replies do not show it."""
    return phone == accounts.phone


# Each object gives the router of a flow, and the dependencies of the routes that need its proof.
# Those that conceal who has an account deliver after the reply.
SIGN_IN = OtpFlow("sign-in", deliver=has_account, verifier=get_background_verifier)
LOGIN = OtpFlow("login", recipient=half_signed_in)
PHONE = OtpFlow("phone")
PAYMENT = OtpFlow("payment", recipient=paying)
RESET = OtpFlow("password-reset", deliver=has_account, verifier=get_background_verifier)


def create_app(environ: Mapping[str, str], *, inbox_url: str, policy: Policy) -> FastAPI:
    """The application.

    Args:
        environ: The gateway's settings, as in `os.environ`.
        inbox_url: Where the sandbox shows its messages.
        policy: The numbers.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        # In memory, for one process. With several, use Redis, and a secret that all of them share.
        store, secret = MemoryStore(), secrets.token_bytes(32)
        async with AsyncSmspmClient.from_env(environ) as client:

            def verifier() -> AsyncVerifier:
                messages = Messages(brand="Example")
                return AsyncVerifier(
                    client, store=store, secret=secret, policy=policy, messages=messages
                )

            async with otp_lifespan(verifier)(app) as state:
                yield state

    app = FastAPI(title="otpverify with FastAPI", lifespan=lifespan)
    app.state.accounts = Accounts()
    # https_only=True and a lasting secret where it is not for one machine.
    app.add_middleware(SessionMiddleware, secret_key=secrets.token_urlsafe(32), max_age=86_400)
    add_exception_handlers(app)

    app.mount("/assets", StaticFiles(directory=ASSETS))
    app.include_router(SIGN_IN.router(prefix="/sign-in", tags=["sign-in by phone"]))
    app.include_router(
        LOGIN.router(prefix="/login/code", tags=["login"], responses=UNAUTHORIZED),
    )
    app.include_router(PHONE.router(prefix="/phone", tags=["phone"]))
    app.include_router(
        PAYMENT.router(
            prefix="/payments/{payment}/approval", tags=["payment"], responses=UNAUTHORIZED
        )
    )
    app.include_router(RESET.router(prefix="/reset", tags=["password reset"]))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> str:
        return PAGE.replace("{inbox}", inbox_url)

    @app.get("/page.js", include_in_schema=False)
    async def script() -> FileResponse:
        return FileResponse(HERE / "page.js")

    @app.post("/sign-in/done", tags=["sign-in by phone"], responses=proof_responses())
    async def by_phone(
        _: Nothing,
        request: Request,
        accounts: TheAccounts,
        proof: Annotated[Proof, Depends(SIGN_IN.held_proof())],
    ) -> Account:
        """The code was right: sign in the account that has the number now."""

        def find(phone: str) -> str | None:
            return USER if phone == accounts.phone else None

        await proof.sign_in(find)
        request.session.clear()
        request.session["user"] = [USER, accounts.version]
        return Account(user=USER, phone=proof.phone)

    @app.post("/login", tags=["login"], responses=UNAUTHORIZED)
    async def password(
        request: Request, given: Credentials, accounts: TheAccounts, browsers: Browsers
    ) -> FirstStep:
        """The first factor. What follows is a code to the account's phone, unless the browser is
        remembered."""
        right = await run_in_threadpool(accounts.password_is_right, given.user, given.password)
        request.session.pop("half", None)
        if not right:
            raise HTTPException(401, "User name or password is wrong.")
        cookie = request.cookies.get(REMEMBERED_COOKIE)
        if browsers.find(cookie, USER, **ends_remembering(accounts)):
            request.session.clear()
            request.session["user"] = [USER, accounts.version]
            return FirstStep(code=False)
        request.session["half"] = [USER, accounts.version, time.time() + HALF_SECONDS]
        return FirstStep(code=True)

    @app.post("/login/done", tags=["login"], responses={**UNAUTHORIZED, **proof_responses()})
    async def login(
        given: SecondStep,
        request: Request,
        response: Response,
        accounts: TheAccounts,
        browsers: Browsers,
        verified: Annotated[Verified, Depends(LOGIN.fresh_proof())],
    ) -> Account:
        """The second factor was right: sign in, in a session that holds nothing from before."""
        if given.remember:
            cookie = request.cookies.get(REMEMBERED_COOKIE)
            response.set_cookie(
                REMEMBERED_COOKIE,
                browsers.remember(USER, cookie=cookie, **ends_remembering(accounts)),
                max_age=browsers.max_age,
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="lax",
            )
        request.session.clear()
        request.session["user"] = [USER, accounts.version]
        return Account(user=USER, phone=verified.phone)

    @app.get("/me", tags=["account"], responses=UNAUTHORIZED)
    async def me(account: Annotated[Account, Depends(signed_in)]) -> Account:
        """Who is signed in."""
        return account

    @app.post("/sign-out", tags=["account"], status_code=204)
    async def sign_out(_: Nothing, request: Request) -> Response:
        """Nothing of the session stays."""
        request.session.clear()
        return Response(status_code=204)

    @app.put("/me/phone", tags=["phone"], responses={**UNAUTHORIZED, **proof_responses()})
    async def confirm(
        _: Nothing,
        accounts: TheAccounts,
        account: Annotated[Account, Depends(signed_in)],
        verified: Annotated[Verified, Depends(PHONE.fresh_proof())],
    ) -> Account:
        """The account's new phone: the one that was proved, not one from the request. Where more is
        at stake, ask for a code to the old one, too: a session may have been left open."""
        accounts.phone = verified.phone
        return Account(user=account.user, phone=verified.phone)

    @app.get(
        "/payments/{payment}",
        tags=["payment"],
        responses=UNAUTHORIZED,
        dependencies=[Depends(paying)],
    )
    async def invoice(payment: int) -> Invoice:
        """What is to be paid."""
        return Invoice.model_validate(INVOICES[payment])

    @app.post(
        "/payments/{payment}",
        tags=["payment"],
        responses={**UNAUTHORIZED, **proof_responses()},
        dependencies=[Depends(PAYMENT.fresh_proof())],
    )
    async def pay(payment: int, _: Nothing) -> Invoice:
        """Pay. Each payment takes a code of its own, which named the amount and the payee."""
        return Invoice.model_validate({**INVOICES[payment], "paid": True})

    @app.post("/reset/password", tags=["password reset"], status_code=204)
    async def reset(
        new: NewPassword,
        accounts: TheAccounts,
        proof: Annotated[Proof, Depends(RESET.held_proof())],
    ) -> Response:
        """The new password. If it is refused, the person needs no other code."""
        if len(new.password) < SHORTEST_PASSWORD:
            raise HTTPException(422, f"Use {SHORTEST_PASSWORD} characters or more.")
        if (await proof.redeem()).phone == accounts.phone:
            await run_in_threadpool(accounts.set_password, new.password)
        return Response(status_code=204)

    return app
