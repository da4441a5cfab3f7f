"""Clients and their keys for S3."""

from collections import Counter
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from msgspec.structs import replace
from pydantic import Field

from backends.errors import AlreadyExists
from backends.model import AccessKey
from s3proxy.admin.here import Here
from s3proxy.admin.resources.models import Asked, Told, moment
from s3proxy.first_key import new_key

router = APIRouter(tags=["clients"])


class Client(Told):
    """A client, by the name that owns buckets."""

    owner: str
    keys: int
    enabled_keys: int


class Clients(Told):
    """All clients that have a key."""

    clients: list[Client]


class Key(Told):
    """A client's key, without its secret."""

    access_key: str
    owner: str
    enabled: bool
    created: datetime


class Keys(Told):
    """Keys, by access key."""

    keys: list[Key]


class NewKey(Key):
    """A key that was just made: its secret is not shown again."""

    secret_key: str


class KeyAsked(Asked):
    """Whose key to make. Both halves are made up unless both are given."""

    owner: str = Field(min_length=1)
    access_key: str = ""
    secret_key: str = ""


class KeyChange(Asked):
    """Whether the key is accepted."""

    enabled: bool


@router.get("/clients")
async def list_clients(here: Here) -> Clients:
    """List the clients, by name."""
    keys = await here.state.keys()
    counted = Counter(key.owner for key in keys)
    enabled = Counter(key.owner for key in keys if key.enabled)
    return Clients(
        clients=[
            Client(owner=owner, keys=counted[owner], enabled_keys=enabled[owner])
            for owner in sorted(counted)
        ]
    )


@router.get("/keys")
async def list_keys(
    here: Here, owner: Annotated[str, Query(description="Only this client's.")] = ""
) -> Keys:
    """List the keys of all clients, or of one."""
    keys = await here.state.keys()
    return Keys(keys=[_told(key) for key in keys if owner in {"", key.owner}])


@router.post("/keys", status_code=HTTPStatus.CREATED)
async def create_key(asked: KeyAsked, here: Here, response: Response) -> NewKey:
    """Add a key for a client; the secret is in this answer alone."""
    key = new_key(asked.owner, asked.access_key, asked.secret_key)
    if key.access_key in {known.access_key for known in await here.state.keys()}:
        raise AlreadyExists(f"there is an access key {key.access_key} already")
    await here.state.put_key(key)
    response.headers["location"] = f"/v1/keys/{key.access_key}"
    return NewKey(**_told(key).model_dump(), secret_key=key.secret_key)


@router.get("/keys/{access_key}")
async def get_key(access_key: str, here: Here) -> Key:
    """Show one key, without its secret."""
    return _told(await here.state.key(access_key))


@router.patch("/keys/{access_key}")
async def change_key(access_key: str, change: KeyChange, here: Here) -> Key:
    """Enable or disable a key; gateways notice within a second."""
    key = replace(await here.state.key(access_key), enabled=change.enabled)
    await here.state.put_key(key)
    return _told(key)


@router.delete("/keys/{access_key}", status_code=HTTPStatus.NO_CONTENT)
async def delete_key(access_key: str, here: Here) -> None:
    """Remove a key; what belongs to its owner stays. Gateways notice within a second."""
    await here.state.drop_key(access_key)


def _told(key: AccessKey) -> Key:
    return Key(
        access_key=key.access_key,
        owner=key.owner,
        enabled=key.enabled,
        created=moment(key.created),
    )
