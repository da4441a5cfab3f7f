"""Settings: read once, typed, frozen; what they do not know, they refuse.

The order is: a TOML file, then `CCS_*` environment variables, then flags. `conf/ccs.toml` has each
setting with its default and one comment.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from s3proxy.events_config import Events
from s3proxy.reconcile_config import Reconcile
from s3proxy.section import Certified, Section
from s3proxy.sites_config import Sites
from s3proxy.state_config import State
from s3proxy.storage_config import NamedStorage, Storage

PREFIX: Final = "CCS_"
LISTS: Final = r"s3\.domains|events\.kafka\.servers|storages\.[^.]+\.buckets"
StorageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
FIRST_KEY: Final = ("CCS_ACCESS_KEY", "CCS_SECRET_KEY")
OPERATOR_KEY: Final = "CCS_OPERATOR_KEY"
SERVER: Final = "CCS_SERVER"
NO_SETTINGS: Final = (*FIRST_KEY, OPERATOR_KEY, SERVER)


class ConfigError(Exception):
    """A setting that cannot be: where it stands, what is wrong, what is allowed."""


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


class Tls(Certified):
    """The certificate of the S3 listener, and the TLS that all listeners speak."""

    minimum_version: Literal["1.2", "1.3"] = "1.2"


class Admin(Certified):
    """The listener of the operators' API."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=9002, ge=0, le=65535)


class S3(Section):
    """How the wire behaves."""

    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9-]{1,64}$")
    pin_region: bool = False
    domains: tuple[str, ...] = ()
    sigv2: bool = False
    upload_expiry_days: float = Field(default=0.0, ge=0)
    verify_reads: Literal["all", "cheap", "none"] = "cheap"


class Site(Section):
    """Which site this is."""

    name: str = Field(default="local", pattern=r"^[a-z0-9]{1,16}$")


class Log(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"
    requests: bool = False


class Expiry(Section):
    """How what expires is looked for."""

    hours: float = Field(default=1.0, gt=0)
    rows_per_second: float = Field(default=2000.0, gt=0)


class Settings(BaseSettings):
    """All settings in force."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    server: Server = Server()
    tls: Tls = Tls()
    admin: Admin = Admin()
    storage: Storage = Storage()
    storages: dict[StorageName, NamedStorage] = {}
    state: State = State()
    events: Events = Events()
    s3: S3 = S3()
    expiry: Expiry = Expiry()
    site: Site = Site()
    sites: Sites = Sites()
    reconcile: Reconcile = Reconcile()
    log: Log = Log()

    @model_validator(mode="after")
    def _sites_have_a_state(self) -> "Settings":
        if self.sites.secret and self.state.kind == "none":
            raise ValueError("sites.secret needs a state: with state.kind none nothing replicates")
        return self

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
        if not variable.startswith(PREFIX) or variable in NO_SETTINGS:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        is_list = re.fullmatch(LISTS, name)
        yield name, value.split(",") if is_list else value


def _put(settings: dict[str, Any], name: str, value: Any) -> None:
    section, dot, rest = name.partition(".")
    if not dot:
        settings[section] = value
        return
    inner = settings.setdefault(section, {})
    if isinstance(inner, dict):
        _put(inner, rest, value)


def _sentences(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            names = ", ".join(sorted(_names(fault["loc"][:-1])))
            yield f"{place}: no such setting (there are: {names})"
        else:
            shown = f", not {fault['input']!r}" if _may_show(fault["loc"], fault["input"]) else ""
            told = f"{fault['msg'].removeprefix('Value error, ')}{shown}"
            yield f"{place}: {told}" if place else told


def _may_show(place: tuple[int | str, ...], value: Any) -> bool:
    """Whether a value may be shown: neither a whole section nor a secret."""
    if isinstance(value, dict):
        return False
    section = _model(place[:-1])
    field = section.model_fields.get(str(place[-1])) if _is_section(section) else None
    return field is None or bool(field.repr)


def _names(section: tuple[int | str, ...]) -> set[str]:
    """The names a section has; those of the sections where there is none."""
    return set(_model(section).model_fields)


def _model(section: tuple[int | str, ...]) -> Any:
    """What a section is read into."""
    model: Any = Settings
    for name in section:
        model = (
            model.model_fields[str(name)].annotation if _is_section(model) else get_args(model)[-1]
        )
    return model


def _is_section(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)
