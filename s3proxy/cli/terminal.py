"""What commands have in common: two streams, two options, a state to work on."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from backends.state.protocol import StateStore
from s3proxy.app import grounds
from s3proxy.config import Settings

T = TypeVar("T")

out: Final = Console(highlight=False, soft_wrap=True)
errors: Final = Console(stderr=True, highlight=False, soft_wrap=True)

Config = Annotated[
    Path | None,
    typer.Option(help="A TOML file with settings; conf/ccs.toml has them all.", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option(help="The data folder; ./ccs-data if left out.", show_default=False),
]


def with_state(settings: Settings, work: Callable[[StateStore], Coroutine[Any, Any, T]]) -> T:
    """What `work` answers of the state store that the settings name."""

    async def run() -> T:
        async with grounds(settings) as (state, _):
            return await work(state)

    return asyncio.run(run())
