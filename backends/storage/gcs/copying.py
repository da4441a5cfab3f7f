"""Copies inside Google Cloud Storage, in as many requests as it wants."""

from backends.storage.gcs.attributes import Resource
from backends.storage.gcs.connection import Connection
from backends.storage.gcs.marked import Target


async def rewrite(
    connection: Connection, source: str, locator: str, target: Target, resource: Resource
) -> Resource:
    """Copy the bytes at the path `source` under new attributes; the copy's resource."""
    path = f"{source}/rewriteTo{target.path.removeprefix('/storage/v1')}"
    query = dict(target.condition)
    if locator:
        query["sourceGeneration"] = locator
    while True:
        answer = await connection.ask("POST", path, query=query, content=target.marked(resource))
        if answer.get("done", True):
            return dict(answer["resource"])
        query["rewriteToken"] = str(answer["rewriteToken"])
