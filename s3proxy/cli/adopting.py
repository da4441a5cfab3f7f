"""`ccs adopt`: a bucket that a storage has already becomes ours, without copying a byte."""

from typing import Annotated

import typer

from s3proxy.cli.connected import connected
from s3proxy.cli.jobs import Detach, DryRun, Objects, followed, started
from s3proxy.cli.remote import Remote

Pairs = list[str] | None


@connected
def adopt(
    remote: Remote,
    bucket: Annotated[str, typer.Argument(help="The bucket's name in the storage.")],
    storage: Annotated[
        str, typer.Option(help="The named storage it lies in; any if left out.")
    ] = "",
    owner: Annotated[str, typer.Option(help="Whose a new bucket is; main if left out.")] = "",
    prefix: Annotated[str, typer.Option(help="Only objects whose keys begin so.")] = "",
    metadata: Annotated[
        Pairs, typer.Option(help="name=value for objects that lack it; repeatable.")
    ] = None,
    header: Annotated[
        Pairs, typer.Option(help="content-type=..., for objects that lack it; repeatable.")
    ] = None,
    expires_days: Annotated[
        float, typer.Option(min=0, help="Objects expire so many days from now; 0: never.")
    ] = 0,
    announce: Annotated[
        bool, typer.Option("--announce", help="Send each object to the other sites at once.")
    ] = False,
    dry_run: DryRun = False,
    objects_per_second: Objects = 0,
    detach: Detach = False,
) -> None:
    """Take an existing bucket in, while clients use it; exit code 4: a dry run found objects."""
    order = {
        "bucket": bucket,
        "storage": storage,
        "owner": owner,
        "prefix": prefix,
        "metadata": pairs(metadata),
        "headers": pairs(header),
        "expires_days": expires_days or None,
        "announce": announce or None,
    }
    job = started(remote, "adopt", order, dry_run=dry_run, objects_per_second=objects_per_second)
    followed(remote, job, detach=detach)


def pairs(texts: Pairs) -> dict[str, str]:
    """What name=value texts say; names in small letters."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not name=value")
        found[name.lower()] = value
    return found
