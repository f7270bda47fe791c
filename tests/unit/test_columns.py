# SPDX-License-Identifier: GPL-2.0-only
"""Every number that a guest says arrives in the column of its name, of its own cycle and census.

All numbers of the records are made different, so that none can stand for another.
"""

import itertools
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from benchmarks.synthetic.records import KERNEL_FACTS, RAM_BYTES, trial, whole_cycle

from carveout.collection.rows import TrialRows
from carveout.common.sizes import MIB
from carveout.tables.accounts import ACCOUNTS, GROUPS, column

PHASES = ("before", "lent", "after")
ZONES = ("DMA", "DMA32", "Normal", "Movable")
ZONE_PAGES = ("managed_pages", "present_pages", "spanned_pages")
# Members that say which record it is, or that the cycle's other records must agree with.
GIVEN = {"record", "cycle", "phase", "seq", "request_bytes", "granted_bytes", "pageblock_bytes"}

Record = dict[str, Any]


def numbered(record: Record, numbers: Iterator[int]) -> None:
    """Gives every number of a record a value of its own."""
    for name, value in record.items():
        if isinstance(value, dict):
            numbered(value, numbers)
        elif isinstance(value, int) and not isinstance(value, bool) and name not in GIVEN:
            record[name] = next(numbers)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Two cycles of distinct numbers, in books that balance and a lend of 256 and 128 MiB."""
    numbers = itertools.count(1_000_003, 1009)
    # Made-up records share what is alike in them.
    made = [deepcopy(record) for record in whole_cycle(1, 256 * MIB) + whole_cycle(2, 128 * MIB)]
    made += [
        {
            "record": "discards",
            "cycle": cycle,
            **dict.fromkeys(("discarded_bytes", "extents", "largest_extent_bytes"), 0),
        }
        for cycle in (1, 2)
    ]
    for record in made:
        if record["record"] == "census":
            record["zones"] = [
                {"name": name, **{pages: next(numbers) for pages in ZONE_PAGES}} for name in ZONES
            ]
        numbered(record, numbers)
        if record["record"] == "census":
            books = record["accounts"]
            books["lent"] += 256 * MIB
            books["free"] += RAM_BYTES - sum(books.values())
        if record["record"] == "verify":
            record |= {"pages_bad": 0, "pages_overlapping": 0, "pages_free": 0}
            record["pages_checked"] += 256 * MIB // 4096
        if record["record"] == "lend":
            record |= {"cleared_pages": 0, "lend_ns": sum(record["costs"].values())}
    return made


@pytest.fixture(scope="module")
def tables(records: list[Record]) -> dict[str, list[Record]]:
    """Their rows."""
    rows = TrialRows()
    rows.add({**KERNEL_FACTS, **trial(records)})
    return {name: table.to_pylist() for name, table in rows.tables().items()}


def of(records: list[Record], kind: str, **members: object) -> Record:
    """The one record of a kind that is like that."""
    (found,) = (
        record for record in records if {"record": kind, **members}.items() <= record.items()
    )
    return found


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("cycle", [1, 2])
def test_a_census_is_a_row_of_its_own_numbers(
    records: list[Record], tables: dict[str, list[Record]], cycle: int, phase: str
) -> None:
    census = of(records, "census", cycle=cycle, phase=phase)
    (row,) = (row for row in tables["phases"] if (row["cycle"], row["phase"]) == (cycle, phase))
    for name, value in census.items():
        if name in row:
            assert row[name] == value, name
    for account in ACCOUNTS:
        assert row[column(account)] == census["accounts"][account]
    for zone in census["zones"]:
        for pages in ZONE_PAGES:
            assert row[f"{zone['name'].lower()}_{pages}"] == zone[pages]
    for group in ("stranded", "movable_only", "serving"):
        wanted = sum(census["accounts"][account] for account in GROUPS[group])
        assert row[f"{group}_bytes"] == wanted


@pytest.mark.parametrize("cycle", [1, 2])
def test_a_request_is_a_row_of_the_numbers_of_its_cycle(
    records: list[Record], tables: dict[str, list[Record]], cycle: int
) -> None:
    (row,) = (row for row in tables["trials"] if row["cycle"] == cycle)
    for kind in ("lend", "give_back"):
        record = of(records, kind, cycle=cycle)
        # Both say a stage and a refusal; the give-back's have names of their own.
        own = {name for name in record if name.endswith(("_ns", "_pages", "_bytes", "_kills"))}
        for name in (
            (own | {"extents", "pages_migrated", "pages_reclaimed"}) & set(record) & set(row)
        ):
            assert row[name] == record[name], name
    for part, ns in of(records, "lend", cycle=cycle)["costs"].items():
        assert row[f"lend_{part}"] == ns
    verify = of(records, "verify", cycle=cycle)
    for name in ("zero_ns", "zero_pages", "scribbled_bytes"):
        assert row[name] == verify[name]
    assert row["verify_pages_checked"] == verify["pages_checked"]
    discards = of(records, "discards", cycle=cycle)
    assert row["owner_discarded_bytes"] == discards["discarded_bytes"]
    assert row["owner_discarded_extents"] == discards["extents"]
    assert row["owner_largest_extent_bytes"] == discards["largest_extent_bytes"]
    reuse = of(records, "reuse", cycle=cycle)
    for kind in ("movable", "unmovable"):
        assert row[f"reuse_{kind}_bytes"] == reuse[kind]["allocator_bytes"]
        assert row[f"reuse_{kind}_address_bytes"] == reuse[kind]["address_bytes"]
        assert row[f"reuse_{kind}_untried_bytes"] == reuse[kind]["untried_bytes"]


@pytest.mark.parametrize("cycle", [1, 2])
def test_what_a_request_has_of_its_censuses_is_of_the_right_one(
    records: list[Record], tables: dict[str, list[Record]], cycle: int
) -> None:
    (row,) = (row for row in tables["trials"] if row["cycle"] == cycle)
    before, lent, after = (of(records, "census", cycle=cycle, phase=phase) for phase in PHASES)

    def held(census: Record, group: str) -> int:
        return sum(census["accounts"][account] for account in GROUPS[group])

    assert row["memmap_idle_bytes"] == before["memmap_bytes"]
    assert row["memmap_bytes"] == lent["memmap_bytes"]
    assert row["memmap_lent_bytes"] == lent["memmap_lent_bytes"]
    for group in ("stranded", "movable_only", "cma_area", "movable_zone"):
        assert row[f"{group}_bytes"] == held(before, group)
    assert row["cma_used_bytes"] == before["accounts"]["cma_used"]
    assert row["regained_bytes"] == held(after, "serving") - held(lent, "serving")
    assert row["kept_back_bytes"] == held(before, "serving") - held(after, "serving")


def test_a_guest_that_dies_of_a_vm_has_been_asked_for_one() -> None:
    records = whole_cycle(1, 256 * MIB)
    end = next(n for n, r in enumerate(records) if r["record"] == "verify") + 1
    died = [*records[:end], {"record": "stage", "stage": "vm", "cycle": 1}]
    made = TrialRows()
    for asked, kept in ((True, died), (True, records[:end]), (False, records[:end])):
        of_trial = trial(kept, "error")
        made.add({**KERNEL_FACTS, **of_trial, "cell": {**of_trial["cell"], "runs_vm": asked}})
    outcomes = [row["vm_outcome"] for row in made.tables()["trials"].to_pylist()]
    # What comes after the death is not known, nor what would have come of it.
    assert outcomes == ["host_died", None, None, None, "not_asked", "not_asked"]
