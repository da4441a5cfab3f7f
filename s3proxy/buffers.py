"""What waits in the buffers, as operators see it: documents and gauges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backends.storage.layers.buffered import Journal, Totals, Waiting, entries_in

LABELS: Final = ("storage",)
GAUGES: Final = (
    ("entries", "Writes that wait for the storage."),
    ("bytes", "Bytes of the uploads that wait for the storage."),
    ("failing", "Writes that wait and were refused or not answered before."),
    ("oldest_seconds", "Age of the write that waits longest."),
    ("used_bytes", "Bytes that count against the buffer's bound, bodies on their way in too."),
)
DEFAULT_NAME: Final = "default"


class Buffer(Protocol):
    """What waits in one buffer."""

    def pending(self, limit: int) -> list[Waiting]: ...

    def totals(self) -> Totals: ...


class Gauges(Collector):
    """Read from the buffers' folders at each scrape, so any process tells the same."""

    def __init__(self, buffers: Mapping[str, Buffer]) -> None:
        self._buffers = buffers

    def collect(self) -> Iterator[Metric]:
        totals = {name or DEFAULT_NAME: asdict(one.totals()) for name, one in self._buffers.items()}
        for gauge, what in GAUGES:
            family = GaugeMetricFamily(f"ccs_buffer_{gauge}", what, labels=LABELS)
            for name, values in totals.items():
                family.add_metric([name], values[gauge])
            yield family


def told(buffers: Mapping[str, Buffer], limit: int) -> dict[str, Any]:
    """All buffers with up to `limit` of what waits in each, the oldest first."""
    return {
        name or DEFAULT_NAME: document(buffer.totals(), buffer.pending(limit))
        for name, buffer in buffers.items()
    }


def document(totals: Totals, waiting: Sequence[Waiting]) -> dict[str, Any]:
    """One buffer."""
    return {**asdict(totals), "waiting": [asdict(one) for one in waiting]}


async def read(folders: Mapping[str, Path], limit: int) -> dict[str, Any]:
    """What waits in the buffers of these folders, with no gateway; as `told`."""
    found: dict[str, Any] = {}
    for name, folder in folders.items():
        if not entries_in(folder):
            continue
        journal = Journal(folder)
        try:
            found[name or DEFAULT_NAME] = document(journal.totals(), journal.waiting(limit))
        finally:
            await journal.close()
    return found
