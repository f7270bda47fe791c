# SPDX-License-Identifier: GPL-2.0-only
"""What holds in every row by definition, whatever was measured."""

import operator

import pandas as pd

from carveout.tables.accounts import ACCOUNTS, GROUPS, column, total
from carveout.tables.schema import Rule, rule, sums

OF_THE_LOAD = ("load_refused", "load_killed")
# By so many points a load may miss its dose and still count as carried.
SHORT_OF_DOSE = 2
# The parts of the time that a lend takes.
LEND_PARTS = ("search", "migrate", "reclaim", "map", "rest")
REUSE_KINDS = ("movable", "unmovable")
# By whom the frames were got: the page allocator, by address alone, or not tried.
REUSE_COLUMNS = tuple(
    f"reuse_{kind}{how}_bytes" for kind in REUSE_KINDS for how in ("", "_address", "_untried")
)
# What the machine's owner regained.
OWNER_COLUMNS = (
    *("owner_discarded_bytes", "owner_discarded_extents"),
    "owner_largest_extent_bytes",
)


def is_short_of_dose(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which loads came to less than they were to, null where it is not known.

    Args:
        rows: of any table with `dose_target` and `dose_achieved`, in percent; of a load that was
            refused the second is what it came to until then.
    """
    target, achieved = (rows[name].astype("Float64") for name in ("dose_target", "dose_achieved"))
    return achieved < target - SHORT_OF_DOSE


def misses_dose(rows: pd.DataFrame, refused: "pd.Series[bool]") -> "pd.Series[bool]":
    """Return which loads were not refused and yet never there, as page cache that is trimmed is.

    Args:
        rows: as for `is_short_of_dose`.
        refused: which rows are of loads that were.
    """
    return is_short_of_dose(rows).fillna(value=False).astype(bool) & ~refused


def _sum(table: pd.DataFrame, columns: list[str]) -> "pd.Series[int]":
    added = table[columns[0]]
    for name in columns[1:]:
        added = added + table[name]
    return added


def _of_group(name: str) -> Rule:
    """Return the rule that a group's column is the sum of its accounts."""

    def added(table: pd.DataFrame) -> "pd.Series[int]":
        series = {column(account): table[column(account)] for account in GROUPS[name]}
        return total(series, GROUPS[name], operator.add)

    return sums(f"{name}_bytes is the sum of its accounts", lambda t: t[f"{name}_bytes"], added)


def _of_payers(memmap: str) -> Rule:
    """Return the rule that what is there of the memmap is paid for."""
    return sums(
        f"{memmap}_bytes is what the host and the memory itself pay",
        lambda t: t[f"{memmap}_bytes"],
        lambda t: _sum(t, [f"{memmap}_host_bytes", f"{memmap}_self_bytes"]),
    )


def _counter_is_known(table: pd.DataFrame) -> "pd.Series[bool]":
    """Return where the kernel counts its memmap, and counts what the census does."""
    withheld = table[column("offline")] + table[column("device")]
    return (table["memmap_counter_bytes"].fillna(0) > 0) & (withheld == 0)


OF_TRIALS = (
    rule(
        "a granted row has granted_bytes >= request_bytes",
        lambda t: (t["outcome"] != "granted") | (t["granted_bytes"] >= t["request_bytes"]),
    ),
    rule(
        "a partial row has 0 < granted_bytes < request_bytes",
        lambda t: (
            (t["outcome"] != "partial")
            | ((t["granted_bytes"] > 0) & (t["granted_bytes"] < t["request_bytes"]))
        ),
    ),
    rule(
        "a refused row has granted_bytes = 0",
        lambda t: (t["outcome"] != "refused") | (t["granted_bytes"] == 0),
    ),
    rule(
        "a refused row says who refused, and gives the kernel's errno or a reason",
        lambda t: (
            (t["outcome"] != "refused")
            | (t["refused_by"].notna() & (t["errno"].notna() | t["reason"].notna()))
        ),
    ),
    rule(
        "no more is granted than was lent",
        lambda t: t["granted_bytes"] <= t["lent_bytes"],
    ),
    rule(
        "a lend that got all that was asked for is not exhausted",
        lambda t: (t["outcome"] != "granted") | ~t["exhausted"],
    ),
    rule(
        "a single range is the largest extent",
        lambda t: (t["granule"] != "single") | (t["granted_bytes"] == t["largest_extent_bytes"]),
    ),
    rule(
        "where a granule is not available, nothing was run",
        lambda t: (t["outcome"] != "not_available") | t["kernel_release"].isna(),
    ),
    rule(
        "an errno is the kernel's or a driver's",
        lambda t: t["errno"].isna() | t["refused_by"].isin(["kernel", "driver"]),
    ),
    rule(
        "a row of a host that died has a cause",
        lambda t: ~t["outcome"].isin(["crashed", *OF_THE_LOAD]) | t["cause"].notna(),
    ),
    rule(
        "a load is refused or killed by lack of memory",
        lambda t: ~t["outcome"].isin(OF_THE_LOAD) | (t["cause"] == "oom"),
    ),
    rule(
        "no more is asked of the strategy than of the host",
        lambda t: t["asked_bytes"] <= t["request_bytes"],
    ),
    sums(
        "lend_ns is the sum of its parts",
        lambda t: t["lend_ns"],
        lambda t: _sum(t, [f"lend_{part}_ns" for part in LEND_PARTS]),
    ),
    rule(
        "zero_ns is known where, and only where, zero_pages > 0",
        lambda t: t["zero_ns"].notna() == (t["zero_pages"].fillna(0) > 0),
    ),
    *map(_of_payers, ("memmap_idle", "memmap")),
    sums(
        "movable_only_bytes is cma_area_bytes + movable_zone_bytes",
        lambda t: t["movable_only_bytes"],
        lambda t: _sum(t, ["cma_area_bytes", "movable_zone_bytes"]),
    ),
    rule(
        "cma_used_bytes is a part of cma_area_bytes",
        lambda t: t["cma_used_bytes"] <= t["cma_area_bytes"],
    ),
    rule(
        "what comes back is null where nothing was lent",
        lambda t: (t["lent_bytes"] > 0) | t[list(REUSE_COLUMNS)].isna().all(axis="columns"),
    ),
    rule(
        "no more comes back than was given back",
        lambda t: (
            (_came_back(t, "movable") <= t["returned_bytes"])
            & (_came_back(t, "unmovable") <= t["returned_bytes"])
        ),
    ),
    sums(
        "a VM finds as much memory as stage 2 maps of what is lent",
        lambda t: t["vm_pages_checked"] * t["page_bytes"],
        lambda t: _sum(t, ["vm_page_bytes", "vm_block_bytes", "vm_gigantic_bytes"]),
    ),
    rule(
        "a VM that ran says in how many pages",
        lambda t: (t["vm_outcome"] == "ran").fillna(False) == t["vm_pages_checked"].notna(),
    ),
    rule(
        "VMs that ran were in all that was lent",
        lambda t: (
            (t["vm_outcome"] != "ran").fillna(True)
            | (t["vm_pages_checked"] * t["page_bytes"] == t["lent_bytes"])
        ),
    ),
    rule(
        "what Linux may take back is a part of what is lent",
        lambda t: t["revocable_bytes"].fillna(0) <= t["lent_bytes"],
    ),
    rule(
        "the largest extent that the owner regained is a part of all of it, or all of it",
        lambda t: (
            (t["owner_largest_extent_bytes"].fillna(0) <= t["owner_discarded_bytes"].fillna(0))
            & (
                (t["owner_discarded_extents"].fillna(0) != 1)
                | (t["owner_largest_extent_bytes"] == t["owner_discarded_bytes"])
            )
        ),
    ),
    rule(
        "where nothing was lent, no verification is ok",
        lambda t: (t["lent_bytes"] > 0) | (t["verify"] != "ok"),
    ),
)

OF_PHASES = (
    sums(
        "the accounts sum to ram_bytes",
        lambda t: _sum(t, [column(account) for account in ACCOUNTS]),
        lambda t: t["ram_bytes"],
    ),
    *map(_of_group, ("stranded", "movable_only", "serving", "memmap")),
    rule(
        "what is free in small blocks is free",
        lambda t: (
            t["free_scattered_bytes"]
            <= _sum(t, [column(name) for name in ("free", "movable_zone_free", "cma_idle", "lent")])
        ),
    ),
    rule(
        "memmap_bytes is what the kernel counts, where nothing is offline or on a device",
        lambda t: ~_counter_is_known(t) | (t["memmap_bytes"] == t["memmap_counter_bytes"]),
    ),
    rule(
        "memmap_lent_bytes is a part of memmap_bytes",
        lambda t: t["memmap_lent_bytes"] <= t["memmap_bytes"],
    ),
)


def _came_back(table: pd.DataFrame, kind: str) -> "pd.Series[int]":
    return _sum(table, [name for name in REUSE_COLUMNS if name.startswith(f"reuse_{kind}_")])
