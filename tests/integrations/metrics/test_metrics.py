"""What events and attempts become, with the real SDK of OpenTelemetry and the real client of
Prometheus; both count the same."""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support import OTHER_PHONE, PHONE, QUICK, SECRET, Mode, wrong

from otpverify import (
    AllowCountries,
    ConfigurationError,
    DeliveryAttempt,
    DeliveryRejected,
    Event,
    FraudPolicy,
    Limit,
    MemoryStore,
    OtpVerifyError,
    Policy,
    StoreError,
    Verifier,
    errors,
)
from otpverify.core.phone import REGIONS
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.metrics import METRICS, OUTCOMES, Metrics, observers
from otpverify.integrations.opentelemetry import OpenTelemetryMetrics
from otpverify.integrations.prometheus import PrometheusMetrics
from otpverify.sandbox import Sandbox
from otpverify.settings_table import function_of
from otpverify.testing import OutboxSender

pytestmark = pytest.mark.sync_in_short_form

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


class Otel:
    """The real SDK, which keeps what it was given."""

    name = "otel"

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider(metric_readers=[self.reader])

    def make(self, *args: Any, **options: Any) -> Metrics:
        return OpenTelemetryMetrics(*args, meter_provider=self.provider, **options)

    def data(self) -> Iterator[Any]:
        found = self.reader.get_metrics_data()
        for resource in found.resource_metrics if found else ():
            for scope in resource.scope_metrics:
                yield from scope.metrics

    def samples(self) -> Samples:
        found = {}
        for one in self.data():
            name = next(metric.prometheus for metric in METRICS if metric.name == one.name)
            for point in one.data.data_points:
                shown = {k: v for k, v in point.attributes.items() if k != "error.type"}
                labels = tuple(sorted(shown.items()))
                if hasattr(point, "sum"):
                    found[f"{name}_sum", labels] = point.sum
                    found[f"{name}_count", labels] = point.count
                else:
                    found[name, labels] = point.value
        return found


class Prometheus:
    """A registry of its own, which is scraped."""

    name = "prometheus"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def make(self, *args: Any, **options: Any) -> Metrics:
        return PrometheusMetrics(*args, registry=self.registry, **options)

    def samples(self) -> Samples:
        text = generate_latest(self.registry).decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.name.endswith(("_bucket", "_created"))
        }


Backend = Otel | Prometheus


@pytest.fixture(params=[Otel, Prometheus], ids=lambda kind: kind.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    made: Backend = request.param()
    return made


def value(backend: Backend, name: str, **labels: str) -> float:
    return backend.samples().get((name, tuple(sorted(labels.items()))), 0.0)


def attempt(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except OtpVerifyError as error:
        return error


class Away(MemoryStore):
    away = False

    def claim(self, *args: Any) -> Any:
        if self.away:
            raise StoreError("It is away.")
        return super().claim(*args)


def test_a_day_s_events(backend: Backend, mode: Mode) -> None:
    outbox, store = OutboxSender(), Away()
    policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(4, 3600),))
    face = mode.make(
        outbox,
        store=store,
        secret=SECRET,
        hasher=QUICK,
        policy=policy,
        guards=[AllowCountries(["EE"])],
        on_event=backend.make(),
    )
    first = face.start(PHONE, purpose="login")
    attempt(face.check, PHONE, wrong(outbox.code()), challenge=first.id, purpose="login")
    face.check(PHONE, outbox.code(), challenge=first.id, purpose="login")
    attempt(face.start, "+442079460958")
    attempt(face.start, "no number")
    face.start(OTHER_PHONE, deliver=False)
    outbox.fail_with = DeliveryRejected(provider_code="no_balance")
    attempt(face.start, OTHER_PHONE)
    outbox.fail_with = None
    for _ in range(4):
        last = attempt(face.start, PHONE)
    assert last.scope == "sends_per_phone"
    store.away = True
    attempt(face.check, PHONE, "123456", challenge=first.id, purpose="login")

    sends = "otpverify_sends_total"
    assert value(backend, sends, country="EE", purpose="login", outcome="sent") == 1
    assert value(backend, sends, country="EE", purpose="verify", outcome="sent") == 3
    assert value(backend, sends, country="EE", purpose="verify", outcome="DeliveryRejected") == 1
    assert value(backend, sends, country="EE", purpose="verify", outcome="decoy") == 0
    entered = "otpverify_verifications_total"
    for outcome in ("verified", "IncorrectCode", "StoreError"):
        assert value(backend, entered, country="EE", purpose="login", outcome=outcome) == 1
    refusals = "otpverify_refusals_total"
    assert value(backend, refusals, country="GB", scope="country_not_allowed", mode="enforce") == 1
    assert value(backend, refusals, country="EE", scope="sends_per_phone", mode="enforce") == 1
    segments = "otpverify_sms_segments_total"
    assert value(backend, segments, country="EE", purpose="verify") == 3
    assert value(backend, "otpverify_verification_latency_seconds_count", country="EE") == 1
    spent = "otpverify_operation_duration_seconds"
    for operation, outcome, count in [
        ("start", "sent", 4),
        ("start", "RateLimited", 1),
        ("start", "InvalidPhoneNumber", 1),
        ("start", "decoy", 1),
        ("check", "StoreError", 1),
    ]:
        assert value(backend, f"{spent}_count", operation=operation, outcome=outcome) == count
        assert value(backend, f"{spent}_sum", operation=operation, outcome=outcome) > 0


def sent(**fields: Any) -> Event:
    usual = Event("start", "sent", "login", "+37*******45", country="EE", duration=0.1, segments=1)
    return dataclasses.replace(usual, **fields)


def test_cost_and_reports(backend: Backend) -> None:
    metrics = backend.make()
    metrics(sent(cost=Decimal("0.25"), segments=2))
    metrics(sent(cost=Decimal("0.5"), country=None))
    for outcome, latency in [("delivered", 12.0), ("sent", 3.0), ("failed", 9.0)]:
        metrics(Event("report", outcome, "login", "***", country="EE", latency=latency))
    assert value(backend, "otpverify_sms_cost_total", country="EE", purpose="login") == 0.25
    assert value(backend, "otpverify_sms_cost_total", country="none", purpose="login") == 0.5
    assert value(backend, "otpverify_sms_segments_total", country="EE", purpose="login") == 2
    assert value(backend, "otpverify_delivery_reports_total", country="EE", outcome="failed") == 1
    assert value(backend, "otpverify_delivery_latency_seconds_sum", country="EE") == 12
    assert value(backend, "otpverify_delivery_latency_seconds_count", country="EE") == 1


def test_what_a_fraud_policy_does(backend: Backend, mode: Mode) -> None:
    metrics = backend.make()
    options: dict[str, Any] = {"secret": SECRET, "hasher": QUICK, "on_event": metrics}
    numbers = [f"+37256789{n:03}" for n in range(20, 40)]
    outbox = OutboxSender()
    watched = mode.make(outbox, fraud=FraudPolicy(total=(Limit(10, 3600),)), **options)
    for phone in numbers[:9]:
        challenge = watched.start(phone)
    watched.check(numbers[8], outbox.code(), challenge=challenge.id)
    enforced = mode.make(outbox, fraud=FraudPolicy(mode="enforce"), **options)
    for phone in numbers[:9]:
        attempt(enforced.start, phone)
    checked = FraudPolicy(mode="enforce", over="human_check")
    asked = mode.make(outbox, fraud=checked, **options)
    for phone in numbers[:9]:
        attempt(asked.start, phone)
    refusals = partial(value, backend, "otpverify_refusals_total", country="EE", scope="prefix")
    assert refusals(mode="observe") == 1
    assert refusals(mode="verified") == 1
    assert refusals(mode="enforce") == 2
    levels = partial(value, backend, "otpverify_cap_levels_total", scope="total")
    assert (levels(level="50"), levels(level="80")) == (1, 1)
    assert value(backend, "otpverify_sms_cost_total", country="EE", purpose="verify") > 1


def test_attempts_of_the_real_client(backend: Backend) -> None:
    metrics = backend.make()
    with Sandbox() as sandbox, sandbox.client(on_attempt=metrics.on_attempt) as client:
        Verifier(client, hasher=QUICK).start(PHONE)
    labels = {"sender": "SmspmClient", "operation": "send", "outcome": "ok"}
    name = "otpverify_gateway_attempt_duration_seconds"
    assert value(backend, f"{name}_count", **labels) == 1
    assert 0 < value(backend, f"{name}_sum", **labels) < 30


def test_no_label_has_many_values(backend: Backend) -> None:
    """This holds for any words in an event, and for any number of events."""
    metrics = backend.make()
    for one in range(300):
        word = "".join("abcdefghij"[int(digit)] for digit in str(one))
        metrics(sent(purpose=f"order-{one}", country=f"X{one}"))
        metrics(sent(outcome=f"Error{one}"))
        metrics(Event(f"operation{one}", "sent", "", "***"))
        metrics(Event("start", "DestinationBlocked", "login", "***", country="EE", reason=word))
        metrics.on_attempt(DeliveryAttempt("send", f"Sender{one}", 1, "ok", duration=0.1))
    samples = backend.samples()
    values: dict[str, set[str]] = {}
    for _, labels in samples:
        for name, found in labels:
            values.setdefault(name, set()).add(found)
    assert len(values["purpose"]) <= 22
    assert "other" in values["purpose"]
    assert values["country"] <= {"none", *REGIONS}
    assert len(values["scope"]) <= 52
    assert len(values["sender"]) <= 51
    assert len(values["operation"]) <= 9
    assert len(values["outcome"]) <= 40
    assert set(values) <= {name for metric in METRICS for name in metric.labels}
    total = sum(count for (name, _), count in samples.items() if name == "otpverify_sends_total")
    assert total == 600, "nothing is lost beyond the bounds"


def sent_with_purpose(metrics: Metrics, *purposes: str) -> None:
    for purpose in purposes:
        metrics(dataclasses.replace(sent(), purpose=purpose))


def test_own_purposes_are_the_only_ones(backend: Backend) -> None:
    metrics = backend.make(["login"])
    sent_with_purpose(metrics, "reset", "login", "login")
    name = "otpverify_sends_total"
    assert value(backend, name, country="EE", purpose="login", outcome="sent") == 2
    assert value(backend, name, country="EE", purpose="other", outcome="sent") == 1


@pytest.mark.parametrize("purposes", ["login", [], [5]])
def test_purposes_are_a_list(backend: Backend, purposes: Any) -> None:
    with pytest.raises(ConfigurationError, match="purposes"):
        backend.make(purposes)


def test_no_label_shows_a_number_or_a_challenge(backend: Backend, mode: Mode) -> None:
    events: list[Event] = []
    outbox = OutboxSender()
    both = observers(backend.make(), events.append)
    face = mode.make(outbox, secret=SECRET, hasher=QUICK, on_event=both)
    challenge = face.start(PHONE, client_ip="192.0.2.7")
    face.check(PHONE, outbox.code(), challenge=challenge.id)
    shown = repr(backend.samples())
    for event in events:
        assert event.challenge
        assert event.challenge not in shown
        assert event.phone not in shown
    for secret in (PHONE[1:], PHONE[4:], outbox.code(), challenge.id, "192.0.2"):
        assert secret not in shown


def test_names_follow_the_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"otpverify(\.[a-z]+)+", metric.name)
        assert not metric.name.endswith(("total", "seconds"))
        assert metric.unit == "s" or re.fullmatch(r"\{[a-z]+\}", metric.unit)
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert re.fullmatch(r"otpverify_[a-z_]+(_total|_seconds)", metric.prometheus)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_every_error_of_the_package_has_a_label_of_its_own() -> None:
    known = {outcome for outcomes in OUTCOMES.values() for outcome in outcomes}
    raised = {"StoreError", "IncorrectCode", "AttemptsExhausted", "ChallengeExpired", "RateLimited"}
    raised |= {"CooldownActive", "DestinationBlocked", "DeliveryRejected", "DeliveryUnavailable"}
    raised |= {"InvalidPhoneNumber", "ConfigurationError"}
    assert raised <= known
    assert all(hasattr(errors, name) for name in raised)


def test_what_the_sdk_is_told() -> None:
    backend = Otel()
    metrics = backend.make()
    metrics(sent())
    metrics(dataclasses.replace(sent(), outcome="StoreError"))
    told = {one.name: one for one in backend.data()}
    duration = told["otpverify.operation.duration"]
    assert duration.unit == "s"
    assert duration.description
    points = {point.attributes["outcome"]: point for point in duration.data.data_points}
    assert points["StoreError"].attributes["error.type"] == "StoreError"
    assert "error.type" not in points["sent"].attributes
    assert points["sent"].explicit_bounds[0] == 0.005
    assert told["otpverify.sends"].unit == "{send}"


def test_without_an_sdk_nothing_is_recorded_and_nothing_fails() -> None:
    OpenTelemetryMetrics()(sent())


def test_series_begin_with_zero() -> None:
    backend = Prometheus()
    PrometheusMetrics(["login"], countries=["EE"], registry=backend.registry)
    samples = backend.samples()
    place = (("country", "EE"), ("outcome", "verified"), ("purpose", "login"))
    assert samples["otpverify_verifications_total", place] == 0
    store = (("operation", "check"), ("outcome", "StoreError"))
    assert samples["otpverify_operation_duration_seconds_count", store] == 0


@pytest.mark.parametrize("countries", [["Estonia"], "Estonia", ["ee"]])
def test_countries_exist(countries: Any) -> None:
    with pytest.raises(ConfigurationError, match="countries"):
        PrometheusMetrics(countries=countries, registry=CollectorRegistry())


def test_two_on_one_registry_count_together() -> None:
    backend = Prometheus()
    for metrics in (backend.make(), backend.make()):
        metrics(sent())
    name = "otpverify_sends_total"
    assert value(backend, name, country="EE", purpose="login", outcome="sent") == 2


def test_flask_and_django_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask the object; Django its dotted path, too."""
    backend, outbox = Prometheus(), OutboxSender()
    metrics = backend.make()
    app = Flask("shop")
    app.config.update(
        SECRET_KEY=SECRET,
        OTPVERIFY_SECRET=SECRET,
        OTPVERIFY_SENDER=outbox,
        OTPVERIFY_STORE=MemoryStore(),
        OTPVERIFY_HASHER=QUICK,
        OTPVERIFY_ON_EVENT=metrics,
    )
    otp = OtpVerify(app)
    with app.test_request_context():
        otp.verifier.start(PHONE, purpose="login")
    name = "otpverify_sends_total"
    assert value(backend, name, country="EE", purpose="login", outcome="sent") == 1

    shop = ModuleType("shop_monitoring")
    vars(shop)["metrics"] = metrics
    monkeypatch.setitem(sys.modules, "shop_monitoring", shop)
    assert function_of("shop_monitoring.metrics", "ON_EVENT") is metrics


def test_several_observers_and_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("the metrics are down")

    first: list[Event] = []
    last: list[Event] = []
    both = observers(first.append, fail, last.append)
    outbox = OutboxSender()
    Verifier(outbox, hasher=QUICK, on_event=both).start(PHONE)
    assert first == last
    assert len(first) == 1
    assert "the metrics are down" in caplog.text
    assert outbox.code() not in caplog.text
    assert PHONE[1:] not in caplog.text
    failed = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(failed) == 1


async def asynchronous(event: Event) -> None: ...


class Asynchronous:
    async def __call__(self, event: Event) -> None: ...


@pytest.mark.parametrize("one", [5, "metrics", PrometheusMetrics, asynchronous, Asynchronous()])
def test_observers_are_functions(one: Any) -> None:
    with pytest.raises(ConfigurationError, match="not asynchronous"):
        observers(print, one)
