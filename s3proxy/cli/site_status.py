"""How replication stands, as a table that may be live."""

import contextlib
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from backends.errors import BackendError
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out

Every = Annotated[float, typer.Option(min=0.1, help="Seconds between two looks, with --watch.")]
EVERY: Final = 1.0
FIGURES: Final = ("lag", "backlog", "rate", "failures", "dead letters")
NAMES: Final = ("site", "state", *FIGURES, "last success")


def shown(targets: Sequence[Any]) -> RenderableType:
    """One line for each site that changes are sent to; below, what went wrong last."""
    table = Table()
    for name in NAMES:
        table.add_column(name, justify="right" if name in FIGURES else "left")
    for target in targets:
        table.add_row(*_row(target))
    errors = [f"{one['site']}: {one['last_error']}" for one in targets if one["last_error"]]
    return Group(table, *map(Text, errors))


def watched(remote: Remote, every: float) -> None:
    """Show it anew every so many seconds, until Ctrl-C; a gateway that is away is waited for."""
    with contextlib.suppress(KeyboardInterrupt), Live(console=out, auto_refresh=False) as live:
        while True:
            live.update(_now(remote), refresh=True)
            time.sleep(every)


def _now(remote: Remote) -> RenderableType:
    try:
        return shown(remote.get("status")["targets"])
    except BackendError as error:
        return Text(str(error), style="red")


def _row(target: Any) -> tuple[str, ...]:
    success = target["last_success"]
    rate = decimal(int(target["bytes_per_second"]))
    return (
        escape(target["site"]),
        target["state"],
        f"{target['lag_seconds']:.1f} s",
        f"{target['backlog']} ({decimal(target['backlog_bytes'])})",
        f"{target['objects_per_second']:.1f}/s, {rate}/s",
        f"{target['failures']}",
        f"{target['dead_letters']}",
        f"{datetime.fromisoformat(success).astimezone():%Y-%m-%d %H:%M:%S}" if success else "never",
    )
