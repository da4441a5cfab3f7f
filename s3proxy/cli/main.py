"""All commands together, and how each of them ends."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import packages_distributions
from typing import Final

import typer

from backends.errors import BackendError
from s3proxy import DISTRIBUTION
from s3proxy.cli.terminal import errors
from s3proxy.config import ConfigError

OURS: Final = ("backends", "reconcile", "replication", "s3proxy")
USAGE: Final = 2
FAILURE: Final = 1
GROUP: Final = "commands"

# The module of each command, and what it is called there. Most are light, some load a gateway.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("serving", "serve_command"),
    "demo": ("demo", "demo"),
    "check": ("serving", "check"),
    "version": ("versions", "version_command"),
    "key": ("keys", GROUP),
    "operator": ("operators", GROUP),
    "site": ("sites", GROUP),
    "bucket": ("buckets", GROUP),
    "reconcile": ("reconcile", GROUP),
    "migrate": ("migrations", GROUP),
    "dr": ("disasters", GROUP),
    "adopt": ("adopting", "adopt"),
    "scrub": ("scrubbing", "scrub"),
    "events": ("events", GROUP),
    "state": ("states", GROUP),
    "db": ("databases", GROUP),
    "buffer": ("waiting", GROUP),
}


def program(words: Sequence[str]) -> typer.Typer:
    """The command that these words begin with; all of them where there is no such one."""
    found = typer.Typer(
        name="ccs",
        help="An S3 endpoint in front of any storage.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    found.callback()(_group)
    for name in [words[0]] if words and words[0] in COMMANDS else COMMANDS:
        module, attribute = COMMANDS[name]
        command = getattr(import_module(f"s3proxy.cli.{module}"), attribute)
        if attribute == GROUP:
            found.add_typer(command, name=name)
        else:
            found.command(name)(command)
    return found


def _group() -> None:
    """Keep a command one of the program's, also where it is the only one that is loaded."""


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
        program(sys.argv[1:])()
    except ConfigError as error:
        errors.print(f"ccs: {error}", markup=False)
        sys.exit(USAGE)
    except (BackendError, OSError) as error:
        errors.print(f"ccs: {error}", markup=False)
        sys.exit(FAILURE)
