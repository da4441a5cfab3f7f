"""`ccs dr`: what a disaster would cost."""

from typing import Annotated, Final

import typer

from s3proxy.cli.connected import connected
from s3proxy.cli.jobs import Detach, at_rest, require_done, started
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out

SUMMARY: Final = "SUMMARY"

commands: Final = typer.Typer(help="Be ready for the loss of a site.", no_args_is_help=True)


@commands.callback()
def group() -> None:
    """Keep `drill` a command of the group, though it is the only one."""


@commands.command("drill")
@connected
def drill(
    remote: Remote,
    without: Annotated[str, typer.Option(help="The site that is thought away.")],
    bucket: Annotated[
        list[str] | None, typer.Option(help="Names or patterns; all if left out.")
    ] = None,
    detach: Detach = False,
) -> None:
    """Tell what would be lost without a site, and how long a refill takes; touches nothing."""
    job = started(remote, "drill", {"without": without, "buckets": bucket})
    if detach:
        out.print(job["id"], markup=False)
        return
    ended = at_rest(remote, job)
    require_done(ended)
    for line in remote.lines("jobs", job["id"], "report"):
        if line["kind"] == SUMMARY:
            out.print(line["detail"], markup=False)
    out.print(f"`ccs reconcile report {job['id']}` names the objects.", markup=False)
