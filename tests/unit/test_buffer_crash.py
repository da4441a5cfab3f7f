"""A buffer whose process was killed at each step: nothing is lost, nothing is left."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backends.storage.layers.buffered import Buffered
from backends.storage.protocol import StoredPart
from tests.unit.buffer_writer import BODY, BUCKET, NEW, OLD, STEPS, buffer_over
from tests.unit.unsteady import read

ROOT = Path(__file__).parents[2]


def killed(folder: Path, step: str) -> list[str]:
    """What a writer says that dies at the step."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.buffer_writer", str(folder), step],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.splitlines()


async def stored_keys(store: Buffered) -> list[tuple[str, int]]:
    return [(one.key, one.size) async for one in store.storage.listing(BUCKET)]


@pytest.mark.parametrize("step", STEPS)
async def test_what_was_answered_is_there_after_a_kill(tmp_path: Path, step: str) -> None:
    answered = killed(tmp_path, step)
    store, storage = buffer_over(tmp_path)

    found = await store.head(BUCKET, "cat")
    assert found.facts == NEW or (not answered and found.facts == OLD)
    assert await read(store, "cat", found.locator) == (BODY if found.facts == NEW else b"old")
    storage.down = False
    await store.flush_due()

    assert store.totals().entries == 0
    assert await stored_keys(store) == [("cat", found.size)]
    assert await read(store.storage, "cat") == await read(store, "cat")
    await store.sweep()
    assert store.totals().used_bytes == 0
    assert not [path for path in (tmp_path / "buffer/bodies").rglob("*/*/*") if path.is_file()]
    assert await store.sweep() == 0
    await store.close()


async def test_a_completion_that_was_cut_off_can_be_repeated(tmp_path: Path) -> None:
    [said] = killed(tmp_path, "complete")
    token, part = said.split()
    store, storage = buffer_over(tmp_path)
    await store.sweep()

    parts = [StoredPart(1, part, len(BODY))]
    done = await store.complete_upload(BUCKET, "cat", token, parts, NEW)

    assert await read(store, "cat", done.locator) == BODY
    storage.down = False
    await store.flush_due()
    assert await stored_keys(store) == [("cat", len(BODY))]
    assert store.totals().used_bytes == 0
    await store.close()
