"""Leases: one document each, taken in one step."""

from backends.state.mongo.connection import Collection


async def acquire(leases: Collection, name: str, holder: str, *, now: int, lease: int) -> bool:
    """Whether the holder now has the lease: it was free, had run out, or was the holder's own."""
    free = {"_id": name, "$or": [{"holder": holder}, {"expires": {"$lte": now}}]}
    taken = {"$set": {"holder": holder, "expires": now + lease}}
    return await leases.update(free, taken, upsert=True)
