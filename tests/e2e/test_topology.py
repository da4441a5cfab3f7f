"""Which sites there are, and who gets what: changed while they run, known everywhere soon after."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from tests.e2e.agreement import got
from tests.e2e.clients import refused, s3_client
from tests.e2e.server import COMMAND, ROOT, environment
from tests.e2e.sites import Group, Member, member, sends, sites
from tests.e2e.waiting import until

SECONDS: Final = 30
PUSHED_ALONE: Final = {"CCS_SITES__REMOTE_READ": "off"}
NAMES: Final = ("east", "north", "west")


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    folder = tmp_path_factory.mktemp("trio")
    with sites(folder, NAMES, dict.fromkeys(NAMES, PUSHED_ALONE)) as group:
        with s3_client(group[0].server) as s3:
            s3.create_bucket(Bucket="photos")
            s3.create_bucket(Bucket="papers")
        for one in group:
            until(partial(holds, one, "papers"), "the buckets", SECONDS)
        yield group


def holds(site: Member, bucket: str) -> bool:
    with s3_client(site.server) as s3:
        return bucket in {one["Name"] for one in s3.list_buckets()["Buckets"]}


def put(site: Member, bucket: str, key: str) -> None:
    with s3_client(site.server) as s3:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def has(site: Member, bucket: str, key: str) -> bool:
    with s3_client(site.server) as s3:
        return got(s3, bucket, key)[0] is not None


def arrives(site: Member, bucket: str, key: str) -> None:
    until(lambda: has(site, bucket, key), f"{key} in the {site.name}", SECONDS)


def test_a_paused_site_waits_and_goes_on_where_it_was(trio: Group) -> None:
    east, north, west = trio
    east.call("POST", "/sites/west/pause")
    until(lambda: north.states()["west"] == "paused", "north to know", SECONDS)
    until(lambda: not sends(east, "west"), "east to stop", SECONDS)
    put(east, "photos", "while-paused")
    arrives(north, "photos", "while-paused")
    assert not has(west, "photos", "while-paused")
    assert east.status("west")["backlog"] >= 1

    soon = datetime.now(UTC) + timedelta(seconds=1)
    east.call("POST", "/sites/west/resume", {"at": soon.isoformat()})

    arrives(west, "photos", "while-paused")


def test_rules_say_what_goes_where(trio: Group) -> None:
    east, north, west = trio
    rule = {"buckets": ["pap*"], "prefixes": ["public/"], "sites": ["north"]}
    east.call("PUT", "/rules/papers-to-north", rule)
    everything = {"buckets": ["photos"]}
    east.call("PUT", "/rules/photos", everything)
    until(lambda: len(west.call("GET", "/rules")["rules"]) == 2, "the rules", SECONDS)

    for key in ("public/a", "private/b"):
        put(east, "papers", key)
    put(east, "photos", "behind")
    arrives(north, "papers", "public/a")
    for other in (north, west):
        arrives(other, "photos", "behind")

    assert not has(north, "papers", "private/b")
    assert not has(west, "papers", "public/a")
    for name in ("papers-to-north", "photos"):
        east.call("DELETE", f"/rules/{name}")


def test_a_bucket_has_rules_of_its_own_by_s3(trio: Group) -> None:
    east, north, west = trio
    with s3_client(east.server) as s3:
        s3.create_bucket(Bucket="ruled")
        until(lambda: holds(west, "ruled"), "the bucket", SECONDS)
        configuration: Any = {
            "Role": "",
            "Rules": [
                {
                    "ID": "to-north",
                    "Status": "Enabled",
                    "Priority": 1,
                    "Filter": {"Prefix": "n/"},
                    "DeleteMarkerReplication": {"Status": "Enabled"},
                    "Destination": {"Bucket": "arn:aws:s3:north::ruled"},
                }
            ],
        }
        s3.put_bucket_replication(Bucket="ruled", ReplicationConfiguration=configuration)
        told = s3.get_bucket_replication(Bucket="ruled")["ReplicationConfiguration"]
        assert [rule["Destination"]["Bucket"] for rule in told["Rules"]] == [
            "arn:aws:s3:north::ruled"
        ]
    put(east, "ruled", "n/a")
    put(east, "photos", "marker")
    arrives(north, "ruled", "n/a")
    arrives(west, "photos", "marker")
    assert not has(west, "ruled", "n/a")

    with s3_client(east.server) as s3:
        unknown: Any = {**configuration}
        unknown["Rules"] = [
            {**configuration["Rules"][0], "Destination": {"Bucket": "arn:aws:s3:south::ruled"}}
        ]
        with refused("InvalidRequest", 400):
            s3.put_bucket_replication(Bucket="ruled", ReplicationConfiguration=unknown)
        s3.delete_bucket_replication(Bucket="ruled")
        with refused("ReplicationConfigurationNotFoundError", 404):
            s3.get_bucket_replication(Bucket="ruled")


def test_a_site_that_was_added_gets_what_was_there_before(trio: Group, tmp_path: Path) -> None:
    east = trio[0]
    put(east, "photos", "long-before")
    new = member(tmp_path, "south", PUSHED_ALONE)
    try:
        new.link.start()
        new.server.start()
        run = [*COMMAND, "site", "add", new.link.url, "--server", east.server.admin]
        done = subprocess.run(
            [*run, "--data", str(east.server.data)],
            cwd=ROOT,
            env=environment({}),
            check=True,
            capture_output=True,
            text=True,
        )
        assert "south" in done.stdout
        arrives(new, "photos", "long-before")
        put(new, "photos", "from-the-south")
        for one in trio:
            arrives(one, "photos", "from-the-south")
    finally:
        new.server.kill()
        new.link.close()
        east.call("DELETE", "/sites/south")


def test_a_site_that_was_removed_is_shut_out_and_loses_nothing(trio: Group, tmp_path: Path) -> None:
    east, north, _ = trio
    gone = member(tmp_path, "gone", PUSHED_ALONE)
    try:
        gone.link.start()
        gone.server.start()
        east.call("POST", "/sites", {"endpoint": gone.link.url})
        put(east, "photos", "shared")
        arrives(gone, "photos", "shared")

        east.call("DELETE", "/sites/gone")
        until(lambda: north.states()["gone"] == "removed", "north to know", SECONDS)
        put(gone, "photos", "too-late")
        put(east, "photos", "after-it")
        arrives(north, "photos", "after-it")

        until(lambda: gone.status("east")["last_error"], "the refusal", SECONDS)
        assert "removed" in gone.status("east")["last_error"]
        assert not has(east, "photos", "too-late")
        assert not has(north, "photos", "too-late")
        assert not has(gone, "photos", "after-it")
        assert has(gone, "photos", "shared")
    finally:
        gone.server.kill()
        gone.link.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"CCS_SITE__NAME": "east"}, "is called east"),
        (
            {"CCS_SITES__SECRET": "another-secret-of-at-least-32-characters"},
            "SignatureDoesNotMatch",
        ),
    ],
)
def test_a_site_that_does_not_suit_is_refused_with_a_clear_word(
    trio: Group, tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    other = member(tmp_path, "other", PUSHED_ALONE | settings)
    try:
        other.link.start()
        other.server.start()
        with pytest.raises(AssertionError, match=told):
            trio[0].call("POST", "/sites", {"endpoint": other.link.url})
    finally:
        other.server.kill()
        other.link.close()


def test_a_site_that_is_not_there_is_named(trio: Group) -> None:
    with pytest.raises(AssertionError, match=r"127\.0\.0\.1:9"):
        trio[0].call("POST", "/sites", {"endpoint": "http://127.0.0.1:9"})
    with pytest.raises(AssertionError, match="called east"):
        trio[0].call("POST", "/sites", {"endpoint": trio[0].link.url})


def test_a_copy_of_a_sites_state_is_not_another_site(trio: Group, tmp_path: Path) -> None:
    one = member(tmp_path, "one", PUSHED_ALONE)
    twin = member(tmp_path, "twin", PUSHED_ALONE)
    try:
        one.link.start()
        twin.link.start()
        one.server.start()
        one.server.stop()
        shutil.copytree(one.server.data, twin.server.data)
        one.server.start()
        twin.server.start()
        trio[0].call("POST", "/sites", {"endpoint": one.link.url})
        with pytest.raises(AssertionError, match="has that name or that id already"):
            trio[0].call("POST", "/sites", {"endpoint": twin.link.url})
        trio[0].call("DELETE", "/sites/one")
    finally:
        for site in (one, twin):
            site.server.kill()
            site.link.close()


def test_sites_that_ask_each_other_for_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(str(tmp_path / "chain.pem"), append=number > 0)
    tls = {
        "CCS_SITES__CERTIFICATE": str(tmp_path / "chain.pem"),
        "CCS_SITES__KEY": str(tmp_path / "key.pem"),
        "CCS_SITES__CA_FILE": str(tmp_path / "ca.pem"),
    }
    pair = [member(tmp_path, name, PUSHED_ALONE | tls) for name in ("one", "other")]
    try:
        for one in pair:
            one.server.settings = {
                **one.server.settings,
                "CCS_SITES__ENDPOINT": f"https://127.0.0.1:{one.link.target}",
            }
            one.server.start()
        endpoint = f"https://127.0.0.1:{pair[1].link.target}"
        pair[0].call("POST", "/sites", {"endpoint": endpoint})
        with s3_client(pair[0].server) as s3:
            s3.create_bucket(Bucket="secured")
        put(pair[0], "secured", "there")
        until(lambda: holds(pair[1], "secured"), "the bucket", SECONDS)
        arrives(pair[1], "secured", "there")
        put(pair[1], "secured", "back")
        arrives(pair[0], "secured", "back")
    finally:
        for one in pair:
            one.server.kill()
