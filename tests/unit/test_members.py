# SPDX-License-Identifier: GPL-2.0-only
"""What members of records become columns, one by one."""

from typing import Any

import pytest
from benchmarks.synthetic import records as made

from carveout.collection.members import (
    PRESSURE_COLUMNS,
    VM_COLUMNS,
    WORK_COLUMNS,
    free_columns,
    pressure_columns,
    vm_columns,
    work_columns,
)
from carveout.common.sizes import MIB


def test_free_blocks_stand_under_their_order_and_small_ones_are_scattered() -> None:
    census = made.census(1, "before", free_blocks=[3, 2, 0, 0, 0, 0, 0, 0, 0, 5, 7])
    columns = free_columns(census, 4096)
    assert columns["free_order_0_blocks"] == 3
    assert columns["free_order_10_blocks"] == 7
    assert columns["free_order_11_blocks"] is None, "the kernel has no such order"
    assert columns["free_scattered_bytes"] == (3 + 2 * 2) * 4096


def test_a_load_that_rests_and_a_host_with_free_memory_have_nulls() -> None:
    assert work_columns(None) == dict.fromkeys(WORK_COLUMNS)
    assert pressure_columns(None) == dict.fromkeys(PRESSURE_COLUMNS)


def test_what_a_load_did_alone_and_beside_a_lend_keep_their_names() -> None:
    work = {"alone_steps": 1, "alone_ns": 2, "steps": 3, "ns": 4}
    assert work_columns(work) == {
        "load_alone_steps": 1,
        "load_alone_ns": 2,
        "load_steps": 3,
        "load_ns": 4,
    }
    pressure = {"filled_bytes": 5, "left_bytes": 6, "filler_killed": True}
    assert pressure_columns(pressure) == dict(zip(PRESSURE_COLUMNS, (5, 6, True), strict=True))


def vm_record(**members: Any) -> dict[str, Any]:
    """Two VMs that found all well in 8 blocks and 3 pages."""
    times = {"made_ns": 1, "first_instruction_ns": 2, "counter_ns": 3, "run_ns": 4}
    times["first_counter_ns"] = 2
    counts = {"faults": 11, "exits": 20, "exits_told": 9}
    leaves = [
        {"bytes": 2**30, "count": 0},
        {"bytes": 2 * MIB, "count": 8},
        {"bytes": 4096, "count": 3},
    ]
    tables = {"table_bytes": 12288, "table_counter_bytes": 12288, "table_left_bytes": 0}
    pages = {"pages_checked": 8 * 512 + 3, "pages_bad": 0, "pages_unseen": 0}
    mapped = {"leaves": leaves, "device_bytes": 5, "uncached_bytes": 6, "other_bytes": 7}
    ended = {"killed": 2, "tainted": 0}
    run = {"way": "cacheable", **times, **counts, **tables, **pages, **mapped, **ended, **members}
    return {"cycle": 1, "outcome": "ran", "count": 2, "refusals": None, "run": run}


def test_what_a_vm_did_stands_under_its_names() -> None:
    columns = vm_columns(vm_record())
    assert set(columns) == {"cycle", *VM_COLUMNS}
    assert columns["vm_first_instruction_ns"] == 2
    assert columns["vm_stage2_faults"] == 11
    assert columns["vm_page_bytes"] == 3 * 4096
    assert columns["vm_block_bytes"] == 8 * 2 * MIB
    assert columns["vm_gigantic_bytes"] == 0
    assert (columns["vm_device_bytes"], columns["vm_uncached_bytes"]) == (5, 6)
    assert columns["vm_stage2_table_bytes"] == 12288
    assert columns["vm_survived"] is True


@pytest.mark.parametrize(
    "wrong",
    [{"killed": 1}, {"table_left_bytes": 4096}, {"table_left_bytes": -4096}, {"tainted": 1}],
)
def test_a_host_that_lost_something_to_a_killed_vm_has_not_survived(wrong: dict[str, int]) -> None:
    assert vm_columns(vm_record(**wrong))["vm_survived"] is False


def test_what_the_vm_or_its_monitor_finds_wrong_is_bad() -> None:
    assert vm_columns(vm_record(pages_bad=2, pages_unseen=3))["vm_pages_bad"] == 5


def test_where_no_vm_ran_all_is_null_but_why() -> None:
    told = {"cycle": 1, "outcome": "no_hold", "count": 0, "refusals": None, "run": None}
    wanted = {**dict.fromkeys(VM_COLUMNS), "cycle": 1, "vm_outcome": "no_hold", "vm_count": 0}
    assert vm_columns(told) == wanted
