"""The default chain of azure-identity, over TLS, against an account that takes its tokens."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from tests.services import servers
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT
from tests.stubs.running import Thread

ROOT = Path(__file__).parents[2]
AUDIENCE = "https://storage.azure.com"
ISSUER = "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"


@dataclass
class ManagedIdentity:
    """The endpoint that gives a process of Azure App Service its tokens."""

    asked: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    audience: str = AUDIENCE

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.query.get("resource", ""))
        self.headers.append(request.headers.get("X-IDENTITY-HEADER", ""))
        now = int(time.time())
        claims = {"aud": self.audience, "iss": ISSUER, "iat": now, "nbf": now, "exp": now + 3600}
        told = {"expires_on": str(now + 3600), "resource": AUDIENCE, "token_type": "Bearer"}
        return web.json_response({**told, "access_token": token_of(claims)})


def token_of(claims: dict[str, object]) -> str:
    """A token that nobody signed: the emulator looks at what it claims."""
    pieces = ({"alg": "HS256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(piece).encode()).decode() for piece in pieces]
    return ".".join([*(piece.rstrip("=") for piece in encoded), "c2ln"])


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def account(tmp_path: Path, authority: trustme.CA) -> Iterator[Service]:
    """An emulator of its own, that speaks TLS and takes tokens."""
    leaf = authority.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    plain = servers.azurite(tmp_path / "azurite")
    tls = ["--oauth", "basic", "--cert", f"{tmp_path}/cert.pem", "--key", f"{tmp_path}/key.pem"]

    def command(home: Path, port: int) -> Sequence[str | Path]:
        return [*plain.command(home, port), *tls]

    service = Service(plain.folder, command)
    service.start()
    yield service
    service.kill()


@pytest.fixture
async def identity() -> AsyncIterator[tuple[ManagedIdentity, str]]:
    stub = ManagedIdentity()
    thread = Thread(stub.answer)
    thread.start()
    yield stub, thread.url
    thread.stop()


def asked_with(
    tmp_path: Path, authority: trustme.CA, account: Service, identity: str
) -> subprocess.CompletedProcess[str]:
    """Ask the account from a process whose environment has the identity and nothing else."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    url = f"https://127.0.0.1:{account.port}/{AZURE_ACCOUNT}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    told = {
        "SSL_CERT_FILE": str(tmp_path / "authority.pem"),
        "IDENTITY_ENDPOINT": identity,
        "IDENTITY_HEADER": "secret",
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.contracts.azure_identity", url],
        cwd=ROOT,
        env=kept | told,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


async def test_a_managed_identity_opens_the_account(
    tmp_path: Path,
    authority: trustme.CA,
    account: Service,
    identity: tuple[ManagedIdentity, str],
) -> None:
    stub, url = identity

    ended = asked_with(tmp_path, authority, account, url)

    assert ended.stdout.strip() == str(3 * 1024 * 1024), ended.stderr[-2000:]
    assert stub.asked == [AUDIENCE]
    assert stub.headers == ["secret"]


async def test_an_identity_that_the_account_refuses_is_denied(
    tmp_path: Path,
    authority: trustme.CA,
    account: Service,
    identity: tuple[ManagedIdentity, str],
) -> None:
    stub, url = identity
    stub.audience = "https://elsewhere.example"

    ended = asked_with(tmp_path, authority, account, url)

    assert ended.returncode != 0
    assert "AccessDenied" in ended.stderr
