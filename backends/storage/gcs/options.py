"""How Google Cloud Storage is reached."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GCSOptions:
    """Without a `service_account_file` the application default credentials are asked.

    `endpoint` is an emulator's URL, "" the service itself; `anonymous` asks without credentials.
    Long bodies are sent in chunks of `chunk_bytes`, of which one of each body is in memory.
    `location` is where new buckets are made ("" leaves it to the service). Times are seconds.
    """

    project: str = ""
    service_account_file: str = ""
    endpoint: str = ""
    anonymous: bool = False
    location: str = ""
    chunk_bytes: int = 4 * MIB
    connections: int = 256
    connect_seconds: float = 5.0
    read_seconds: float = 60.0
