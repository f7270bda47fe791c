# SPDX-License-Identifier: GPL-2.0-only
"""Statistics of trials: per cell, per strategy variant, of what failed, and of whole curves.

A lend is a success when all that was asked for was granted and its verification did not fail. Every
trial counts in the denominator, whatever became of it. Costs and shares are of successful lends
unless they say otherwise.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from carveout.common.errors import entry_point
from carveout.common.sizes import GIB
from carveout.records.outcomes import OUTCOMES
from carveout.statistics import vms
from carveout.statistics.blockers import list_blockers
from carveout.statistics.curves import describe_curves
from carveout.statistics.intervals import (
    Numbers,
    mean_intervals,
    quantile_interval,
    units_of,
    wilson_intervals,
)
from carveout.tables.accounts import MEMMAP_PAYERS
from carveout.tables.comparison_tables import KERNELS
from carveout.tables.parquet import read_metadata, read_table, write_table
from carveout.tables.rules import LEND_PARTS, REUSE_COLUMNS
from carveout.tables.schema import CELL, COMPARABLE
from carveout.tables.statistics_tables import FAILURES, QUANTILES, SUMMARY, VARIANTS

_VARIANT = (*COMPARABLE, "strategy", "variant")
_IDLE = (
    *("memmap_idle_bytes", *(f"memmap_idle_{payer}_bytes" for payer in MEMMAP_PAYERS)),
    *("linear_map_table_idle_bytes", "stranded_bytes", "movable_only_bytes"),
    *("cma_area_bytes", "movable_zone_bytes", "cma_used_bytes"),
    *("blocked_pageblocks", "free_scattered_bytes"),
)
_LENT = (
    *("memmap_bytes", *(f"memmap_{payer}_bytes" for payer in MEMMAP_PAYERS)),
    "linear_map_table_bytes",
)
_MEDIANS = (
    "dose_achieved",
    *_LENT,
    "extents_p50",
    "memmap_per_lent_gib_bytes",
    "regained_share",
    "kept_back_share",
    "load_progress_share",
    "owner_discarded_share",
    *(f"{name.removesuffix('_bytes')}_share" for name in REUSE_COLUMNS),
)
# The parts of a lend's time, and what went into clearing: none of its parts.
_PARTS = (*(f"lend_{part}_ns" for part in LEND_PARTS), "content_ns", "zero_ns")
_PER_GIB = [f"{name}_per_gib" for name in ("lend_ns", *_PARTS, "give_back_ns")]

_OF_KERNEL = list(KERNELS.key)
_OF_LARGEST = ["memmap_per_lent_gib_bytes", "memmap_host_bytes", "lend_ns_per_gib_p50"]

# With fewer, the 99th percentile is the most, or next to it, under another name.
_LEAST_FOR_P99 = 100


def summarize(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the table `summary`: one row per cell, cycle and request."""
    derived = _derive(trials).assign(result=_results(trials))
    groups = derived.groupby(list(CELL), sort=False)
    of_units = derived.groupby([*CELL, "unit"], sort=False)
    units = of_units.agg(granted=("granted_bytes", "mean"), lend=("lend_ns", "median"))
    by_cell = units.groupby(level=list(range(len(CELL))), sort=False)
    summary = pd.concat(
        [
            _rates(groups, by_cell.size()),
            groups[["trials_asked", "replication", "ladder", "question"]].first(),
            groups["why_not_available"].first(),
            _amounts(groups, by_cell),
            groups[[*_MEDIANS, "physical_bytes", *_IDLE]].median(),
            _quantiles(groups, "lend_ns"),
            _cost_intervals(groups, by_cell),
            groups[[*_PARTS, *_PER_GIB]].median().add_suffix("_p50"),
            _quantiles(groups, "give_back_ns"),
            groups["refusal_ns"].median().rename("refusal_ns_p50"),
            groups[["pages_migrated", "pages_reclaimed"]].median().add_suffix("_p50"),
        ],
        axis="columns",
    )
    return summary.reset_index()[list(SUMMARY.columns)]


def describe_variants(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the table `variants`: one row per strategy variant and request, over all loads.

    What a variant costs while idle is read before its trials' first lend, so it does not depend on
    the request.
    """
    derived = vms.derive_vms(_derive(trials))
    key = [*_VARIANT, "request_bytes"]
    groups = derived.groupby(key, sort=False)
    asked = derived.groupby(list(CELL), sort=False)["trials_asked"].first().groupby(key).sum()
    idle = derived[derived["cycle"] == 1].groupby(list(_VARIANT), sort=False)[list(_IDLE)].median()
    compared = pd.concat(
        [
            _counts(groups),
            asked,
            _success_range(derived, key),
            groups["why_not_available"].first(),
            groups[list(_MEDIANS)].median(),
            vms.count_vms(groups),
            groups[["lend_ns", *_PARTS, *_PER_GIB, "give_back_ns"]].median().add_suffix("_p50"),
        ],
        axis="columns",
    )
    joined = compared.reset_index().merge(idle.reset_index(), on=list(_VARIANT), how="left")
    return joined[list(VARIANTS.columns)]


def describe_kernels(
    trials: pd.DataFrame, variants: pd.DataFrame, curves: pd.DataFrame
) -> pd.DataFrame:
    """Return the table `kernels`: a row for each kernel and variant, of the largest request.

    What a lend costs is of the largest request of which anything was lent.

    Args:
        trials: the table `trials`.
        variants: the table `variants`.
        curves: the table `curves`.
    """
    ordered = variants.sort_values("request_bytes")
    groups = ordered.groupby(_OF_KERNEL, sort=False)
    found = groups[["why_not_available", "memmap_idle_bytes"]].first()
    found["available"] = groups["trials"].sum() > 0
    found["why_not_available"] = found["why_not_available"].where(~found["available"])
    lent = ordered.dropna(subset=["memmap_per_lent_gib_bytes"])
    found = found.join(
        lent.drop_duplicates(_OF_KERNEL, keep="last").set_index(_OF_KERNEL)[_OF_LARGEST]
    )
    found["page_bytes"] = trials.groupby(_OF_KERNEL, sort=False)["page_bytes"].first()
    largest = curves[
        curves["request_bytes"] == curves.groupby(_OF_KERNEL)["request_bytes"].transform("max")
    ]
    found["granted_most_bytes"] = largest.groupby(_OF_KERNEL)["granted_most_bytes"].max()
    turning = largest.dropna(subset=["turning_point"]).sort_values(["turning_point", "load"])
    first = turning.drop_duplicates(_OF_KERNEL).set_index(_OF_KERNEL)
    found["half_dose_least"] = first["turning_point"]
    found["half_dose_least_load"] = first["load"]
    return found.reset_index()[list(KERNELS.columns)]


def list_failures(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the table `failures`: how often each variant failed in which way, and the loads.

    Of who allocated the blocking page, and of what the kernel logged, each row has the most
    frequent one as an example.
    """
    failed = trials[~succeeded(trials) & (trials["outcome"] != "not_available")]
    failed = failed.assign(
        # Whatever it was granted, it got nothing of it.
        outcome=failed["outcome"].mask(failed["verify"] == "failed", "verify failed"),
        blocker_type=failed["blocker"].str.extract(r'"type": ?"([^"]*)"', expand=False),
        blocker_owner=failed["blocker"].str.extract(r'"owner": ?"([^"]+)"', expand=False),
        count=1,
    )
    key = list(FAILURES.key)
    counts = failed.groupby(key, dropna=False, sort=False)["count"].sum().reset_index()
    loads = failed[[*key, "load"]].drop_duplicates().sort_values("load")
    loads = loads.groupby(key, dropna=False, sort=False)["load"].agg(", ".join).reset_index()
    counts = counts.merge(loads.rename(columns={"load": "loads"}), on=key)
    for column in ("blocker_owner", "kernel_log", "refusals"):
        counts = counts.merge(_most_frequent(failed, key, column), on=key, how="left")
    return counts[list(FAILURES.columns)]


def _most_frequent(failed: pd.DataFrame, key: list[str], column: str) -> pd.DataFrame:
    """Return the key's columns with the most frequent value of another; of equals the first."""
    known = failed.dropna(subset=[column])
    counts = known.groupby([*key, column], dropna=False, sort=False)["count"].sum().reset_index()
    counts = counts.sort_values(["count", column], ascending=[False, True])
    return counts.drop_duplicates(key)[[*key, column]]


def succeeded(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Return whether each lend was granted in full and its verification did not fail."""
    return (trials["outcome"] == "granted") & (trials["verify"] != "failed")


def usable_bytes(trials: pd.DataFrame) -> "pd.Series[int]":
    """Return what each lend was granted: nothing where it was not the VM's alone, as verified."""
    return trials["granted_bytes"].where(trials["verify"] != "failed", 0)


def _lent_bytes(trials: pd.DataFrame) -> "pd.Series[int]":
    """Return what each lend really lent: null where that is nothing, or was not the VM's alone."""
    lent = trials["lent_bytes"]
    return lent.where((lent > 0) & (trials["verify"] != "failed"))


def with_quantities(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that were run, with what is compared from one side to another."""
    run = trials[trials["outcome"] != "not_available"]
    lent_gib = _lent_bytes(run) / GIB
    return run.assign(
        success=succeeded(run),
        granted_bytes=usable_bytes(run),
        lend_ns_per_gib=run["lend_ns"] / lent_gib,
        give_back_ns_per_gib=run["give_back_ns"] / lent_gib,
        memmap_bytes_per_gib=run["memmap_lent_bytes"] / lent_gib,
    )


def _derive(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials with columns to be counted and averaged, null where they do not apply."""
    success = succeeded(trials)
    lent_bytes = _lent_bytes(trials)
    return trials.assign(
        success=success,
        granted_bytes=usable_bytes(trials),
        unit=units_of(trials["layout"], trials["seed"]),
        why_not_available=trials["message"].where(trials["outcome"] == "not_available"),
        verify_failed=trials["verify"] == "failed",
        **{outcome: trials["outcome"] == outcome for outcome in OUTCOMES},
        extents_p50=trials["extents"].where(trials["granted_bytes"] > 0),
        **{name: trials[name].where(trials["lent_bytes"] > 0) for name in _LENT},
        memmap_per_lent_gib_bytes=trials["memmap_lent_bytes"] / lent_bytes * GIB,
        owner_discarded_share=trials["owner_discarded_bytes"] / lent_bytes,
        regained_share=trials["regained_bytes"] / lent_bytes,
        kept_back_share=trials["kept_back_bytes"] / lent_bytes,
        **{
            f"{name.removesuffix('_bytes')}_share": trials[name] / lent_bytes
            for name in REUSE_COLUMNS
        },
        **{name: trials[name.removesuffix("_per_gib")] / lent_bytes * GIB for name in _PER_GIB},
        short=trials["explained"].notna(),
        explained=trials["explained"].fillna(value=False),
        load_progress_share=(trials["load_steps"] / trials["load_ns"])
        / (trials["load_alone_steps"] / trials["load_alone_ns"]),
        refusal_ns=trials["lend_ns"].where(trials["outcome"] == "refused"),
        **{name: trials[name].where(success) for name in ("lend_ns", *_PARTS)},
        give_back_ns=trials["give_back_ns"].where(success),
        pages_migrated=trials["pages_migrated"].where(success),
        pages_reclaimed=trials["pages_reclaimed"].where(success),
    )


def _results(trials: pd.DataFrame) -> "pd.Series[int]":
    """Return a digest of all that was measured in each lend, whichever seed and host it is of."""
    measured = trials.drop(columns=["trial_id", "seed", "layout"]).astype(object)
    return pd.util.hash_pandas_object(measured.where(measured.notna(), None), index=False)


def _counts(groups: "DataFrameGroupBy[Any, Any]") -> pd.DataFrame:
    """Return how many trials were run, and outcomes and successes."""
    counts = groups[[*OUTCOMES, "verify_failed", "success", "short", "explained"]].sum()
    counts = counts.rename(columns={"success": "successes"})
    counts.insert(0, "trials", groups.size() - counts["not_available"])
    return counts


def _rates(groups: "DataFrameGroupBy[Any, Any]", units: "pd.Series[int]") -> pd.DataFrame:
    """Return the counts of cells and the success rate, with its interval where trials differ."""
    counts = _counts(groups)
    trials = counts["trials"]
    rates = counts["successes"] / trials.where(trials > 0)
    results = groups["result"].nunique().where(trials > 0, 0)
    deterministic = (results == 1) & (trials > 1)
    ends = wilson_intervals(
        rates.to_numpy(np.float64, na_value=np.nan),
        np.minimum(units.to_numpy(), trials.to_numpy()).astype(np.float64),
    )
    ends[deterministic.to_numpy(bool)] = np.nan
    return counts.assign(
        hosts=groups["layout"].nunique().where(trials > 0, 0),
        success_rate=rates,
        success_low=ends[:, 0],
        success_high=ends[:, 1],
        distinct_results=results,
        deterministic=deterministic,
    )


def _success_range(derived: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return under which load and dose each variant succeeds least, and how often at most."""
    run = derived[~derived["not_available"]]
    rates = run.groupby(list(CELL), sort=False)["success"].mean().reset_index()
    rates = rates.sort_values(["success", "load", "dose_target"]).set_index(key)
    ends = rates.groupby(level=list(range(len(key))), sort=False)
    names = {"success": "rate", "load": "load", "dose_target": "dose"}
    least = ends[list(names)].first()
    least = least.set_axis([f"success_least_{name}" for name in names.values()], axis="columns")
    return least.assign(success_most_rate=ends["success"].last())


def _amounts(
    groups: "DataFrameGroupBy[Any, Any]", units: "DataFrameGroupBy[Any, Any]"
) -> pd.DataFrame:
    """Return what was granted: the mean over all trials with its interval, the least, the most."""
    amounts = groups["granted_bytes"].agg(["mean", "min", "max"])
    names = {"mean": "granted_mean_bytes", "min": "granted_least_bytes"}
    amounts = amounts.rename(columns=names | {"max": "granted_most_bytes"})
    values = [of_cell.to_numpy(np.float64) for _, of_cell in units["granted"]]
    cells_of = defaultdict(list)
    for cell, granted_bytes in enumerate(values):
        if granted_bytes.min() < granted_bytes.max():
            cells_of[len(granted_bytes)].append(cell)
    found = np.full((len(amounts), 2), np.nan)
    for cells in cells_of.values():
        found[cells] = mean_intervals(np.array([values[cell] for cell in cells]))
    return amounts.assign(granted_low_bytes=found[:, 0], granted_high_bytes=found[:, 1])


def _cost_intervals(
    groups: "DataFrameGroupBy[Any, Any]", units: "DataFrameGroupBy[Any, Any]"
) -> pd.DataFrame:
    """Return intervals of a lend's time, and the 99th percentile where there are trials for it."""
    of_trials, of_units = (
        [of_cell.dropna().to_numpy(np.float64) for _, of_cell in lend_ns]
        for lend_ns in (groups["lend_ns"], units["lend"])
    )
    rows = [*map(_cost_interval, of_trials, of_units)]
    names = [f"lend_ns_{name}" for name in ("p50_low", "p50_high", "p99", "p99_low", "p99_high")]
    return pd.DataFrame(rows, groups.size().index, names)


def _cost_interval(lend_ns: Numbers, of_units: Numbers) -> dict[str, float | None]:
    """Return what is known of the quantiles of a cell's lends, and of those of its units.

    Trials that share a host are one, of which there is a median and no 99th percentile.
    """
    found: dict[str, float | None] = {}
    quantiles = {"p50": 0.5}
    if len(lend_ns) >= _LEAST_FOR_P99:
        found["lend_ns_p99"] = float(np.quantile(lend_ns, 0.99))
        quantiles |= {"p99": 0.99} if len(of_units) == len(lend_ns) else {}
    if of_units.size and of_units.min() < of_units.max():
        for name, quantile in quantiles.items():
            low, high = quantile_interval(of_units, quantile)
            found |= {f"lend_ns_{name}_low": low, f"lend_ns_{name}_high": high}
    return found


def _quantiles(groups: "DataFrameGroupBy[Any, Any]", column: str) -> pd.DataFrame:
    shares = np.array(QUANTILES) / 100
    # Of hosts that were only counted there is no lend, and no column.
    wide = groups[column].quantile(shares).unstack().reindex(columns=shares)
    return wide.set_axis([f"{column}_p{q:02d}" for q in QUANTILES], axis="columns")


@entry_point
def main() -> None:
    """Make the tables of statistics from the table of trials."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.statistics.summarize", description=main.__doc__
    )
    parser.add_argument("trials", type=Path)
    made = {
        "summary": summarize,
        "variants": describe_variants,
        "failures": list_failures,
        "blockers": list_blockers,
    }
    for name in (*made, "curves", "kernels"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    wanted = parser.parse_args()
    trials = read_table("trials", wanted.trials)
    metadata = read_metadata(wanted.trials)
    tables = {name: make(trials) for name, make in made.items()}
    tables["curves"] = describe_curves(
        tables["summary"], trials.assign(granted_bytes=usable_bytes(trials))
    )
    tables["kernels"] = describe_kernels(trials, tables["variants"], tables["curves"])
    for name, table in tables.items():
        write_table(name, table, getattr(wanted, name), metadata)


if __name__ == "__main__":
    sys.exit(main())
