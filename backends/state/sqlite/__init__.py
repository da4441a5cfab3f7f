"""State in one SQLite file: the embedded default, shared by all processes of a data folder."""

from backends.state.sqlite.schema import status
from backends.state.sqlite.store import SQLiteState

__all__ = ["SQLiteState", "status"]
