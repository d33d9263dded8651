"""Where a flow's challenge is kept between requests: a signed cookie, or a signed token.

Both can be replayed by whoever holds them, and neither is worth anything for it: how many attempts
are left, and whether a code or a proof was used, the store alone knows.
"""

# Annotations are not postponed: FastAPI reads those of FlowTokens.__call__, older ones badly.

import hashlib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import HTTPConnection
from starlette.responses import Response

from otpverify import ConfigurationError, Verified
from otpverify.integrations.web.pending import Pending

FINISHERS = "otpverify_finishers"
TOKEN_HEADER = "Otp-Flow"  # noqa: S105 - its name
_HEADER = Header(description="The last token that a reply of this flow brought.")
_LEAST_SECRET_BYTES = 32
_LONGEST_TOKEN = 4096


async def cookie_session(connection: HTTPConnection) -> MutableMapping[str, Any]:
    """A dependency: the session of Starlette's `SessionMiddleware`, a cookie that is signed, and
    that its owner can read.

    Raises:
        ConfigurationError: The middleware is missing.
    """
    if "session" not in connection.scope:
        raise ConfigurationError(
            "There is no session. Add Starlette's: app.add_middleware(SessionMiddleware, "
            "secret_key=..., https_only=True); or give otp_router(session=...) a dependency."
        )
    return connection.session


class FlowTokens:
    """A session for clients without cookies: a signed token in the header `Otp-Flow`. A reply of
    the router that changes something brings a new one, and the client sends the last it was given.
    Pass one instance as `session=` to the router and to whatever needs its proof.

    The token holds what the cookie would: the challenge's id, whom it is for, later the proof;
    never a phone number that was not typed by its holder. It is as good as a cookie, so apps keep
    it in memory alone. For accounts, `recipient` binds it to whoever is signed in.

    Args:
        secret: Signs it, at least 32 bytes, the same in every process. A sequence rotates: the
            first signs, all are accepted.
        max_age_seconds: How long a token is good.

    Raises:
        ConfigurationError: The secret is too short.
    """

    def __init__(
        self,
        secret: str | Sequence[str],
        *,
        max_age_seconds: int = 3600,
    ) -> None:
        secrets = [secret] if isinstance(secret, str) else list(secret)
        if not secrets or any(len(one.encode()) < _LEAST_SECRET_BYTES for one in secrets):
            raise ConfigurationError(
                f"The secret of FlowTokens needs {_LEAST_SECRET_BYTES} bytes or more. Make one "
                "with: otpverify secret"
            )
        self._max_age = max_age_seconds
        self._serializer = URLSafeTimedSerializer(
            secrets[::-1],  # the last one signs
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
    """What is still to be done to the reply."""
    found: list[Callable[[Response], None]] = connection.scope.setdefault(FINISHERS, [])
    return found


@dataclass(frozen=True, slots=True, repr=False)
class Proven:
    """What is kept after a right code: its proof, the challenge's id, and whom it was for."""

    proof: str
    challenge: str
    who: str


class Kept:
    """A flow's entry in a session. Entries are set whole: sessions do not notice other changes.

    Args:
        session: The session.
        purpose: The flow's.
    """

    def __init__(self, session: MutableMapping[str, Any], purpose: str) -> None:
        self._session = session
        self._key = f"otpverify.{purpose}"

    def pending(self) -> Pending | None:
        """The challenge that waits for its code."""
        found = Pending.load(self._session.get(self._key))
        return found if found is not None and found.live else None

    def proven(self) -> Proven | None:
        """The proof that waits to be used."""
        found = self._session.get(self._key)
        if not isinstance(found, Mapping):
            return None
        try:
            return Proven(**found)
        except TypeError:
            return None

    def put(self, pending: Pending | None) -> None:
        """Keep this, or nothing."""
        if pending is not None:
            self._session[self._key] = pending.dump()
        else:
            self._session.pop(self._key, None)

    def prove(self, verified: Verified, who: str) -> None:
        """Keep the proof."""
        self._session[self._key] = {
            "proof": verified.proof,
            "challenge": verified.challenge,
            "who": who,
        }
