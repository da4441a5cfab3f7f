"""The servers that drivers and state stores are tried against, as services."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.services.places import do_without, place_of
from tests.services.process import Service

S3_ACCESS: Final = "storageaccess"
S3_SECRET: Final = "storagesecretkey"
REGION: Final = "us-east-1"
AZURE_ACCOUNT: Final = "devstoreaccount1"
AZURE_KEY: Final = (  # the emulator's, which the world knows
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
KEYS: Final = {
    "ROOT_ACCESS_KEY": S3_ACCESS,
    "ROOT_SECRET_KEY": S3_SECRET,
    "AWS_ACCESS_KEY_ID": S3_ACCESS,
    "AWS_SECRET_ACCESS_KEY": S3_SECRET,
}


def versitygw(folder: Path, *, domain: str = "") -> Service:
    """An S3 server over a folder; strict about signatures and digests.

    With a domain buckets stand in the host's name before it.
    """
    program = place_of("versitygw") / "bin" / "versitygw"

    def command(home: Path, port: int) -> Sequence[str | Path]:
        for name in ("iam", "sidecar", "data"):
            (home / name).mkdir(exist_ok=True)
        listen = ["--port", f"127.0.0.1:{port}", "--region", REGION, "--iam-dir", f"{home}/iam"]
        virtual = ["--virtual-domain", f"{domain}:{port}"] if domain else []
        return [program, *listen, *virtual, "posix", "--sidecar", f"{home}/sidecar", f"{home}/data"]

    return Service(folder, command, KEYS)


def moto(folder: Path) -> Service:
    """An S3 stand-in over memory that takes any key; careless about signatures and digests."""
    program = place_of("moto") / "bin" / "moto_server"
    return Service(folder, lambda _, port: [program, "-H", "127.0.0.1", "-p", str(port)], KEYS)


def azurite(folder: Path) -> Service:
    """Azure Blob Storage's emulator; its account and key are AZURE_ACCOUNT and AZURE_KEY.

    It writes what it knows every five seconds: a kill loses what is younger.
    """
    node = shutil.which("node")
    if node is None:
        do_without("azurite needs node")
    program = place_of("azurite") / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"

    def command(home: Path, port: int) -> Sequence[str | Path]:
        listen = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", f"{home}/data"]
        quiet = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        return [node, program, *listen, *quiet]

    return Service(folder, command)


def fake_gcs(folder: Path, *, durable: bool = False) -> Service:
    """Google Cloud Storage's JSON API over memory; a durable one takes no keys but files' paths."""
    place = place_of("fake-gcs-server")
    program = next(place.glob("lib/python3*/site-packages/*/vendor/fake-gcs-server/bin/*"))

    def command(home: Path, port: int) -> Sequence[str | Path]:
        host, url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        listen = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
        files = ["-backend", "filesystem", "-filesystem-root", f"{home}/data"]
        backend = files if durable else ["-backend", "memory"]
        return [program, *listen, *backend, "-public-host", host, "-external-url", url]

    return Service(folder, command)


def mongo(folder: Path, *, authenticated: bool = False) -> Service:
    """A stand-in for MongoDB over a folder: it keeps its promises, but plans no partial index."""
    program = place_of("secantusdb") / "bin" / "secantusd-py"

    def command(home: Path, port: int) -> Sequence[str | Path]:
        listen = ["--host", "127.0.0.1", "--port", str(port), "--storage-path", f"{home}/data"]
        quiet = ["--cache-size", "128M", "--log-level", "WARNING"]
        return [program, *listen, *quiet, *(["--auth"] if authenticated else [])]

    return Service(folder, command, scheme="mongodb")
