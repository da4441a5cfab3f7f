"""Three sites under writes, kills and broken links end alike, and nothing acknowledged is lost.

Each of them also compares itself with the others all the time, and mends what it finds.

CCS_CONVERGENCE_ROUNDS makes it longer by hand, CCS_CONVERGENCE_SEED plays a run again.
"""

import logging
import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.agreement import digests
from tests.e2e.bodies import MIB
from tests.e2e.clients import s3_client
from tests.e2e.fleet import Stubborn
from tests.e2e.history import History
from tests.e2e.sites import Group, Member, sites
from tests.e2e.waiting import until
from tests.e2e.writers import put_sources
from tests.services.faults import Act, Fault, Way

ROUNDS: Final = int(os.environ.get("CCS_CONVERGENCE_ROUNDS", "3"))
SEED: Final = int(
    os.environ.get("CCS_CONVERGENCE_SEED", str(random.SystemRandom().getrandbits(32)))
)
WRITES_A_ROUND: Final = 150
CLIENTS: Final = 2
BUCKET: Final = "converging"
NAMES: Final = ("east", "north", "west")
ALIKE_SECONDS: Final = 120
SETTINGS: Final = {
    "CCS_SITES__PART_BYTES": str(5 * MIB),
    "CCS_SITES__WHOLE_BYTES": "0",
    "CCS_SITES__TIMEOUT_SECONDS": "2",
    "CCS_RECONCILE__VERIFY_MINUTES": "0.02",
}


@pytest.mark.timeout(180 + 60 * ROUNDS)
def test_sites_end_alike_and_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    logging.warning("CCS_CONVERGENCE_SEED=%s", SEED)
    chance, history = random.Random(SEED), History(slack=0.005)
    with sites(tmp_path, NAMES, dict.fromkeys(NAMES, SETTINGS)) as group:
        with s3_client(group[0].server) as s3:
            s3.create_bucket(Bucket=BUCKET)
            put_sources(s3, BUCKET)
        group.until_alike(BUCKET)

        for number in range(ROUNDS):
            harm = chance.choice(HARMS)
            logging.warning("round %s: %s", number, harm.__name__)
            harmed(group, harm, history, chance)
            heal(group)
            group.until_alike(BUCKET, ALIKE_SECONDS)
            judge(group, history)

        assert history.acknowledged >= ROUNDS * WRITES_A_ROUND
        for member in group:
            jobs = member.call("GET", "/jobs?kind=reconcile")["jobs"]
            assert any(job["outcome"] == "alike" for job in jobs), jobs
        for member in group:
            assert all(not member.status(name)["dead_letters"] for name in others(member))


def harmed(
    group: Group,
    harm: Callable[[Member, random.Random], None],
    history: History,
    chance: random.Random,
) -> None:
    """Let clients of every site write at once, and harm one of the sites in the middle."""
    enough = history.acknowledged + WRITES_A_ROUND
    with ExitStack() as stack:
        for member in group:
            seeds = [chance.getrandbits(32) for _ in range(CLIENTS)]
            stack.enter_context(Stubborn(member.server, BUCKET, history, seeds))
        half = history.acknowledged + WRITES_A_ROUND // 2
        until(lambda: history.acknowledged >= half, "half of the writes", 60)
        harm(chance.choice(group.members), chance)
        until(lambda: history.acknowledged >= enough, "the writes", 60)


def killed(member: Member, chance: random.Random) -> None:
    """A power cut."""
    explosion = time.monotonic() + chance.random() * 0.3
    until(lambda: time.monotonic() >= explosion, "the fuse", 1)
    member.server.kill()


def unreachable(member: Member, _: random.Random) -> None:
    """The link is down."""
    member.link.refuse()


def cut(member: Member, chance: random.Random) -> None:
    """Bodies break off in the middle."""
    at = chance.randrange(2000)
    member.link.fail(Fault(Act.CUT, Way.REQUEST, at=at, method="PUT", times=40))


def repeated(member: Member, _: random.Random) -> None:
    """Answers are lost, so that what was done is sent again."""
    member.link.fail(Fault(Act.LOSE, method="PUT|DELETE|POST", times=40))


def late(member: Member, chance: random.Random) -> None:
    """Messages arrive after the sender has given them up, and behind later ones."""
    wait = 2.0 + chance.random() * 2
    member.link.fail(Fault(Act.DELAY, Way.REQUEST, amount=wait, method="PUT|DELETE", times=25))


HARMS: Final = (killed, unreachable, cut, repeated, late, killed)


def heal(group: Group) -> None:
    """All links pass everything, all sites run."""
    for member in group:
        member.link.heal()
        if member.server.process.poll() is not None:
            member.server.start()


def judge(group: Group, history: History) -> None:
    """Every site says the same of every key, and nothing that it may not say."""
    for member in group:
        with s3_client(member.server) as s3:
            found = digests(s3, BUCKET, history.keys())
        wrong = {key: held for key, held in found.items() if held not in history.possible(key)}
        assert not wrong, f"{member.name}, CCS_CONVERGENCE_SEED={SEED}"


def others(member: Member) -> list[str]:
    return [name for name in NAMES if name != member.name]
