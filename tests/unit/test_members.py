# SPDX-License-Identifier: GPL-2.0-only
"""What members of records become columns, one by one."""

from typing import Any

import pytest
from benchmarks.synthetic import records as made

from carveout.common.sizes import MIB
from carveout.tables.members import (
    PRESSURE_COLUMNS,
    WORK_COLUMNS,
    free_columns,
    is_explained,
    pressure_columns,
    work_columns,
)

BLOCKER = {"pfn": 1, "type": "slab", "flags": "", "owner": ""}


@pytest.mark.parametrize(
    ("granted_bytes", "members", "wanted"),
    [
        (256 * MIB, {}, None),
        (0, {}, False),
        (0, {"blocker": BLOCKER}, True),
        (64 * MIB, {"errno": None, "reason": "host_needs_the_rest"}, True),
        (64 * MIB, {"errno": None, "reason": "not_in_granules"}, False),
        (0, {"errno": "EPERM"}, True),
    ],
)
def test_a_short_lend_is_explained_by_a_page_by_the_hosts_need_or_by_a_veto(
    granted_bytes: int, members: dict[str, Any], wanted: bool | None
) -> None:
    assert is_explained(made.lend(1, granted_bytes, **members)) is wanted


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
