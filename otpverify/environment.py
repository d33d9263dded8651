"""Settings from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from otpverify._sync import Closing
from otpverify.engine.operations import Engine
from otpverify.errors import ConfigurationError
from otpverify.protocols import AsyncSender, Sender


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What `from_env` found. The store is `None` where none is set."""

    sender: Any
    store: Any
    secrets: list[str] | None
    region: str | None

    def close(self) -> None:
        """Close what was made of them."""
        for part in (self.sender, self.store):
            if part is not None:
                part.close()

    async def aclose(self) -> None:
        """Close what was made of them; a synchronous client, too."""
        for part in (self.sender, self.store):
            if hasattr(part, "aclose"):
                await part.aclose()
            elif part is not None:
                part.close()


class Owner(Closing):
    """Base of the verifiers: closes the client and the store that `from_env` made."""

    _made: Settings | None = None
    _engine: Engine

    def normalize(self, phone: str) -> str:
        """A number as `start` reads it, by the verifier's region and test numbers. Nothing is
        sent or counted.

        Args:
            phone: What the person typed.

        Returns:
            The number in E.164: what `Challenge.phone` would be.

        Raises:
            InvalidPhoneNumber: It is not a phone number.
        """
        return self._engine.read(phone)

    def close(self) -> None:
        """Close what `from_env` made. Parts that were passed in are their owner's to close."""
        if self._made is not None:
            self._made.close()


def settings_from(environ: Mapping[str, str] | None, *, asynchronous: bool) -> Settings:
    """Read the variables that `Verifier.from_env` names.

    Args:
        environ: The variables; `os.environ` if `None`.
        asynchronous: For an `AsyncVerifier`.

    Raises:
        ConfigurationError: One is missing or unsafe.
    """
    environ = os.environ if environ is None else environ
    given = environ.get("OTPVERIFY_SECRET", "").split(",")
    return Settings(
        sender=_client(environ, asynchronous=asynchronous),
        store=_store(environ, asynchronous=asynchronous),
        secrets=[secret.strip() for secret in given if secret.strip()] or None,
        region=environ.get("OTPVERIFY_REGION") or None,
    )


def _client(environ: Mapping[str, str], *, asynchronous: bool) -> Sender | AsyncSender:
    """A client; its module loads an HTTP library, which those with another sender need not
    have. Without the extra `async` the synchronous one serves both."""
    if asynchronous and find_spec("httpx2") is not None:
        from otpverify.gateways.smspm.client_async import AsyncSmspmClient

        return AsyncSmspmClient.from_env(environ)
    from otpverify.gateways.smspm.client import SmspmClient

    return SmspmClient.from_env(environ)


def _store(environ: Mapping[str, str], *, asynchronous: bool) -> Any:
    """A store for what is set; `None` where nothing is."""
    url, path = environ.get("OTPVERIFY_REDIS_URL"), environ.get("OTPVERIFY_SQLITE_PATH")
    if url and path:
        raise ConfigurationError(
            "OTPVERIFY_REDIS_URL and OTPVERIFY_SQLITE_PATH are both set; there is one store. "
            "Unset one of them."
        )
    if path:
        from otpverify.stores.sqlite.store import SqliteStore

        return SqliteStore(path)
    return _redis(url, asynchronous=asynchronous) if url else None


def _redis(url: str, *, asynchronous: bool) -> Any:
    """A store for a URL; its module loads redis, which those without one need not have."""
    if asynchronous:
        from otpverify.stores.redis.async_store import AsyncRedisStore

        return AsyncRedisStore.from_url(url)
    from otpverify.stores.redis.store import RedisStore

    return RedisStore.from_url(url)
