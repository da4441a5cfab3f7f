"""The command `ccs`: one file a group of commands, put together in `main`."""

from s3proxy.cli.main import main

__all__ = ["main"]
