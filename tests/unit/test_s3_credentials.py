"""Where the S3 driver takes its credentials from, and what it does when they run out."""

import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.errors import AccessDenied
from backends.storage.s3 import S3Store
from tests.unit.s3_endpoint import Endpoint, opened, serving

HELPER = """
import json, pathlib, sys
told = pathlib.Path(sys.argv[1])
texts = json.loads(told.read_text())
print(json.dumps(texts[0]))
told.write_text(json.dumps(texts[1:] or texts))
"""
CHAIN = {"access_key": "", "secret_key": ""}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shared files of the test's own, and an environment without credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


async def asked_as(endpoint: Endpoint, store: S3Store) -> tuple[str, str]:
    """The access key and the token that the store's next request comes with."""
    await store.head("photos", "cat")
    headers = endpoint.asked[-1].headers
    key = headers["Authorization"].partition("Credential=")[2].partition("/")[0]
    return key, headers.get("X-Amz-Security-Token", "")


async def test_keys_of_the_settings_win(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    async with opened(endpoint.url, access_key="ours", session_token="a token") as store:
        assert await asked_as(endpoint, store) == ("ours", "a token")


async def test_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "its token")

    async with opened(endpoint.url, **CHAIN) as store:
        assert await asked_as(endpoint, store) == ("of-the-environment", "its token")


@pytest.mark.parametrize(("profile", "key"), [("", "usual"), ("backup", "of-backup")])
async def test_a_profile_of_the_shared_file(
    endpoint: Endpoint, folder: Path, profile: str, key: str
) -> None:
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = usual\naws_secret_access_key = s\n"
        "[backup]\naws_access_key_id = of-backup\naws_secret_access_key = s\n"
    )

    async with opened(endpoint.url, **CHAIN, profile=profile) as store:
        assert (await asked_as(endpoint, store))[0] == key


async def test_the_endpoint_of_a_profile_is_asked_in_its_style(
    endpoint: Endpoint, folder: Path
) -> None:
    (folder / "config").write_text(f"[default]\nendpoint_url = {endpoint.url}\n")

    async with opened("") as store:
        await store.head("photos", "cat")

    assert endpoint.asked[0].target == "/photos/cat"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (CHAIN, "give access_key and secret_key, a profile"),
        ({**CHAIN, "profile": "nobody"}, "nobody"),
    ],
)
async def test_without_credentials_it_says_what_to_give(
    endpoint: Endpoint, options: dict[str, str], sentence: str
) -> None:
    async with opened(endpoint.url, **options) as store:
        for call in (store.ping(), store.head("photos", "cat"), store.find_bucket("photos")):
            with pytest.raises(AccessDenied, match=sentence):
                await call

    assert endpoint.asked == []


async def test_half_a_pair_of_keys_is_named(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "alone")

    async with opened(endpoint.url, **CHAIN) as store:
        with pytest.raises(AccessDenied, match=r"(?i)partial|AWS_SECRET_ACCESS_KEY"):
            await store.ping()


def process(folder: Path, *told: tuple[str, float]) -> None:
    """A profile whose credentials a program tells: keys, and the seconds until each runs out."""
    (folder / "helper.py").write_text(HELPER)
    now = datetime.now(UTC)
    texts = [
        {
            "Version": 1,
            "AccessKeyId": key,
            "SecretAccessKey": "secret",
            "SessionToken": f"token of {key}",
            "Expiration": (now + timedelta(seconds=seconds)).isoformat(),
        }
        for key, seconds in told
    ]
    (folder / "told").write_text(json.dumps(texts))
    command = f"{sys.executable} {folder / 'helper.py'} {folder / 'told'}"
    (folder / "config").write_text(f"[default]\ncredential_process = {command}\n")


async def test_credentials_are_fetched_anew_before_they_run_out(
    endpoint: Endpoint, folder: Path
) -> None:
    process(folder, ("first", 60), ("second", 3600), ("third", 3600))

    async with opened(endpoint.url, **CHAIN) as store:
        asked = [await asked_as(endpoint, store) for _ in range(3)]

    assert asked == [("second", "token of second")] * 3


async def test_credentials_that_stay_run_out_are_no_credentials(
    endpoint: Endpoint, folder: Path
) -> None:
    process(folder, ("old", -60))

    async with opened(endpoint.url, **CHAIN) as store:
        for call in (store.head("photos", "cat"), store.find_bucket("photos")):
            with pytest.raises(AccessDenied, match="expired"):
                await call


async def test_a_program_that_fails_is_told_of(endpoint: Endpoint, folder: Path) -> None:
    process(folder, ("first", 60))
    (folder / "told").write_text("[]")

    async with opened(endpoint.url, **CHAIN) as store:
        with pytest.raises(AccessDenied, match="credentials"):
            await store.head("photos", "cat")
