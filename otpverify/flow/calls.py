"""What every call begins and ends with: its words checked, the number read, the outcome told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from otpverify.core import phone
from otpverify.core.keys import check_binding
from otpverify.core.results import Event
from otpverify.errors import ChallengeExpired, ConfigurationError, OtpVerifyError
from otpverify.flow.issue import Issuer

T = TypeVar("T")
_log = logging.getLogger("otpverify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What the calls of one verifier share."""

    issuer: Issuer
    region: str | None
    on_event: Callable[[Event], object] | None

    def read(self, raw: str) -> str:
        """What was typed, in E.164."""
        return phone.parse(raw, self.region, self.issuer.test_numbers)

    def parse(self, operation: str, purpose: str, raw: str) -> str:
        if operation in ("check", "redeem", "resend") and phone.is_canonical(raw):
            return raw  # `start` parsed it; `observed` looks again where nothing is found
        try:
            return self.read(raw)
        except OtpVerifyError as error:
            self.emit(operation, type(error).__name__, purpose, "")
            raise

    async def observed(
        self, operation: str, purpose: str, to: str, call: Callable[[str], Awaitable[tuple[str, T]]]
    ) -> T:
        try:
            try:
                outcome, result = await call(to)
            except ChallengeExpired:
                spelled = self.respelled(to)
                if spelled == to:
                    raise
                outcome, result = await call(spelled)
        except OtpVerifyError as error:
            scope = getattr(error, "scope", None)
            provider_code = getattr(error, "provider_code", None)
            name = type(error).__name__
            self.emit(operation, name, purpose, to, scope, provider_code)
            raise
        self.emit(operation, outcome, purpose, to)
        return result

    def respelled(self, to: str) -> str:
        """The number as `start` wrote it, where it has E.164's form with a digit too many, as
        +44 07... has."""
        try:
            return self.read(to)
        except OtpVerifyError:
            return to

    def emit(self, operation: str, outcome: str, purpose: str, to: str, *facts: str | None) -> None:
        """Tell `on_event`."""
        if self.on_event is None:
            return
        event = Event(operation, outcome, purpose, phone.mask(to), *facts)
        try:
            self.on_event(event)
        except Exception:
            # An observer's fault must neither let anyone in nor keep anyone out.
            _log.exception("on_event failed for %s", event)


def check_words(purpose: str, binding: Mapping[str, str] | None) -> None:
    """Raise `ConfigurationError` for a purpose or a binding that is none."""
    if not isinstance(purpose, str) or not purpose:
        raise ConfigurationError("purpose must be a str that is not empty.")
    if binding is not None:
        check_binding(binding)
