"""The attempts of one call: which follows which, after how long, and what is told of each.

`stamina` repeats and waits, in either colour; whatever is decided is decided here, without I/O.
"""

from __future__ import annotations

import logging
import math
import random
import time
from typing import TYPE_CHECKING, TypeVar

import stamina

from otpverify.errors import DeliveryError, DeliveryRejected, DeliveryUnavailable
from otpverify.sms.retry import Observer, Retry, longest_asked_for, nobody_knows, tell
from otpverify.sms.smspm_call import Call, Failure, Reply, not_answered
from otpverify.sms.smspm_wire import BUSY_STATUSES

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable
    from contextlib import AbstractContextManager
    from typing import Protocol

    class Repeats(
        Iterable[AbstractContextManager[object]],
        AsyncIterable[AbstractContextManager[object]],
        Protocol,
    ):
        """What `stamina.retry_context` gives."""


T = TypeVar("T")

_NOT_REACHED = frozenset({"unreachable", "pool_full"})
_NO_ANSWER = frozenset({"timeout", "connection_lost"})
# A server behind the one that answered may have taken it (RFC 9110, 15.6.3 and 15.6.5).
_BY_ANOTHER = frozenset({502, 504})
_SHORTEST_SECONDS = 0.001
_NAME = "otpverify"


def _not_ours(record: logging.LogRecord) -> bool:
    """Of our repeats `on_attempt` is told; stamina's warning of each, which Python prints where
    no logging is set up, would be one too many."""
    return getattr(record, "stamina.callable", None) != _NAME


logging.getLogger("stamina").addFilter(_not_ours)


class Attempts:
    """The attempts of one call.

    Args:
        plan: How many, and for how long.
        sender: The name of the class that makes them.
        observer: Is told of each.
    """

    def __init__(self, plan: Retry, sender: str, observer: Observer | None) -> None:
        self._plan = plan
        self._sender = sender
        self._observer = observer
        self._ends = time.monotonic() + plan.total_seconds
        self._number = 0
        self._maybe_sent = False
        self._failed: tuple[DeliveryError, float] | None = None

    def repeats(self) -> Repeats:
        """What to loop over, with `for` or `async for`, and to enter for each attempt."""
        context = stamina.retry_context(on=self._wait, attempts=self._plan.attempts, timeout=None)
        return context.with_name(_NAME, (), {})

    def seconds_left(self) -> float:
        """How long the attempt that now begins may take."""
        return max(self._ends - time.monotonic(), _SHORTEST_SECONDS)

    def conclude(self, call: Call[T], outcome: Reply | Failure) -> T:
        """The result of an attempt.

        Raises:
            DeliveryError: It failed. When it is not repeated, this is the error of the whole
                call: one that may have been sent if any of its attempts may have been.
        """
        self._number += 1
        error: DeliveryError
        if isinstance(outcome, Failure):
            error = not_answered(outcome, sends=call.sends)
        else:
            try:
                result = call.read(outcome.status, outcome.body)
            except DeliveryError as refused:
                error = refused
            else:
                tell(self._observer, call.operation, self._sender, self._number)
                return result
        asked = longest_asked_for(outcome.retry_after) if isinstance(outcome, Reply) else None
        if asked is not None and isinstance(error, DeliveryUnavailable):
            error.retry_after = math.ceil(asked)
        wait = self._wait_before_next(call, error, outcome, asked)
        tell(self._observer, call.operation, self._sender, self._number, error, wait)
        self._maybe_sent = self._maybe_sent or error.maybe_sent
        if wait is not None:
            self._failed = error, wait
        elif self._maybe_sent and not error.maybe_sent:
            error = nobody_knows(error)
        raise error

    def _wait(self, error: Exception) -> float | bool:
        """What stamina asks: how long to wait after this error, or `False`. It also asks of a
        cancellation, which is none of ours."""
        return self._failed[1] if self._failed and self._failed[0] is error else False

    def _wait_before_next(
        self,
        call: Call[T],
        error: DeliveryError,
        outcome: Reply | Failure,
        asked: float | None,
    ) -> float | None:
        again = self._number < self._plan.attempts and stamina.is_active()
        if not again or not self._may_repeat(call, error, outcome):
            return None
        drawn = random.random()  # noqa: S311 - spreads load, guards nothing
        wait = self._plan.wait_after(self._number, drawn) if asked is None else asked
        return wait if time.monotonic() + wait < self._ends else None

    def _may_repeat(self, call: Call[T], error: DeliveryError, outcome: Reply | Failure) -> bool:
        if isinstance(error, DeliveryRejected):
            return False
        if isinstance(outcome, Reply):
            if call.many and outcome.status in _BY_ANOTHER:
                return self._plan.after_timeout
            return outcome.status in BUSY_STATUSES or error.provider_code == "rate_limited"
        if error.provider_code in _NO_ANSWER:
            return self._plan.after_timeout or not call.sends
        return error.provider_code in _NOT_REACHED
