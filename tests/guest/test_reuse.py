# SPDX-License-Identifier: GPL-2.0-only
"""The reuse probe agrees with a program that fills memory by itself and shares no code with it."""

import re

import pytest

from tests.conftest import Checkout
from tests.guest.records import Cells

MIB = 2**20
CELLS = (
    "baseline/ordinary_pages",
    "mem/carve_out",
    "cma/area",
    "alloc_contig_range/whole_memory",
    "alloc_contig_range/zone_movable",
    "hugetlbfs/2M_boot",
    "hugetlbfs/2M_run_time",
    "hugetlbfs/32M_run_time",
    "virtio-mem/online_movable",
    "virtio-mem/online_kernel",
)


@pytest.fixture(scope="module")
def cells(checkout: Checkout, request: pytest.FixtureRequest) -> Cells:
    """The strategies of the chosen tests, under the load that looks for what came back."""
    chosen = {
        item.callspec.params["cell"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    }
    made = Cells(checkout, "tests/guest/reuse.yaml")
    made.make(*(f"{cell}/exhaustive.once.page" for cell in CELLS if cell in chosen))
    return made


@pytest.mark.parametrize("cell", CELLS)
def test_the_probe_agrees_with_memory_that_is_filled(cells: Cells, cell: str) -> None:
    trial = cells.trial(f"{cell}/exhaustive.once.page")
    (record,) = trial.records("reuse").values()
    found = re.findall(r"fill_memory: (\w+) (\d+) bytes, kept (\d+) bytes", trial.console)
    assert [kind for kind, _, _ in found] == ["movable", "unmovable"]
    for kind, seen, least in found:
        ours = record[kind]
        # Neither goes below the zones' watermarks, the program stays 1 MiB above them, and which
        # frames are left there differs: the program takes pages one by one, the probe the largest
        # blocks first. Per-CPU lists hold some more of the program's.
        tolerance = int(least) + 2 * MIB
        assert abs(ours["allocator_bytes"] - int(seen)) <= tolerance
        # What the program got is free, so the probe has it in one of the three.
        assert int(seen) <= sum(ours.values()) + 2 * MIB


@pytest.mark.parametrize("cell", CELLS)
def test_the_three_numbers_are_of_what_was_granted(cells: Cells, cell: str) -> None:
    trial = cells.trial(f"{cell}/exhaustive.once.page")
    (record,) = trial.records("reuse").values()
    granted_bytes = trial.records("lend")[1]["granted_bytes"]
    for kind in ("movable", "unmovable"):
        assert sum(record[kind].values()) <= granted_bytes
    if cell in ("cma/area", "alloc_contig_range/zone_movable"):
        # Nobody but movable pages has taken any of it meanwhile, and nobody else may.
        assert sum(record["movable"].values()) == granted_bytes
        assert set(record["unmovable"].values()) == {0}
    if cell == "cma/area":
        assert record["movable"]["address_bytes"] == 0
    if cell == "alloc_contig_range/whole_memory":
        # What the allocator keeps below its watermarks. Where the probe holds other pages of the
        # pageblock meanwhile, none of it can be had by address either.
        kept = record["movable"]["address_bytes"] + record["movable"]["untried_bytes"]
        assert kept > 0
