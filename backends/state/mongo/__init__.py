"""State in MongoDB: shared by any number of gateways."""

from backends.state.mongo.options import MongoOptions
from backends.state.mongo.schema import migrate, status
from backends.state.mongo.store import MongoState

__all__ = ["MongoOptions", "MongoState", "migrate", "status"]
