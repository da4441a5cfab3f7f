"""How many objects a job has to look at, read from the index of fingerprints."""

from backends.clock import milliseconds
from backends.model import KeyRange
from backends.state.protocol import StateStore
from reconcile.comparison.holders import StateHolder
from reconcile.comparison.recursion import STRIDE


async def objects_in(state: StateStore, bucket: str, within: KeyRange) -> int:
    """The objects of a bucket's range; in strides, since no statement may take for ever."""
    ours, now, total, left = StateHolder(state), milliseconds(), 0, within
    while True:
        cuts = await ours.split(bucket, left, every=STRIDE, limit=1)
        stride = KeyRange(left.after, cuts[0]) if cuts else left
        (found,) = await ours.digests(bucket, [stride], before=now, buried_since=now)
        total += found.objects
        if stride == left:
            return total
        left = KeyRange(stride.upto, left.upto)
