"""Settings of the state: which database, how it is reached, how long what is over is kept."""

from typing import Literal

from pydantic import Field, model_validator

from s3proxy.section import Section


class PostgresDatabase(Section):
    """PostgreSQL."""

    url: str = Field(default="", pattern=r"^(postgres(ql)?://.+)?$", repr=False)
    schema_name: str = Field(default="ccs", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    connections: int = Field(default=10, ge=2)
    connect_seconds: float = Field(default=5.0, gt=0)
    command_seconds: float = Field(default=30.0, gt=0)


class MongoDatabase(Section):
    """MongoDB, or what speaks like it."""

    url: str = Field(default="", pattern=r"^(mongodb(\+srv)?://.+)?$", repr=False)
    database: str = Field(default="ccs", pattern=r"^[A-Za-z0-9_-]{1,63}$")
    connections: int = Field(default=100, ge=1)
    connect_seconds: float = Field(default=5.0, gt=0)
    read_seconds: float = Field(default=30.0, gt=0)
    write_seconds: float = Field(default=30.0, gt=0)


class State(Section):
    """Where facts lie, and how long what is over is kept."""

    kind: Literal["sqlite", "postgres", "mongo", "none"] = "sqlite"
    migrate: bool = True
    lease_seconds: float = Field(default=300.0, gt=0)
    recovery_seconds: float = Field(default=30.0, gt=0)
    tombstone_hours: float = Field(default=24.0, ge=0)
    postgres: PostgresDatabase = PostgresDatabase()
    mongo: MongoDatabase = MongoDatabase()

    @model_validator(mode="after")
    def _a_server_has_a_url(self) -> "State":
        servers = {"postgres": self.postgres.url, "mongo": self.mongo.url}
        if servers.get(self.kind) == "":
            raise ValueError(f"kind is {self.kind}: give {self.kind}.url")
        return self
