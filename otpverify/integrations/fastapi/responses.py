"""Errors as `application/problem+json` (RFC 9457), which repeat nothing from the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from otpverify import OtpVerifyError
from otpverify.integrations.web import problems
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    MEDIA_TYPE,
    PROOF_REQUIRED,
    Problem,
    explained,
    problem_of,
)
from otpverify.integrations.web.sentences import Sentence

Translate: TypeAlias = Callable[[Request, Sentence], str]


class ProofRequired(problems.ProofRequired, HTTPException):
    """A route needs a proof that the request's session does not hold, or that is no longer good.
    FastAPI answers with 403 also without `add_exception_handlers`."""

    def __init__(self, purpose: str = "") -> None:
        # That of `problems.ProofRequired` would give `HTTPException` its sentence as the status.
        HTTPException.__init__(self, PROOF_REQUIRED.status, str(PROOF_REQUIRED.detail))
        self.purpose = purpose
        self.start = ""


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
