"""What gateways stand on in the e2e suite: each storage, with state and without."""

import uuid
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from tests.e2e.server import FIRST, Server
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY, REGION, S3_ACCESS, S3_SECRET

Settings = Mapping[str, str]
WITHOUT_STATE: Final = {"CCS_STATE__KIND": "none"}


def on_s3(request: pytest.FixtureRequest) -> Settings:
    """An S3 server of another make."""
    service: Service = request.getfixturevalue("versitygw")
    return {
        "CCS_STORAGE__KIND": "s3",
        "CCS_STORAGE__S3__ENDPOINT": service.url,
        "CCS_STORAGE__S3__REGION": REGION,
        "CCS_STORAGE__S3__ACCESS_KEY": S3_ACCESS,
        "CCS_STORAGE__S3__SECRET_KEY": S3_SECRET,
    }


def named(settings: Settings) -> dict[str, str]:
    """The same storage as one of the name `new`."""
    return {
        name.replace("CCS_STORAGE__", "CCS_STORAGES__NEW__"): value
        for name, value in settings.items()
    }


def written_back(request: pytest.FixtureRequest) -> Settings:
    """The same, with every write in a buffer before it is stored."""
    return {**on_s3(request), "CCS_STORAGE__BUFFER__MODE": "always"}


def on_azure(request: pytest.FixtureRequest) -> Settings:
    """Azure's emulator."""
    service: Service = request.getfixturevalue("azurite")
    return {
        "CCS_STORAGE__KIND": "azure",
        "CCS_STORAGE__AZURE__ACCOUNT_URL": f"{service.url}/{AZURE_ACCOUNT}",
        "CCS_STORAGE__AZURE__ACCOUNT_KEY": AZURE_KEY,
    }


def on_gcs(request: pytest.FixtureRequest) -> Settings:
    """An emulator of Google Cloud Storage."""
    service: Service = request.getfixturevalue("fake_gcs")
    return {
        "CCS_STORAGE__KIND": "gcs",
        "CCS_STORAGE__GCS__PROJECT": "test",
        "CCS_STORAGE__GCS__ENDPOINT": service.url,
        "CCS_STORAGE__GCS__ANONYMOUS": "true",
    }


def on_ourselves(request: pytest.FixtureRequest) -> Settings:
    """A gateway of ours over local disk, which takes every key that S3 does."""
    server: Server = request.getfixturevalue("http")
    return {
        "CCS_STORAGE__KIND": "s3",
        "CCS_STORAGE__BUCKET_PREFIX": f"{uuid.uuid4().hex[:8]}-",
        "CCS_STORAGE__S3__ENDPOINT": server.url,
        "CCS_STORAGE__S3__ACCESS_KEY": FIRST.access,
        "CCS_STORAGE__S3__SECRET_KEY": FIRST.secret,
        "CCS_STORAGE__S3__BUCKET_TAGS": "false",
    }


GROUNDS: Final[Mapping[str, Callable[[pytest.FixtureRequest], Settings]]] = {
    "local simple": lambda _: WITHOUT_STATE,
    "s3": on_s3,
    "s3 simple": lambda request: {**on_s3(request), **WITHOUT_STATE},
    "s3 written back": written_back,
    "s3 written back, simple": lambda request: {**written_back(request), **WITHOUT_STATE},
    "azure": on_azure,
    "azure simple": lambda request: {**on_azure(request), **WITHOUT_STATE},
    "gcs": on_gcs,
    "gcs simple": lambda request: {**on_gcs(request), **WITHOUT_STATE},
    "s3 of ours": on_ourselves,
    "s3 of ours, simple": lambda request: {**on_ourselves(request), **WITHOUT_STATE},
}
LISTENERS: Final = ("http", "https")
USUAL: Final = (
    *LISTENERS,
    "local simple",
    "s3",
    "s3 simple",
    "azure",
    "azure simple",
    "gcs",
    "gcs simple",
)
BUFFERED: Final = (*USUAL, "s3 written back", "s3 written back, simple")
ANY_KEY: Final = (
    *LISTENERS,
    "local simple",
    "s3 of ours",
    "s3 of ours, simple",
    "azure",
    "gcs",
)
LISTED: Final = (*LISTENERS, "local simple", "s3 simple", "gcs simple")
