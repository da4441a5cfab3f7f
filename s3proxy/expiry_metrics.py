"""What expired and what waits for other sites, for the metrics."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backends.clock import milliseconds
from reconcile.expiry import Expiry, Figures
from s3proxy.gateway.tombstones import Tombstones

SECOND = 1000


class ExpiryGauges(Collector):
    """Asks the workers of this process; only that which has the lease has something to tell."""

    def __init__(self, tombstones: Tombstones, expiry: Expiry | None) -> None:
        self._tombstones = tombstones
        self._expiry = expiry

    def collect(self) -> Iterator[Metric]:
        figures = self._expiry.figures if self._expiry else Figures()
        counts = {
            "ccs_expired_objects": ("Objects that expired and were removed.", figures.ended),
            "ccs_archived_objects": ("Objects copied before they expired.", figures.archived),
            "ccs_expiry_failures": ("Objects that are to expire and did not.", figures.failed),
            "ccs_purged_tombstones": (
                "Tombstones that were removed, old and confirmed.",
                self._tombstones.purged,
            ),
        }
        for name, (told, value) in counts.items():
            yield CounterMetricFamily(name, told, value=value)
        yield self._held()

    def _held(self) -> Metric:
        held = GaugeMetricFamily(
            "ccs_tombstones_held_seconds",
            "Age of the last confirmation of a site that keeps tombstones back.",
            labels=["site"],
        )
        for site, upto in self._tombstones.held.items():
            held.add_metric([site], (milliseconds() - upto) / SECOND)
        return held
