"""Settings: read once, typed, frozen; what they do not know, they refuse.

The order is: a TOML file, then `CCS_*` environment variables, then flags. `conf/ccs.toml` has each
setting with its default and one comment.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX: Final = "CCS_"
FIRST_KEY: Final = ("CCS_ACCESS_KEY", "CCS_SECRET_KEY")


class ConfigError(Exception):
    """A setting that cannot be: where it stands, what is wrong, what is allowed."""


class Section(BaseModel):
    """A section of the file; frozen, and closed to names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(Section):
    """Listeners and processes."""

    host: str = "127.0.0.1"
    port: int = Field(default=9000, ge=0, le=65535)
    operations_host: str = "127.0.0.1"
    operations_port: int = Field(default=9001, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    drain_seconds: int = Field(default=30, ge=0)
    idle_seconds: int = Field(default=60, ge=1)
    header_seconds: int = Field(default=30, ge=1)
    body_seconds: int = Field(default=60, ge=1)
    max_header_bytes: int = Field(default=32768, ge=4096)


class Tls(Section):
    """The certificate of the S3 listener; both paths or none."""

    certificate: Path | None = None
    key: Path | None = None
    minimum_version: Literal["1.2", "1.3"] = "1.2"

    @model_validator(mode="after")
    def _both_or_none(self) -> "Tls":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self


class Storage(Section):
    """Where bytes lie."""

    kind: Literal["local"] = "local"
    data: Path = Path("ccs-data")
    durable: bool = True


class State(Section):
    """Where facts lie, and how long what is over is kept."""

    kind: Literal["sqlite"] = "sqlite"
    lease_seconds: float = Field(default=300.0, gt=0)
    recovery_seconds: float = Field(default=30.0, gt=0)
    tombstone_hours: float = Field(default=24.0, ge=0)


class S3(Section):
    """How the wire behaves."""

    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9-]{1,64}$")
    pin_region: bool = False
    domains: tuple[str, ...] = ()
    sigv2: bool = False
    upload_expiry_days: float = Field(default=0.0, ge=0)


class Site(Section):
    """Which site this is."""

    name: str = Field(default="local", pattern=r"^[a-z0-9]{1,16}$")


class Log(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"
    requests: bool = False


class Settings(BaseSettings):
    """All settings in force."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    server: Server = Server()
    tls: Tls = Tls()
    storage: Storage = Storage()
    state: State = State()
    s3: S3 = S3()
    site: Site = Site()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` has merged, and nothing else."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a file, the environment and flags (by dotted name). ConfigError."""
    merged = _read(file) if file else {}
    for name, value in _environment(os.environ):
        _put(merged, name, value)
    for name, value in (flags or {}).items():
        if value is not None:
            _put(merged, name, value)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise ConfigError("; ".join(_sentences(error))) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error


def _environment(variables: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Settings named by CCS_SECTION__NAME; lists are separated by commas."""
    for variable, value in sorted(variables.items()):
        if not variable.startswith(PREFIX) or variable in FIRST_KEY:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        yield name, value.split(",") if name == "s3.domains" else value


def _put(settings: dict[str, Any], name: str, value: Any) -> None:
    section, dot, rest = name.partition(".")
    if not dot:
        settings[section] = value
        return
    inner = settings.setdefault(section, {})
    if isinstance(inner, dict):
        inner[rest] = value


def _sentences(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            names = ", ".join(sorted(_names(fault["loc"][:-1])))
            yield f"{place}: no such setting (there are: {names})"
        else:
            yield f"{place}: {fault['msg'].removeprefix('Value error, ')}, not {fault['input']!r}"


def _names(section: tuple[int | str, ...]) -> set[str]:
    """The names a section has; those of the sections where there is none."""
    if not section:
        return set(Settings.model_fields)
    kind = Settings.model_fields[str(section[0])].annotation
    return set(kind.model_fields) if isinstance(kind, type) and issubclass(kind, Section) else set()
