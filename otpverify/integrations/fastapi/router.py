"""The router of one flow."""

# Annotations are not postponed: FastAPI could not find what is local to a factory.

from collections.abc import Callable, MutableMapping, Sequence
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, params
from starlette.requests import Request
from starlette.responses import Response

from otpverify import AsyncVerifier
from otpverify.integrations.fastapi.flow import Flow, Outcome
from otpverify.integrations.fastapi.lifespan import get_client_ip, get_locale, get_verifier
from otpverify.integrations.fastapi.models import FlowState, OtpCode, OtpEmpty
from otpverify.integrations.fastapi.problems import Translate, in_english, respond
from otpverify.integrations.fastapi.recipients import VERIFIER, Recipient, TypedPhone
from otpverify.integrations.fastapi.route import route_class
from otpverify.integrations.fastapi.schema import documented
from otpverify.integrations.fastapi.sessions import cookie_session

Dependency = Callable[..., Any]


def otp_router(
    purpose: str = "verify",
    *,
    recipient: Dependency | None = None,
    deliver: Dependency | None = None,
    verifier: Dependency = get_verifier,
    session: Dependency = cookie_session,
    translate: Translate = in_english,
    prefix: str = "",
    tags: list[str | Enum] | None = None,
    dependencies: Sequence[params.Depends] = (),
    responses: dict[int | str, dict[str, Any]] | None = None,
) -> APIRouter:
    """A router with one flow's routes: `POST /start`, `/resend`, `/check`, `/cancel` and
    `GET /status`. The challenge stays in the session, and so does the proof of a right code, for
    `fresh_proof` and `held_proof`.

    Args:
        purpose: What the codes are for; a constant of the program. Each flow has its own.
        recipient: A dependency that gives a `Recipient`: whom the codes go to, such as the account
            that is signed in. If left out, `/start` takes the phone that the person typed.
        deliver: A dependency that says whether a code may really go to the phone that was typed
            (`TypedPhone`), such as whether it has an account. Nobody learns the answer: neither
            from the replies, nor, if the verifier's sender delivers in the background, from how
            long they take.
        verifier: A dependency that gives the `AsyncVerifier`; that of `otp_lifespan` if left out.
        session: A dependency that gives a mapping, which lasts from request to request; that of
            `SessionMiddleware` if left out. See `FlowTokens`.
        translate: Gives what is said to a person in the language of a request; English if left out.
        prefix, tags, dependencies, responses: As `APIRouter` takes them. Describe in `responses`
            what your dependencies answer.
    """
    discreet = deliver is not None

    async def remember(
        request: Request, found: Annotated[AsyncVerifier, Depends(verifier)]
    ) -> None:
        setattr(request.state, VERIFIER, found)

    async def nobody() -> None:
        return None

    async def always() -> bool:
        return True

    async def flow(
        found: Annotated[AsyncVerifier, Depends(verifier)],
        held: Annotated[MutableMapping[str, Any], Depends(session)],
        whom: Annotated[Recipient | None, Depends(recipient or nobody)],
        client_ip: Annotated[str | None, Depends(get_client_ip)],
        locale: Annotated[str, Depends(get_locale)],
    ) -> Flow:
        return Flow(found, held, purpose, whom, discreet, client_ip, locale)

    ThisFlow = Annotated[Flow, Depends(flow)]  # noqa: N806 - a type

    def reply(request: Request, outcome: Outcome) -> Response | FlowState | None:
        if outcome.error is None:
            return outcome.state
        more = {} if outcome.state is None else {"flow": outcome.state.model_dump()}
        return respond(request, outcome.error, translate, more)

    router = APIRouter(
        prefix=prefix,
        tags=tags,
        dependencies=[Depends(remember), *dependencies],
        responses=responses,
        route_class=route_class(translate),
    )

    if recipient is None:

        @router.post("/start", status_code=202, response_model=FlowState, **documented("start"))
        async def start(
            request: Request,
            phone: TypedPhone,
            may: Annotated[bool, Depends(deliver or always)],
            this: ThisFlow,
        ) -> Any:
            """Send a code to a phone."""
            return reply(
                request,
                await this.start(Recipient(phone, phone), deliver=may if discreet else None),
            )

    else:

        @router.post("/start", status_code=202, response_model=FlowState, **documented("start"))
        async def start_for_account(
            request: Request,
            whom: Annotated[Recipient, Depends(recipient)],
            _: OtpEmpty,
            this: ThisFlow,
        ) -> Any:
            """Send a code to the account's phone."""
            return reply(request, await this.start(whom, deliver=None))

    @router.post("/resend", status_code=202, response_model=FlowState, **documented("resend"))
    async def resend(request: Request, _: OtpEmpty, this: ThisFlow) -> Any:
        """Send another code. The earlier ones stay good; the attempts are shared."""
        return reply(request, await this.resend())

    @router.post("/check", response_model=FlowState, **documented("check"))
    async def check(request: Request, body: OtpCode, this: ThisFlow) -> Any:
        """Check a code, once."""
        return reply(request, await this.check(body.code))

    @router.post("/cancel", response_model=FlowState, **documented("cancel"))
    async def cancel(request: Request, _: OtpEmpty, this: ThisFlow) -> Any:
        """Void the code, and the proof of a right one."""
        return reply(request, await this.cancel())

    @router.get("/status", response_model=FlowState, **documented("status"))
    async def status(request: Request, this: ThisFlow) -> Any:
        """Where the flow stands."""
        return reply(request, await this.status())

    return router
