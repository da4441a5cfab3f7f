"""What sites share of a bucket, changed."""

from msgspec.structs import replace

from backends.errors import NotFound, PreconditionFailed
from backends.model import Precondition
from replication.documents import Documents
from replication.topology import BUCKETS, BucketFacts


async def change_bucket(shared: Documents, name: str, **fresh: str) -> BucketFacts:
    """Change these fields and no others, also where somebody else does so now. NotFound."""
    while True:
        try:
            document = await shared.find(BUCKETS + name)
        except NotFound as error:
            raise NotFound(f"no site has a bucket {name}") from error
        facts = replace(document.value(BucketFacts), **fresh)
        try:
            condition = Precondition(match=document.etag)
            await shared.put(BUCKETS + name, facts, condition=condition)
        except PreconditionFailed:
            continue
        return facts
