"""What the site listener stands on."""

from dataclasses import dataclass, field

from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from replication.documents import Documents
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.shared_documents import SharedDocuments


@dataclass(frozen=True, slots=True)
class SiteServices:
    """`name` and `id` are this site's; `secret` is what all sites share.

    `body_timeout` is how many seconds a body may stand still.
    """

    name: str
    id: str
    secret: str = field(repr=False)
    state: StateStore
    store: ObjectStore
    shared: Documents
    replicas: Replicas
    objects: ObjectRules
    documents: SharedDocuments
    body_timeout: float
