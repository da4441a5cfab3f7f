"""How the GCS driver gets its tokens, and when it gets new ones."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backends.errors import AccessDenied, Unavailable
from backends.model import Bucket
from backends.storage.gcs import GCSOptions, GCSStore
from tests.gcs.objects import BUCKET, CHUNK, body_of, get, put
from tests.services.process import free_port
from tests.stubs.gcs import Stub
from tests.stubs.running import Server
from tests.stubs.tokens import TokenEndpoint

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"


@pytest.fixture
async def endpoint(stub: Stub) -> AsyncIterator[TokenEndpoint]:
    """Tokens are good for the stub as soon as they are given."""
    endpoint = TokenEndpoint()
    stub.tokens = set()

    class Good(list[str]):
        def append(self, token: str, /) -> None:
            super().append(token)
            assert stub.tokens is not None
            stub.tokens.add(token)

    endpoint.given = Good()
    async with Server(endpoint.answer) as server:
        endpoint.url = server.url
        yield endpoint


@pytest.fixture
def account(options: GCSOptions, endpoint: TokenEndpoint, tmp_path: Path) -> GCSOptions:
    file = endpoint.service_account(tmp_path)
    return replace(options, anonymous=False, project="", service_account_file=str(file))


@pytest.fixture
async def store(account: GCSOptions) -> AsyncIterator[GCSStore]:
    opened = GCSStore(account)
    yield opened
    await opened.close()


async def test_a_service_account_opens_its_project(
    stub: Stub, store: GCSStore, endpoint: TokenEndpoint
) -> None:
    await store.create_bucket(Bucket(BUCKET, "ann", 1))
    await put(store, "cat", body_of(2 * CHUNK))

    assert await get(store, "cat") == body_of(2 * CHUNK)
    assert endpoint.given == ["token-1"]
    assert endpoint.asked == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert stub.count("project=their-project") == 1


async def test_a_project_of_the_settings_comes_first(stub: Stub, account: GCSOptions) -> None:
    store = GCSStore(replace(account, project="ours"))

    await store.ping()

    assert stub.count("project=ours") == 1
    await store.close()


async def test_the_default_chain_knows_the_environment(
    stub: Stub,
    account: GCSOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, account.service_account_file)
    store = GCSStore(replace(account, service_account_file=""))

    await store.ping()

    assert stub.count("project=their-project") == 1
    await store.close()


async def test_a_token_that_runs_out_is_replaced(store: GCSStore, endpoint: TokenEndpoint) -> None:
    endpoint.seconds = 1  # Google's library takes what ends in four minutes for over
    await store.ping()
    before = len(endpoint.given)
    endpoint.seconds = 3600

    await store.ping()
    await store.ping()

    assert len(endpoint.given) == before + 1


async def test_a_token_that_is_refused_is_replaced_once(
    stub: Stub, store: GCSStore, endpoint: TokenEndpoint
) -> None:
    await store.ping()
    stub.tokens = set()

    await asyncio.gather(*(store.ping() for _ in range(8)))

    assert endpoint.given == ["token-1", "token-2"]


async def test_tokens_that_nobody_takes_are_denied(
    stub: Stub, store: GCSStore, endpoint: TokenEndpoint
) -> None:
    await store.ping()
    stub.tokens = None
    stub.others = {BUCKET}
    with pytest.raises(AccessDenied, match="forbidden"):
        await store.find_bucket(BUCKET)
    stub.tokens = {"another"}
    endpoint.given = []

    with pytest.raises(AccessDenied, match="401"):
        await store.ping()


async def test_many_requests_ask_for_one_token(store: GCSStore, endpoint: TokenEndpoint) -> None:
    await asyncio.gather(*(store.ping() for _ in range(20)))

    assert endpoint.given == ["token-1"]


async def test_an_account_that_google_refuses_is_denied(
    store: GCSStore, endpoint: TokenEndpoint
) -> None:
    endpoint.status = 400

    with pytest.raises(AccessDenied, match="invalid_grant"):
        await store.ping()


async def test_a_token_endpoint_that_is_down_is_unavailable(
    store: GCSStore, endpoint: TokenEndpoint
) -> None:
    endpoint.status = 503

    with pytest.raises(Unavailable):
        await store.ping()


async def test_a_token_endpoint_that_is_away_is_unavailable(
    account: GCSOptions, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    endpoint.url = f"http://127.0.0.1:{free_port()}"
    file = endpoint.service_account(tmp_path)
    store = GCSStore(replace(account, service_account_file=str(file)))

    with pytest.raises(Unavailable):
        await store.ping()
    await store.close()


@pytest.mark.parametrize("text", [None, "", "{}", '{"type": "service_account"}'])
@pytest.mark.parametrize("chain", [True, False], ids=["environment", "settings"])
async def test_a_file_that_is_no_account_is_denied(
    options: GCSOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    chain: bool,
) -> None:
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv(VARIABLE, str(file))
    named = "" if chain else str(file)
    store = GCSStore(replace(options, anonymous=False, service_account_file=named))

    with pytest.raises(AccessDenied, match="no credentials"):
        await store.ping()
    await store.close()


async def test_an_emulator_is_asked_without_credentials(stub: Stub, options: GCSOptions) -> None:
    store = GCSStore(options)

    await store.ping()

    assert stub.count("^GET /storage/v1/b") == 1
    await store.close()
