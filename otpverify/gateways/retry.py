"""Which failures are retried, when, and within which deadline, for every gateway.

`stamina` repeats and waits, in threads or tasks; it is imported when a sender is made. This module
makes the decisions, without I/O.
"""

from __future__ import annotations

import inspect
import logging
import math
import random
import re
import time
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Protocol, TypeAlias, TypeVar

from otpverify.errors import (
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
)
from otpverify.gateways.call import BUSY_STATUSES, Call, Failure, Reply, no_reply

T = TypeVar("T")

_log = logging.getLogger("otpverify")
_MOST_ATTEMPTS = 10
_LONGEST_SECONDS = 600
_AGES_SECONDS = 1e9
_SHORTEST_SECONDS = 0.001
_NAME = "otpverify"

_NOT_REACHED = frozenset({"unreachable", "pool_full"})
_NO_ANSWER = frozenset({"timeout", "connection_lost"})
# A server behind the one that answered may have taken the request (RFC 9110, 15.6.3, 15.6.5).
_BY_ANOTHER = frozenset({502, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a call is repeated, and for how long.

    A call is repeated if it did not reach the gateway, or if the gateway answered 429, 502, 503 or
    504 (RFC 9110). `Retry-After` is followed; if it asks for a longer wait than the rest of
    `total_seconds`, the call fails at once. A refusal is never repeated. A request to many
    recipients is repeated after 502 and 504 only with `after_timeout`, because another server may
    have taken it.

    The longest wait doubles with each attempt, up to `longest_wait_seconds`. Each wait is random,
    from the upper half of that range, so that clients that failed together do not retry together.

    Args:
        attempts: The largest number of attempts, including the first; 1 to 10. With 1, nothing is
            repeated.
        total_seconds: How long the whole call may take, including all attempts and waits; at most
            600. It also ends a reply that arrives byte by byte. Two steps are not bounded by it
            outside event loops: a DNS lookup takes as long as the system allows, and each further
            address of a name takes up to the connection timeout.
        first_wait_seconds: The upper bound of the wait before the second attempt.
        longest_wait_seconds: The upper bound of every wait, unless the gateway asks for more.
        after_timeout: Whether to also repeat a send when the gateway read it and then gave no
            answer or closed the connection. The gateway may have taken the message. If so, the
            person gets the same text twice, and you pay for it twice.

    Raises:
        ConfigurationError: A value is out of range.
    """

    attempts: int = 3
    total_seconds: float = 15.0
    first_wait_seconds: float = 0.2
    longest_wait_seconds: float = 5.0
    after_timeout: bool = False

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or not 1 <= self.attempts <= _MOST_ATTEMPTS:
            raise ConfigurationError(f"Retry: attempts must be 1 to {_MOST_ATTEMPTS}.")
        if not (_is_seconds(self.total_seconds) and self.total_seconds > 0):
            raise ConfigurationError(
                f"Retry: total_seconds must be above 0 and at most {_LONGEST_SECONDS}."
            )
        waits = (self.first_wait_seconds, self.longest_wait_seconds)
        if not all(_is_seconds(wait) for wait in waits) or waits[0] > waits[1]:
            raise ConfigurationError(
                "Retry: first_wait_seconds must be 0 or more and at most longest_wait_seconds, "
                f"which is at most {_LONGEST_SECONDS}."
            )
        if not isinstance(self.after_timeout, bool):
            raise ConfigurationError("Retry: after_timeout must be True or False.")

    def next_wait(
        self, attempt: int, error: DeliveryError, *, seconds_left: float = math.inf
    ) -> float | None:
        """The wait before a queue tries a failed message again. This rule is for workers: each
        attempt of a worker already includes the attempts of its client.

        The wait is what the gateway asked for (`error.retry_after`) plus a random wait, so that
        workers that were asked to wait until the same moment do not retry together.

        Args:
            attempt: The number of the failed attempt; 1 is the first.
            error: The error of that attempt.
            seconds_left: How long the message may still be tried.

        Returns:
            Seconds; `None` if the message must not be tried again: it was refused, it may have
            been sent and `after_timeout` is off, or there are no attempts or no time left.
        """
        if isinstance(error, DeliveryRejected) or attempt >= self.attempts:
            return None
        if error.maybe_sent and not self.after_timeout:
            return None
        wait = (getattr(error, "retry_after", None) or 0) + self.random_wait(attempt)
        return wait if wait < seconds_left else None

    def random_wait(self, attempt: int) -> float:
        """A random wait after a failed attempt, within the bounds of `wait_after`."""
        return self.wait_after(attempt, random.random())  # noqa: S311 - spreads load, no secret

    def wait_after(self, attempt: int, drawn: float) -> float:
        """The seconds to wait after a failed attempt.

        Args:
            attempt: The number of the failed attempt; 1 is the first.
            drawn: A random number from 0 to 1.
        """
        doubled = self.first_wait_seconds * 2.0 ** (attempt - 1)
        return min(self.longest_wait_seconds, doubled) * (1 + drawn) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The timeouts and retries of a sender's HTTP calls, and the observer of their attempts.

    Args:
        connect_timeout_seconds: To make the connection; above 0 and at most 600.
        read_timeout_seconds: For each wait for the reply; above 0 and at most 600.
        retry: When a call is repeated, and how long it may take in total; `Retry()` if left out.
        on_attempt: Called with a `DeliveryAttempt` after every attempt. An exception from it is
            logged.

    Raises:
        ConfigurationError: A value is out of range or of the wrong type.
    """

    connect_timeout_seconds: float = 3.05
    read_timeout_seconds: float = 10.0
    retry: Retry | None = None
    on_attempt: Observer | None = None

    def __post_init__(self) -> None:
        for seconds in self.timeouts:
            if not (_is_seconds(seconds) and seconds > 0):
                raise ConfigurationError(
                    f"Timeouts must be above 0 and at most {_LONGEST_SECONDS} seconds."
                )
        if not isinstance(self.retry, Retry | None):
            raise ConfigurationError("retry must be a Retry(...).")
        check_observer(self.on_attempt)
        # Now, with the hooks that it looks for, not when a call fails: the process may then have no
        # file left to open.
        import_module("stamina.instrumentation").get_on_retry_hooks()

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds for the connection, and for each wait for the reply."""
        return self.connect_timeout_seconds, self.read_timeout_seconds

    def attempts(self, sender: str) -> Attempts:
        """The attempts of one call by this sender; its deadline starts now."""
        return Attempts(self.retry or Retry(), sender, self.on_attempt)


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One attempt, for logs and metrics; it holds no number, no code and no credentials.

    Attributes:
        operation: `"send"`, `"send_bulk"`, `"balance"` or `"sender_ids"`.
        sender: The class of the sender that made it, such as `"SmspmClient"`.
        number: 1 for the first; with a `FallbackSender`, the sender's place in its list.
        outcome: `"ok"`, `"rejected"` or `"unavailable"`.
        provider_code: The gateway's reason, as in `DeliveryError`, or `None`.
        maybe_sent: Whether the gateway may have taken this attempt although it failed.
        next_in_seconds: Seconds until the next attempt; `None` when there is no next attempt.
        duration: How long the attempt took, in seconds. It does not count when attempts are
            compared.
    """

    operation: str
    sender: str
    number: int
    outcome: str
    provider_code: str | None = None
    maybe_sent: bool = False
    next_in_seconds: float | None = None
    duration: float | None = field(default=None, kw_only=True, compare=False)


Observer: TypeAlias = Callable[[DeliveryAttempt], object]


def check_observer(observer: object) -> None:
    """Raise `ConfigurationError` unless attempts can be reported to this."""
    if observer is not None and (not callable(observer) or inspect.iscoroutinefunction(observer)):
        raise ConfigurationError("on_attempt must be a function that takes a DeliveryAttempt.")


def report_attempt(
    observer: Observer | None,
    operation: str,
    sender: str,
    number: int,
    error: DeliveryError | None = None,
    next_in_seconds: float | None = None,
    *,
    began: float,
) -> None:
    """Report an attempt to the observer. An exception from the observer is logged.

    Args:
        observer: `on_attempt` of the sender, or `None`.
        operation, sender, number, next_in_seconds: As in `DeliveryAttempt`.
        error: The error of the attempt; `None` when it succeeded.
        began: When the attempt began, by the monotonic clock.
    """
    if observer is None:
        return
    outcome, code, maybe_sent = "ok", None, False
    if error is not None:
        outcome = "rejected" if isinstance(error, DeliveryRejected) else "unavailable"
        code, maybe_sent = error.provider_code, error.maybe_sent
    attempt = DeliveryAttempt(
        operation,
        sender,
        number,
        outcome,
        code,
        maybe_sent,
        next_in_seconds,
        duration=time.monotonic() - began,
    )
    try:
        observer(attempt)
    except Exception:
        _log.exception("on_attempt failed for %s", attempt)


def outcome_unknown(last: DeliveryError) -> DeliveryUnavailable:
    """The error for a send whose last attempt certainly was not taken, but an earlier attempt may
    have been."""
    message = str(last).rstrip()
    message += "" if message.endswith((".", "!", "?")) else "."
    return DeliveryUnavailable(
        f"{message} It is unknown whether an earlier attempt was taken.",
        provider_code=last.provider_code,
        retry_after=getattr(last, "retry_after", None),
    )


def seconds_asked_for(retry_after: str | None) -> float | None:
    """The wait that a `Retry-After` header asks for (RFC 9110, 10.2.3), in seconds from now.

    Args:
        retry_after: Seconds or an HTTP date.

    Returns:
        0 or more; `None` when there is no such header, or it is invalid.
    """
    value = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return min(float(value), _AGES_SECONDS)
    try:
        date = parsedate_to_datetime(value)
        # A date without a zone is in UTC, as all HTTP dates are.
        at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, at - time.time())


def longest_asked_for(retry_afters: Iterable[str]) -> float | None:
    """The longest wait that any of these `Retry-After` headers asks for."""
    asked = map(seconds_asked_for, retry_afters)
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _is_seconds(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= _LONGEST_SECONDS  # type: ignore[operator]  # a number, as `number` says


class Repeats(
    Iterable[AbstractContextManager[object]],
    AsyncIterable[AbstractContextManager[object]],
    Protocol,
):
    """The attempts of `stamina.retry_context`, for `for` and `async for`."""


def _not_ours(record: logging.LogRecord) -> bool:
    """Leave out stamina's warning about each of our repeats: `on_attempt` reports them. Python
    prints such warnings where logging is not configured."""
    return getattr(record, "stamina.callable", None) != _NAME


logging.getLogger("stamina").addFilter(_not_ours)


class Attempts:
    """The attempts of one call.

    Args:
        plan: How many attempts, and for how long.
        sender: The name of the class that makes them.
        observer: `on_attempt` of the sender, or `None`.
    """

    def __init__(self, plan: Retry, sender: str, observer: Observer | None) -> None:
        self._plan = plan
        self._sender = sender
        self._observer = observer
        self._began = time.monotonic()
        self._ends = self._began + plan.total_seconds
        self._number = 0
        self._maybe_sent = False
        self._waited = False
        self._failed: tuple[DeliveryError, float] | None = None

    @property
    def again(self) -> bool:
        """Whether an attempt follows the one that failed."""
        return self._failed is not None

    def repeats(self) -> Repeats:
        """The attempts after the first, which failed, for `for` or `async for`. Enter each one as a
        context, and call `wait` before its attempt. Most calls need none: the contexts cost
        much of the time of a call."""
        import stamina

        context = stamina.retry_context(on=self._wait, attempts=self._plan.attempts, timeout=None)
        return context.with_name(_NAME, (), {})

    def wait(self) -> None:
        """In the first context of `repeats`, raise the error of the attempt that was made already,
        so that stamina waits and goes on."""
        if not self._waited and self._failed is not None:
            self._waited = True
            raise self._failed[0]

    def begin(self) -> float:
        """Begin an attempt; how long it may take, in seconds."""
        self._began = time.monotonic()
        return max(self._ends - self._began, _SHORTEST_SECONDS)

    def conclude(self, call: Call[T], outcome: Reply | Failure) -> T:
        """The result of an attempt.

        Raises:
            DeliveryError: The attempt failed. When it is not repeated, this is the error of the
                whole call: `maybe_sent` is true if any attempt may have been taken.
        """
        self._number += 1
        error: DeliveryError
        if isinstance(outcome, Failure):
            error = no_reply(outcome, call)
        else:
            try:
                result = call.read(outcome.status, outcome.body)
            except DeliveryError as refused:
                error = refused
            else:
                self._report(call)
                return result
        asked = longest_asked_for(outcome.retry_after) if isinstance(outcome, Reply) else None
        if asked is not None and isinstance(error, DeliveryUnavailable):
            error.retry_after = math.ceil(asked)
        wait = self._wait_before_next(call, error, outcome, asked)
        self._report(call, error, wait)
        self._maybe_sent = self._maybe_sent or error.maybe_sent
        if wait is not None:
            self._failed = error, wait
        elif self._maybe_sent and not error.maybe_sent:
            error = outcome_unknown(error)
        raise error

    def _report(
        self, call: Call[T], error: DeliveryError | None = None, wait: float | None = None
    ) -> None:
        report_attempt(
            self._observer,
            call.operation,
            self._sender,
            self._number,
            error,
            wait,
            began=self._began,
        )

    def _wait(self, error: Exception) -> float | bool:
        """The hook for stamina: the seconds to wait after this error, or `False` to stop. stamina
        also calls it for a cancellation, which is not one of our errors."""
        return self._failed[1] if self._failed and self._failed[0] is error else False

    def _wait_before_next(
        self,
        call: Call[T],
        error: DeliveryError,
        outcome: Reply | Failure,
        asked: float | None,
    ) -> float | None:
        import stamina

        again = self._number < self._plan.attempts and stamina.is_active()
        if not again or not self._may_repeat(call, error, outcome):
            return None
        wait = self._plan.random_wait(self._number) if asked is None else asked
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
