"""What the site listener stands on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from replication.documents import Documents
from s3proxy.gateway.bucket_replicas import BucketReplicas
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.replicas import Replicas


@dataclass(frozen=True, slots=True)
class SiteServices:
    """`name` and `id` are this site's; `secret` is what all sites share.

    `changed` hears that the topology is another one. `body_timeout` is how many seconds a body may
    stand still.
    """

    name: str
    id: str
    secret: str = field(repr=False)
    state: StateStore
    store: ObjectStore
    shared: Documents
    replicas: Replicas
    objects: ObjectRules
    buckets: BucketReplicas
    changed: Callable[[], Awaitable[None]]
    body_timeout: float
