"""What commands have in common: two streams, two options."""

from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

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


def plain(text: str) -> str:
    """What clients have named, such that a terminal shows it and does nothing else with it."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def cell(value: object) -> str:
    """The same for a table, which would take brackets for markup."""
    return escape(plain(str(value)))
