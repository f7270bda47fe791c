# SPDX-License-Identifier: GPL-2.0-only
"""A kernel without arm64's guard: boot memory goes, and what breaks then.

The kernel still lists the memory, it cannot come back, and the next boot takes it.
"""

import re
from pathlib import Path

import pytest

from tests.conftest import Checkout, Run
from tests.guest.second_boot import SecondBoot, boot_twice

pytestmark = pytest.mark.long

CONFIG = "tests/guest/second_boot.yaml"
KERNEL = "lab-nonotifier"
PAGE_BYTES = 4096
BLOCK_BYTES = 128 * 2**20
RAM_START = 2**30
RAM_BYTES = 2**30
LENDABLE_BYTES = 2**29
MEMMAP_OF_A_BLOCK_BYTES = 512 * PAGE_BYTES
CELL = "anonymous_memory.once.page"


@pytest.fixture(scope="module")
def run(checkout: Checkout) -> Run:
    """The run of the config."""
    checkout.snakemake("collect_trials", "--configfile", CONFIG, "--config", "results=second_boot")
    return Run(checkout, checkout.path / "second_boot")


def test_boot_memory_is_lent_and_its_memmap_freed(run: Run) -> None:
    trials = run.table("trials")
    lent = trials[trials["variant"] == "bootmem"]
    assert set(trials["outcome"]) == {"granted"}
    assert set(trials["verify"]) == {"ok"}
    assert set(lent["lent_bytes"]) == {LENDABLE_BYTES}
    saved = lent["memmap_idle_bytes"] - lent["memmap_bytes"]
    assert set(saved) == {LENDABLE_BYTES // BLOCK_BYTES * MEMMAP_OF_A_BLOCK_BYTES}
    phases = run.table("phases")
    assert (phases["memmap_bytes"] == phases["memmap_counter_bytes"]).all()


def test_it_cannot_come_back(run: Run) -> None:
    lent = run.table("trials").query("variant == 'bootmem'")
    assert set(lent["give_back_refused_by"]) == {"kernel"}
    assert set(lent["give_back_errno"]) == {"EEXIST"}
    assert set(lent["returned_bytes"]) == {0}
    assert set(lent["reuse_movable_bytes"]) == {0}
    phases = run.table("phases").query("variant == 'bootmem' and phase == 'after'")
    assert set(phases["account_hidden_bytes"]) == {LENDABLE_BYTES}


def said(run: Run, variant: str) -> str:
    """What a host said of its memory while half of it was lent."""
    log = run.results / f"logs/boots/{KERNEL}/1GiB/reboots/{variant}/{CELL}.log"
    (told,) = re.findall(r"^reboots: lent\n(.*?)^reboots: end$", log.read_text(), re.M | re.S)
    return str(told)


def bytes_of(ranges: list[tuple[str, str]]) -> int:
    """The bytes of ranges of hexadecimal first and last addresses."""
    return sum(int(last, 16) + 1 - int(first, 16) for first, last in ranges)


@pytest.mark.parametrize(("variant", "has_it"), [("bootmem", True), ("carve_out", False)])
def test_who_still_says_that_it_is_linuxs(run: Run, variant: str, has_it: bool) -> None:
    told = said(run, variant)
    left_bytes = RAM_BYTES - LENDABLE_BYTES
    iomem = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM", told, re.MULTILINE)
    memblock = re.findall(r"memblock +\d+: 0x([0-9a-f]+)\.\.0x([0-9a-f]+)", told)
    # What kexec's user space goes by, and what Linux goes by.
    assert bytes_of(iomem) == (RAM_BYTES if has_it else left_bytes)
    assert bytes_of(memblock) == left_bytes
    assert ("release_mem_region_adjustable" in told) == has_it
    # The firmware never says anything else: only mem= does, at the next boot again.
    assert f"device tree {RAM_START:016x}{RAM_BYTES:016x}" in told


def second_boot(run: Run, variant: str, then_permille: int, folder: Path) -> SecondBoot:
    """What became of the pattern in the memory that a variant had lent."""
    trial = run.results / f"trials/{KERNEL}/1GiB/reboots/{variant}/{CELL}.jsonl"
    return boot_twice(run.results, trial, folder, then_permille)


def test_the_next_boot_takes_it_from_whom_it_was_lent_to(run: Run, tmp_path: Path) -> None:
    left = second_boot(run, "bootmem", 400, tmp_path)
    assert left.lent_pages * PAGE_BYTES == LENDABLE_BYTES
    assert left.good_while_lent == left.lent_pages
    # So much of the load does not fit beside it.
    other_bytes = RAM_BYTES - LENDABLE_BYTES
    assert left.lent_pages - left.good_after > 0
    least_lost = (600 * RAM_BYTES // 1000 - other_bytes) // PAGE_BYTES
    (tmp_path / "more").mkdir()
    left = second_boot(run, "bootmem", 600, tmp_path / "more")
    assert left.lent_pages - left.good_after > least_lost


def test_a_carve_out_is_left_alone_by_the_next_boot(run: Run, tmp_path: Path) -> None:
    left = second_boot(run, "carve_out", 400, tmp_path)
    assert left.lent_pages * PAGE_BYTES == LENDABLE_BYTES
    assert left.good_while_lent == left.good_after == left.lent_pages
