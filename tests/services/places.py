"""Where the tools are that tests/clients/install fetched."""

import os
from pathlib import Path
from typing import Final, NoReturn

import pytest

CLIENTS: Final = Path(__file__).parents[1] / "clients"


def place_of(name: str) -> Path:
    """The environment of a tool; without it, skip here and fail in CI."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clone-cloud-store"
    versions = dict(line.split()[:2] for line in (CLIENTS / "versions").read_text().splitlines())
    place = home / f"{name}-{versions[name]}"
    if not (place / ".complete").exists():
        do_without(f"{place.name} is not there: run tests/clients/install")
    return place


def do_without(reason: str) -> NoReturn:
    """Skip the test on a machine that lacks something; in CI, where nothing may lack, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
