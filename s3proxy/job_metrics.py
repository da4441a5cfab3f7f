"""How the jobs of this site stand, for the metrics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reconcile.jobs.ledger import Known
from reconcile.jobs.progress import Progress

LABELS: Final = ("job", "kind", "phase")

GAUGES: Final[Mapping[str, tuple[str, Callable[[Progress], float | None]]]] = {
    "ccs_job_objects_done": ("Objects done in this phase.", lambda one: one.done),
    "ccs_job_objects": ("Objects of this phase, where known.", lambda one: one.total),
    "ccs_job_bytes_moved": ("Bytes moved in this phase.", lambda one: one.moved),
    "ccs_job_objects_per_second": ("Rate in this phase.", lambda one: one.rate),
    "ccs_job_seconds_left": ("Of this phase, where known.", lambda one: one.seconds_left),
    "ccs_job_waiting": ("Whether it waits for what does not answer.", lambda one: bool(one.error)),
}


class JobGauges(Collector):
    """Asks for the jobs that are active; every process tells of all of them."""

    def __init__(self, active: Callable[[], Sequence[Known]]) -> None:
        self._active = active

    def collect(self) -> Iterator[Metric]:
        active = self._active()
        for name, (told, value) in GAUGES.items():
            family = GaugeMetricFamily(name, told, labels=LABELS)
            for job, progress in active:
                amount = value(progress)
                if amount is not None:
                    family.add_metric([job.id, job.kind, progress.phase], amount)
            yield family
        yield _findings(active)


def _findings(active: Sequence[Known]) -> Metric:
    labels = ("job", "kind", "class")
    family = GaugeMetricFamily("ccs_job_findings", "Lines of its report.", labels=labels)
    for job, progress in active:
        for name, count in progress.findings.items():
            family.add_metric([job.id, job.kind, name], count)
    return family
