"""One gateway for each test that asks the operators' API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.admin.asking import Api, running


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path / "data") as found:
        yield found
