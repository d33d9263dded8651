"""The router of one flow: JSON in, JSON or a problem detail out, and no secret in either. `OtpFlow`
is that router with the dependencies for its proof. And the router with the address for delivery
reports."""

# Annotations are not postponed: FastAPI could not resolve names that are local to a factory.

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any, ClassVar, Final

from fastapi import APIRouter, Depends, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive

from otpverify import AsyncVerifier, ChallengeExpired, OtpVerifyError, Verified
from otpverify.engine.operations import check_words
from otpverify.integrations.fastapi.dependencies import (
    ROUTER_VERIFIER,
    Dependency,
    FlowTokens,
    Proof,
    TypedPhone,
    cookie_session,
    finishers,
    fresh_proof,
    get_client_ip,
    get_locale,
    get_verifier,
    held_proof,
    leave_session,
    owner_of,
    recipient_of,
)
from otpverify.integrations.fastapi.models import FlowState, OtpCode, OtpEmpty
from otpverify.integrations.fastapi.openapi import documented
from otpverify.integrations.fastapi.responses import (
    ProblemResponse,
    Translate,
    in_english,
    invalid,
    respond,
)
from otpverify.integrations.web.enrolment import enrolling
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.outcome import Outcome
from otpverify.integrations.web.problems import Problem
from otpverify.integrations.web.requests import (
    LARGEST_JSON,
    LARGEST_REPORT,
    SAFE_METHODS,
    is_json,
    json_object,
    take_report,
)
from otpverify.integrations.web.session import Recipient

_LATER: Final[dict[int | str, dict[str, Any]]] = {
    503: {
        "description": "The store does not answer. Send the report again.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "Later"}},
    }
}


class OtpFlow:
    """A flow: its router, and the dependencies of the routes that need its proof. They share
    purpose, recipient, verifier and session.

        flow = OtpFlow("payment", recipient=paying)
        app.include_router(flow.router(prefix="/payments/{payment}/approval"))

        @app.post("/payments/{payment}")
        async def pay(verified: Annotated[Verified, Depends(flow.fresh_proof())]) -> ...: ...

    Args:
        purpose, recipient, account, deliver, verifier, session, human_check, translate, name: As
            for `otp_router`.
        proof_verifier: A dependency that gives the verifier of the routes that need a proof;
            `verifier` if left out. Such as `get_verifier`, where `verifier` delivers in the
            background: these routes send nothing.

    Raises:
        ConfigurationError: The purpose is not a text; or there are both `recipient` and `account`.
    """

    def __init__(
        self,
        purpose: str = "verify",
        *,
        recipient: Dependency | None = None,
        account: Dependency | None = None,
        deliver: Dependency | None = None,
        verifier: Dependency = get_verifier,
        proof_verifier: Dependency | None = None,
        session: Dependency = cookie_session,
        human_check: Dependency | None = None,
        translate: Translate = in_english,
        name: str | None = None,
    ) -> None:
        check_words(purpose, None)
        owner_of(account, recipient)
        self.purpose = purpose
        self._shared: dict[str, Any] = {
            "recipient": recipient,
            "account": account,
            "session": session,
        }
        self._verifier = verifier
        self._proof_verifier = proof_verifier or verifier
        self._router: dict[str, Any] = {
            "deliver": deliver,
            "human_check": human_check,
            "translate": translate,
            "name": name,
        }

    def __repr__(self) -> str:
        return f"OtpFlow({self.purpose!r})"

    def router(
        self,
        *,
        prefix: str = "",
        tags: list[str | Enum] | None = None,
        dependencies: Sequence[params.Depends] = (),
        responses: dict[int | str, dict[str, Any]] | None = None,
    ) -> APIRouter:
        """The router, as of `otp_router`.

        Args:
            prefix, tags, dependencies, responses: As for `APIRouter`.
        """
        return otp_router(
            self.purpose,
            verifier=self._verifier,
            prefix=prefix,
            tags=tags,
            dependencies=dependencies,
            responses=responses,
            **self._shared,
            **self._router,
        )

    def held_proof(self, *, max_age: float | None = None) -> Callable[..., Awaitable[Proof]]:
        """A dependency that gives the session's `Proof`, or answers 403. See the function
        `held_proof`.

        Args:
            max_age: How many seconds ago the code may have been right.
        """
        return held_proof(
            self.purpose, verifier=self._proof_verifier, max_age=max_age, **self._shared
        )

    def fresh_proof(self, *, max_age: float | None = None) -> Callable[..., Awaitable[Verified]]:
        """A dependency that uses up the session's proof and returns a `Verified`, or answers 403.
        See the function `fresh_proof`.

        Args:
            max_age: As for `held_proof`.
        """
        return fresh_proof(
            self.purpose, verifier=self._proof_verifier, max_age=max_age, **self._shared
        )


def otp_router(
    purpose: str = "verify",
    *,
    recipient: Dependency | None = None,
    account: Dependency | None = None,
    deliver: Dependency | None = None,
    verifier: Dependency = get_verifier,
    session: Dependency = cookie_session,
    human_check: Dependency | None = None,
    translate: Translate = in_english,
    name: str | None = None,
    prefix: str = "",
    tags: list[str | Enum] | None = None,
    dependencies: Sequence[params.Depends] = (),
    responses: dict[int | str, dict[str, Any]] | None = None,
) -> APIRouter:
    """A router with one flow's routes: `POST /start`, `/resend`, `/check`, `/cancel` and
    `GET /status`. The session holds the challenge, then the proof of a right code, for
    `fresh_proof` and `held_proof`.

    When a request arrives twice, the second reply never undoes the first: the reply to a refused
    request sets neither a cookie nor a token.

    Args:
        purpose: What the codes are for; a constant of the program. Each flow has its own.
        recipient: A dependency that gives a `Recipient`: the person that the codes go to, such as
            the account that is signed in. If left out, `/start` takes the phone that the person
            typed.
        account: A dependency that gives the id of the account that is signed in, a text; it refuses
            other people, such as by `HTTPException(401)`. `/start` takes the phone that the person
            typed, to add it to this account: the code and its proof serve for no other account.
        deliver: A dependency that says whether a code may go to the phone that was typed
            (`TypedPhone`), such as whether it has an account. It makes the flow concealed: the
            replies do not show the answer, and neither does their duration if the verifier's
            sender delivers in the background.
        verifier: A dependency that gives the `AsyncVerifier`; that of `otp_lifespan` if left out.
        session: A dependency that gives a mapping, which lasts from request to request; that of
            `SessionMiddleware` if left out. See `FlowTokens`.
        human_check: A dependency that says whether the request brings a human check that was
            passed, such as the answer of a CAPTCHA in a header. A `FraudPolicy` with
            `over="human_check"` asks for one by the problem `human-check-required`. If left out,
            none can be passed.
        translate: Gives a sentence in the language of a request; English if left out.
        name: What the operation ids of the routes begin with, as in `phone_start`; the purpose if
            left out. Two routers for one purpose in one application need one each.
        prefix, tags, dependencies, responses: As for `APIRouter`. Describe the replies of your
            dependencies in `responses`.

    Raises:
        ConfigurationError: The purpose is not a text; or there are both `recipient` and `account`.
    """
    check_words(purpose, None)
    owner = owner_of(account, recipient)
    concealed = deliver is not None
    about = partial(documented, name=name or purpose, token=isinstance(session, FlowTokens))

    async def remember(
        request: Request, found: Annotated[AsyncVerifier, Depends(verifier)]
    ) -> None:
        setattr(request.state, ROUTER_VERIFIER, found)

    async def no_recipient() -> None:
        return None

    async def always() -> bool:
        return True

    async def never() -> bool:
        return False

    async def flow(
        found: Annotated[AsyncVerifier, Depends(verifier)],
        held: Annotated[MutableMapping[str, Any], Depends(session)],
        to: Annotated[Recipient | None, Depends(recipient or no_recipient)],
        own: Annotated[str | None, Depends(owner)],
        client_ip: Annotated[str | None, Depends(get_client_ip)],
        locale: Annotated[str, Depends(get_locale)],
        passed: Annotated[bool, Depends(human_check or never)],
    ) -> Flow:
        return Flow(
            found,
            held,
            purpose=purpose,
            recipient=recipient_of(to, own),
            concealed=concealed,
            client_ip=client_ip,
            locale=locale,
            human_check=None if human_check is None else lambda: passed,
        )

    ThisFlow = Annotated[Flow, Depends(flow)]  # noqa: N806 - a type
    Known = Annotated[bool, Depends(deliver or always)]  # noqa: N806 - a type

    def reply(request: Request, this: Flow, outcome: Outcome) -> Response | FlowState:
        if outcome.error is None:
            return FlowState.of(outcome)
        if outcome.leaves_session:
            leave_session(this.session)
        made = outcome.reply(partial(translate, request))
        if isinstance(outcome.error, ChallengeExpired) and not this.session:
            made.body["session_empty"] = True
        return JSONResponse(made.body, made.status, made.headers)

    router = APIRouter(
        prefix=prefix,
        tags=tags,
        dependencies=[Depends(remember), *dependencies],
        responses=responses,
        route_class=_route_class(translate),
    )

    if recipient is None:

        @router.post("/start", status_code=202, response_model=FlowState, **about("start"))
        async def start(
            request: Request,
            own: Annotated[str | None, Depends(owner)],
            phone: TypedPhone,
            known: Known,
            this: ThisFlow,
        ) -> Any:
            """Send a code to a phone."""
            to = Recipient.typed(phone) if own is None else enrolling(own, phone)
            outcome = await this.start(to, deliver=bool(known) if concealed else None)
            return reply(request, this, outcome)

    else:

        @router.post("/start", status_code=202, response_model=FlowState, **about("start"))
        async def start_for_account(
            request: Request, _: OtpEmpty, known: Known, this: ThisFlow
        ) -> Any:
            """Send a code to the account's phone."""
            outcome = await this.start(deliver=bool(known) if concealed else None)
            return reply(request, this, outcome)

    @router.post("/resend", status_code=202, response_model=FlowState, **about("resend"))
    async def resend(request: Request, _: OtpEmpty, this: ThisFlow) -> Any:
        """Send another code. The earlier ones stay good; the attempts are shared."""
        return reply(request, this, await this.resend())

    @router.post("/check", response_model=FlowState, **about("check"))
    async def check(request: Request, body: OtpCode, this: ThisFlow) -> Any:
        """Check a code, once."""
        return reply(request, this, await this.check(body.code))

    @router.post("/cancel", response_model=FlowState, **about("cancel"))
    async def cancel(request: Request, _: OtpEmpty, this: ThisFlow) -> Any:
        """Void the code, and the proof of a right one."""
        return reply(request, this, await this.cancel())

    @router.get("/status", response_model=FlowState, **about("status"))
    async def status(request: Request, this: ThisFlow) -> Any:
        """Where the flow stands."""
        return reply(request, this, await this.status())

    return router


def report_router(
    path: str = "/sms/report",
    *,
    verifier: Dependency = get_verifier,
    include_in_schema: bool = False,
) -> APIRouter:
    """A router with the address for delivery reports, which is the client's `report_url`. One
    serves all flows whose verifiers share store and secret. Every caller gets the same answer. The
    token in the URL authenticates a report, so keep query strings of this address out of your logs.

    Args:
        path: The path of the address.
        verifier: A dependency that gives the `AsyncVerifier`.
        include_in_schema: Whether the OpenAPI document has it. Only the gateway calls it.
    """
    router = APIRouter(include_in_schema=include_in_schema)

    async def report(
        request: Request, found: Annotated[AsyncVerifier, Depends(verifier)]
    ) -> Response:
        """Take a delivery report."""
        status, text = await take_report(
            found,
            method=request.method,
            query=request.url.query,
            body=await read_body(request, LARGEST_REPORT),
            content_type=request.headers.get("content-type", ""),
        )
        return PlainTextResponse(text, status)

    for method in ("GET", "POST"):
        router.add_api_route(
            path,
            report,
            methods=[method],
            operation_id=f"otp_report_{method.lower()}",
            response_class=PlainTextResponse,
            responses=_LATER,
            tags=["delivery reports"],
        )
    return router


class OtpRoute(APIRoute):
    """A route that answers errors itself, whichever handlers the application has.

    A POST whose body is not a JSON object is refused, which is also the protection against
    requests that other sites make a browser send: see `web.requests`.
    """

    translate: ClassVar[Translate] = staticmethod(in_english)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        handle = super().get_route_handler()
        translate = type(self).translate

        async def answer(request: Request) -> Response:
            if request.method not in SAFE_METHODS:
                body = await _json_of(request)
                if isinstance(body, Problem):
                    return ProblemResponse(body, translate(request, body.detail))
                request = Request(request.scope, _replay(body, request.receive))
            try:
                response = await handle(request)
            except OtpVerifyError as error:
                response = respond(request, error, translate)
            except RequestValidationError as error:
                response = invalid(request, error, translate)
            for finish in finishers(request):
                finish(response)
            response.headers["Cache-Control"] = "no-store"
            return response

        return answer


def _route_class(translate: Translate) -> type[OtpRoute]:
    """`OtpRoute` with this translation."""
    return type("OtpRoute", (OtpRoute,), {"translate": staticmethod(translate)})


async def _json_of(request: Request) -> bytes | Problem:
    """The body, if it is a JSON object and its type says so. A body of another type is not read."""
    kind = request.headers.get("content-type")
    body = await read_body(request, LARGEST_JSON) if is_json(kind) else b""
    found = json_object(kind, body)
    return found if isinstance(found, Problem) else body


async def read_body(request: Request, most: int) -> bytes:
    """The request's body. It stops reading after more than `most` bytes, and then returns the
    beginning, which is longer than `most` bytes."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            break
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """ASGI's `receive` for a body that was read."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again
