"""The site: three flows on `AsyncVerifier`, sending through the real client to the sandbox."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from otpverify import (
    AsyncVerifier,
    BlockNumberTypes,
    Limit,
    MemoryStore,
    Messages,
    Policy,
    Sender,
)
from otpverify.demo.accounts import Accounts, Tickets
from otpverify.demo.flows import REGION, Login, PasswordReset, PhoneConfirmation
from otpverify.demo.session import Sessions
from otpverify.demo.web import HERE, SecurityHeaders, bare_page, page
from otpverify.integrations.web import ASSETS
from otpverify.integrations.web.background import BackgroundSender
from otpverify.integrations.web.sentences import BUSY
from otpverify.sandbox import Sandbox
from otpverify.sms import callback_params

REPORT_PATH = "/sms/report"
GATEWAY_TIMEOUT_SECONDS = 3.0
_FAULTS = (
    ("+1 202 555 0140", "is refused as an invalid number"),
    ("+1 202 555 0142", "finds no balance on the account"),
    ("+1 202 555 0129", "is told to slow down (429)"),
    ("+1 202 555 0150", "gets a server error (500)"),
    ("+1 202 555 0108", "gets no reply in time"),
    ("+1 202 555 0160", "gets a reply that is garbage"),
    ("+1 202 555 0170", "sees the connection drop"),
    ("+1 202 555 0190", "is reported as not delivered, and may be sent another at once"),
)
_WENT_WRONG = ("Something went wrong here", str(BUSY))
_SAID = {
    400: (
        "This form could not be read",
        "What arrived here makes no sense. Go back, reload the page, and send it again.",
    ),
    403: ("This form has expired", "Go back, reload the page, and send it again."),
    404: ("Page not found", "There is no page at this address."),
    405: ("This page cannot be used that way", "Begin on the first page."),
    500: _WENT_WRONG,
}


def create_app(
    sandbox: Sandbox,
    *,
    url: str | None = None,
    cooldown_seconds: int = 60,
    sender: Sender | None = None,
) -> ASGIApp:
    """The site as an ASGI application. All its state is in memory.

    Args:
        sandbox: Takes the messages; its inbox is shown beside the forms.
        url: The site's own address, for delivery reports; none are asked for if left out.
        cooldown_seconds: Between two messages to one phone for one purpose.
        sender: Delivers the messages instead of the sandbox's own client.
    """
    client = sandbox.client(
        read_timeout_seconds=GATEWAY_TIMEOUT_SECONDS,
        report_url=url and url + REPORT_PATH,
    )
    deliver: Sender = client if sender is None else sender
    later = BackgroundSender(deliver)
    # The strength of the codes is the default's; only the amounts are what one person needs who
    # tries everything from one address.
    policy = Policy(
        resend_cooldown_seconds=cooldown_seconds,
        sends_per_phone=(Limit(30, 3600),),
        sends_per_ip=(Limit(200, 3600),),
    )
    store, secret = MemoryStore(), secrets.token_bytes(32)

    def verifier(through: Sender) -> AsyncVerifier:
        return AsyncVerifier(
            through,
            store=store,
            policy=policy,
            secret=secret,
            messages=Messages(brand="Demo"),
            guards=[BlockNumberTypes()],
            region=REGION,
        )

    prompt, delayed = verifier(deliver), verifier(later)
    accounts, tickets = Accounts(), Tickets()
    flows = (
        Login(prompt, accounts, tickets),
        PhoneConfirmation(prompt, accounts, tickets),
        PasswordReset(delayed, accounts, tickets),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(later.close)
        client.close()

    parts = urlsplit(sandbox.inbox_url)
    app = Starlette(
        routes=[
            Route("/", _index, methods=["GET"]),
            *(route for flow in flows for route in flow.routes()),
            Route(REPORT_PATH, _report, methods=["GET", "POST"]),
            Mount("/static/otpverify", StaticFiles(directory=ASSETS)),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(
                SessionMiddleware,
                secret_key=secrets.token_urlsafe(32),
                session_cookie="otpverify_demo",
                max_age=None,  # the server knows when a session ends
                same_site="lax",
                https_only=False,  # the demo lives on localhost, without TLS
            ),
        ],
        exception_handlers=dict.fromkeys(_SAID, _error),
        lifespan=lifespan,
    )
    app.state.inbox_url = sandbox.inbox_url
    app.state.verifier = prompt
    app.state.sessions = Sessions()
    # Around the whole application: what Starlette says of an unexpected error is outside its
    # own middleware.
    return SecurityHeaders(app, frame_origin=f"{parts.scheme}://{parts.netloc}")


async def _index(request: Request) -> Response:
    return page(request, "index.html", faults=_FAULTS)


async def _report(request: Request) -> Response:
    """What became of a message, from the gateway or whoever says so: it proves itself by a
    token. Store and secret are the same for all flows, and so any verifier will do."""
    params = callback_params(request.url.query, await request.body())
    await request.app.state.verifier.delivery_report(params)
    return PlainTextResponse("OK")


async def _error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    title, said = _SAID.get(status, _WENT_WRONG)
    return bare_page(request, "error.html", status=status, title=title, said=said)
