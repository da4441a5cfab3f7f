"""Events through Apache Pulsar."""

from backends.events.pulsar.log import PulsarLog
from backends.events.pulsar.options import PulsarOptions
from backends.events.pulsar.publisher import PulsarPublisher

__all__ = ["PulsarLog", "PulsarOptions", "PulsarPublisher"]
