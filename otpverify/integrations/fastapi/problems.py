"""Errors as replies of `application/problem+json` (RFC 9457), without anything of the request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from otpverify import OtpVerifyError
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    MEDIA_TYPE,
    PROOF_REQUIRED,
    Problem,
    problem_of,
)
from otpverify.integrations.web.sentences import Sentence

Translate: TypeAlias = Callable[[Request, Sentence], str]
_log = logging.getLogger("otpverify.integrations")


class ProofRequired(HTTPException):
    """A route needs a proof that the request's session does not hold, or that is no longer good."""

    def __init__(self) -> None:
        super().__init__(PROOF_REQUIRED.status, str(PROOF_REQUIRED.detail))


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
    """What says a sentence where nothing else is asked for."""
    return str(sentence)


def add_exception_handlers(app: FastAPI, *, translate: Translate = in_english) -> None:
    """Answer the errors of this library with problem details, wherever in the application they are
    raised: `ProofRequired`, and what routes of yours raise by using the verifier. The routes of
    `otp_router` do so without it.

    What the program is to blame for (`ConfigurationError`) stays an error: 500, with its
    traceback in the log.

    Args:
        app: The application.
        translate: Gives a sentence in the language of a request; English if left out.
    """

    async def refused(request: Request, error: Exception) -> ProblemResponse:
        if not isinstance(error, OtpVerifyError):
            raise error
        return respond(request, error, translate)

    async def unproved(request: Request, _: Exception) -> ProblemResponse:
        return ProblemResponse(PROOF_REQUIRED, translate(request, PROOF_REQUIRED.detail))

    app.add_exception_handler(OtpVerifyError, refused)
    app.add_exception_handler(ProofRequired, unproved)


def respond(
    request: Request,
    error: OtpVerifyError,
    translate: Translate,
    more: Mapping[str, object] | None = None,
) -> ProblemResponse:
    """The reply to an error.

    Raises:
        OtpVerifyError: The error itself, when the program is to blame for it.
    """
    problem = problem_of(error)
    if problem.status == 500:
        raise error
    if problem.status == 503:
        _log.warning("%s: %s", type(error).__name__, error)
    return ProblemResponse(problem, translate(request, problem.detail), more)


def invalid(
    request: Request, error: RequestValidationError, translate: Translate
) -> ProblemResponse:
    """The reply to what does not fit a route's parameters: where, and what is wrong with it, but
    not what was sent: that may be a code or a phone number."""
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
