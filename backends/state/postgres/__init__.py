"""State in PostgreSQL: shared by the processes of a site on any number of machines."""

from backends.state.postgres.options import PostgresOptions
from backends.state.postgres.schema import migrate, status
from backends.state.postgres.store import PostgresState

__all__ = ["PostgresOptions", "PostgresState", "migrate", "status"]
