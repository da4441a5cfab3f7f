"""What operators count: requests, bytes and latency, by operation and status.

The workers of a server with several write to files in one folder (PROMETHEUS_MULTIPROC_DIR), which
`prepare` names before they are started; any of them can then answer for all.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.registry import Collector

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """One a process."""

    def __init__(self) -> None:
        labels = ("operation", "status")
        self._registry = registry = CollectorRegistry()
        self._watched: list[Collector] = []
        self._seconds = Histogram(
            "ccs_s3_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("operation",),
            buckets=LATENCIES,
            registry=registry,
        )
        self._requests = Counter("ccs_s3_requests", "Requests.", labels, registry=registry)
        self._received = Counter(
            "ccs_s3_received_bytes", "Bytes of bodies in.", ("operation",), registry=registry
        )
        self._sent = Counter(
            "ccs_s3_sent_bytes", "Bytes of bodies out.", ("operation",), registry=registry
        )
        of_storage = ("storage", "verb")
        self._storage_seconds = Histogram(
            "ccs_storage_call_seconds",
            "Time of a storage's verb; of a read, until its first byte can be had.",
            of_storage,
            buckets=LATENCIES,
            registry=registry,
        )
        self._storage_errors = Counter(
            "ccs_storage_errors", "Errors.", (*of_storage, "error"), registry=registry
        )
        self._storage_received = Counter(
            "ccs_storage_written_bytes", "Bytes into a storage.", ("storage",), registry=registry
        )
        self._storage_sent = Counter(
            "ccs_storage_read_bytes", "Bytes out of a storage.", ("storage",), registry=registry
        )
        self._of_verb = lru_cache(maxsize=1024)(self._storage_seconds.labels)
        self._into = lru_cache(maxsize=64)(self._storage_received.labels)
        self._out_of = lru_cache(maxsize=64)(self._storage_sent.labels)
        self._of_status = lru_cache(maxsize=4096)(self._requests.labels)
        self._of_operation = lru_cache(maxsize=512)(self._children)

    def observe(
        self, operation: str, status: int, seconds: float, received: int, sent: int
    ) -> None:
        """Count one request."""
        latency, bytes_in, bytes_out = self._of_operation(operation)
        self._of_status(operation, str(status)).inc()
        latency.observe(seconds)
        if received:
            bytes_in.inc(received)
        if sent:
            bytes_out.inc(sent)

    def called(self, storage: str, verb: str, seconds: float, error: str) -> None:
        """Count one call of a storage."""
        self._of_verb(storage, verb).observe(seconds)
        if error:
            self._storage_errors.labels(storage, verb, error).inc()

    def moved(self, storage: str, *, inward: int = 0, outward: int = 0) -> None:
        """Count bytes of bodies into a storage, or out of it."""
        if inward:
            self._into(storage).inc(inward)
        if outward:
            self._out_of(storage).inc(outward)

    def watch(self, collector: Collector) -> None:
        """Ask the collector too; what it tells is the same in every process."""
        self._watched.append(collector)
        self._registry.register(collector)

    def render(self) -> bytes:
        """The metrics of all processes, in Prometheus' text format."""
        registry = self._registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
            for collector in self._watched:
                registry.register(collector)
        return generate_latest(registry)

    def _children(self, operation: str) -> tuple[Histogram, Counter, Counter]:
        return (
            self._seconds.labels(operation),
            self._received.labels(operation),
            self._sent.labels(operation),
        )


def prepare(folder: Path) -> None:
    """Empty the folder of a server that starts; the workers it starts inherit where it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    os.environ[FOLDER] = str(folder)
