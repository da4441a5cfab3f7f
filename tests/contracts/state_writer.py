"""A process of its own that writes keys until it is killed, and tells each one it has committed."""

import asyncio
import itertools
import sys
from pathlib import Path

from tests.contracts.state_stores import Processes, make_bucket, put


async def write(name: str, folder: Path) -> None:
    state = await Processes(name, folder).open()
    await make_bucket(state)
    for number in itertools.count():
        written = await put(state, f"key-{number}")
        sys.stdout.write(f"{written.key}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], Path(sys.argv[2])))
