"""Settings of the event log: which broker, how it is reached."""

from typing import Literal

from pydantic import Field, model_validator

from s3proxy.section import Section

WEEK_HOURS = 7 * 24


class KafkaBroker(Section):
    """Kafka, or what speaks like it."""

    servers: tuple[str, ...] = ()
    topic: str = Field(default="ccs-events", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    dead_letter_topic: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,249}$")
    partitions: int = Field(default=12, ge=1)
    replicas: int = Field(default=-1, ge=-1)
    retention_hours: int = Field(default=WEEK_HOURS, ge=1)
    create_topics: bool = True
    user: str = ""
    password: str = Field(default="", repr=False)
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout: float = Field(default=10.0, gt=0)
    session_seconds: float = Field(default=10.0, ge=6)


class PulsarBroker(Section):
    """Pulsar."""

    url: str = Field(default="", pattern=r"^(pulsar(\+ssl)?://.+)?$")
    topic: str = "persistent://public/default/ccs-events"
    dead_letter_topic: str = ""
    token: str = Field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout: float = Field(default=10.0, gt=0)


class Events(Section):
    """Where changes are told."""

    kind: Literal["embedded", "kafka", "pulsar"] = "embedded"
    poll_seconds: float = Field(default=0.05, gt=0)
    kafka: KafkaBroker = KafkaBroker()
    pulsar: PulsarBroker = PulsarBroker()

    @model_validator(mode="after")
    def _a_broker_has_an_address(self) -> "Events":
        if self.kind == "kafka" and not self.kafka.servers:
            raise ValueError("kind is kafka: give kafka.servers, as in ['broker:9092']")
        if self.kind == "pulsar" and not self.pulsar.url:
            raise ValueError("kind is pulsar: give pulsar.url, as in pulsar://broker:6650")
        return self
