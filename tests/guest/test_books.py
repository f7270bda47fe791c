# SPDX-License-Identifier: GPL-2.0-only
"""Real hosts' books: every frame in one account, and each account as large as it must be."""

import pandas as pd
import pytest

from carveout.tables import accounts
from tests.conftest import Checkout, Run
from tests.guest.tables import censuses

PAGE_BYTES = 4096
RAM_BYTES = 2**30
LENDABLE_BYTES = 2**28
# What one page of page table maps, with pages of 4 KiB.
TABLE_BYTES = 2**21


def account(name: str) -> str:
    """The column of an account."""
    return f"account_{name}_bytes"


ACCOUNTS = [account(name) for name in accounts.ACCOUNTS]


# Every strategy on hosts of 4 GiB takes minutes.
BOTH_SIZES = ["smoke", pytest.param("large", marks=pytest.mark.long)]


@pytest.fixture(scope="session")
def large(checkout: Checkout) -> Run:
    """One run of every strategy on hosts of 4 GiB."""
    config = ("--configfile", "tests/guest/books.yaml", "--config", "results=large")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "large")


@pytest.mark.parametrize("run", BOTH_SIZES)
def test_the_books_of_every_census_balance(run: str, request: pytest.FixtureRequest) -> None:
    found: Run = request.getfixturevalue(run)
    phases, trials = found.table("phases"), found.table("trials")
    assert (phases[ACCOUNTS].sum(axis=1) == phases["ram_bytes"]).all()
    assert "books" not in set(trials["cause"].dropna())
    # All censuses of all trials that lived.
    lived = trials[trials["outcome"] != "crashed"]
    assert len(phases) >= 3 * len(lived) > 0


@pytest.mark.parametrize("run", BOTH_SIZES)
def test_memmap_is_what_the_kernel_counts_and_what_lies_in_ram(
    run: str, request: pytest.FixtureRequest
) -> None:
    phases = request.getfixturevalue(run).table("phases")
    in_accounts = phases[account("memmap_host")] + phases[account("memmap_self")]
    assert (in_accounts == phases["memmap_bytes"]).all()
    assert (in_accounts == phases["memmap_counter_bytes"]).all()


def test_what_is_for_movable_pages_alone_is_counted_once(checkout: Checkout) -> None:
    """A CMA area lies within ZONE_MOVABLE, all of whose frames are known."""
    config = ("--configfile", "tests/guest/area_in_zone.yaml", "--config", "results=area_in_zone")
    checkout.snakemake("collect_trials", *config)
    run = Run(checkout, checkout.path / "area_in_zone")
    phases = censuses(run, "area_in_zone", phase="before")
    assert (phases[account("cma_idle")] + phases[account("cma_used")] > 2**25).all()
    managed = phases["movable_managed_pages"] * PAGE_BYTES
    # Pages of the kernel's own in the CMA area serve nothing movable.
    assert (phases["movable_only_bytes"] <= managed).all()
    assert (phases["movable_only_bytes"] > managed - 2**20).all()


def test_a_lend_takes_what_it_lends_and_gives_it_back(smoke: Run) -> None:
    phases = smoke.table("phases")
    lent = phases[phases["phase"] == "lent"]
    out = lent[account("lent")] + lent[account("machine")]
    key = ["trial_id", "cycle"]
    granted = smoke.table("trials").set_index(key)["granted_bytes"]
    assert (
        out.set_axis(pd.MultiIndex.from_frame(lent[key]))
        == granted.reindex(out.set_axis(pd.MultiIndex.from_frame(lent[key])).index)
    ).all()
    others = phases[phases["phase"] != "lent"]
    assert (others[account("lent")] == 0).all()


def test_hidden_memory_has_no_memmap_and_no_page_tables(smoke: Run) -> None:
    keys = ["scenario", "dose_target", "seed", "cycle", "phase"]
    mem = censuses(smoke, "mem", variant="carve_out", phase="before").set_index(keys)
    baseline = censuses(smoke, "baseline", variant="ordinary_pages", phase="before").set_index(keys)
    assert set(mem[account("hidden")]) == {LENDABLE_BYTES}
    kernels_own = [
        host[account("page_tables")] - host["page_table_bytes"] for host in (baseline, mem)
    ]
    # rodata=full: the linear map has an entry for every page.
    saved = (kernels_own[0] - kernels_own[1]).dropna()
    assert len(saved) > 0
    assert set(saved) == {LENDABLE_BYTES // TABLE_BYTES * PAGE_BYTES}


def test_removed_memory_takes_its_page_tables_with_it(smoke: Run) -> None:
    keys = ["scenario", "dose_target", "seed", "cycle"]
    hosts = censuses(smoke, "virtio-mem", variant="online_movable").set_index(keys)
    own = hosts[account("page_tables")] - hosts["page_table_bytes"]
    before, lent = (own[hosts["phase"] == phase] for phase in ("before", "lent"))
    machine = hosts.loc[hosts["phase"] == "lent", account("machine")]
    whole = machine[machine == LENDABLE_BYTES].index
    assert len(whole) > 0
    saved = (before - lent)[whole]
    # One table of the level above may go too.
    tables = LENDABLE_BYTES // TABLE_BYTES
    assert saved.isin([tables * PAGE_BYTES, (tables + 1) * PAGE_BYTES]).all()


def test_a_pageblock_that_is_lent_in_part_says_so(smoke: Run) -> None:
    lent = censuses(smoke, "baseline", variant="ordinary_pages", phase="lent")
    assert lent["pageblocks"].str.contains("P").any()
    whole = censuses(smoke, "hugetlbfs", variant="2M_boot", phase="lent")
    assert whole["pageblocks"].str.contains("L").all()
    assert not whole["pageblocks"].str.contains("P").any()


def test_one_reference_too_many_is_named_as_what_stands_in_the_way(checkout: Checkout) -> None:
    config = ("--configfile", "tests/guest/pins.yaml", "--config", "results=pins")
    checkout.snakemake("collect_trials", *config)
    (row,) = Run(checkout, checkout.path / "pins").table("trials").to_dict("records")
    assert row["outcome"] == "refused"
    assert (row["exhausted"], row["refused_by"]) == (True, "kernel")
    assert '"type": "pinned"' in row["blocker"]


@pytest.mark.long
def test_init_on_alloc_of_a_variant_wins_over_that_of_every_host(large: Run) -> None:
    rows = large.table("trials").query("strategy == 'baseline'")
    lend_ns = rows.set_index("variant")["lend_ns"]
    assert lend_ns["transparent_huge_pages_init_on_alloc"] > 1.3 * lend_ns["transparent_huge_pages"]
