"""What commands have in common: two streams, two options."""

from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.console import Console

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
