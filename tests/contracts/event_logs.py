"""Event logs under test: a new one adds a line to EVENT_LOGS and runs the whole suite."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from backends.events.embedded import EmbeddedLog
from backends.events.protocol import EventLog
from backends.state.protocol import StateStore
from backends.state.sqlite import SQLiteState
from tests.contracts.state_stores import make_bucket

POLL: Final = 0.01


class Running(NamedTuple):
    """A log, and the state whose commits it carries."""

    log: EventLog
    state: StateStore


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Running]:
    state = SQLiteState.open(folder / "state.db", site="here", durable=False)
    await make_bucket(state)
    yield Running(EmbeddedLog(state, poll=POLL), state)
    await state.close()


Start = Callable[[Path], AbstractAsyncContextManager[Running]]
EVENT_LOGS: Final[Mapping[str, Start]] = {"embedded": embedded}
