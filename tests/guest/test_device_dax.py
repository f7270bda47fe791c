# SPDX-License-Identifier: GPL-2.0-only
"""Device DAX: who pays for its memmap, how much of a region can be lent, and that it comes back."""

import json
from typing import Any

import pandas as pd
import pytest

from carveout.common.schemas import load_yaml
from carveout.common.sizes import MIB
from tests.conftest import CHECKOUT, Checkout, Run
from tests.guest.tables import censuses, run_config

CONFIG = load_yaml(CHECKOUT / "tests/guest/device_dax.yaml")
REGION_BYTES = 512 * MIB
SECTION_BYTES = 128 * MIB
STRUCT_PAGE_BYTES = 64
# With pages of 4 KiB and of 16 KiB: what one entry of the second level maps.
ALIGN_BYTES = {4096: 2 * MIB, 16384: 32 * MIB}
INFO_BYTES = 8192
LABEL_BYTES = 128 * 1024
REGION_MEMMAP_BYTES = REGION_BYTES // 4096 * STRUCT_PAGE_BYTES
PURE = ("memmap_in_host_ram", "memmap_on_itself")
# On kernels other than the usual one it takes long.
MADE = ["usual", *(pytest.param(name, marks=pytest.mark.long) for name in ("newer", "large_pages"))]
HOT_ADDED = ("kmem", "kmem_memmap_in_host_ram")


def run(checkout: Checkout, results: str, **changes: Any) -> Run:
    """A run of device_dax.yaml, changed, with its tables."""
    return run_config(checkout, {**CONFIG, "results": results, **changes})


@pytest.fixture(scope="module")
def usual(checkout: Checkout) -> Run:
    """All variants on the usual kernel, which lacks ramdax."""
    return run(checkout, "device_dax")


@pytest.fixture(scope="module")
def newer(checkout: Checkout) -> Run:
    """On a kernel that has ramdax."""
    only = {"device-dax": ["kmem", "kmem_memmap_in_host_ram", "ramdax"]}
    return run(checkout, "device_dax_newer", kernels=["debian-7.3"], strategies=only)


@pytest.fixture(scope="module")
def large_pages(checkout: Checkout) -> Run:
    """With pages of 16 KiB."""
    return run(
        checkout,
        "device_dax_16k",
        kernels=["debian-6.12-16k"],
        strategies={"device-dax": ["memmap_on_itself", "kmem"]},
    )


@pytest.fixture(scope="module")
def pieces(checkout: Checkout) -> Run:
    """Asked for aligned pieces of 32 MiB."""
    return run(
        checkout,
        "device_dax_pieces",
        kernels=["debian-6.12", "debian-7.3"],
        strategies={"device-dax": ["memmap_on_itself", "ramdax"]},
        requests={"half": ["256MiB"]},
        granules=["32M"],
    )


def trials_of(made: Run, *variants: str) -> pd.DataFrame:
    """The trials of some variants, each of which has some."""
    trials = made.table("trials")
    chosen = trials[trials["variant"].isin(variants)]
    assert set(chosen["variant"]) == set(variants)
    return chosen


def memory(made: Run, variant: str, phase: str) -> dict[str, int]:
    """The first census of a variant in a phase."""
    strategy = "mem" if variant == "carve_out" else "device-dax"
    chosen = censuses(made, strategy, variant=variant, phase=phase, cycle=1)
    return dict(chosen.iloc[0])


def beside_carve_out(made: Run, variant: str, column: str) -> int:
    """How much more of something the host has than one whose region Linux knows nothing of."""
    return memory(made, variant, "before")[column] - memory(made, "carve_out", "before")[column]


def info_and_memmap_bytes(bytes_described: int, page_bytes: int = 4096) -> int:
    """What a device with its memmap on itself lacks of its namespace."""
    needed = INFO_BYTES + bytes_described // page_bytes * STRUCT_PAGE_BYTES
    return -(-needed // ALIGN_BYTES[page_bytes]) * ALIGN_BYTES[page_bytes]


def test_in_ram_the_memmap_takes_512_pages_a_section(usual: Run) -> None:
    pages = beside_carve_out(usual, "memmap_in_host_ram", "account_memmap_host_bytes") // 4096
    assert pages == 512 * REGION_BYTES // SECTION_BYTES
    assert memory(usual, "memmap_in_host_ram", "before")["account_memmap_self_bytes"] == 0


def test_on_itself_the_memmap_takes_nothing_else(usual: Run) -> None:
    assert beside_carve_out(usual, "memmap_on_itself", "account_memmap_host_bytes") == 0
    on_itself = memory(usual, "memmap_on_itself", "before")["account_memmap_self_bytes"]
    assert on_itself == REGION_MEMMAP_BYTES


@pytest.mark.parametrize("variant", PURE)
def test_the_kernel_counts_as_much_memmap(usual: Run, variant: str) -> None:
    counted = beside_carve_out(usual, variant, "memmap_counter_bytes")
    assert counted == REGION_MEMMAP_BYTES
    assert beside_carve_out(usual, variant, "memmap_bytes") == counted


def test_free_memory_says_who_pays(usual: Run) -> None:
    """Of two hosts that differ in it alone, one has so much less free; neither has less in all."""
    in_ram, on_itself = (memory(usual, variant, "before") for variant in PURE)
    assert on_itself["mem_free_bytes"] - in_ram["mem_free_bytes"] == REGION_MEMMAP_BYTES
    assert on_itself["mem_total_bytes"] == in_ram["mem_total_bytes"]
    # The device tree that Linux unflattens has a node more, which may take it a page.
    assert beside_carve_out(usual, "memmap_on_itself", "mem_total_bytes") in {0, -4096}


@pytest.mark.parametrize(
    ("variant", "lost_bytes"),
    [
        ("memmap_in_host_ram", ALIGN_BYTES[4096]),
        ("memmap_on_itself", info_and_memmap_bytes(REGION_BYTES)),
        ("kmem", info_and_memmap_bytes(REGION_BYTES)),
        ("kmem_memmap_in_host_ram", ALIGN_BYTES[4096]),
    ],
)
def test_all_but_the_head_of_the_region_is_lent(usual: Run, variant: str, lost_bytes: int) -> None:
    half, whole = trials_of(usual, variant).sort_values("cycle").to_dict("records")
    assert (half["outcome"], half["granted_bytes"]) == ("granted", 256 * MIB)
    assert (whole["outcome"], whole["granted_bytes"]) == ("partial", REGION_BYTES - lost_bytes)
    assert (whole["refused_by"], whole["reason"]) == ("driver", "device_is_full")
    assert whole["exhausted"]


@pytest.mark.parametrize("made", MADE)
def test_every_lent_page_is_verified(made: str, request: pytest.FixtureRequest) -> None:
    trials = request.getfixturevalue(made).table("trials")
    lent = trials[trials["lent_bytes"] > 0]
    assert len(lent) >= 2
    assert (lent["verify"] == "ok").all()
    assert (lent["verify_pages_checked"] * lent["page_bytes"] == lent["lent_bytes"]).all()


@pytest.mark.parametrize("made", MADE)
def test_the_host_is_as_it_was_when_it_is_back(made: str, request: pytest.FixtureRequest) -> None:
    phases = request.getfixturevalue(made).table("phases")
    kept = [
        f"account_{name}_bytes"
        for name in ("device", "hidden", "memmap_host", "memmap_self", "lent", "machine")
    ]
    for _, of_variant in phases[phases["strategy"] == "device-dax"].groupby("variant"):
        idle = of_variant[of_variant["phase"].isin(["before", "after"])]
        assert len(idle[["mem_total_bytes", *kept]].drop_duplicates()) == 1
        assert len(idle) == 4


@pytest.mark.parametrize("variant", PURE)
def test_a_device_that_is_set_aside_serves_nobody(usual: Run, variant: str) -> None:
    trials = trials_of(usual, variant)
    on_itself = memory(usual, variant, "before")["account_memmap_self_bytes"]
    assert set(trials["stranded_bytes"]) == {REGION_BYTES - on_itself}
    assert set(trials["regained_bytes"]) == {0}


@pytest.mark.parametrize("variant", HOT_ADDED)
def test_hot_added_whole_memory_blocks_serve(usual: Run, variant: str) -> None:
    """The block that the region's head lies in is lost."""
    before, lent = (memory(usual, variant, phase) for phase in ("before", "lent"))
    blocks = REGION_BYTES // SECTION_BYTES - 1
    memmap_bytes = blocks * 512 * 4096
    on_itself = memmap_bytes if variant == "kmem" else 0
    movable_zone = before["account_movable_zone_free_bytes"]
    movable_zone += before["account_movable_zone_used_bytes"]
    assert movable_zone == blocks * SECTION_BYTES - on_itself
    assert movable_zone == before["mem_total_bytes"] - lent["mem_total_bytes"]
    assert before["account_memmap_self_bytes"] == on_itself
    host = beside_carve_out(usual, variant, "account_memmap_host_bytes")
    assert host == memmap_bytes - on_itself
    assert before["account_hidden_bytes"] == SECTION_BYTES
    trials = trials_of(usual, variant)
    # What is in use again when it has come back was free when it went.
    assert (trials["regained_bytes"] >= movable_zone).all()


def test_what_is_lent_begins_where_granules_do(pieces: Run) -> None:
    """The head of the region is smaller than a granule: what is mapped begins behind it."""
    trials = pieces.table("trials").query("outcome != 'not_available'")
    assert len(trials) == 3
    assert set(trials["outcome"]) == {"granted"}
    assert set(trials["lent_bytes"]) == {256 * MIB}


@pytest.mark.long
def test_a_kernel_without_a_way_says_so(usual: Run, large_pages: Run) -> None:
    (lacks,) = set(trials_of(usual, "ramdax")["message"])
    assert lacks.startswith("the running kernel has no /sys/bus/platform/drivers/ramdax")
    (refuses,) = set(trials_of(large_pages, "kmem")["message"])
    assert refuses.startswith("the running kernel adds no device DAX with its memmap on itself")
    for trials in (trials_of(usual, "ramdax"), trials_of(large_pages, "kmem")):
        assert set(trials["outcome"]) == {"not_available"}


@pytest.mark.long
def test_with_larger_pages_less_is_memmap_and_more_is_alignment(large_pages: Run) -> None:
    _, whole = trials_of(large_pages, "memmap_on_itself").sort_values("cycle").to_dict("records")
    assert whole["granted_bytes"] == REGION_BYTES - ALIGN_BYTES[16384]
    before = memory(large_pages, "memmap_on_itself", "before")
    assert before["account_memmap_self_bytes"] == REGION_BYTES // 16384 * STRUCT_PAGE_BYTES


@pytest.mark.long
def test_what_is_made_when_it_is_lent_costs_nothing_before(newer: Run) -> None:
    idle, lent = (memory(newer, "ramdax", phase) for phase in ("before", "lent"))
    assert idle["account_hidden_bytes"] == REGION_BYTES
    assert idle["account_device_bytes"] == idle["account_memmap_self_bytes"] == 0
    # A device of whole sections, which has room for what was asked for beside its memmap.
    made_bytes = 3 * SECTION_BYTES
    assert lent["account_hidden_bytes"] == REGION_BYTES - made_bytes
    assert lent["account_memmap_self_bytes"] == made_bytes // 4096 * STRUCT_PAGE_BYTES
    assert lent["account_memmap_host_bytes"] == idle["account_memmap_host_bytes"]
    assert lent["memmap_counter_bytes"] == lent["memmap_bytes"]


@pytest.mark.long
def test_one_region_is_divided_while_the_kernel_runs(newer: Run) -> None:
    _, whole = trials_of(newer, "ramdax").sort_values("cycle").to_dict("records")
    # A device of whole sections, and a smaller one of the rest but the label area.
    first = 3 * SECTION_BYTES
    second = (REGION_BYTES - first - LABEL_BYTES) // ALIGN_BYTES[4096] * ALIGN_BYTES[4096]
    usable = [made - info_and_memmap_bytes(made) for made in (first, second)]
    assert (whole["extents"], whole["largest_extent_bytes"]) == (2, usable[0])
    # The books balance also when it has come back.
    assert (whole["outcome"], whole["reason"]) == ("partial", "device_is_full")
    assert whole["granted_bytes"] == sum(usable)


@pytest.mark.long
def test_newer_kernels_keep_a_block_whose_memmap_is_on_itself(newer: Run) -> None:
    """They refuse to split an entry of the vmemmap, and what such a block hands out is not one."""
    kept = trials_of(newer, "kmem")
    assert set(zip(kept["outcome"], kept["errno"], strict=True)) == {("refused", "EPERM")}
    assert kept["kernel_log"].str.contains("splits a leaf entry in vmemmap").all()
    given = trials_of(newer, "kmem_memmap_in_host_ram")
    assert set(given["outcome"]) == {"granted", "partial"}


def test_a_pinned_page_keeps_a_hot_added_device(checkout: Checkout) -> None:
    """Offlining is given up after a while, and what went offline before comes back."""
    made = run(
        checkout,
        "device_dax_pins",
        strategies={"device-dax": ["kmem"]},
        requests={"half": ["256MiB"]},
        loads={"pins": [10]},
        load_folders=["tests/guest/loads"],
    )
    (trial,) = trials_of(made, "kmem").to_dict("records")
    assert (trial["outcome"], trial["stage"], trial["errno"]) == ("refused", "offline", "EINTR")
    blocker = json.loads(trial["blocker"])
    assert blocker["type"] == "pinned"
    # Within the blocks that were added.
    first_pfn = (2**30 + REGION_BYTES + SECTION_BYTES) // 4096
    assert first_pfn <= blocker["pfn"] < (2**30 + 2**30) // 4096
    before, after = (memory(made, "kmem", phase) for phase in ("before", "after"))
    assert before["mem_total_bytes"] == after["mem_total_bytes"]


# On the newer kernel one trial is not the same: see "Boot once" in docs/measuring.md.
@pytest.mark.long
@pytest.mark.parametrize("made", ["usual", "newer"])
def test_forks_and_cold_boots_give_the_same_bytes(
    made: str, request: pytest.FixtureRequest, checkout: Checkout
) -> None:
    forked: Run = request.getfixturevalue(made)
    config = load_yaml(checkout.path / f"{forked.results.name}.yaml")
    cold = run(checkout, f"{forked.results.name}_cold", boot="cold", **changed(config))
    files = [(of.results / "tables/trials.parquet").read_bytes() for of in (forked, cold)]
    assert files[0] == files[1]


def changed(config: dict[str, Any]) -> dict[str, Any]:
    """What a run's config has otherwise than device_dax.yaml."""
    return {key: config[key] for key in ("kernels", "strategies")}
