"""How a PostgreSQL server is reached."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from backends.errors import Refused

# One "@" at most and a number as port: else a piece of the password could pass for the host.
HOST: Final = r"(?:\[[0-9a-fA-F:.]+\]|[^@/?#:,\[\]]*)(?::\d+)?"
URL: Final = re.compile(
    r"postgres(?:ql)?://(?:[^@/?#]*@)?"
    rf"(?P<place>{HOST}(?:,{HOST})*(?:/[^@?#]*)?)(?:\?[^@]*)?"
)

FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """`url` is PostgreSQL's: postgresql://user:password@host:port/database?sslmode=verify-full.

    Several hosts with commas between them are tried in turn for the one that takes writes. All
    tables lie in `schema`. A process holds up to `connections`; times are seconds. Without
    `migrate` a database of an older schema is refused. Without `durable` a crash of the server
    may lose the last writes.
    """

    url: str = field(repr=False)
    schema: str = "ccs"
    connections: int = 10
    connect_seconds: float = 5.0
    command_seconds: float = 30.0
    migrate: bool = True
    durable: bool = True

    @property
    def place(self) -> str:
        """Where the database is, in words for people: host, port and name, never the password."""
        found = URL.fullmatch(self.url)
        return f"PostgreSQL at {found['place']}" if found else "PostgreSQL"

    def require_usable(self) -> None:
        """Return if the URL can be understood and its files are there; Refused says what not."""
        if not URL.fullmatch(self.url):
            raise Refused(
                "the URL of the database is not like postgresql://user:password@host:port/database"
                " (other characters of names and passwords are written %40 and the like)"
            )
        query = parse_qs(urlsplit(self.url).query)
        for file in (file for name in FILES for file in query.get(name, ())):
            if not Path(file).exists():
                raise Refused(f"{self.place}: there is no file {file}, which its URL names")
