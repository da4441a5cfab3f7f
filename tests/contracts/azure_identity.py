"""A process of its own that asks an account with the identity that its environment has.

Writes how many bytes it read. The authorities that a process trusts are read when it starts.
"""

import asyncio
import sys

from backends.model import Bucket, Facts, Version
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.source import BytesSource

MIB = 1024 * 1024
FACTS = Facts(Version(1, "here"))


async def main(url: str) -> None:
    store = AzureStore(AzureOptions(account_url=url, block_bytes=MIB))
    await store.ping()
    await store.create_bucket(Bucket("identity", "ann", 1))
    stored = await store.put("identity", "cat", BytesSource(bytes(3 * MIB), FACTS))
    copy = await store.copy("identity", "cat", stored.locator, "identity", "dog", FACTS)
    size = 0
    async for block in await store.get("identity", "dog", copy.locator):
        size += len(block)
    sys.stdout.write(f"{size}\n")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
