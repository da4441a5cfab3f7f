"""All commands together, and how each of them ends."""

import sys
from importlib.metadata import packages_distributions
from typing import Final

import typer

from backends.errors import BackendError
from s3proxy import DISTRIBUTION
from s3proxy.cli import (
    adopting,
    buckets,
    databases,
    demo,
    disasters,
    events,
    keys,
    migrations,
    operators,
    reconcile,
    scrubbing,
    serving,
    sites,
    states,
    waiting,
)
from s3proxy.cli.terminal import errors
from s3proxy.config import ConfigError

OURS: Final = ("backends", "reconcile", "replication", "s3proxy")
USAGE: Final = 2
FAILURE: Final = 1

commands: Final = typer.Typer(
    name="ccs",
    help="An S3 endpoint in front of any storage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
commands.command("serve")(serving.serve_command)
commands.command("demo")(demo.demo)
commands.command("check")(serving.check)
commands.command("version")(serving.version_command)
commands.add_typer(keys.commands, name="key")
commands.add_typer(operators.commands, name="operator")
commands.add_typer(sites.commands, name="site")
commands.add_typer(buckets.commands, name="bucket")
commands.add_typer(reconcile.commands, name="reconcile")
commands.add_typer(migrations.commands, name="migrate")
commands.add_typer(disasters.commands, name="dr")
commands.command("adopt")(adopting.adopt)
commands.command("scrub")(scrubbing.scrub)
commands.add_typer(events.commands, name="events")
commands.add_typer(states.commands, name="state")
commands.add_typer(databases.commands, name="db")
commands.add_typer(waiting.commands, name="buffer")


def require_own_packages() -> None:
    """Return if the packages we import are this distribution's alone. ConfigError."""
    found = packages_distributions()
    for package in OURS:
        others = set(found.get(package, [])) - {DISTRIBUTION}
        if others:
            raise ConfigError(
                f"the package {package!r} also belongs to {', '.join(sorted(others))}: "
                "install ccs into an environment of its own"
            )


def main() -> None:
    """Run the command: 0 when it went well, 1 for a failure, 2 for wrong usage or settings."""
    try:
        require_own_packages()
        commands()
    except ConfigError as error:
        errors.print(f"ccs: {error}", markup=False)
        sys.exit(USAGE)
    except (BackendError, OSError) as error:
        errors.print(f"ccs: {error}", markup=False)
        sys.exit(FAILURE)
