"""How a Kafka cluster is reached and used."""

from dataclasses import dataclass, field

WEEK_HOURS = 7 * 24


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """`servers` are HOST:PORT, any of the cluster's. Times are seconds unless they say otherwise.

    With a `user` clients sign in by SASL `mechanism` (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512). `tls`
    is on where a file is named for it: `ca_file` for the servers' authority (the system's where
    there is none), `cert_file` and `key_file` for a certificate of our own.
    Topics that are missing are made with `partitions`, `replicas` (-1: the cluster's default) and
    `retention_hours`, unless `create_topics` forbids it. Events that a group gives up on, and
    messages that are no events, go to `dead_letter_topic` ("" is `topic` + `-dead-letters`).
    An event is published within `timeout` or not at all. `look_ahead` bounds how many events of
    a partition are held, `rebalance_wait` how long work in flight may hold a rebalance up.
    """

    servers: tuple[str, ...]
    topic: str = "ccs-events"
    dead_letter_topic: str = ""
    partitions: int = 12
    replicas: int = -1
    retention_hours: int = WEEK_HOURS
    create_topics: bool = True
    user: str = ""
    password: str = field(default="", repr=False)
    mechanism: str = "PLAIN"
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_id: str = "ccs"
    linger_milliseconds: int = 1
    timeout: float = 10.0
    session_seconds: float = 10.0
    rebalance_wait: float = 5.0
    look_ahead: int = 1000

    @property
    def dead_letters(self) -> str:
        return self.dead_letter_topic or f"{self.topic}-dead-letters"

    @property
    def address(self) -> str:
        """The servers, as messages name them."""
        return ",".join(self.servers)

    def group_id(self, group: str) -> str:
        """What a group is called in the cluster, which other topics share."""
        return f"{self.topic}.{group}"
