# SPDX-License-Identifier: GPL-2.0-only
"""From records to rows: every trial makes its rows, whatever became of its guest."""

from typing import Any

import pandas as pd
import pytest

from carveout.collect import census_rows, cycle_rows
from carveout.tables import TABLES, write_table

MIB = 2**20
RAM_BYTES = 4096 * MIB


def census(cycle: int, phase: str, **members: int) -> dict[str, Any]:
    return {
        "record": "census",
        "cycle": cycle,
        "phase": phase,
        "memmap_bytes": 64 * MIB,
        "memmap_lent_bytes": 0,
        "memmap_counter_bytes": 64 * MIB,
        "page_table_bytes": MIB,
        "mem_total_bytes": 3900 * MIB,
        "mem_free_bytes": 3000 * MIB,
        "mem_available_bytes": 3000 * MIB,
        "present_bytes": RAM_BYTES,
        "lent_absent_bytes": 0,
        "hugetlb_unlent_bytes": 0,
        "cma_unlent_bytes": 0,
        "movable_zone_unlent_bytes": 0,
        "zones": [
            {"name": "DMA", "managed_pages": 9, "present_pages": 10, "spanned_pages": 11},
            {"name": "Normal", "managed_pages": 5, "present_pages": 6, "spanned_pages": 7},
        ],
        "pageblock_bytes": 2 * MIB,
        "first_pfn": 262144,
        "pageblocks": "FM" * 1024,
        **members,
    }


def lend(cycle: int, granted_bytes: int, **members: Any) -> dict[str, Any]:
    return {
        "record": "lend",
        "cycle": cycle,
        "request_bytes": 256 * MIB,
        "stage": None,
        "errno": None,
        "granted_bytes": granted_bytes,
        "extents": 1 if granted_bytes else 0,
        "largest_extent_bytes": granted_bytes,
        "lend_ns": 1000,
        "pages_migrated": 3,
        "pages_reclaimed": 0,
        "oom_kills": 0,
        "blocker": None,
        **members,
    }


def whole_cycle(cycle: int, granted_bytes: int) -> list[dict[str, Any]]:
    pages = granted_bytes // 4096
    return [
        {"record": "stage", "stage": "census", "cycle": cycle},
        census(cycle, "before"),
        {"record": "stage", "stage": "lend", "cycle": cycle},
        lend(cycle, granted_bytes),
        census(cycle, "lent", mem_available_bytes=2744 * MIB, memmap_lent_bytes=4 * MIB),
        {"record": "stage", "stage": "verify", "cycle": cycle},
        {
            "record": "verify",
            "cycle": cycle,
            "pages_checked": pages,
            "pages_bad": 0,
            "pages_overlapping": 0,
            "pages_free": 0,
        },
        {"record": "stage", "stage": "give_back", "cycle": cycle},
        {
            "record": "give_back",
            "cycle": cycle,
            "stage": None,
            "errno": None,
            "returned_bytes": granted_bytes,
            "give_back_ns": 500,
        },
        census(cycle, "after"),
        {"record": "stage", "stage": "reuse", "cycle": cycle},
        {
            "record": "reuse",
            "cycle": cycle,
            "reuse_movable_bytes": granted_bytes,
            "reuse_unmovable_bytes": 0,
        },
    ]


def trial(records: list[dict[str, Any]], cause: str | None = None) -> dict[str, Any]:
    boot: list[dict[str, Any]] = [
        {"record": "stage", "stage": "boot", "cycle": 0},
        {"record": "hello", "kernel_release": "6.12", "page_bytes": 4096, "module_version": "1"},
        {"record": "stage", "stage": "load", "cycle": 0},
        {"record": "load", "dose_achieved_percent": 10.0, "oom_kills": 0},
    ]
    return {
        "trial_id": "aa",
        "cell": {
            "kernel": "debian-6.12",
            "ram_bytes": RAM_BYTES,
            "cpus": 2,
            "lendable_bytes": 1024 * MIB,
            "load": "idle",
            "dose_percent": 10,
            "requests": "twice",
            "requests_bytes": [256 * MIB, 256 * MIB],
            "variant": {
                "strategy": "cma",
                "name": "area",
                "parameters": {"align_bytes": 2 * MIB},
            },
        },
        "seed": 1,
        "ending": {"cause": cause, "message": cause and f"it was a {cause}"},
        "records": [{"seq": seq, **record} for seq, record in enumerate(boot + records)],
    }


def rows(records: list[dict[str, Any]], cause: str | None = None) -> list[dict[str, Any]]:
    return cycle_rows(trial(records, cause))


def test_a_trial_that_ends_well() -> None:
    first, second = rows(whole_cycle(1, 256 * MIB) + whole_cycle(2, 0))
    assert (first["outcome"], second["outcome"]) == ("granted", "refused")
    assert first["scenario"] == "idle-10.twice"
    assert first["regained_bytes"] == 256 * MIB
    assert first["memmap_lent_bytes"] == 4 * MIB
    assert first["verify"] == "ok"
    assert first["stranded_bytes"] == 0


def test_less_than_asked_is_partial() -> None:
    assert rows(whole_cycle(1, 254 * MIB))[0]["outcome"] == "partial"


@pytest.mark.parametrize("fault", ["pages_bad", "pages_overlapping", "pages_free"])
def test_one_wrong_page_fails_the_verification(fault: str) -> None:
    records = whole_cycle(1, 256 * MIB)
    next(r for r in records if r["record"] == "verify")[fault] = 1
    assert rows(records)[0]["verify"] == "failed"


def test_a_page_that_was_not_checked_fails_the_verification() -> None:
    records = whole_cycle(1, 256 * MIB)
    next(r for r in records if r["record"] == "verify")["pages_checked"] -= 1
    assert rows(records)[0]["verify"] == "failed"


def test_absent_frames_need_no_pattern() -> None:
    records = whole_cycle(1, 256 * MIB)
    next(r for r in records if r["record"] == "verify")["pages_checked"] = 0
    lent = next(r for r in records if r.get("phase") == "lent")
    lent["lent_absent_bytes"] = 256 * MIB
    assert rows(records)[0]["verify"] == "ok"


@pytest.mark.parametrize("cause", ["oom", "panic", "hang", "wall_limit", "torn_records"])
def test_a_guest_that_dies_before_its_first_request(cause: str) -> None:
    first, second = rows([], cause)
    assert (first["outcome"], first["cause"], first["stage"]) == ("crashed", cause, "load")
    assert (second["outcome"], second["cause"], second["stage"]) == (
        "crashed",
        cause,
        "earlier_cycle",
    )
    assert first["message"] == f"it was a {cause}"
    assert first["lend_ns"] is None


def test_a_guest_that_dies_in_its_second_cycle() -> None:
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 256 * MIB)[:6]
    first, second = rows(records, "panic")
    assert first["outcome"] == "granted"
    assert (second["outcome"], second["stage"]) == ("crashed", "verify")
    assert second["granted_bytes"] == 256 * MIB


def test_hidden_memory_and_idle_huge_pages_are_stranded() -> None:
    records = whole_cycle(1, 0)
    records[1] |= {"present_bytes": RAM_BYTES - 1024 * MIB, "hugetlb_unlent_bytes": 2 * MIB}
    assert rows(records)[0]["stranded_bytes"] == 1026 * MIB


def test_the_tables_take_all_of_it(tmp_path: Any) -> None:
    trials = [
        trial(whole_cycle(1, 256 * MIB) + whole_cycle(2, 0)),
        trial([], "panic") | {"trial_id": "bb", "seed": 2},
    ]
    write_table(
        "trials",
        pd.DataFrame([row for entry in trials for row in cycle_rows(entry)]),
        tmp_path / "trials.parquet",
    )
    write_table(
        "phases",
        pd.DataFrame(
            [row for entry in trials for row in census_rows(entry)],
            columns=list(TABLES["phases"].columns),
        ),
        tmp_path / "phases.parquet",
    )
