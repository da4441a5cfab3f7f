"""Settings: where they come from, and what they refuse."""

import os
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from s3proxy.config import ConfigError, Settings, load

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "conf/ccs.toml"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CCS_")]:
        monkeypatch.delenv(name)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "ccs.toml"
    file.write_text(text)
    return file


def names_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    names = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= names_of(kind, f"{prefix}{name}.")
        elif name != "storages":
            names.add(prefix + name)
    return names


def test_the_reference_file_says_the_defaults() -> None:
    assert load(REFERENCE) == Settings() == load()


def test_the_reference_file_has_each_setting_once_with_a_comment() -> None:
    section, found, comment = "", [], False
    for line in REFERENCE.read_text().splitlines():
        if header := re.fullmatch(r"\[([\w.]+)\]", line):
            section = header[1]
            comment = False
        elif setting := re.match(r"#?(\w+) = ", line):
            assert comment, f"{section}.{setting[1]} has no comment"
            found.append(f"{section}.{setting[1]}")
        comment = line.startswith("# ")

    assert sorted(found) == sorted(names_of(Settings))


@pytest.mark.parametrize("file", sorted((ROOT / "conf/examples").glob("*.toml")), ids=str)
def test_every_example_loads(file: Path) -> None:
    assert load(file) != Settings()


def test_the_environment_wins_over_the_file_and_flags_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '[server]\nport = 1\nhost = "file"\nworkers = 3\n')
    monkeypatch.setenv("CCS_SERVER__PORT", "2")
    monkeypatch.setenv("CCS_SERVER__HOST", "environment")
    monkeypatch.setenv("CCS_S3__DOMAINS", "a.example,b.example")

    settings = load(file, {"server.port": 3, "server.host": None})

    server = settings.server
    assert (server.port, server.host, server.workers) == (3, "environment", 3)
    assert settings.s3.domains == ("a.example", "b.example")


def test_what_keys_and_commands_are_given_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCS_ACCESS_KEY", "me")
    monkeypatch.setenv("CCS_SECRET_KEY", "my secret")
    monkeypatch.setenv("CCS_OPERATOR_KEY", "an operator's")
    monkeypatch.setenv("CCS_SERVER", "http://127.0.0.1:9002")

    assert load() == Settings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nprot = 1", r"server\.prot: no such setting \(there are: .*port"),
        ("[sever]\nport = 1", r"sever: no such setting \(there are: .*server"),
        ("[server]\nport = 70000", r"server\.port: .*65535.*70000"),
        ('[server]\nport = "many"', r"server\.port: .*integer.*'many'"),
        ('[tls]\ncertificate = "x"', r"tls: certificate and key go together"),
        ('[admin]\nkey = "x"', r"admin: certificate and key go together"),
        ('[sites]\ncertificate = "x"', r"sites: certificate and key go together"),
        ('[sites]\nca_file = "x"', r"sites: ca_file needs a certificate and its key"),
        ('[sites]\nsecret = "short"', r"sites\.secret: a secret has at least 32 characters$"),
        ('[sites]\nendpoint = "b.example"', r"sites\.endpoint: .*https"),
        (
            f'[state]\nkind = "none"\n[sites]\nsecret = "{"s" * 32}"',
            r"^sites\.secret needs a state",
        ),
        ('[sites]\nremote_read = "on"', r"sites\.remote_read: .*'off', 'read' or 'restore'"),
        ('[tls]\nminimum_version = "1.0"', r"tls\.minimum_version: .*'1\.2' or '1\.3'"),
        ('[storage]\nkind = "tape"', r"storage\.kind: .*'local', 's3', 'azure' or 'gcs'"),
        ('[storage]\nkind = "azure"', r"storage: azure needs a connection_string or"),
        ('[storage.buffer]\nmode = "always"', r"storage: a local storage has no buffer"),
        ('[storages.far.buffer]\nmode = "unsteady"', r"storages\.far: a local storage has no"),
        ('[storage.s3]\naccess_key = "a"', r"storage\.s3: access_key and secret_key go together"),
        ('[storages.Far]\nkind = "s3"', r"storages\.Far"),
        ("[storages.far]\nkin = 1", r"storages\.far\.kin: no such setting \(there are: .*kind"),
        ('[site]\nname = "Not so"', r"site\.name: "),
        ("server = 1", r"server: .*1"),
        ("[server", r"is not TOML"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence) as refused:
        load(written(tmp_path, text))

    assert "\n" not in str(refused.value).removeprefix(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        '[state.postgres]\nurl = "postgres//ann:secret@db"',
        '[state]\nkind = "mongo"\n[state.postgres]\nurl = "postgres://ann:secret@db"',
        "[storage.s3]\nsecret_key = 1",
        '[events]\nkind = "kafka"\n[events.kafka]\npassword = "secret"',
    ],
)
def test_no_secret_is_shown_with_what_is_wrong(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text))

    told = str(refused.value)
    assert "secret@" not in told
    assert "'secret'" not in told
    assert "not 1" not in told


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:9003"),
        ('host = "::1"', "http://[::1]:9003"),
        ('certificate = "a"\nkey = "b"\nport = 1', "https://127.0.0.1:1"),
        ('endpoint = "https://b.example"', "https://b.example"),
    ],
)
def test_other_sites_reach_this_one_at_its_listener_unless_told_otherwise(
    tmp_path: Path, text: str, url: str
) -> None:
    assert load(written(tmp_path, f"[sites]\n{text}")).sites.url == url


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCS_SERVER__PROT", "1")

    with pytest.raises(ConfigError, match=r"server\.prot: no such setting"):
        load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load(tmp_path / "none.toml")
