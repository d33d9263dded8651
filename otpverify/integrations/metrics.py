"""The metrics of otpverify: one table for OpenTelemetry and Prometheus, and what an event counts.

Names and units follow OpenTelemetry's conventions: lower case with dots, no unit and no `_total` in
the name, seconds for durations. Prometheus has its own: `otpverify.operation.duration` is
`otpverify_operation_duration_seconds` there, and `otpverify.sends` is `otpverify_sends_total`.

Every label has few values. No label holds a number, a prefix, an address or a challenge.
"""

from __future__ import annotations

import inspect
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from otpverify._per_process import ForkLock
from otpverify.core.caps import LEVELS
from otpverify.core.fraud_ledger import SPEND, TOTAL
from otpverify.core.phone import REGIONS
from otpverify.core.results import DeliveryStatus, Event
from otpverify.errors import ConfigurationError
from otpverify.gateways.retry import DeliveryAttempt

T = TypeVar("T")
_log = logging.getLogger("otpverify")

OTHER = "other"
"""The label of everything beyond a bound."""
NONE = "none"
"""The label of what is not known, such as the country of a satellite phone."""
MOST_PURPOSES = 20
_MOST_WORDS = 50

_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PATIENT = (2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: The name in OpenTelemetry.
        kind: What it is.
        unit: The unit, as UCUM writes it; an annotation in braces is what is counted.
        labels: The names of its labels.
        source: Which events, or attempts of the gateway, it counts.
        buckets: The upper bounds of a histogram's buckets.
    """

    name: str
    kind: Literal["counter", "histogram"]
    unit: str
    labels: tuple[str, ...]
    source: str
    buckets: tuple[float, ...] = ()

    @property
    def description(self) -> str:
        """The source as a sentence."""
        return f"{self.source[0].upper()}{self.source[1:]}."

    @property
    def prometheus(self) -> str:
        """The name in Prometheus."""
        name = self.name.replace(".", "_")
        name += "_seconds" if self.unit == "s" else ""
        return name + ("_total" if self.kind == "counter" else "")


OPERATION = Metric(
    "otpverify.operation.duration",
    "histogram",
    "s",
    ("operation", "outcome"),
    "every operation, whether it succeeds or fails",
    _QUICK,
)
SENDS = Metric(
    "otpverify.sends",
    "counter",
    "{send}",
    ("country", "purpose", "outcome"),
    "start and resend: messages that were handed to the gateway, and what it said",
)
VERIFICATIONS = Metric(
    "otpverify.verifications",
    "counter",
    "{verification}",
    ("country", "purpose", "outcome"),
    "check: codes that were entered",
)
VERIFICATION_LATENCY = Metric(
    "otpverify.verification.latency",
    "histogram",
    "s",
    ("country",),
    "check: from a message to its right code",
    _PATIENT,
)
REFUSALS = Metric(
    "otpverify.refusals",
    "counter",
    "{refusal}",
    ("country", "scope", "mode"),
    "start and resend: what a limit, a guard or the fraud policy refused",
)
CAPS = Metric(
    "otpverify.cap.levels",
    "counter",
    "{level}",
    ("scope", "level"),
    "how often a cap of the fraud policy reached 50, 80 and 100 percent",
)
REPORTS = Metric(
    "otpverify.delivery.reports",
    "counter",
    "{report}",
    ("country", "outcome"),
    "delivery reports, and what they said",
)
DELIVERY_LATENCY = Metric(
    "otpverify.delivery.latency",
    "histogram",
    "s",
    ("country",),
    "delivery reports: from a message to the report that it was delivered",
    _PATIENT,
)
SEGMENTS = Metric(
    "otpverify.sms.segments",
    "counter",
    "{segment}",
    ("country", "purpose"),
    "start and resend: segments that were sent",
)
COST = Metric(
    "otpverify.sms.cost",
    "counter",
    "{currency}",
    ("country", "purpose"),
    "start and resend: what the segments cost, in the currency of your prices",
)
ATTEMPT = Metric(
    "otpverify.gateway.attempt.duration",
    "histogram",
    "s",
    ("sender", "operation", "outcome"),
    "every attempt of a sender with `on_attempt`",
    _QUICK,
)
METRICS = (
    OPERATION,
    SENDS,
    VERIFICATIONS,
    VERIFICATION_LATENCY,
    REFUSALS,
    CAPS,
    REPORTS,
    DELIVERY_LATENCY,
    SEGMENTS,
    COST,
    ATTEMPT,
)

_LEVELS = tuple(str(level) for level in LEVELS)
_LIMITED = ("CooldownActive", "RateLimited")
_BLOCKED = ("DestinationBlocked", "HumanCheckRequired")
_UNDELIVERED = ("DeliveryRejected", "DeliveryUnavailable")
_FAILED = ("StoreError", "ConfigurationError", "InvalidPhoneNumber", "ChallengeExpired")
_REFUSED = (*_LIMITED, *_BLOCKED, "AttemptsExhausted")
_SENDING = ("sent", "decoy", "test_number", *_UNDELIVERED, *_REFUSED, *_FAILED)
_CHECKING = ("verified", "IncorrectCode", "AttemptsExhausted", *_FAILED)
_REPORTED = (
    *(status.value for status in DeliveryStatus),
    *("duplicate", "limited", "unknown", "unreadable", "StoreError"),
)
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "start": _SENDING,
    "resend": _SENDING,
    "check": _CHECKING,
    "redeem": ("redeemed", *_FAILED),
    "cancel": ("cancelled", "StoreError", "ConfigurationError", "InvalidPhoneNumber"),
    "unlock": ("unlocked", "StoreError", "ConfigurationError", "InvalidPhoneNumber"),
    "report": _REPORTED,
}
"""The outcomes of every operation; what is not here, such as the error of a sender's own class, has
the label `"other"`."""

Labels: TypeAlias = tuple[str, ...]
Measurement: TypeAlias = tuple[Metric, float, Labels]
"""A metric, the value, and its labels in the metric's order."""


class _Bound:
    """The first so many values as they are, and `"other"` for all that come after them."""

    def __init__(self, most: int, only: Iterable[str] | None = None) -> None:
        self._values = set(only or ())
        self._most = len(self._values) if only is not None else most
        self._lock = ForkLock()

    def __call__(self, value: str) -> str:
        if value in self._values:
            return value
        with self._lock.get():
            if len(self._values) < self._most:
                self._values.add(value)
                return value
        return OTHER


class Metrics:
    """An observer that turns events and attempts into measurements. `PrometheusMetrics` and
    `OpenTelemetryMetrics` are such observers.

    Give it as `on_event` to a verifier, and its method `on_attempt` to an `SmspmClient`.

    Args:
        purposes: The purposes that have a label of their own. If left out, the first 20 that are
            seen have one. All others have the label `"other"`.

    Raises:
        ConfigurationError: `purposes` is not a list of texts.
    """

    def __init__(self, purposes: Iterable[str] | None = None) -> None:
        if purposes is not None:
            purposes = () if isinstance(purposes, str) else tuple(purposes)
            if not purposes or not all(isinstance(one, str) for one in purposes):
                raise ConfigurationError("purposes must be a list of texts.")
        self.purposes: tuple[str, ...] = purposes or ()
        self._purpose = _Bound(MOST_PURPOSES, purposes)
        self._scope = _Bound(_MOST_WORDS)
        for cap in (TOTAL, SPEND):
            self._scope(cap)
        self._sender = _Bound(_MOST_WORDS)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        for metric, value, labels in self._of_event(event):
            self.record(metric, value, labels)

    def on_attempt(self, attempt: DeliveryAttempt) -> None:
        """Count an attempt of a sender."""
        labels = self._sender(attempt.sender), attempt.operation, attempt.outcome
        self.record(ATTEMPT, attempt.duration or 0.0, labels)

    @abstractmethod
    def record(self, metric: Metric, value: float, labels: Labels) -> None:
        """Record a measurement; `labels` are in the metric's order."""

    def _of_event(self, event: Event) -> Iterator[Measurement]:
        if event.operation == "cap":
            level = event.outcome if event.outcome in _LEVELS else OTHER
            yield CAPS, 1, (self._scope(event.scope or NONE), level)
            return
        outcomes = OUTCOMES.get(event.operation, ())
        operation = event.operation if outcomes else OTHER
        outcome = event.outcome if event.outcome in outcomes else OTHER
        yield OPERATION, event.duration or 0.0, (operation, outcome)
        country = event.country if event.country in REGIONS else NONE
        assert country is not None  # noqa: S101 - None is not a region
        if operation in ("start", "resend"):
            yield from self._of_send(event, country, outcome)
        elif operation == "check":
            yield VERIFICATIONS, 1, (country, self._purpose_of(event), outcome)
            yield from self._of_observed(event, country, "verified")
            if event.latency is not None and outcome == "verified":
                yield VERIFICATION_LATENCY, event.latency, (country,)
        elif operation == "report":
            yield REPORTS, 1, (country, outcome)
            if event.latency is not None and outcome == DeliveryStatus.DELIVERED:
                yield DELIVERY_LATENCY, event.latency, (country,)

    def _of_send(self, event: Event, country: str, outcome: str) -> Iterator[Measurement]:
        place = country, self._purpose_of(event)
        # A sender's error of an own class is a message that was handed over if it was sent.
        if outcome in ("sent", *_UNDELIVERED) or event.segments is not None:
            yield SENDS, 1, (*place, outcome)
        if outcome in _REFUSED:
            scope = event.scope or event.reason
            if outcome == "AttemptsExhausted":
                scope = "max_attempts"
            yield REFUSALS, 1, (country, self._scope(scope) if scope else NONE, "enforce")
        yield from self._of_observed(event, country, "observe")
        if event.segments is not None:
            yield SEGMENTS, event.segments, place
        if event.cost is not None:
            yield COST, float(event.cost), place

    def _of_observed(self, event: Event, country: str, mode: str) -> Iterator[Measurement]:
        """What enforcing would have refused."""
        if event.would_refuse is not None:
            yield REFUSALS, 1, (country, self._scope(event.would_refuse), mode)

    def _purpose_of(self, event: Event) -> str:
        return self._purpose(event.purpose) if event.purpose else NONE


def initial_labels(
    countries: Iterable[str], purposes: Iterable[str]
) -> Iterator[tuple[Metric, Labels]]:
    """The labels that are known before anything happens: the outcomes of operations, and those of
    the site's own countries and purposes. A series that begins with 0 shows its first event as a
    rise."""
    for operation, outcomes in OUTCOMES.items():
        for outcome in outcomes:
            yield OPERATION, (operation, outcome)
    for cap in (TOTAL, SPEND):
        for level in _LEVELS:
            yield CAPS, (cap, level)
    countries, purposes = tuple(countries), tuple(purposes)
    for country in countries:
        for metric in (VERIFICATION_LATENCY, DELIVERY_LATENCY):
            yield metric, (country,)
        for outcome in _REPORTED:
            yield REPORTS, (country, outcome)
        for purpose in purposes:
            for outcome in ("sent", *_UNDELIVERED):
                yield SENDS, (country, purpose, outcome)
            for outcome in _CHECKING:
                yield VERIFICATIONS, (country, purpose, outcome)
            for metric in (SEGMENTS, COST):
                yield metric, (country, purpose)


def observers(*each: Callable[[T], object]) -> Callable[[T], None]:
    """One observer that calls several, for `on_event` and `on_attempt`.

    Args:
        each: Functions that take an `Event`, or a `DeliveryAttempt`. They are called in this order.
            What one of them raises is logged, and the others are called all the same.

    Raises:
        ConfigurationError: One of them is not a function, or is asynchronous.
    """
    for one in each:
        call: Any = one if inspect.isroutine(one) else getattr(one, "__call__", None)  # noqa: B004 - the method itself is looked at
        if isinstance(one, type) or not callable(one) or inspect.iscoroutinefunction(call):
            raise ConfigurationError("observers() takes functions that are not asynchronous.")

    def observe(what: T) -> None:
        for one in each:
            try:
                one(what)
            except Exception:
                _log.exception("An observer failed for %s", what)

    return observe
