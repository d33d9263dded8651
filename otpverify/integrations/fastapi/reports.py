"""The route that the gateway reports to."""

# Annotations are not postponed: FastAPI could not find what is local to a factory.

import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from otpverify import AsyncVerifier, StoreError
from otpverify.integrations.fastapi.lifespan import get_verifier
from otpverify.sms import callback_params

_MOST_BYTES = 65_536
_RESPONSES: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "The store does not answer. Send the report again.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "Later"}},
    }
}
_log = logging.getLogger("otpverify.integrations")


def report_router(
    path: str = "/sms/report", *, verifier: Callable[..., Any] = get_verifier
) -> APIRouter:
    """A router with the address for delivery reports, which is the client's `report_url`. One
    serves all flows whose verifiers share store and secret. It answers everybody alike: a report
    proves itself by the token in its URL, so keep query strings of this address out of your logs.

    Args:
        path: Where.
        verifier: A dependency that gives the `AsyncVerifier`.
    """
    router = APIRouter()

    async def report(
        request: Request, found: Annotated[AsyncVerifier, Depends(verifier)]
    ) -> Response:
        """Take a delivery report."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                body = b""  # no report is that long
                break
        try:
            await found.delivery_report(callback_params(request.url.query, body))
        except StoreError as error:
            _log.warning("A delivery report was not taken: %s", error)
            return PlainTextResponse("Later", 503)
        return PlainTextResponse("OK")

    for method in ("GET", "POST"):
        router.add_api_route(
            path,
            report,
            methods=[method],
            operation_id=f"otp_report_{method.lower()}",
            response_class=PlainTextResponse,
            responses=_RESPONSES,
            tags=["delivery reports"],
        )
    return router
