"""Every implementation in turn, as fixtures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.state.protocol import StateStore
from tests.contracts.state_stores import ADDRESS, SERVED, STATES, Processes, Wall, make_bucket
from tests.services.process import Service


@pytest.fixture(params=STATES)
async def processes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Processes]:
    """Processes of one site, none of them started."""
    if request.param in SERVED:
        service: Service = request.getfixturevalue(request.param)
        (tmp_path / ADDRESS).write_text(service.url)
    opened = Processes(request.param, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def state(processes: Processes) -> StateStore:
    """One store that has the bucket `photos`."""
    opened = await processes.open()
    await make_bucket(opened)
    return opened


@pytest.fixture
def wall(processes: Processes) -> Wall:
    """The wall clock of every process."""
    return processes.wall
