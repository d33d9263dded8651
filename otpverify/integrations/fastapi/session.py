"""The session of a flow: a signed cookie, or a signed token.

The client gains nothing when it sends an old cookie or token again: only the store decides how
many attempts are left, and whether a code or a proof was used.
"""

# Annotations are not postponed: FastAPI reads those of FlowTokens.__call__, older ones badly.

import hashlib
from collections.abc import Callable, Mapping, MutableMapping
from typing import Annotated, Any, Final

from fastapi import Header
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.middleware.sessions import Session
from starlette.requests import HTTPConnection
from starlette.responses import Response

from otpverify import ConfigurationError
from otpverify.core.secret_strength import Secrets, read_secrets

TOKEN_HEADER: Final = "Otp-Flow"  # noqa: S105 - its name

_FINISHERS: Final = "otpverify_finishers"
_HEADER = Header(description="The last token that a reply of this flow brought.")
_LONGEST_TOKEN: Final = 4096


async def cookie_session(connection: HTTPConnection) -> MutableMapping[str, Any]:
    """A dependency: the session of Starlette's `SessionMiddleware`, a signed cookie that its
    owner can read.

    Raises:
        ConfigurationError: The middleware is missing.
    """
    if "session" not in connection.scope:
        raise ConfigurationError(
            "The session is missing. Add Starlette's: app.add_middleware(SessionMiddleware, "
            "secret_key=..., https_only=True); or give otp_router(session=...) a dependency."
        )
    return connection.session


class FlowTokens:
    """A session for clients without cookies: a signed token in the header `Otp-Flow`. A reply of
    the router that changes something brings a new one, and the client sends the last one it got.
    A refused request that changes nothing brings none.
    Pass one instance as `session=` to the router and to every dependency that needs its proof.

    The token holds the same data as the cookie: the challenge's id, the recipient's subject, later
    the proof; never a phone number that its holder did not type. Anyone who has it can use it, as
    with a cookie, so apps keep it in memory only. For accounts, `recipient` binds it to the account
    that is signed in.

    A page of another origin can read the header only if you expose it:
    `app.add_middleware(CORSMiddleware, ..., expose_headers=["Otp-Flow"])`.

    Args:
        secret: Signs it, at least 32 bytes, the same in every process. A sequence rotates: the
            first signs, all are accepted.
        max_age_seconds: How long a token is good.

    Raises:
        ConfigurationError: A secret is missing, too short or weak.
    """

    def __init__(
        self,
        secret: Secrets,
        *,
        max_age_seconds: int = 3600,
    ) -> None:
        self._max_age = max_age_seconds
        self._serializer = URLSafeTimedSerializer(
            read_secrets(secret)[::-1],  # the last one signs
            salt="otpverify.engine",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    async def __call__(
        self, connection: HTTPConnection, otp_flow: Annotated[str, _HEADER] = ""
    ) -> MutableMapping[str, Any]:
        """The dependency."""
        held = self._read(otp_flow)
        before = dict(held)

        def finish(response: Response) -> None:
            if held != before:
                response.headers[TOKEN_HEADER] = str(self._serializer.dumps(held))

        finishers(connection).append(finish)
        return held

    def _read(self, token: str) -> dict[str, Any]:
        try:
            found = self._serializer.loads(token[:_LONGEST_TOKEN], max_age=self._max_age)
        except BadData:
            return {}
        return dict(found) if isinstance(found, Mapping) else {}


def finishers(connection: HTTPConnection) -> list[Callable[[Response], None]]:
    """The changes that a session makes to the reply."""
    found: list[Callable[[Response], None]] = connection.scope.setdefault(_FINISHERS, [])
    return found


def leave_session(session: MutableMapping[str, Any]) -> None:
    """Prevent a cookie in the reply to a refused request. The request may be a repeat with an old
    cookie, and the reply to the first request has set a newer one."""
    if isinstance(session, Session):
        session.modified = False
