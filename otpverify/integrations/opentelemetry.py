"""Metrics for OpenTelemetry (the extra `otel`, which is the API package alone).

    metrics = OpenTelemetryMetrics()
    verifier = Verifier(SmspmClient.from_env(on_attempt=metrics.on_attempt), on_event=metrics)

The site chooses the SDK and its exporters. Without an SDK, nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable

from otpverify._version import __version__
from otpverify.errors import needs_extra
from otpverify.integrations.metrics import METRICS, Labels, Metric, Metrics

with needs_extra("otel", "OpenTelemetryMetrics"):
    from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider, get_meter

_FINE = frozenset({"ok", "sent", "decoy", "test_number", "verified", "redeemed", "cancelled"})
_FINE |= {"unlocked", "queued", "delivered", "duplicate"}


class OpenTelemetryMetrics(Metrics):
    """Counts events and attempts for OpenTelemetry.

    A duration whose operation failed has the attribute `error.type`, too.

    Args:
        purposes: As for `Metrics`.
        meter_provider: The provider; the global one if left out.

    Raises:
        ConfigurationError: `purposes` is not a list of texts.
    """

    def __init__(
        self, purposes: Iterable[str] | None = None, *, meter_provider: MeterProvider | None = None
    ) -> None:
        super().__init__(purposes)
        meter = get_meter("otpverify", __version__, meter_provider)
        self._instruments = {metric: _make(metric, meter) for metric in METRICS}

    def record(self, metric: Metric, value: float, labels: Labels) -> None:
        """Record a measurement."""
        attributes = dict(zip(metric.labels, labels, strict=True))
        instrument = self._instruments[metric]
        if isinstance(instrument, Counter):
            instrument.add(value, attributes)
            return
        outcome = attributes.get("outcome")
        if outcome is not None and outcome not in _FINE:
            attributes["error.type"] = outcome
        instrument.record(value, attributes)


def _make(metric: Metric, meter: Meter) -> Counter | Histogram:
    if metric.kind == "counter":
        return meter.create_counter(metric.name, metric.unit, metric.description)
    return meter.create_histogram(
        metric.name,
        metric.unit,
        metric.description,
        explicit_bucket_boundaries_advisory=list(metric.buckets),
    )
