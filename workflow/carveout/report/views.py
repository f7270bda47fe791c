# SPDX-License-Identifier: GPL-2.0-only
"""Tables as people read them, in the report and in a terminal alike: cells are text."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from carveout.tables.accounts import MEMMAP_PAYERS
from carveout.wording.labels import (
    VARIANT,
    Labels,
    least_success_label,
    load_label,
    loads_of,
    success_range_label,
)
from carveout.wording.quantities import (
    NOTHING,
    bytes_label,
    ns_label,
    percent_label,
    success_label,
    successes_label,
)

ASIDE = "set aside, idle"
BACK = "after give back"
FOR_MOVABLE = "reuse, movable"
FOR_UNMOVABLE = "reuse, unmovable"
OWNER = "the machine's owner"
LEND = "median lend"
MEMMAP = "memmap"
PAID_IDLE = "memmap of all RAM, idle, paid by"
PAID_LENT = "while lent, paid by"
TABLES = "tables of the linear map"
SHORT = "short lends"
SUCCESS = "success, least to most"
# What each of the comparison's tables is of, with its headings.
COMPARISON_PARTS = {
    "medians": (MEMMAP, ASIDE),
    "who pays for the memmap, and what maps the RAM; medians": (PAID_IDLE, PAID_LENT, TABLES),
    "success, least to most over loads and doses; medians": (SUCCESS, LEND, SHORT),
    "what comes back; medians": (BACK, FOR_MOVABLE, FOR_UNMOVABLE, OWNER),
}
_OF_CELL = ["deterministic", "success_low", "success_high"]
VM_PART = "a VM in what is lent; medians of the largest request in which one ran"


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


def vm_view(comparison: pd.DataFrame, labels: Labels) -> pd.DataFrame | None:
    """Return what VMs made of lent memory, one row per variant; None where none was asked for.

    Of each variant's largest request in which a VM ran.
    """
    asked = comparison[comparison["vm_asked"] > 0].sort_values("request_bytes")
    if asked.empty:
        return None
    ran = asked[asked["vm_ran"] > 0]
    shown = pd.concat([asked, ran]).drop_duplicates(VARIANT, keep="last")
    by_row = {(row["strategy"], row["variant"]): row for row in shown.to_dict("records")}
    rows = labels.variants(asked)
    cells = [_vm_cells(by_row[row]) for row in rows]
    return _framed(cells, [labels.variant(*row) for row in rows])


def _vm_cells(row: Mapping[Any, Any]) -> dict[tuple[str, str], str]:
    """Return one variant's VMs: how many ran and how long that took, and what stage 2 is like."""
    in_words = {
        "cacheable": "cached",
        "cacheable_code_beside": "cached, code beside",
        "uncached": "write-combined",
        "uncached_code_beside": "write-combined, code beside",
    }
    # KVM cleans no caches for a device's memory, and what bypasses them costs nothing here: such a
    # time is no less than another on any hardware.
    run_ns = None if row["vm_device_share"] > 0 else row["vm_run_ns_per_gib_p50"]
    faults = row["vm_stage2_faults_per_gib"]
    why_not = row["vm_not_ran"]
    return {
        ("VM", "ran"): f"{row['vm_ran']} of {row['vm_asked']}",
        ("VM", "else"): NOTHING if pd.isna(why_not) else str(why_not).replace("_", " "),
        ("VM", "killed, host well"): f"{row['vm_survived']} of {row['vm_ran']}",
        ("VM", "first instruction"): ns_label(row["vm_first_instruction_ns_p50"]),
        ("VM", "all pages, per GiB"): ns_label(run_ns),
        ("VM", "monitor maps it"): in_words.get(str(row["vm_way"]), NOTHING),
        ("stage 2", "faults per GiB"): NOTHING if pd.isna(faults) else f"{faults:.0f}",
        ("stage 2", "tables per GiB"): bytes_label(row["vm_stage2_table_per_gib_bytes"]),
        ("stage 2", "by pages"): percent_label(row["vm_page_share"]),
        ("stage 2", "by blocks"): percent_label(row["vm_block_share"]),
        ("stage 2", "by blocks of 1 GiB"): percent_label(row["vm_gigantic_share"]),
        ("stage 2", "as a device's"): percent_label(row["vm_device_share"]),
    }


def frontier_view(points: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return how much each variant lends under growing doses: three columns for each load.

    Of the largest request: what is lent at best, up to which dose there is half of that, and up to
    which dose the host carries the load.
    """
    largest = points[points["request_bytes"] == points["request_bytes"].max()]
    curves = largest.drop_duplicates([*VARIANT, "load"], keep="last")
    by_place = {
        (row["strategy"], row["variant"], row["load"]): row for row in curves.to_dict("records")
    }
    rows = labels.variants(curves)
    loads = sorted(curves["load"].unique())
    cells = [
        {
            (load.replace("_", " "), name): text
            for load in loads
            for name, text in _curve_cells(by_place.get((*row, load))).items()
        }
        for row in rows
    ]
    return _framed(cells, [labels.variant(*row) for row in rows])


def _curve_cells(curve: Mapping[Any, Any] | None) -> dict[str, str]:
    if curve is None:
        return dict.fromkeys(("at best", "half of it up to", "carried up to"), NOTHING)
    most = f"≥ {curve['most_dose']:g} %"
    half, carries = NOTHING, NOTHING
    if pd.notna(curve["turning_point"]):
        half = f"{curve['turning_point']:.0f} %"
    elif pd.notna(curve["half_until_dose"]):
        half = most
    if pd.isna(curve["refused_from_dose"]):
        carries = most
    elif pd.notna(curve["carries_until_dose"]):
        carries = f"{curve['carries_until_dose']:g} %"
    return {
        "at best": bytes_label(curve["granted_most_bytes"]),
        "half of it up to": half,
        "carried up to": carries,
    }


def comparison_parts(view: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the comparison as tables that are narrow enough to be read, in `COMPARISON_PARTS`."""
    return [
        view.loc[:, [column[0] in headings for column in view.columns]]
        for headings in COMPARISON_PARTS.values()
    ]


def success_rates(comparison: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return the least success rates that `comparison_view` shows, in its rows and columns."""
    wide = comparison.pivot_table(
        index=["strategy", "variant"], columns="request_bytes", values="success_least_rate"
    ).reindex(pd.MultiIndex.from_tuples(labels.variants(comparison)))
    requests = sorted(comparison["request_bytes"].unique())
    wide.columns = pd.MultiIndex.from_tuples([(SUCCESS, bytes_label(n)) for n in requests])
    return wide.set_axis([labels.variant(*row) for row in labels.variants(comparison)])


def success_view(summary: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Return one machine's successes of each variant (rows) under each load (columns)."""
    key = ["strategy", "variant", "load", "dose_target", "request_bytes"]
    sums = summary.groupby(key)[["successes", "trials"]].sum().reset_index()
    cells = summary.drop_duplicates(key, keep=False).groupby(key)[_OF_CELL].first()
    sums = sums.join(cells, on=key)
    sums["text"] = [_successes(row) for row in sums.to_dict("records")]
    wide = sums.pivot_table(index=key[:2], columns=key[2:], values="text", aggfunc="first")
    wide = wide.reindex(pd.MultiIndex.from_tuples(labels.variants(summary)))
    ordered = [
        (load, dose, size)
        for load, dose in loads_of(summary)
        for size in sorted(summary["request_bytes"].unique())
    ]
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(ordered)).astype(object)
    wide = wide.where(wide.notna(), NOTHING)
    wide.columns = pd.MultiIndex.from_tuples(
        [(load_label(load, dose), bytes_label(size)) for load, dose, size in ordered]
    )
    return wide.set_axis([labels.variant(*row) for row in labels.variants(summary)])


def _successes(row: Mapping[Any, Any]) -> str:
    """Return successes of trials, with their interval where they are those of one cell."""
    if not row["trials"]:
        return NOTHING
    if pd.isna(row["deterministic"]):
        return successes_label(row["successes"], row["trials"])
    return success_label(row)


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
        "refused_by": "who refused",
        "reason": "reason",
        "errno": "errno",
        "blocker_type": "blocking page",
        "blocker_owner": "allocated by, for example",
        "loads": "under",
        "count": "trials",
        "kernel_log": "the kernel's log, for example",
        "refusals": "memory blocks refused, for example",
    }
    view = ordered[list(names)].rename(columns=names)
    view["allocated by, for example"] = view["allocated by, for example"].str.replace(",", " < ")
    for name in ("under", "reason"):
        view[name] = view[name].str.replace("_", " ")
    return view.astype(object).where(view.notna(), NOTHING).reset_index(drop=True)


def loads_view(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each load with the dose that was wanted and the doses that were achieved."""
    doses = trials.groupby(["load", "dose_target"])["dose_achieved"].agg(["median", "min", "max"])
    doses["physical"] = trials.groupby(["load", "dose_target"])["physical_bytes"].median()
    doses = doses.reset_index().sort_values("load", key=lambda load: load.where(load != "idle", ""))
    return pd.DataFrame(
        {
            "load": doses["load"].str.replace("_", " "),
            "dose wanted": [f"{dose:g} %" for dose in doses["dose_target"]],
            "achieved, median": [_dose(value) for value in doses["median"]],
            "least": [_dose(value) for value in doses["min"]],
            "most": [_dose(value) for value in doses["max"]],
            "free memory it took, median": [bytes_label(value) for value in doses["physical"]],
        }
    )


def _comparison_cells(
    found: Sequence[Mapping[Any, Any] | None], requests: Sequence[int]
) -> dict[tuple[str, str], str]:
    """Return one variant's row.

    Idle costs are the same for all requests. What else is not told of each request is of the
    largest of which anything was granted, but for clearing, which is known of whole requests.
    """
    idle = next(row for row in found if row is not None)
    lent = next(
        (row for row in reversed(found) if row and pd.notna(row["memmap_per_lent_gib_bytes"])), idle
    )
    cleared = next((row for row in reversed(found) if row and pd.notna(row["zero_ns_p50"])), idle)
    sizes = [bytes_label(size) for size in requests]
    cells = {(MEMMAP, "host, idle"): bytes_label(idle["memmap_idle_bytes"])}
    for size, row in zip(sizes, found, strict=True):
        per_gib = bytes_label(row["memmap_per_lent_gib_bytes"]) if row else NOTHING
        cells[(MEMMAP, f"per GiB lent, {size}")] = per_gib
    cells |= {
        **_paid_cells(PAID_IDLE, "memmap_idle", idle),
        **_paid_cells(PAID_LENT, "memmap", lent),
        (TABLES, "idle"): bytes_label(idle["linear_map_table_idle_bytes"]),
        (TABLES, "while lent"): bytes_label(lent["linear_map_table_bytes"]),
        (ASIDE, "stranded"): bytes_label(idle["stranded_bytes"]),
        (ASIDE, "CMA area"): bytes_label(idle["cma_area_bytes"]),
        (ASIDE, "CMA area in use"): bytes_label(idle["cma_used_bytes"]),
        (ASIDE, "ZONE_MOVABLE"): bytes_label(idle["movable_zone_bytes"]),
    }
    for size, row in zip(sizes, found, strict=True):
        cells[(SUCCESS, size)] = success_range_label(row) if row else NOTHING
    least = [label for row in found if row and (label := least_success_label(row)) != NOTHING]
    cells[(SUCCESS, "least under")] = least[-1] if least else NOTHING
    for size, row in zip(sizes, found, strict=True):
        cells[(LEND, size)] = ns_label(row["lend_ns_p50"]) if row else NOTHING
    return cells | {
        (LEND, "per GiB, short ones too"): ns_label(lent["lend_ns_per_gib_p50"]),
        (LEND, "clearing, apart"): _clearing(cleared),
        (LEND, "extents"): _count(lent["extents_p50"]),
        (SHORT, "explained"): _explained([row for row in found if row is not None]),
        (BACK, "regained"): percent_label(lent["regained_share"]),
        (BACK, "kept back"): percent_label(lent["kept_back_share"]),
        **_reuse_cells(FOR_MOVABLE, "movable", lent),
        **_reuse_cells(FOR_UNMOVABLE, "unmovable", lent),
        (OWNER, "regained"): percent_label(lent["owner_discarded_share"]),
    }


def _paid_cells(heading: str, memmap: str, row: Mapping[Any, Any]) -> dict[tuple[str, str], str]:
    """Return who pays for the memmap: the host, the memory that it describes, or nobody."""
    words = {"host": "the host", "self": "the memory itself", "nobody": "nobody"}
    return {
        (heading, words[payer]): bytes_label(row[f"{memmap}_{payer}_bytes"])
        for payer in MEMMAP_PAYERS
    }


def _explained(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Return how many of the lends that ended short say why."""
    short, explained = (sum(row[name] for row in rows) for name in ("short", "explained"))
    return f"{explained} of {short}" if short else NOTHING


def _clearing(row: Mapping[Any, Any]) -> str:
    """Return the one pass over all lent pages; where the host reaches none, there is none."""
    return ns_label(row["zero_ns_p50"])


def _reuse_cells(heading: str, kind: str, row: Mapping[Any, Any]) -> dict[tuple[str, str], str]:
    return {
        (heading, name): percent_label(row[f"reuse_{kind}{how}_share"])
        for name, how in (("allocated", ""), ("by address", "_address"), ("untried", "_untried"))
    }


def _framed(cells: Sequence[Mapping[tuple[str, str], str]], index: Sequence[str]) -> pd.DataFrame:
    columns = pd.MultiIndex.from_tuples(list(cells[0]))
    return pd.DataFrame([list(row.values()) for row in cells], list(index), columns)


def _count(number: float) -> str:
    return NOTHING if pd.isna(number) else f"{number:.0f}"


def _dose(percent: float) -> str:
    return NOTHING if pd.isna(percent) else f"{percent:.1f} %"
