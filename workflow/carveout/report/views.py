# SPDX-License-Identifier: GPL-2.0-only
"""Tables as people read them, in the report and in a terminal alike: cells are text."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from carveout.figures.labels import (
    NOTHING,
    Labels,
    bytes_label,
    load_label,
    loads_of,
    ns_label,
    percent_label,
    success_label,
    successes_label,
)

ASIDE = "set aside, idle"
BACK = "after give back"
LEND = "median lend"
MEMMAP = "memmap"
SUCCESS = "success (95 % interval)"


def comparison_view(comparison: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return one machine's comparison: one row per variant, two levels of column headings."""
    requests = sorted(comparison["request_bytes"].unique())
    rows = labels.variants(comparison)
    by_row = {
        (row["strategy"], row["variant"], row["request_bytes"]): row
        for row in comparison.to_dict("records")
    }
    cells = [
        _comparison_cells([by_row.get((*row, size)) for size in requests], requests) for row in rows
    ]
    return _framed(cells, [labels.variant(*row) for row in rows])


def success_rates(comparison: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return the success rates that `comparison_view` shows, in its rows and columns."""
    wide = comparison.pivot_table(
        index=["strategy", "variant"], columns="request_bytes", values="success_rate"
    ).reindex(pd.MultiIndex.from_tuples(labels.variants(comparison)))
    requests = sorted(comparison["request_bytes"].unique())
    wide.columns = pd.MultiIndex.from_tuples([(SUCCESS, bytes_label(n)) for n in requests])
    return wide.set_axis([labels.variant(*row) for row in labels.variants(comparison)])


def success_view(summary: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return one machine's successes of each variant (rows) under each load (columns)."""
    key = ["strategy", "variant", "load", "dose_target", "request_bytes"]
    sums = summary.groupby(key)[["successes", "trials"]].sum().reset_index()
    sums["text"] = [
        successes_label(*counts) for counts in zip(sums["successes"], sums["trials"], strict=True)
    ]
    wide = sums.pivot_table(index=key[:2], columns=key[2:], values="text", aggfunc="first")
    wide = wide.reindex(pd.MultiIndex.from_tuples(labels.variants(summary)))
    ordered = [
        (load, dose, size)
        for load, dose in loads_of(summary)
        for size in sorted(summary["request_bytes"].unique())
    ]
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(ordered)).fillna(NOTHING)
    wide.columns = pd.MultiIndex.from_tuples(
        [(load_label(load, dose), bytes_label(size)) for load, dose, size in ordered]
    )
    return wide.set_axis([labels.variant(*row) for row in labels.variants(summary)])


def failures_view(failures: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return the failures, in the order of the variants, the most frequent first."""
    places = {row: place for place, row in enumerate(labels.variants(failures))}
    pairs = list(zip(failures["strategy"], failures["variant"], strict=True))
    ordered = failures.assign(
        place=[places[pair] for pair in pairs], title=[labels.variant(*pair) for pair in pairs]
    ).sort_values(["place", "count"], ascending=[True, False], kind="stable")
    names = {
        "title": "strategy",
        "outcome": "outcome",
        "cause": "cause",
        "stage": "stage",
        "errno": "errno",
        "blocker_type": "blocking page",
        "loads": "under",
        "count": "trials",
    }
    view = ordered[list(names)].rename(columns=names)
    view["under"] = view["under"].str.replace("_", " ")
    return view.astype(object).where(view.notna(), NOTHING).reset_index(drop=True)


def loads_view(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each load with the dose that was wanted and the doses that were achieved."""
    doses = trials.groupby(["load", "dose_target"])["dose_achieved"].agg(["median", "min", "max"])
    doses = doses.reset_index().sort_values("load", key=lambda load: load.where(load != "idle", ""))
    return pd.DataFrame(
        {
            "load": doses["load"].str.replace("_", " "),
            "dose wanted": [f"{dose} %" for dose in doses["dose_target"]],
            "achieved, median": [_dose(value) for value in doses["median"]],
            "least": [_dose(value) for value in doses["min"]],
            "most": [_dose(value) for value in doses["max"]],
        }
    )


def _comparison_cells(
    found: Sequence[Mapping[Any, Any] | None], requests: Sequence[int]
) -> dict[tuple[str, str], str]:
    """Return one variant's row.

    Idle costs are the same for all requests. Quantities per lent byte are shown for the largest
    request that was ever granted.
    """
    idle = next(row for row in found if row is not None)
    lent = next(
        (row for row in reversed(found) if row and pd.notna(row["memmap_per_lent_gib_bytes"])), idle
    )
    cells = {
        (MEMMAP, "host, idle"): bytes_label(idle["memmap_idle_bytes"]),
        (MEMMAP, "per lent GiB"): bytes_label(lent["memmap_per_lent_gib_bytes"]),
        (ASIDE, "stranded"): bytes_label(idle["stranded_bytes"]),
        (ASIDE, "movable only"): bytes_label(idle["movable_only_bytes"]),
    }
    for size, row in zip(requests, found, strict=True):
        cells[(SUCCESS, bytes_label(size))] = success_label(row) if row else NOTHING
    for size, row in zip(requests, found, strict=True):
        cells[(LEND, bytes_label(size))] = ns_label(row["lend_ns_p50"]) if row else NOTHING
    return cells | {
        (LEND, "extents"): _count(lent["extents_p50"]),
        (BACK, "regained"): percent_label(lent["regained_share"]),
        (BACK, "movable"): percent_label(lent["reuse_movable_share"]),
        (BACK, "unmovable"): percent_label(lent["reuse_unmovable_share"]),
    }


def _framed(cells: Sequence[Mapping[tuple[str, str], str]], index: Sequence[str]) -> pd.DataFrame:
    columns = pd.MultiIndex.from_tuples(list(cells[0]))
    return pd.DataFrame([list(row.values()) for row in cells], list(index), columns)


def _count(number: float) -> str:
    return NOTHING if pd.isna(number) else f"{number:.0f}"


def _dose(percent: float) -> str:
    return NOTHING if pd.isna(percent) else f"{percent:.1f} %"
