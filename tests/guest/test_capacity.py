# SPDX-License-Identifier: GPL-2.0-only
"""How much real hosts lend in pieces of each size, held against a map of their pageblocks."""

from collections import Counter
from itertools import groupby

import pandas as pd
import pytest

from carveout.study.geometry import GRANULES
from tests.conftest import Checkout, Run

MIB = 2**20
PAGEBLOCK_BYTES = 2 * MIB
# Pageblocks of which every page is free or can move, as the map of the census says; another test
# holds the map against /proc/kpageflags.
WITHOUT_BLOCKER = "FM"


@pytest.fixture(scope="module")
def capacity(checkout: Checkout) -> Run:
    """Hosts that are asked for half of their RAM, in pieces of each size."""
    config = ("--configfile", "tests/guest/capacity.yaml", "--config", "results=capacity")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "capacity")


@pytest.fixture(scope="module")
def trials(capacity: Run) -> pd.DataFrame:
    return capacity.table("trials")


@pytest.fixture(scope="module")
def expected(capacity: Run) -> pd.DataFrame:
    """What a host can lend by the map that was taken before the lend, for each trial."""
    phases = capacity.table("phases")
    before = phases[phases["phase"] == "before"].set_index("trial_id")
    return pd.DataFrame(
        {
            "capacity_bytes": [
                bytes_to_be_had(row["pageblocks"], row["first_pfn"], row["granule"])
                for row in before.to_dict("records")
            ]
        },
        index=before.index,
    )


def bytes_to_be_had(pageblocks: str, first_pfn: int, granule: str) -> int:
    """The bytes in aligned pieces of pageblocks without a blocker, or in their longest run."""
    if granule == "single":
        runs = [
            len(list(run))
            for is_had, run in groupby(pageblocks, lambda block: block in WITHOUT_BLOCKER)
            if is_had
        ]
        return max(runs, default=0) * PAGEBLOCK_BYTES
    blocks = max(GRANULES[granule] or 0, PAGEBLOCK_BYTES) // PAGEBLOCK_BYTES
    first = -(first_pfn * 4096 // PAGEBLOCK_BYTES) % blocks
    pieces = [pageblocks[at : at + blocks] for at in range(first, len(pageblocks), blocks)]
    whole = [piece for piece in pieces if len(piece) == blocks and set(piece) <= {*WITHOUT_BLOCKER}]
    return len(whole) * blocks * PAGEBLOCK_BYTES


def of_variants(trials: pd.DataFrame, strategy: str, *granules: str) -> pd.DataFrame:
    """The trials of a strategy's variants that were run."""
    return trials[
        (trials["strategy"] == strategy)
        & trials["granule"].isin(granules)
        & (trials["outcome"] != "not_available")
    ]


@pytest.mark.parametrize("strategy", ["alloc_contig_range", "hugetlbfs"])
def test_the_capacity_is_what_the_map_says(
    trials: pd.DataFrame, expected: pd.DataFrame, strategy: str
) -> None:
    chosen = of_variants(trials, strategy, "2M", "32M", "single").join(expected, on="trial_id")
    chosen = chosen[~chosen["variant"].eq("32M_run_time") | chosen["granule"].eq("32M")]
    limits = chosen[["capacity_bytes", "asked_bytes"]].min(axis="columns")
    assert chosen["granted_bytes"].tolist() == limits.tolist()
    short = chosen[chosen["capacity_bytes"] < chosen["asked_bytes"]]
    assert set(zip(short["granule"], short["dose_target"], strict=True)) >= {
        ("2M", 55),
        ("32M", 10),
        ("32M", 55),
    }
    assert short["exhausted"].all()


def test_a_single_range_is_one_extent(trials: pd.DataFrame) -> None:
    single = of_variants(trials, "alloc_contig_range", "single")
    assert (single["extents"] == 1).all()
    assert (single["granted_bytes"] == single["largest_extent_bytes"]).all()
    assert single["granted_bytes"].between(4 * MIB, 256 * MIB).all()


@pytest.mark.parametrize("strategy", ["alloc_contig_range", "hugetlbfs", "cma"])
def test_what_ends_short_names_the_page_in_the_way(trials: pd.DataFrame, strategy: str) -> None:
    short = of_variants(trials, strategy, "2M", "32M", "single").query("exhausted")
    assert len(short) > 0
    assert short["blocker"].str.contains('"type": ?"kernel"').all()


def test_only_whole_granules_are_granted(trials: pd.DataFrame) -> None:
    run = trials[(trials["outcome"] != "not_available") & (trials["granule"] != "single")]
    granule_bytes = run["granule"].map(lambda granule: GRANULES[granule] or 4096)
    assert (run["granted_bytes"] % granule_bytes == 0).all()
    assert (run["granted_bytes"] <= run["lent_bytes"]).all()
    # The area's first page is taken, so all of its ranges begin off the grid.
    area = of_variants(trials, "cma", "32M")
    assert (area["granted_bytes"] < area["lent_bytes"]).all()


def test_larger_pieces_are_never_easier_to_have(trials: pd.DataFrame) -> None:
    run = trials[trials["outcome"] != "not_available"]
    wide = run.pivot_table(
        index=["variant", "dose_target"], columns="granule", values="granted_bytes"
    )
    both = wide[["32M", "2M"]].dropna()
    assert len(both) > 4
    assert (both["32M"] <= both["2M"]).all()
    assert (both["32M"] < both["2M"]).any()


def test_a_variant_that_cannot_give_a_granule_says_why(trials: pd.DataFrame) -> None:
    missing = trials[trials["outcome"] == "not_available"]
    assert set(zip(missing["variant"], missing["granule"], strict=True)) == {
        *(("ordinary_pages", granule) for granule in ("2M", "32M", "single")),
        *(("transparent_huge_pages", granule) for granule in ("32M", "single")),
        *(("2M_run_time", granule) for granule in ("32M", "single")),
        ("32M_run_time", "single"),
    }
    assert missing["message"].str.contains("2 MiB|32 MiB|one by one|one page of page table").all()
    assert missing["granted_bytes"].eq(0).all()
    assert missing["lend_ns"].isna().all()


def test_nothing_was_booted_for_them(capacity: Run, trials: pd.DataFrame) -> None:
    run = trials[trials["outcome"] != "not_available"]
    runs = capacity.table("runs")
    assert set(runs.loc[runs["process"] == "trial", "trial_id"]) == set(run["trial_id"])


def test_a_lend_is_exhausted_or_full_or_the_host_needs_the_rest(trials: pd.DataFrame) -> None:
    run = trials[trials["outcome"].isin(["granted", "partial", "refused"])]
    assert (run["exhausted"] == (run["outcome"] != "granted")).all()


def test_every_lend_that_ended_short_says_why(trials: pd.DataFrame) -> None:
    short = trials[trials["explained"].notna()]
    assert len(short) > 10
    silent = short[~short["explained"].astype(bool)]
    assert silent.empty, silent[["strategy", "variant", "granule", "reason", "errno"]].to_string()


def test_who_allocated_the_page_in_the_way_is_known(trials: pd.DataFrame) -> None:
    kernel = trials[trials["blocker"].str.contains('"type": "kernel"', na=False)]
    owners = kernel["blocker"].str.extract('"owner": "([^"]*)"', expand=False)
    # The load's pages; what the boot allocated is nobody's.
    assert owners.str.contains("place").sum() > 5, owners.tolist()
    # Also in memory that came after the noting began.
    plugged = owners[kernel["strategy"] == "virtio-mem"]
    assert plugged.str.contains("place").any(), plugged.tolist()


def test_pageblocks_with_what_cannot_move_are_those_of_the_map(capacity: Run) -> None:
    phases = capacity.table("phases")
    assert len(phases) > 0
    for row in phases.to_dict("records"):
        here = Counter(row["pageblocks"])
        sure = here["U"] + here["R"] + here["X"]
        # The map says of a CMA area that it is one, and no more.
        assert sure <= row["blocked_pageblocks"] <= sure + here["C"]
