"""The first operator's key: made at the first start, or taken from the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backends.errors import AlreadyExists
from s3proxy.admin.operators import Operators, digest_of
from s3proxy.config import OPERATOR_KEY
from s3proxy.private_file import write_private

FILE: Final = "operator.key"
DIGITS: Final = 8


async def first_operator(
    operators: Operators, folder: Path, environment: Mapping[str, str] = os.environ
) -> Path:
    """The file in the data folder that holds an operator's key, made or taken if need be.

    The key of an earlier start is not added again: it may have been removed on purpose.
    """
    file = folder / FILE
    given = environment.get(OPERATOR_KEY, "")
    if given:
        await _know(operators, given)
        write_private(file, f"{given}\n")
    elif not file.exists():
        issued = await operators.create(_name())
        write_private(file, f"{issued.key}\n")
    return file


async def _know(operators: Operators, key: str) -> None:
    try:
        await operators.create(f"first-{digest_of(key)[:DIGITS]}", key)
    except AlreadyExists:
        return


def _name() -> str:
    """Each data folder has a first operator, and several may share a state."""
    return f"first-{os.urandom(DIGITS // 2).hex()}"
