"""`ccs site limit`: how fast bytes go to a site and come from it, by the time of the day."""

import re
from typing import Annotated, Any, Final

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from s3proxy.cli.connected import connected
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out
from s3proxy.config import ConfigError

SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMG]?)(i?)B?(?:/s)?")
POWERS: Final = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3}


@connected
def limit_site(
    remote: Remote,
    name: Annotated[str, typer.Argument(help="The site's name.")],
    outward: Annotated[
        str, typer.Option("--out", help="Bytes a second to the site, as 50MB; 0 for no limit.")
    ] = "",
    inward: Annotated[
        str, typer.Option("--in", help="Bytes a second that are read from it for others.")
    ] = "",
    since: Annotated[
        str, typer.Option("--from", help="Hold only from then on each day, as 08:00, in UTC.")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="... and until then.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Drop all limits of the site.")] = False,
) -> None:
    """Limit the bandwidth between a site and each other; without options, show the limits.

    A limit takes the place of the one of the same direction and the same times.
    """
    given = {"out": outward, "in": inward}
    new = [_limit(direction, text, since, until) for direction, text in given.items() if text]
    if (since or until) and not new:
        raise ConfigError("--from and --to need --out or --in")
    limits = [] if clear else remote.get("sites", name)["bandwidth"]
    limits = [old for old in limits if _place(old) not in map(_place, new)] + new
    if clear or new:
        limits = remote.patch("sites", name, body={"bandwidth": limits})["bandwidth"]
    tell_limits(name, limits)


def bytes_of(text: str) -> int:
    """A number of bytes as people write it: 50MB, 1.5GiB, 65536. ConfigError."""
    found = SIZE.fullmatch(text.strip())
    if not found:
        raise ConfigError(f"{text} is no number of bytes like 50MB")
    number, power, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** POWERS[power])


def tell_limits(name: str, limits: list[dict[str, Any]]) -> None:
    """Show the limits of a site."""
    if not limits:
        out.print(f"{name} has no limits.", markup=False)
        return
    table = Table("direction", "from", "to", "at the most")
    for limit in limits:
        rate = limit["bytes_per_second"]
        row = (limit["direction"], limit["since"] or "", limit["until"] or "")
        table.add_row(*map(escape, row), f"{decimal(rate)}/s" if rate else "no limit")
    out.print(table)


def _limit(direction: str, text: str, since: str, until: str) -> dict[str, Any]:
    return {
        "direction": direction,
        "bytes_per_second": bytes_of(text),
        "since": since or None,
        "until": until or None,
    }


def _place(limit: dict[str, Any]) -> tuple[Any, ...]:
    return limit["direction"], limit["since"], limit["until"]
