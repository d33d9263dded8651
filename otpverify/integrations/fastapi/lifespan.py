"""The verifier that lives as long as the application, and what is known of a request."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.requests import HTTPConnection

from otpverify import AsyncVerifier, ConfigurationError

_KEY = "otpverify_verifier"
_FIRST_TAG = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:[,;]|$)", re.ASCII)


def otp_lifespan(
    make: Callable[[], AsyncVerifier] = AsyncVerifier.from_env,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """A lifespan that makes the verifier when the application starts, and closes it (the client
    and store of `AsyncVerifier.from_env`) when it ends.

    In a lifespan of your own: `async with otp_lifespan()(app) as state: yield {**state, ...}`.

    Args:
        make: Makes the verifier. What it was given by you stays yours to close.

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
        ConfigurationError: There is none.
    """
    verifier = connection.scope.get("state", {}).get(_KEY)
    if not isinstance(verifier, AsyncVerifier):
        raise ConfigurationError(
            "There is no verifier. Make it with FastAPI(lifespan=otp_lifespan()), and use "
            "TestClient(app) in a with block; or give otp_router(verifier=...) a dependency."
        )
    return verifier


async def get_client_ip(connection: HTTPConnection) -> str | None:
    """A dependency: the address of whoever is connected, for the limit per network. No header is
    believed: behind a proxy, tell the server whose word to take (`uvicorn --proxy-headers
    --forwarded-allow-ips 10.0.0.7`), which then sets it. `None` where there is no IP address, as
    with a Unix socket."""
    host = connection.client.host if connection.client else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


async def get_locale(connection: HTTPConnection) -> str:
    """A dependency: the message's language, the first that `Accept-Language` names."""
    found = _FIRST_TAG.match(connection.headers.get("accept-language", ""))
    return found[1] if found else "en"
