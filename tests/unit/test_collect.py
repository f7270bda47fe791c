# SPDX-License-Identifier: GPL-2.0-only
"""From records to rows: every trial makes its rows, whatever became of its guest."""

from typing import Any

import pandas as pd
import pytest

from carveout.collect import census_rows, cycle_rows
from carveout.sizes import MIB
from carveout.tables import TABLES, write_table
from tests.unit.made_records import RAM_BYTES, trial, whole_cycle

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
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 256 * MIB)[:7]
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
