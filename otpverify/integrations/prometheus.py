"""Metrics for Prometheus (the extra `prometheus`).

    metrics = PrometheusMetrics()
    verifier = Verifier(SmspmClient.from_env(on_attempt=metrics.on_attempt), on_event=metrics)

Under several workers, set `PROMETHEUS_MULTIPROC_DIR` as `prometheus_client` documents it.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from otpverify._per_process import ForkLock
from otpverify.core.phone import REGIONS
from otpverify.errors import ConfigurationError, needs_extra
from otpverify.integrations.metrics import METRICS, Labels, Metric, Metrics, initial_labels

with needs_extra("prometheus", "PrometheusMetrics"):
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

_made: WeakKeyDictionary[CollectorRegistry, dict[Metric, Counter | Histogram]] = WeakKeyDictionary()
_lock = ForkLock()


class PrometheusMetrics(Metrics):
    """Counts events and attempts for Prometheus. Several on one registry count together.

    Args:
        purposes: As for `Metrics`. Together with `countries`, their series begin with 0.
        countries: The countries that most of your people are in, ISO 3166-1 alpha-2 codes. Their
            series begin with 0, so that a first event shows as a rise; all others work the same.
        registry: Where the metrics are registered.

    Raises:
        ConfigurationError: `purposes` is not a list of texts, or a country does not exist.
    """

    def __init__(
        self,
        purposes: Iterable[str] | None = None,
        *,
        countries: Iterable[str] = (),
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        super().__init__(purposes)
        countries = [countries] if isinstance(countries, str) else list(countries)
        unknown = [country for country in countries if country not in REGIONS]
        if unknown:
            raise ConfigurationError(
                f"countries takes ISO 3166-1 alpha-2 codes such as EE, not {unknown[0]!r}."
            )
        with _lock.get():
            if registry not in _made:
                _made[registry] = {metric: _make(metric, registry) for metric in METRICS}
            self._instruments = _made[registry]
        for metric, labels in initial_labels(countries, self.purposes):
            self._instruments[metric].labels(*labels)

    def record(self, metric: Metric, value: float, labels: Labels) -> None:
        """Record a measurement."""
        instrument = self._instruments[metric].labels(*labels)
        if isinstance(instrument, Histogram):
            instrument.observe(value)
        else:
            instrument.inc(value)


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Histogram:
    name, text, labels = metric.prometheus, metric.description, metric.labels
    if metric.kind == "counter":
        return Counter(name, text, labels, registry=registry)
    return Histogram(name, text, labels, registry=registry, buckets=metric.buckets)
