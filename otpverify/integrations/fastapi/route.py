"""The routes of `otp_router`: JSON in, JSON or a problem detail out, and no secret in either."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from otpverify import OtpVerifyError
from otpverify.integrations.fastapi.problems import (
    ProblemResponse,
    Translate,
    in_english,
    invalid,
    respond,
)
from otpverify.integrations.fastapi.sessions import finishers
from otpverify.integrations.web.problems import INVALID_REQUEST, NOT_JSON, TOO_LARGE, Problem

_MOST_BYTES = 16_384
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class OtpRoute(APIRoute):
    """A route that answers for itself, whatever handlers the application has.

    Another site can make a browser send a form, or a request without a type, with the person's
    cookies, but no `application/json` (Fetch standard, CORS-safelisted request-header). So a POST
    that is not of this type is refused, body or not.
    """

    translate: ClassVar[Translate] = staticmethod(in_english)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        handle = super().get_route_handler()
        translate = type(self).translate

        async def answer(request: Request) -> Response:
            if request.method not in _SAFE:
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


def route_class(translate: Translate) -> type[OtpRoute]:
    """`OtpRoute` with this translation."""
    return type("OtpRoute", (OtpRoute,), {"translate": staticmethod(translate)})


async def _json_of(request: Request) -> bytes | Problem:
    """The body, if it is JSON, and said to be."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return NOT_JSON
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return TOO_LARGE
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return INVALID_REQUEST
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """ASGI's `receive` for a body that was read."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again
