"""How replication from this process stands, for the metrics."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backends.clock import milliseconds
from replication.counter import Counter
from replication.figures import Figures

SECOND: Final = 1000
LABEL: Final = ("site",)


def lag_of(figures: Figures) -> float:
    """Age of the oldest change under way, in seconds."""
    return max(0, milliseconds() - figures.oldest) / SECOND if figures.oldest else 0.0


COUNTERS: Final[Mapping[str, tuple[str, Callable[[Figures], float]]]] = {
    "ccs_replication_objects": ("Changes that a site took.", lambda one: one.done),
    "ccs_replication_bytes": ("Bytes of objects that a site took.", lambda one: one.bytes),
    "ccs_replication_stale": ("Changes not sent, for a later one was.", lambda one: one.stale),
    "ccs_replication_failures": ("Changes that failed once.", lambda one: one.failures),
    "ccs_replication_dead_letters": ("Changes that were given up.", lambda one: one.parked),
}
GAUGES: Final[Mapping[str, tuple[str, Callable[[Figures], float]]]] = {
    "ccs_replication_in_flight": ("Changes under way.", lambda one: one.in_flight),
    "ccs_replication_lag_seconds": ("Age of the oldest change under way.", lag_of),
    "ccs_replication_failing": (
        "Whether the last change, or the site, failed.",
        lambda one: float(bool(one.last_error)),
    ),
}


class SiteGauges(Collector):
    """Asks the counters of each site that this process sends to."""

    def __init__(self, counters: Callable[[], Mapping[str, Counter]]) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        figures = {site: counter.figures() for site, counter in self._counters().items()}
        for name, (told, value) in COUNTERS.items():
            family = CounterMetricFamily(name, told, labels=LABEL)
            yield _filled(family, figures, value)
        for name, (told, value) in GAUGES.items():
            yield _filled(GaugeMetricFamily(name, told, labels=LABEL), figures, value)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily,
    figures: Mapping[str, Figures],
    value: Callable[[Figures], float],
) -> Metric:
    for site, one in figures.items():
        family.add_metric([site], value(one))
    return family
