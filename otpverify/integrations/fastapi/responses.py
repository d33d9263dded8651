"""Replies: errors as `application/problem+json` (RFC 9457), which repeat nothing from the request;
and the address for delivery reports."""

# Annotations are not postponed: FastAPI could not find the names inside `report_router`.

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from otpverify import AsyncVerifier, OtpVerifyError
from otpverify.integrations.fastapi.dependencies import Dependency, get_verifier
from otpverify.integrations.web import problems
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    MEDIA_TYPE,
    PROOF_REQUIRED,
    Problem,
    explained,
    problem_of,
)
from otpverify.integrations.web.requests import LARGEST_REPORT, take_report
from otpverify.integrations.web.sentences import Sentence

Translate: TypeAlias = Callable[[Request, Sentence], str]

_LATER: Final[dict[int | str, dict[str, Any]]] = {
    503: {
        "description": "The store does not answer. Send the report again.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "Later"}},
    }
}


class ProofRequired(problems.ProofRequired, HTTPException):
    """A route needs a proof that the request's session does not hold, or that is no longer good.
    FastAPI answers with 403 also without `add_exception_handlers`."""

    def __init__(self) -> None:
        HTTPException.__init__(self, PROOF_REQUIRED.status, str(PROOF_REQUIRED.detail))


class ProblemResponse(JSONResponse):
    """A problem detail. Never cached."""

    media_type = MEDIA_TYPE

    def __init__(
        self, problem: Problem, detail: str, more: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(
            {**problem.body(detail), **(more or {})},
            problem.status,
            {**problem.headers, "Cache-Control": "no-store"},
        )


def in_english(_: Request, sentence: Sentence) -> str:
    """The translation into English."""
    return str(sentence)


def add_exception_handlers(app: FastAPI, *, translate: Translate = in_english) -> None:
    """Answer the errors of this library with problem details, wherever in the application they are
    raised: `ProofRequired`, and errors from the verifier in your own routes. The routes of
    `otp_router` do so without it.

    Errors of the program (`ConfigurationError`) stay errors: 500, with the traceback in the log.

    Args:
        app: The application.
        translate: Gives a sentence in the language of a request; English if left out.
    """

    async def refused(request: Request, error: Exception) -> ProblemResponse:
        if not isinstance(error, OtpVerifyError):
            raise error
        return respond(request, error, translate)

    app.add_exception_handler(OtpVerifyError, refused)


def respond(request: Request, error: OtpVerifyError, translate: Translate) -> ProblemResponse:
    """The reply to an error that was raised. It logs errors that the person cannot fix.

    Raises:
        OtpVerifyError: The error itself, if it is the program's fault.
    """
    problem = problem_of(explained(error))
    return ProblemResponse(problem, translate(request, problem.detail))


def invalid(
    request: Request, error: RequestValidationError, translate: Translate
) -> ProblemResponse:
    """The reply to a request that does not match the route's parameters. It names the place and
    the error, but does not repeat the value, which may be a code or a phone number."""
    return ProblemResponse(
        INVALID_REQUEST,
        translate(request, INVALID_REQUEST.detail),
        {"errors": [_fault(one) for one in error.errors()]},
    )


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    where: Sequence[object] = error.get("loc", ())
    return {
        "field": ".".join(str(part) for part in where),
        "message": str(error.get("msg", "")),
        "type": str(error.get("type", "")),
    }


async def read_body(request: Request, most: int) -> bytes:
    """The request's body. It stops reading after more than `most` bytes, and then returns the
    beginning, which is longer than `most` bytes."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            break
    return body


def report_router(path: str = "/sms/report", *, verifier: Dependency = get_verifier) -> APIRouter:
    """A router with the address for delivery reports, which is the client's `report_url`. One
    serves all flows whose verifiers share store and secret. Every caller gets the same answer. The
    token in the URL authenticates a report, so keep query strings of this address out of your logs.

    Args:
        path: The path of the address.
        verifier: A dependency that gives the `AsyncVerifier`.
    """
    router = APIRouter()

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
