"""The event log that the settings name, and the relay that fills it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backends.clock import milliseconds
from backends.events.embedded import EmbeddedLog
from backends.events.protocol import EventLog
from backends.events.relay import Figures, Publisher, Relay
from backends.state.protocol import StateStore
from s3proxy.config import ConfigError, Settings

EXTRA: Final = "{kind} events need an extra: pip install 'clone-cloud-store[{kind}]' ({error})"
SECOND: Final = 1000
BEHIND: Final = "Age of the oldest change that the broker does not have."
FAILING: Final = "Whether the broker, or the outbox, took nothing the last time."


class RemoteLog(EventLog, Protocol):
    """A log that can be asked whether its broker and its topic are there."""

    async def check(self) -> None:
        """Return if they are. Unavailable, AccessDenied, NotFound."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One kind of broker: how events go to it, and how they come back."""

    publisher: Callable[[Settings], Publisher]
    log: Callable[[Settings], RemoteLog]


def log_of(settings: Settings, state: StateStore) -> EventLog:
    """What groups subscribe to. ConfigError where a library is missing."""
    broker = broker_of(settings)
    if broker is None:
        return EmbeddedLog(state, poll=settings.events.poll_seconds)
    return broker.log(settings)


def relay_of(settings: Settings, state: StateStore) -> Relay | None:
    """What moves events from the state to the broker; None where the state is the log."""
    broker = broker_of(settings)
    if broker is None:
        return None
    return Relay(state, broker.publisher(settings), poll=settings.events.poll_seconds)


class Gauges(Collector):
    """How a relay stands, for the metrics."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        behind = self._figures.behind(milliseconds()) / SECOND
        failing = float(bool(self._figures.error))
        yield GaugeMetricFamily("ccs_events_behind_seconds", BEHIND, value=behind)
        yield GaugeMetricFamily("ccs_events_failing", FAILING, value=failing)


def told(relay: Relay | None) -> dict[str, Any]:
    """How the relay stands, in words for operators; nothing where there is none."""
    if relay is None:
        return {}
    behind = relay.figures.behind(milliseconds()) / SECOND
    return {"events": {"behind_seconds": behind, "error": relay.figures.error}}


async def check(settings: Settings) -> None:
    """Return if the broker that the settings name can be reached, where they name one."""
    broker = broker_of(settings)
    if broker:
        await broker.log(settings).check()


def broker_of(settings: Settings) -> Broker | None:
    """The broker that the settings name. ConfigError where its library is missing."""
    kind = settings.events.kind
    if kind not in BROKERS:
        return None
    if settings.state.kind == "none":
        raise ConfigError("events need a state: without one nothing remembers what was told")
    try:
        return BROKERS[kind]()
    except ImportError as error:
        raise ConfigError(EXTRA.format(kind=kind, error=error)) from error


def _kafka() -> Broker:
    from backends.events import kafka

    def options(settings: Settings) -> kafka.KafkaOptions:
        chosen = settings.events.kafka.model_dump()
        files = [chosen[name] for name in ("ca_file", "cert_file", "key_file")]
        return kafka.KafkaOptions(**chosen | {"tls": chosen["tls"] or any(files)})

    return Broker(
        lambda settings: kafka.KafkaPublisher(options(settings), region=settings.s3.region),
        lambda settings: kafka.KafkaLog(options(settings)),
    )


def _pulsar() -> Broker:
    from backends.events import pulsar

    def options(settings: Settings) -> pulsar.PulsarOptions:
        return pulsar.PulsarOptions(**settings.events.pulsar.model_dump())

    return Broker(
        lambda settings: pulsar.PulsarPublisher(options(settings), region=settings.s3.region),
        lambda settings: pulsar.PulsarLog(options(settings)),
    )


# The libraries of a broker are loaded only where it is used.
BROKERS: Final[Mapping[str, Callable[[], Broker]]] = {"kafka": _kafka, "pulsar": _pulsar}
