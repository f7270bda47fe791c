# SPDX-License-Identifier: GPL-2.0-only
"""Memory blocks: what is added pays for its memmap where it shall, is lent, and comes back.

What was there at boot stays, and each refusal is told.
"""

import json
import re

import pandas as pd
import pytest

from tests.conftest import USUAL_KERNEL, Checkout, Run

CONFIG = "tests/guest/memory_blocks.yaml"
PAGE_BYTES = 4096
BLOCK_BYTES = 128 * 2**20
RAM_BYTES = 2**30
LENDABLE_BYTES = 2**29
BLOCKS = RAM_BYTES // BLOCK_BYTES
LENDABLE_BLOCKS = LENDABLE_BYTES // BLOCK_BYTES
# struct page of 64 bytes for each page of a section.
MEMMAP_OF_A_BLOCK_BYTES = 512 * PAGE_BYTES
VETO = r"^Boot memory \[[0-9a-f]+ [0-9a-f]+\] offlining attempted$"
# Kernels of 7.1 and later: what goes offline is what lies behind the memmap, of which the memmap
# begins in the middle of a huge page.
GUARD = r"^ ?\[[0-9a-f]+ [0-9a-f]+\] splits a leaf entry in vmemmap$"


@pytest.fixture(scope="module")
def run(checkout: Checkout) -> Run:
    """The run of the config."""
    checkout.snakemake("collect_trials", "--configfile", CONFIG, "--config", "results=blocks")
    return Run(checkout, checkout.path / "blocks")


@pytest.fixture(scope="module")
def trials(run: Run) -> pd.DataFrame:
    return run.table("trials")


@pytest.fixture(scope="module")
def guards(request: pytest.FixtureRequest, trials: pd.DataFrame) -> bool:
    """Whether the kernel lets no memory go that has its memmap on itself: it says so."""
    lends = trials[trials["variant"] == "hot_add_memmap_on_memory"]
    found = lends["kernel_log"].str.contains(GUARD, na=False)
    assert found.all() or not found.any()
    assert not found.any() or request.config.getoption("--kernel") != USUAL_KERNEL
    return bool(found.all())


def censuses(run: Run, variant: str) -> pd.DataFrame:
    """The censuses of hosts whose hidden memory was added, with what is lent in blocks."""
    phases = run.table("phases")
    chosen = phases[(phases["strategy"] == "mem") & (phases["variant"] == variant)]
    assert len(chosen) >= 2 * 2 * 3
    blocks = (chosen["account_lent_bytes"] // BLOCK_BYTES).astype(int)
    return chosen.assign(lent_blocks=blocks)


def test_memmap_on_itself_takes_none_from_other_memory(run: Run, guards: bool) -> None:
    found = censuses(run, "hot_add_memmap_on_memory")
    of_boot = (BLOCKS - LENDABLE_BLOCKS) * MEMMAP_OF_A_BLOCK_BYTES
    assert set(found["account_memmap_host_bytes"]) == {of_boot}
    on_itself = (LENDABLE_BLOCKS - found["lent_blocks"]) * MEMMAP_OF_A_BLOCK_BYTES
    assert (found["account_memmap_self_bytes"] == on_itself).all()
    assert set(found["lent_blocks"]) == ({0} if guards else {0, 2, 4})


def test_without_it_512_pages_a_section_are_taken_from_other_memory(run: Run) -> None:
    found = censuses(run, "hot_add")
    described = BLOCKS - found["lent_blocks"]
    assert (found["account_memmap_host_bytes"] == described * MEMMAP_OF_A_BLOCK_BYTES).all()
    assert set(found["account_memmap_self_bytes"]) == {0}
    assert set(found["lent_blocks"]) == {0, 2, 3, 4}


@pytest.mark.parametrize("variant", ["hot_add", "hot_add_memmap_on_memory"])
def test_the_kernels_own_counters_say_the_same(run: Run, variant: str) -> None:
    found = censuses(run, variant)
    both = found["account_memmap_host_bytes"] + found["account_memmap_self_bytes"]
    assert (both == found["memmap_counter_bytes"]).all()
    # All of ZONE_MOVABLE was added; of it the allocator never had what lies on itself.
    kept = found["movable_present_pages"] - found["movable_managed_pages"]
    assert (kept * PAGE_BYTES == found["account_memmap_self_bytes"]).all()


@pytest.mark.parametrize("variant", ["hot_add", "hot_add_memmap_on_memory"])
def test_what_is_lent_is_hidden_again_and_held(run: Run, variant: str) -> None:
    found = censuses(run, variant)
    in_zone = found["movable_present_pages"] * PAGE_BYTES
    assert (in_zone == LENDABLE_BYTES - found["account_lent_bytes"]).all()
    assert set(found["account_hidden_bytes"] + found["account_offline_bytes"]) == {0}
    assert set(found["account_machine_bytes"]) == {0}


def added(trials: pd.DataFrame, variant: str) -> pd.DataFrame:
    """The lends of added memory, without a page in the way."""
    chosen = trials[(trials["variant"] == variant) & (trials["load"] != "pins")]
    assert len(chosen) == 4
    return chosen


def check_lends(lends: pd.DataFrame, kept_of_a_block_bytes: int) -> None:
    """All is lent, holds the pattern, and comes back to be of use."""
    assert set(lends["outcome"]) == {"granted"}
    assert set(lends["verify"]) == {"ok"}
    assert (lends["verify_pages_checked"] * PAGE_BYTES == lends["request_bytes"]).all()
    assert (lends["attempts"] * BLOCK_BYTES == lends["request_bytes"]).all()
    assert (lends["returned_bytes"] == lends["request_bytes"]).all()
    net_bytes = lends["returned_bytes"] // BLOCK_BYTES * (BLOCK_BYTES - MEMMAP_OF_A_BLOCK_BYTES)
    assert (lends["regained_bytes"] == net_bytes).all()
    assert set(lends["kept_back_bytes"]) == {0}
    # Of use to the byte, of which the kernel's reserves are had by address alone; for what cannot
    # move the zone is closed.
    kept_bytes = lends["returned_bytes"] // BLOCK_BYTES * kept_of_a_block_bytes
    reused_bytes = lends["reuse_movable_bytes"] + lends["reuse_movable_address_bytes"]
    assert (reused_bytes == lends["returned_bytes"] - kept_bytes).all()
    assert (lends["reuse_movable_address_bytes"] <= MEMMAP_OF_A_BLOCK_BYTES).all()
    assert set(lends["reuse_unmovable_bytes"]) == {0}


def test_what_was_added_is_lent_and_comes_back(trials: pd.DataFrame, guards: bool) -> None:
    check_lends(added(trials, "hot_add"), 0)
    on_itself = added(trials, "hot_add_memmap_on_memory")
    if not guards:
        check_lends(on_itself, MEMMAP_OF_A_BLOCK_BYTES)
        return
    assert set(on_itself["outcome"]) == {"refused"}
    assert set(on_itself["errno"]) == {"EPERM"}
    assert set(on_itself["refusals"].map(json.loads).map(tuple)) == {("EPERM",)}


def test_a_pinned_page_keeps_its_block(trials: pd.DataFrame) -> None:
    lends = trials[trials["load"] == "pins"].set_index("cycle")
    assert list(lends["outcome"]) == ["granted", "partial"]
    short = lends.loc[2]
    assert short["granted_bytes"] == LENDABLE_BYTES - BLOCK_BYTES
    assert (short["errno"], short["attempts"]) == ("EINTR", LENDABLE_BLOCKS)
    assert json.loads(str(short["refusals"])) == {"EINTR": 1}
    blocker = json.loads(str(short["blocker"]))
    assert blocker["type"] == "pinned"
    # The lowest block of the zone: lends go from the highest address down.
    first_pfn = (2**30 + RAM_BYTES - LENDABLE_BYTES) // PAGE_BYTES
    assert first_pfn <= blocker["pfn"] < first_pfn + BLOCK_BYTES // PAGE_BYTES


def stock(trials: pd.DataFrame) -> pd.DataFrame:
    """The lends of boot memory."""
    chosen = trials[trials["strategy"] == "bootmem-offline"]
    assert len(chosen) == 2 * 2 * 2
    return chosen


def test_boot_memory_is_never_removed(run: Run, trials: pd.DataFrame) -> None:
    lends = stock(trials)
    assert set(lends["outcome"]) == {"refused"}
    assert set(lends["lent_bytes"]) == {0}
    phases = run.table("phases")
    phases = phases[phases["strategy"] == "bootmem-offline"]
    assert set(phases["memmap_bytes"]) == {BLOCKS * MEMMAP_OF_A_BLOCK_BYTES}
    assert set(phases["account_hidden_bytes"] + phases["account_offline_bytes"]) == {0}
    present = [name for name in map(str, phases) if name.endswith("present_pages")]
    assert set(phases[present].sum(axis="columns") * PAGE_BYTES) == {RAM_BYTES}


def test_each_refusal_of_boot_memory_is_counted_and_explained(trials: pd.DataFrame) -> None:
    lends = stock(trials)
    refusals = lends["refusals"].map(json.loads)
    assert set(lends["attempts"]) == {BLOCKS}
    assert {sum(of.values()) for of in refusals} == {BLOCKS}
    assert {tuple(of) for of in refusals} == {("EBUSY", "EPERM")}
    # Told is what keeps a block that no page keeps: the veto, by the kernel's own word.
    assert set(lends["stage"]) == {"offline"}
    assert set(lends["refused_by"]) == {"kernel"}
    assert set(lends["errno"]) == {"EPERM"}
    assert lends["kernel_log"].str.contains(VETO).all()
    assert lends["blocker"].isna().all()
    assert lends["explained"].all()


def by_hand(run: Run, variant: str) -> list[tuple[str, int, str, str]]:
    """What was said of each write to a block's state: how often, block, errno, state after it."""
    (log,) = run.results.glob(f"logs/boots/*/1GiB/blocks_by_hand/{variant}/*.log")
    found = re.findall(r"^by_hand: (\w+) (\d+) (\w+) (\w+)$", log.read_text(), re.MULTILINE)
    return [(how, int(block), errno, state) for how, block, errno, state in found]


def test_an_administrator_gets_the_same_errnos(run: Run, trials: pd.DataFrame) -> None:
    said = by_hand(run, "boot")
    assert len(said) == BLOCKS
    assert {state for _, _, _, state in said} == {"online"}
    counts = {
        errno: len([1 for _, _, of, _ in said if of == errno]) for errno in ("EBUSY", "EPERM")
    }
    lends = stock(trials)
    whole = lends[(lends["variant"] == "whole_memory") & (lends["load"] == "idle")]
    assert [json.loads(text) for text in whole["refusals"]] == [counts] * 2


def test_what_has_holes_or_is_offline_is_no_block_to_take_offline(run: Run) -> None:
    added_block = (2**30 + RAM_BYTES - LENDABLE_BYTES) // BLOCK_BYTES
    said = by_hand(run, "boot_and_added")
    assert said[0] == ("once", added_block, "done", "offline")
    # Boot memory ends in the middle of the one below.
    assert said[1] == ("once", added_block - 1, "EINVAL", "online")
    assert said[-1] == ("again", added_block, "EINVAL", "offline")
    assert {errno for _, _, errno, _ in said[2:-1]} == {"EPERM", "EBUSY"}


@pytest.fixture(scope="module")
def told(checkout: Checkout) -> Run:
    """Hosts that tell how the kernel counts page tables, of added blocks that come and go."""
    config = ("--configfile", "tests/guest/added_blocks.yaml", "--config", "results=added_blocks")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "added_blocks")


@pytest.mark.parametrize("variant", ["online", "offline_again"])
def test_no_page_table_that_goes_is_excused(told: Run, variant: str) -> None:
    """Two blocks go and all their tables; those are counted rightly, or not at all."""
    (log,) = told.results.glob(f"logs/boots/*/1GiB/added_blocks/{variant}/*.log")
    said = re.findall(r"added_blocks: (\w+) (\d+)$", log.read_text(), re.MULTILINE)
    assert said == [("before", "0"), ("lent", "0"), ("after", "0")]
    found = censuses_of(told, variant)
    gone = found["account_page_tables_bytes"]["before"] - found["account_page_tables_bytes"]["lent"]
    assert gone > 0


def test_a_block_that_comes_and_is_not_online_keeps_no_other(told: Run) -> None:
    trials = told.table("trials").set_index("variant")
    assert dict(trials["granted_bytes"] // BLOCK_BYTES) == {"online": 2, "offline_again": 2}
    assert dict(trials["returned_bytes"] // BLOCK_BYTES) == {"online": 2, "offline_again": 0}
    offline = {
        variant: censuses_of(told, variant)["account_offline_bytes"]["after"]
        for variant in trials.index
    }
    assert offline == {"online": 0, "offline_again": 2 * BLOCK_BYTES}


def censuses_of(run: Run, variant: str) -> pd.DataFrame:
    """The three censuses of a host of one trial, by phase."""
    phases = run.table("phases")
    return phases[phases["variant"] == variant].set_index("phase")


@pytest.mark.long
def test_forked_as_cold(run: Run, checkout: Checkout) -> None:
    config = ("--configfile", CONFIG, "--config", "results=blocks_cold", "boot=cold")
    checkout.snakemake("collect_trials", *config)
    forked = sorted((run.results / "trials").rglob("*.jsonl"))
    assert len(forked) == 2 * 2 + 2 * 2 + 1 + 2
    for file in forked:
        cold = checkout.path / "blocks_cold/trials" / file.relative_to(run.results / "trials")
        assert file.read_bytes() == cold.read_bytes(), file
