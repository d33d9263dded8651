"""The settings in `app.config`, and the objects made from them for one application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from flask import Flask

from otpverify import (
    ConfigurationError,
    Event,
    Guard,
    Hasher,
    Messages,
    Policy,
    Renderer,
    Sender,
    Store,
    Verifier,
    settings,
)
from otpverify.integrations.web.verifiers import Verifiers
from otpverify.settings import Source

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_DEFAULTS: Final = {
    "OTPVERIFY_BRAND": None,
    "OTPVERIFY_ORIGIN": None,
    "OTPVERIFY_KEEP_AT_LOGIN": (),
    "OTPVERIFY_SHORTEST_PASSWORD": 8,
    "OTPVERIFY_CONTENT_SECURITY_POLICY": CONTENT_SECURITY_POLICY,
}
APP_CONFIG: Final = Source(written='app.config["{}"]', more=frozenset(_DEFAULTS))
"""How the settings are written in `app.config`."""


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


class State:
    """The state of one application: `app.extensions["otpverify"]`.

    Args:
        verifier, reset_verifier: The verifiers that the program passes.
        verifiers: Those of the settings; or `None`, if the program passes a verifier.

    Attributes:
        mounted: The blueprint of each flow that is mounted, by the flow's name.
        https_logged: Whether the log already says that the session's cookie needs https.
    """

    def __init__(
        self,
        verifier: Verifier | None = None,
        reset_verifier: Verifier | None = None,
        verifiers: Verifiers | None = None,
    ) -> None:
        self._verifier = verifier
        self._reset_verifier = reset_verifier
        self._verifiers = verifiers
        self.mounted: dict[str, str] = {}
        self.https_logged = False

    @property
    def verifier(self) -> Verifier:
        """The verifier that sends during the request, and reports the gateway's answer."""
        if self._verifiers is not None:
            return self._verifiers.verifier()
        return cast("Verifier", self._verifier)

    @property
    def reset_verifier(self) -> Verifier | None:
        """The verifier that sends in the background; `None` where the program passed a verifier
        but no reset verifier."""
        if self._reset_verifier is None and self._verifiers is not None:
            return self._verifiers.verifier(background=True)
        return self._reset_verifier

    @reset_verifier.setter
    def reset_verifier(self, verifier: Verifier | None) -> None:
        self._reset_verifier = verifier

    def close(self) -> None:
        """Wait for messages that are being sent, and close the objects made from the
        configuration. For tests, and for processes that outlive their application."""
        if self._verifiers is not None:
            self._verifiers.close()


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
    verifiers = Verifiers(_parts(app, parts))
    try:
        for background in (False, True):
            verifiers.verifier(background=background)  # made now, so that errors show now
    except BaseException:
        verifiers.close()
        raise
    return State(reset_verifier=parts.reset_verifier, verifiers=verifiers)


def _parts(app: Flask, parts: Parts) -> settings.Parts:
    found = settings.Settings(app.config, APP_CONFIG)
    messages = parts.messages
    if messages is None and found.get("MESSAGES") is None:
        brand, origin = (app.config[f"OTPVERIFY_{name}"] or None for name in ("BRAND", "ORIGIN"))
        messages = Messages(brand=brand, origin=origin)
    return settings.Parts(
        found,
        sender=parts.sender,
        store=parts.store,
        policy=parts.policy,
        hasher=parts.hasher,
        messages=messages,
        guards=parts.guards or None,
        on_event=parts.on_event,
    )
