"""The settings in `app.config`, and the objects made from them for one application."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from flask import Flask

from otpverify import (
    Argon2Hasher,
    ConfigurationError,
    Event,
    Guard,
    Hasher,
    MemoryStore,
    Messages,
    Policy,
    RedisStore,
    Renderer,
    Sender,
    SmspmClient,
    SqliteStore,
    Store,
    Verifier,
)
from otpverify.integrations.web.background import BackgroundSender

# Those that `Verifier.from_env` reads: from the environment where app.config lacks them.
SHARED_NAMES: Final = (
    "SMSPM_HASH",
    "SMSPM_TOKEN",
    "SMSPM_SENDER",
    "SMSPM_URL",
    "SMSPM_REPORT_URL",
    "OTPVERIFY_SECRET",
    "OTPVERIFY_REDIS_URL",
    "OTPVERIFY_SQLITE_PATH",
    "OTPVERIFY_REGION",
)
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_DEFAULTS: Final = {
    "OTPVERIFY_POLICY": None,
    "OTPVERIFY_BRAND": None,
    "OTPVERIFY_ORIGIN": None,
    "OTPVERIFY_KEEP_AT_LOGIN": (),
    "OTPVERIFY_SHORTEST_PASSWORD": 8,
    "OTPVERIFY_CONTENT_SECURITY_POLICY": CONTENT_SECURITY_POLICY,
}


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that the program passes, which replace those from the configuration."""

    verifier: Verifier | None = None
    reset_verifier: Verifier | None = None
    sender: Sender | None = None
    store: Store | None = None
    policy: Policy | None = None
    hasher: Hasher | None = None
    messages: Renderer | None = None
    guards: Sequence[Guard] = ()
    on_event: Callable[[Event], object] | None = None


@dataclass(slots=True, repr=False)
class State:
    """The state of one application: `app.extensions["otpverify"]`.

    Attributes:
        verifier: Sends during the request, and reports the gateway's answer.
        reset_verifier: Sends in the background; `None` where the program passed a verifier but no
            reset verifier.
        mounted: The blueprint of each flow that is mounted, by the flow's name.
    """

    verifier: Verifier
    reset_verifier: Verifier | None
    mounted: dict[str, str] = field(default_factory=dict)
    closing: list[Callable[[], object]] = field(default_factory=list)

    def close(self) -> None:
        """Wait for messages that are being sent, and close the objects made from the
        configuration. For tests, and for processes that outlive their application."""
        while self.closing:
            self.closing.pop()()


def state_for(app: Flask, parts: Parts) -> State:
    """Make an application's state from its configuration and the given parts.

    Raises:
        ConfigurationError: Something is missing, unsafe, or set twice.
    """
    for name, value in _DEFAULTS.items():
        app.config.setdefault(name, value)
    if parts.verifier is not None:
        given = {name for name in Parts.__slots__ if getattr(parts, name)}
        if extra := given - {"verifier", "reset_verifier"}:
            raise ConfigurationError(
                f"verifier=... has these already: {', '.join(sorted(extra))}. Give the one or the "
                "other."
            )
        return State(parts.verifier, parts.reset_verifier)
    return _made(app, parts, _environ(app))


def _made(app: Flask, parts: Parts, environ: dict[str, str]) -> State:
    closing: list[Callable[[], object]] = []
    sender, store = parts.sender, parts.store
    if sender is None:
        client = SmspmClient.from_env(environ)
        closing.append(client.close)
        sender = client
    if store is None:
        store = _store(environ, closing)
    hasher = Argon2Hasher() if parts.hasher is None else parts.hasher
    secret: list[str | bytes] = [
        one.strip() for one in environ.get("OTPVERIFY_SECRET", "").split(",") if one.strip()
    ]
    if not secret and store.process_local and not hasher.needs_secret:
        secret = [secrets.token_bytes(32)]  # the same for both verifiers
    messages = parts.messages
    if messages is None:
        messages = Messages(
            brand=app.config["OTPVERIFY_BRAND"], origin=app.config["OTPVERIFY_ORIGIN"]
        )
    policy = app.config["OTPVERIFY_POLICY"] if parts.policy is None else parts.policy
    later = BackgroundSender(sender)
    closing.append(later.close)

    def verifier(through: Sender) -> Verifier:
        return Verifier(
            through,
            store=store,
            policy=policy,
            secret=secret or None,
            hasher=hasher,
            messages=messages,
            guards=parts.guards,
            region=environ.get("OTPVERIFY_REGION"),
            on_event=parts.on_event,
        )

    return State(verifier(sender), parts.reset_verifier or verifier(later), closing=closing)


def _store(environ: dict[str, str], closing: list[Callable[[], object]]) -> Store:
    url, path = environ.get("OTPVERIFY_REDIS_URL"), environ.get("OTPVERIFY_SQLITE_PATH")
    if url and path:
        raise ConfigurationError(
            "OTPVERIFY_REDIS_URL and OTPVERIFY_SQLITE_PATH are both set; there is one store. Set "
            "one of them to None."
        )
    store = RedisStore.from_url(url) if url else SqliteStore(path) if path else None
    if store is None:
        return MemoryStore()
    closing.append(store.close)
    return store


def _environ(app: Flask) -> dict[str, str]:
    """The names shared with `Verifier.from_env`. A value in `app.config` takes precedence; an
    empty value or `None` means that the name is not set."""
    found: dict[str, str] = {}
    for name in SHARED_NAMES:
        value = app.config[name] if name in app.config else os.environ.get(name)
        if name == "OTPVERIFY_SECRET" and isinstance(value, list | tuple):
            value = ",".join(value)
        if isinstance(value, bytes):
            raise ConfigurationError(f'app.config["{name}"] must be text.')
        if value:
            found[name] = str(value)
    return found
