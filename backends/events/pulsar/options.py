"""How a Pulsar cluster is reached and used."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PulsarOptions:
    """`url` is pulsar://HOST:PORT, or pulsar+ssl:// for TLS. `timeout` is in seconds.

    Clients sign in by `token`, or by the certificate of `cert_file` and `key_file`; `ca_file` is
    the servers' authority (the system's where there is none).
    Events that a group gives up on, and messages that are no events, go to `dead_letter_topic`
    ("" is `topic` + `-dead-letters`). The cluster makes topics when they are first used, if it is
    allowed to. `look_ahead` bounds how many events a consumer holds.
    """

    url: str
    topic: str = "persistent://public/default/ccs-events"
    dead_letter_topic: str = ""
    token: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout: float = 10.0
    look_ahead: int = 1000

    @property
    def dead_letters(self) -> str:
        return self.dead_letter_topic or f"{self.topic}-dead-letters"
