"""How a MongoDB deployment is reached."""

from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class MongoOptions:
    """`url` is a connection string (mongodb:// or mongodb+srv://); times are seconds.

    Its words on write and read concern and on read preference do not count: a commit is answered
    when a majority has it in its journal, and is read from the primary. Its `retryWrites` does,
    for servers that have none. `select_seconds` is how long a call waits for a primary,
    `connections` how many are kept at most.
    """

    url: str = field(default="mongodb://127.0.0.1:27017", repr=False)
    database: str = "ccs"
    select_seconds: float = 5.0
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    write_seconds: float = 30.0
    connections: int = 100

    @property
    def hosts(self) -> str:
        """Where it is, without who asks and with which password."""
        return self._whole.rpartition("@")[2].partition("/")[0]

    @property
    def user(self) -> str:
        return unquote(self._whole.rpartition("@")[0].partition(":")[0])

    @property
    def _whole(self) -> str:
        return self.url.partition("://")[2]
