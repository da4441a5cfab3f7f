"""`ccs version`."""

from importlib.metadata import version

from s3proxy import DISTRIBUTION
from s3proxy.cli.terminal import out


def version_command() -> None:
    """Say which version this is."""
    out.print(f"ccs {version(DISTRIBUTION)}")
