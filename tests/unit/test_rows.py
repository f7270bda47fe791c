# SPDX-License-Identifier: GPL-2.0-only
"""From records to rows: every trial makes its rows, whatever became of its guest."""

from typing import Any

import pytest
from benchmarks.synthetic.records import (
    KERNEL_FACTS,
    ZERO_NS_A_PAGE,
    accounts,
    trial,
    whole_cycle,
)

from carveout.collection.rows import TrialRows
from carveout.common.sizes import MIB
from carveout.tables.rules import REUSE_COLUMNS


def rows(records: list[dict[str, Any]], cause: str | None = None) -> list[dict[str, Any]]:
    rows = TrialRows()
    rows.add({**KERNEL_FACTS, **trial(records, cause)})
    made: list[dict[str, Any]] = rows.tables()["trials"].to_pylist()
    return made


def test_a_trial_that_ends_well() -> None:
    first, second = rows(whole_cycle(1, 256 * MIB) + whole_cycle(2, 0))
    assert (first["outcome"], second["outcome"]) == ("granted", "refused")
    assert (first["scenario"], first["dose_target"]) == ("idle.twice.page", 10)
    assert first["regained_bytes"] == 256 * MIB
    assert first["kept_back_bytes"] == 0
    assert first["physical_bytes"] == 410 * MIB
    assert first["scribbled_bytes"] == 2744 * MIB
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
    lent["accounts"] = accounts(machine=256 * MIB)
    assert rows(records)[0]["verify"] == "ok"


@pytest.mark.parametrize("cause", ["oom", "panic", "hang", "torn_records"])
def test_a_guest_that_dies_before_its_first_request(cause: str) -> None:
    first, second = rows([], cause)
    outcome = "load_refused" if cause == "oom" else "crashed"
    assert (first["outcome"], first["cause"], first["stage"]) == (outcome, cause, "load")
    assert (second["outcome"], second["cause"], second["stage"]) == (
        outcome,
        cause,
        "earlier_cycle",
    )
    assert first["message"] == f"it was a {cause}"
    assert first["lend_ns"] is None


def test_a_load_that_a_lend_killed_is_told_from_one_that_did_not_fit() -> None:
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 256 * MIB)[:3]
    first, second = rows(records, "oom")
    assert first["outcome"] == "granted"
    assert (second["outcome"], second["stage"]) == ("load_killed", "lend")
    assert second["asked_bytes"] is None


def test_what_a_careful_monitor_asked_for_is_beside_the_request() -> None:
    records = whole_cycle(1, 96 * MIB, {"asked_bytes": 100 * MIB})
    row = rows(records)[0]
    assert (row["outcome"], row["asked_bytes"], row["reserve_bytes"]) == (
        *("partial", 100 * MIB, 32 * MIB),
    )


def test_a_guest_that_dies_in_its_second_cycle() -> None:
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 256 * MIB)[:7]
    first, second = rows(records, "panic")
    assert first["outcome"] == "granted"
    assert (second["outcome"], second["stage"]) == ("crashed", "verify")
    assert second["granted_bytes"] == 256 * MIB


def with_accounts(phase: str, **held: int) -> list[dict[str, Any]]:
    """Returns a cycle that lends 256 MiB, one census of which has other books."""
    records = whole_cycle(1, 256 * MIB)
    census = next(r for r in records if r.get("phase") == phase)
    census["accounts"] = accounts(**held)
    return records


def test_stranded_is_what_linux_cannot_use() -> None:
    held = {"hidden": MIB, "no_map": 2 * MIB, "pool_idle": 4 * MIB}
    held |= {"offline": 8 * MIB, "device": 16 * MIB}
    assert rows(with_accounts("before", **held))[0]["stranded_bytes"] == 31 * MIB


def test_movable_only_counts_a_frame_once_and_tells_its_parts_apart() -> None:
    held = {"cma_idle": 40 * MIB, "cma_used": 24 * MIB}
    held |= {"movable_zone_free": 40 * MIB, "movable_zone_used": 3 * MIB}
    row = rows(with_accounts("before", **held))[0]
    assert row["movable_only_bytes"] == 107 * MIB
    assert (row["cma_area_bytes"], row["movable_zone_bytes"]) == (64 * MIB, 43 * MIB)
    assert row["cma_used_bytes"] == 24 * MIB


def test_who_saves_memmap_while_it_lends_loses_nothing_to_it() -> None:
    """Onlining memory again costs memmap: what serves Linux is as before, and no less."""
    records = whole_cycle(1, 256 * MIB)
    lent = next(r for r in records if r.get("phase") == "lent")
    lent["accounts"] = accounts(machine=256 * MIB, memmap_host=60 * MIB)
    row = rows(records)[0]
    assert row["regained_bytes"] == 252 * MIB
    assert row["kept_back_bytes"] == 0


def test_what_stays_behind_is_kept_back() -> None:
    row = rows(with_accounts("after", pool_idle=2 * MIB))[0]
    assert row["kept_back_bytes"] == 2 * MIB
    assert row["regained_bytes"] == 254 * MIB


def test_nothing_comes_back_where_nothing_was_granted() -> None:
    """Else the cycle before would be told of again."""
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 0)
    first, second = rows(records)
    assert first["reuse_movable_bytes"] == 192 * MIB
    assert first["reuse_movable_address_bytes"] == 32 * MIB
    assert first["reuse_movable_untried_bytes"] == 32 * MIB
    assert first["reuse_unmovable_bytes"] == 0
    assert {second[name] for name in REUSE_COLUMNS} == {None}
    stale = {**next(r for r in records if r["record"] == "reuse"), "cycle": 2}
    assert {rows([*records, stale])[1][name] for name in REUSE_COLUMNS} == {None}


def test_a_refusal_says_whose_word_it_is() -> None:
    mine = {"refused_by": "carveout", "reason": "no_candidate", "errno": None, "attempts": 7}
    log = {"kernel_log": "cma: number of available pages: 32768"}
    row = rows(whole_cycle(1, 0, {"stage": "search", **mine, **log}))[0]
    assert row.items() >= {"stage": "search", **mine, **log}.items()


def test_the_clearing_of_single_pages_is_no_part_of_a_lend() -> None:
    cost = {"search_ns": 1, "migrate_ns": 2, "reclaim_ns": 3, "map_ns": 5000, "rest_ns": 4}
    lent = {"lend_ns": 5010, "costs": cost, "cleared_pages": 3, "content_ns": 70}
    row = rows(whole_cycle(1, 256 * MIB, lent))[0]
    assert row["lend_map_ns"] == 5000 - 3 * ZERO_NS_A_PAGE
    assert row["lend_ns"] == 5010 - 3 * ZERO_NS_A_PAGE
    assert row["content_ns"] == 70 + 3 * ZERO_NS_A_PAGE
    assert row["zero_ns"] == row["zero_pages"] * ZERO_NS_A_PAGE
    lent["cleared_pages"] = 1000
    row = rows(whole_cycle(1, 256 * MIB, lent))[0]
    assert (row["lend_map_ns"], row["lend_ns"]) == (0, 10)


def test_where_no_page_was_cleared_to_compare_with_nothing_is_moved() -> None:
    lent = {"lend_ns": 1000, "cleared_pages": 3}
    row = rows(whole_cycle(1, 0, lent))[0]
    assert (row["lend_ns"], row["content_ns"]) == (1000, 0)
    assert (row["zero_ns"], row["zero_pages"]) == (None, 0)


def test_a_request_of_which_nothing_was_granted_has_no_verdict() -> None:
    assert rows(whole_cycle(1, 0))[0]["verify"] == "not_checked"
    records = whole_cycle(1, 0)
    next(r for r in records if r["record"] == "verify")["pages_overlapping"] = 1
    assert rows(records)[0]["verify"] == "failed"


def test_a_page_that_is_neither_checked_nor_in_the_machine_fails_the_verification() -> None:
    records = with_accounts("lent", machine=128 * MIB, lent=128 * MIB)
    verify = next(r for r in records if r["record"] == "verify")
    verify["pages_checked"] = 128 * MIB // 4096
    assert rows(records)[0]["verify"] == "ok"
    verify["pages_checked"] -= 1
    assert rows(records)[0]["verify"] == "failed"
