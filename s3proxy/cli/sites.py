"""`ccs site`: the sites that are kept alike, over the operators' API of any of them."""

from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from s3proxy.cli import dead_letters, rules, site_verification
from s3proxy.cli.connected import connected
from s3proxy.cli.remote import Remote
from s3proxy.cli.site_limits import limit_site, tell_limits
from s3proxy.cli.site_status import EVERY, Every, shown, watched
from s3proxy.cli.terminal import cell, out
from s3proxy.config import ConfigError

Name = Annotated[str, typer.Argument(help="The site's name.")]

commands: Final = typer.Typer(help="Manage the sites that are kept alike.", no_args_is_help=True)
commands.add_typer(dead_letters.commands, name="dead-letters")
commands.add_typer(rules.commands, name="rule")
commands.command("verify")(site_verification.verify_site)
commands.command("limit")(limit_site)


@commands.command("add")
@connected
def add_site(
    remote: Remote,
    endpoint: Annotated[str, typer.Argument(help="The URL of the other site's listener.")],
    read_priority: Annotated[
        int, typer.Option(help="Lower ones are asked first for what is missing here.")
    ] = 0,
) -> None:
    """Get to know another site: from then on both are kept alike."""
    body = {"endpoint": endpoint, "read_priority": read_priority}
    site = remote.post("sites", body=body)
    out.print(f"{site['name']} at {site['endpoint']} is {site['state']}.", markup=False)


@commands.command("list")
@connected
def list_sites(
    remote: Remote,
) -> None:
    """List all sites, this one and those that were removed, too."""
    table = Table("site", "state", "endpoint", "read priority", "resumes at")
    for site in remote.get("sites")["sites"]:
        row = (site["name"], site["state"], site["endpoint"], str(site["read_priority"]))
        table.add_row(*map(cell, row), site["resume_at"] or "")
    out.print(table)


@commands.command("show")
@connected
def show_site(
    remote: Remote,
    name: Name,
) -> None:
    """Show one site."""
    site = remote.get("sites", name)
    limits = site.pop("bandwidth")
    for field, value in site.items():
        out.print(f"{field} = {'' if value is None else value}", markup=False)
    tell_limits(name, limits)


@commands.command("pause")
@connected
def pause_site(
    remote: Remote,
    name: Name,
) -> None:
    """Send a site nothing for now; changes wait for it."""
    tell(remote.post("sites", name, "pause"))


@commands.command("resume")
@connected
def resume_site(
    remote: Remote,
    name: Name,
    at: Annotated[
        str, typer.Option(help="When, as in 2030-01-31T22:00; of this machine's time zone.")
    ] = "",
) -> None:
    """Let a paused or drained site go on, at once or at a time."""
    tell(remote.post("sites", name, "resume", body={"at": moment(at) if at else None}))


@commands.command("drain")
@connected
def drain_site(
    remote: Remote,
    name: Name,
) -> None:
    """Read nothing from a site any more; it still gets all changes."""
    tell(remote.patch("sites", name, body={"state": "drained"}))


@commands.command("remove")
@connected
def remove_site(
    remote: Remote,
    name: Name,
) -> None:
    """Shut a site out: nothing goes there, nothing from there is applied. No object is deleted."""
    remote.delete("sites", name)
    out.print(f"{name} is removed.", markup=False)


@commands.command("sync")
@connected
def sync_site(
    remote: Remote,
    name: Name,
) -> None:
    """Send a site all that is here once more; what it has already is not sent again."""
    sent = remote.post("sites", name, "sync")["objects"]
    out.print(f"All is sent to {name} once more: {sent} objects so far.", markup=False)


@commands.command("status")
@connected
def show_status(
    remote: Remote,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew until Ctrl-C.")] = False,
    every: Every = EVERY,
) -> None:
    """Show how replication to each other site stands."""
    if watch:
        watched(remote, every)
    else:
        out.print(shown(remote.get("status")["targets"]))


@commands.command("pending")
@connected
def list_pending(
    remote: Remote,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at the most.")] = 100,
) -> None:
    """List the oldest changes that wait for a site."""
    columns = ("bucket", "key", "event", "version", "size", "made")
    table = Table(*columns)
    for change in remote.get("sites", name, "pending", limit=f"{limit}")["changes"]:
        table.add_row(*(cell(change[column]) for column in columns))
    out.print(table)


def moment(text: str) -> str:
    """A time as the API takes it, with its zone. ConfigError."""
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError as error:
        raise ConfigError(f"--at: {text} is no time like 2030-01-31T22:00") from error


def tell(site: Any) -> None:
    """What has become of the site."""
    until = f" until {site['resume_at']}" if site["resume_at"] else ""
    out.print(f"{site['name']} is {site['state']}{until}.", markup=False)
