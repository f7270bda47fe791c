# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own test of compaction gets as many huge pages as the census says that there are.

``tools/testing/selftests/mm/compaction_test.c`` locks four fifths of the free memory in pieces of
100 MiB, frees every other piece, writes two fifths of what was free to ``nr_hugepages`` and prints
how many huge pages it got. It never gets more than it asks for, nor more than there are pageblocks
with nothing in the way by the map of the census. It gets the smaller of the two, to the page,

- where that many pageblocks are left even if all that it has locked lies in such ones;
- where it asks for more than there are, and the other pageblocks have room for what it has locked
  and three quarters more: compaction moves all of it there.

Between them compaction, which moves pages upwards until it meets the free pages that it fills, may
give up early, and the program asks but once. Then its own criterion is left: more than half of what
it asks for.

It runs in the guest of a lend by hugetlbfs, before the lend and after the give back. The lend asks
for more than the program, as often as this adds something, and gets all of the map's pageblocks.
Where the locked memory may have transparent huge pages the program gets less, since compaction
leaves these where they are: so it runs without them.
"""

import re
from dataclasses import dataclass

import pandas as pd
import pytest

from tests.conftest import Checkout, Run
from tests.guest.selftests import put_selftests

LOAD = "tests/guest/loads/compaction_test"
HUGE_PAGE_BYTES = 2 * 2**20
HUGE_PAGE_KIB = HUGE_PAGE_BYTES // 1024
# Pageblocks of which every page is free or can move, as the map of the census says; another test
# holds the map against /proc/kpageflags.
WITHOUT_BLOCKER = "FM"
PIECE_MIB = 100
# Where the other pageblocks had 1.6 times the room that it needs, compaction gave up early; not so
# where they had twice as much.
ROOM = 1.75
RUN_OF_PROGRAM = re.compile(
    r"^compaction_test: dose_permille=(?P<dose_permille>\d+) seed=(?P<seed>\d+)"
    r" phase=(?P<phase>\w+)\s+MemFree: +(?P<free_kib>\d+) kB$"
    r"(?P<said>.*?)^compaction_test: end$",
    re.MULTILINE | re.DOTALL,
)

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Compaction:
    """What one run of the program came to, in huge pages, by its own account and by the census.

    Attributes:
        asked: what it asks for where so much is free as was read just before it reads the same.
        locked: what it holds locked meanwhile.
        got: what it says that it got.
        passed: its verdict.
        unblocked: the pageblocks without a blocker by the census before it.
        pageblocks: those of the whole RAM.
    """

    dose: float
    seed: int
    phase: str
    asked: int
    locked: int
    got: int
    passed: bool
    unblocked: int
    pageblocks: int

    @property
    def most(self) -> int:
        """The most that it can get."""
        return min(self.asked, self.unblocked)

    @property
    def has_room(self) -> bool:
        """Whether compaction has room enough, as the head of this file says."""
        if self.unblocked - self.locked >= self.asked:
            return True
        others = self.pageblocks - self.unblocked
        return self.unblocked < self.asked and others >= self.locked * ROOM


@pytest.fixture(scope="module")
def run(checkout: Checkout) -> Run:
    """Hosts that run the kernel's test of compaction before a lend and after it."""
    put_selftests(["kselftest.h", "mm/compaction_test.c"], checkout.path / LOAD / "selftests")
    config = ("--configfile", "tests/guest/compaction.yaml", "--config", "results=compaction")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "compaction")


@pytest.fixture(scope="module")
def trials(run: Run) -> pd.DataFrame:
    return run.table("trials")


@pytest.fixture(scope="module")
def compactions(run: Run) -> list[Compaction]:
    """Every run of the program."""
    (log,) = (run.results / "logs" / "boots").glob("**/*.log")
    maps = run.table("phases").set_index(["dose_target", "seed", "phase"])["pageblocks"]
    found = []
    for match in RUN_OF_PROGRAM.finditer(log.read_text(errors="replace")):
        dose, seed, phase = int(match["dose_permille"]) / 10, int(match["seed"]), match["phase"]
        (got,) = re.findall(r"^# Number of huge pages allocated = (\d+)", match["said"], re.M)
        pageblocks = maps[dose, seed, phase]
        found.append(
            Compaction(
                *(dose, seed, phase),
                asked=asked_huge_pages(int(match["free_kib"])),
                locked=locked_huge_pages(int(match["free_kib"])),
                got=int(got),
                passed="\nok 1 check_compaction" in match["said"],
                unblocked=sum(block in WITHOUT_BLOCKER for block in pageblocks),
                pageblocks=len(pageblocks),
            )
        )
    return found


def asked_huge_pages(free_kib: int) -> int:
    """What the program asks for, in its own arithmetic."""
    return int(free_kib * 0.8) // HUGE_PAGE_KIB // 2


def locked_huge_pages(free_kib: int) -> int:
    """What the program holds locked, in its own arithmetic: every other of its pieces."""
    pieces = -(-int(free_kib * 0.8 / 1024) // PIECE_MIB)
    return pieces // 2 * PIECE_MIB * 2**20 // HUGE_PAGE_BYTES


def test_the_kernels_test_runs_before_every_lend_and_after_it(
    trials: pd.DataFrame, compactions: list[Compaction]
) -> None:
    points = {(run.dose, run.seed, run.phase) for run in compactions}
    hosts = trials[["dose_target", "seed"]].itertuples(index=False, name=None)
    assert points == {(*host, phase) for host in hosts for phase in ("before", "after")}
    assert len(compactions) == len(points) > 0


def test_it_never_gets_more_than_the_map_says(compactions: list[Compaction]) -> None:
    assert [run for run in compactions if run.got > run.most] == []


def test_it_gets_all_of_it_where_compaction_has_room(compactions: list[Compaction]) -> None:
    roomy = [run for run in compactions if run.has_room]
    assert {run.unblocked > run.asked for run in roomy} == {True, False}
    assert [run for run in roomy if run.got != run.most] == []


def test_its_verdict_is_what_the_map_foretells(compactions: list[Compaction]) -> None:
    assert {run.passed for run in compactions} == {True, False}
    assert [run for run in compactions if run.passed != (run.most > run.asked / 2)] == []


def test_a_lend_by_hugetlbfs_gets_as_many(
    trials: pd.DataFrame, compactions: list[Compaction]
) -> None:
    hosts = trials.set_index(["dose_target", "seed"])
    granted = hosts["granted_bytes"] // HUGE_PAGE_BYTES
    short = [run for run in compactions if hosts["exhausted"][run.dose, run.seed]]
    assert len(short) > 0
    assert [run for run in short if run.unblocked != granted[run.dose, run.seed]] == []
