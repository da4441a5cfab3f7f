"""Commands that ask a gateway: what they all take on the command line, taken once."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from s3proxy.cli.remote import LOCAL, OperatorKey, Server, remote_of
from s3proxy.cli.terminal import Config, Data

OPTIONS: Final = {
    "server": (Server, LOCAL),
    "operator_key": (OperatorKey, ""),
    "config": (Config, None),
    "data": (Data, None),
}


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options that name a gateway, in the place of its first parameter.

    That is a Remote.
    """

    def asked(
        *,
        server: str,
        operator_key: str,
        config: Path | None,
        data: Path | None,
        **given: Any,
    ) -> None:
        command(remote_of(server, operator_key, config, data), **given)

    own = list(inspect.signature(command).parameters.values())[1:]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in OPTIONS.items()
    ]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + options
    vars(asked)["__signature__"] = inspect.Signature(parameters)
    asked.__annotations__ = {one.name: one.annotation for one in parameters}
    asked.__doc__ = command.__doc__
    return asked
