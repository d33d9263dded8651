"""Dependencies: the application's verifier, and the values read from a request."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends
from starlette.requests import HTTPConnection, Request

from otpverify import AsyncVerifier, ConfigurationError
from otpverify.integrations.fastapi.models import OtpStart
from otpverify.integrations.web.languages import preferred_language
from otpverify.integrations.web.requests import client_address

Dependency: TypeAlias = Callable[..., Any]

ROUTER_VERIFIER: Final = "otpverify_router_verifier"
"""Where `otp_router` leaves its verifier in `request.state`, for `typed_phone`."""

_KEY: Final = "otpverify_verifier"


def otp_lifespan(
    make: Callable[[], AsyncVerifier] = AsyncVerifier.from_env,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """A lifespan that makes the verifier when the application starts, and closes it (the client
    and store of `AsyncVerifier.from_env`) when it ends.

    In a lifespan of your own: `async with otp_lifespan()(app) as state: yield {**state, ...}`.

    Args:
        make: Makes the verifier. You close the objects that you passed to it yourself.

    Raises:
        ConfigurationError: When the application starts: a setting is missing or unsafe.
    """

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with make() as verifier:
            yield {_KEY: verifier}

    return lifespan


async def get_verifier(connection: HTTPConnection) -> AsyncVerifier:
    """A dependency: the verifier that `otp_lifespan` made.

    In tests: `app.dependency_overrides[get_verifier] = lambda: verifier`.

    Raises:
        ConfigurationError: The application has no verifier.
    """
    verifier = connection.scope.get("state", {}).get(_KEY)
    if not isinstance(verifier, AsyncVerifier):
        raise ConfigurationError(
            "There is no verifier. Make it with FastAPI(lifespan=otp_lifespan()), and use "
            "TestClient(app) in a with block; or give otp_router(verifier=...) a dependency."
        )
    return verifier


async def get_client_ip(connection: HTTPConnection) -> str | None:
    """A dependency: the address of the connection, for the limit per network. No header is
    trusted: behind a proxy, name the proxy to the server (`uvicorn --proxy-headers
    --forwarded-allow-ips 10.0.0.7`), which then sets the address. `None` without an IP address,
    as with a Unix socket."""
    host = connection.client.host if connection.client else ""
    try:
        return str(ipaddress.ip_address(client_address(host) or ""))
    except ValueError:
        return None


async def get_locale(connection: HTTPConnection) -> str:
    """A dependency: the message's language, the one that `Accept-Language` prefers."""
    return preferred_language(connection.headers.get("accept-language"))


async def typed_phone(request: Request, body: OtpStart) -> str:
    """The phone that the person typed, in E.164, as the router's verifier reads it.

    Raises:
        InvalidPhoneNumber: It is not a phone number.
        ConfigurationError: The route is not one of `otp_router`.
    """
    verifier = getattr(request.state, ROUTER_VERIFIER, None)
    if not isinstance(verifier, AsyncVerifier):
        raise ConfigurationError("TypedPhone is only for the dependencies of otp_router.")
    return verifier.normalize(body.phone)


TypedPhone = Annotated[str, Depends(typed_phone)]
"""The phone that the person typed, in E.164, for a dependency that says whether a code may go
there: `async def has_account(phone: TypedPhone) -> bool`."""
