"""Events through Apache Kafka."""

from backends.events.kafka.log import KafkaLog
from backends.events.kafka.options import KafkaOptions
from backends.events.kafka.publisher import KafkaPublisher

__all__ = ["KafkaLog", "KafkaOptions", "KafkaPublisher"]
