"""What an operation's `Event` says, collected while the operation runs."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from otpverify.core.keys import Key, Secret
from otpverify.core.phone import country_of, mask
from otpverify.core.results import Event
from otpverify.errors import DestinationBlocked, OtpVerifyError

_log = logging.getLogger("otpverify")
# A guard may give any text as its reason, also one that repeats the number.
_REASON = re.compile(r"[a-z][a-z_]{0,40}")


class Observation:
    """One operation of a verifier that has no `on_event`: it computes and reports nothing."""

    __slots__ = ()

    def about(self, secret: Secret, key: Key) -> None:
        """Name the challenge, by the secret that signed its id and its place in the store."""

    def note(self, **fields: Any) -> None:
        """Set fields of the event."""

    def blocked(self, error: DestinationBlocked) -> None:
        """The message is refused for this reason."""

    def sent(self, text: str, cost: Decimal | None) -> None:
        """The gateway took this text, or may have taken it, at this price."""

    def sent_at(self, at: int) -> None:
        """The operation is the answer to a message that was sent at this instant of the store."""

    def cap(self, name: str, level: int) -> None:
        """Report that a cap on all messages reached this percentage, as an event of its own."""

    def end(self, outcome: str, to: str = "", **fields: Any) -> None:
        """Report the event. `to` is the number in E.164, or empty if it is not known."""

    def fail(self, error: OtpVerifyError, to: str = "") -> None:
        """Report the event of an operation that raises `error`."""


UNOBSERVED = Observation()


class ObservedOperation(Observation):
    """One operation of a verifier that has an `on_event`. It begins when this is made."""

    __slots__ = ("_began", "_fields", "_on_event", "_operation")

    def __init__(self, on_event: Callable[[Event], object], operation: str, purpose: str) -> None:
        self._on_event = on_event
        self._operation = operation
        self._fields: dict[str, Any] = {"purpose": purpose}
        self._began = time.perf_counter()

    def about(self, secret: Secret, key: Key) -> None:
        self._fields["challenge"] = secret.event_reference(key)

    def note(self, **fields: Any) -> None:
        self._fields.update(fields)

    def blocked(self, error: DestinationBlocked) -> None:
        self.note(reason=error.reason if _REASON.fullmatch(error.reason) else "other")

    def sent(self, text: str, cost: Decimal | None) -> None:
        from otpverify.sms.gsm7 import segments  # a verifier without on_event counts none

        self.note(segments=segments(text).parts, cost=cost)

    def sent_at(self, at: int) -> None:
        # The store's clock and this one may differ a little.
        self._fields["latency"] = max(0.0, time.time() - at / 1000)

    def cap(self, name: str, level: int) -> None:
        self._report(Event("cap", str(level), "", mask(""), scope=name))

    def end(self, outcome: str, to: str = "", **fields: Any) -> None:
        fields = {**self._fields, **fields}
        event = Event(
            self._operation,
            outcome,
            phone=mask(to),
            country=country_of(to),
            duration=time.perf_counter() - self._began,
            **fields,
        )
        self._report(event)

    def _report(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:
            # A faulty observer must neither let anyone in nor keep anyone out.
            _log.exception("on_event failed for %s", event)

    def fail(self, error: OtpVerifyError, to: str = "") -> None:
        if isinstance(error, DestinationBlocked):
            self.blocked(error)
        self.end(
            type(error).__name__,
            to,
            scope=getattr(error, "scope", None),
            provider_code=getattr(error, "provider_code", None),
        )
