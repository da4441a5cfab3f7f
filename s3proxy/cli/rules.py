"""`ccs site rule`: which objects go to which sites."""

from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from s3proxy.cli.remote import LOCAL, OperatorKey, Server, remote_of
from s3proxy.cli.terminal import Config, Data, out

Name = Annotated[str, typer.Argument(help="The rule's name.")]

commands: Final = typer.Typer(
    help="Say what goes where; without an enabled rule all goes everywhere.", no_args_is_help=True
)


@commands.command("list")
def list_rules(
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """List the rules."""
    remote = remote_of(server, operator_key, config, data)
    table = Table("rule", "buckets", "prefixes", "sites", "deletes", "enabled")
    for rule in remote.get("rules")["rules"]:
        parts = (" ".join(rule[name]) for name in ("buckets", "prefixes", "sites"))
        switches = ("yes" if rule[name] else "no" for name in ("deletes", "enabled"))
        table.add_row(*map(escape, (rule["name"], *parts)), *switches)
    out.print(table)


@commands.command("put")
def put_rule(
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
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Add a rule, or replace the one of that name; the options may stand several times."""
    remote = remote_of(server, operator_key, config, data)
    given = {"buckets": bucket, "prefixes": prefix, "sites": site}
    body = {field: values for field, values in given.items() if values}
    remote.put("rules", name, body={**body, "deletes": deletes, "enabled": not disabled})
    out.print(f"{name} is {'not ' if disabled else ''}in force.", markup=False)


@commands.command("remove")
def remove_rule(
    name: Name,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Remove a rule; what went by it stays where it is."""
    remote = remote_of(server, operator_key, config, data)
    remote.delete("rules", name)
    out.print(f"{name} is removed.", markup=False)
