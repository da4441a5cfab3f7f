"""`ccs site rule`: which objects go to which sites."""

from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from s3proxy.cli.connected import connected
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out

Name = Annotated[str, typer.Argument(help="The rule's name.")]

commands: Final = typer.Typer(
    help="Say what goes where; without an enabled rule all goes everywhere.", no_args_is_help=True
)


@commands.command("list")
@connected
def list_rules(
    remote: Remote,
) -> None:
    """List the rules."""
    table = Table("rule", "buckets", "prefixes", "sites", "deletes", "enabled")
    for rule in remote.get("rules")["rules"]:
        parts = (" ".join(rule[name]) for name in ("buckets", "prefixes", "sites"))
        switches = ("yes" if rule[name] else "no" for name in ("deletes", "enabled"))
        table.add_row(*map(escape, (rule["name"], *parts)), *switches)
    out.print(table)


@commands.command("put")
@connected
def put_rule(
    remote: Remote,
    name: Name,
    bucket: Annotated[
        list[str] | None, typer.Option(help="A bucket, or a pattern; any if left out.")
    ] = None,
    prefix: Annotated[
        list[str] | None, typer.Option(help="How keys begin; any if left out.")
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="A site, or a pattern; all if left out.")
    ] = None,
    deletes: Annotated[
        bool, typer.Option(help="Whether what is removed here goes there, too.")
    ] = True,
    disabled: Annotated[
        bool, typer.Option("--disabled", help="Keep it, but not in force.")
    ] = False,
) -> None:
    """Add a rule, or replace the one of that name; the options may stand several times."""
    given = {"buckets": bucket, "prefixes": prefix, "sites": site}
    body = {field: values for field, values in given.items() if values}
    remote.put("rules", name, body={**body, "deletes": deletes, "enabled": not disabled})
    out.print(f"{name} is {'not ' if disabled else ''}in force.", markup=False)


@commands.command("remove")
@connected
def remove_rule(
    remote: Remote,
    name: Name,
) -> None:
    """Remove a rule; what went by it stays where it is."""
    remote.delete("rules", name)
    out.print(f"{name} is removed.", markup=False)
