# SPDX-License-Identifier: GPL-2.0-only
"""Statistics of trials: per cell, per strategy variant, of what failed, and of whole curves.

A lend is a success when all that was asked for was granted and its verification did not fail. Every
trial counts in the denominator, whatever became of it. Costs and shares are of successful lends
unless they say otherwise.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from carveout.common.errors import entry_point
from carveout.common.rates import wilson_interval
from carveout.common.sizes import GIB
from carveout.records.outcomes import OUTCOMES
from carveout.statistics import vms
from carveout.statistics.curves import describe_curves
from carveout.tables.accounts import MEMMAP_PAYERS
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
_PER_GIB = [f"{name}_per_gib" for name in ("lend_ns", *_PARTS)]

# The columns of the trials that the statistics need; no others are read.
COLUMNS = (
    *dict.fromkeys((*CELL, *_IDLE)),
    *(
        "trials_asked",
        "replication",
        "ladder",
        "outcome",
        "verify",
        "dose_achieved",
        "physical_bytes",
        "lent_bytes",
        "granted_bytes",
        "extents",
    ),
    *("lend_ns", *_PARTS, "give_back_ns"),
    *(*_LENT, "memmap_lent_bytes", "regained_bytes", "kept_back_bytes"),
    *(*REUSE_COLUMNS, "pages_migrated", "pages_reclaimed"),
    *("cause", "message", "stage", "refused_by", "reason", "errno", "kernel_log", "blocker"),
    *("explained", "load_alone_steps", "load_alone_ns", "load_steps", "load_ns", "question"),
    *("owner_discarded_bytes", "refusals", *vms.COLUMNS),
)


def summarize(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the table `summary`: one row per cell, cycle and request."""
    groups = _derive(trials).groupby(list(CELL), sort=False)
    summary = pd.concat(
        [
            _counts(groups),
            groups[["trials_asked", "replication", "ladder", "question"]].first(),
            groups["why_not_available"].first(),
            _amounts(groups),
            groups[[*_MEDIANS, "physical_bytes", *_IDLE]].median(),
            _quantiles(groups, "lend_ns"),
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
            groups["why_not_available"].first(),
            groups[list(_MEDIANS)].median(),
            vms.count_vms(groups),
            groups[["lend_ns", *_PARTS, *_PER_GIB, "give_back_ns"]].median().add_suffix("_p50"),
        ],
        axis="columns",
    )
    joined = compared.reset_index().merge(idle.reset_index(), on=list(_VARIANT), how="left")
    return joined[list(VARIANTS.columns)]


def list_failures(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the table `failures`: how often each variant failed in which way, and the loads.

    Of who allocated the blocking page, and of what the kernel logged, each row has the most
    frequent one as an example.
    """
    failed = trials[~succeeded(trials) & (trials["outcome"] != "not_available")]
    failed = failed.assign(
        # A granted lend is only here because its verification failed.
        outcome=failed["outcome"].replace("granted", "verify failed"),
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


def wilson_intervals(successes: Sequence[int], trials: Sequence[int]) -> pd.DataFrame:
    """Return the 95 % Wilson score interval of each success rate, as columns low and high.

    Of no trials there is none. A table has many cells but few different counts, so each is
    computed once.
    """
    pairs = pd.DataFrame({"successes": list(successes), "trials": list(trials)})
    known = pairs[pairs["trials"] > 0].drop_duplicates()
    intervals = [wilson_interval(k, n) for k, n in known.itertuples(index=False, name=None)]
    known = known.assign(low=[i.low for i in intervals], high=[i.high for i in intervals])
    return pairs.merge(known, how="left")[["low", "high"]]


def succeeded(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Return whether each lend was granted in full and its verification did not fail."""
    return (trials["outcome"] == "granted") & (trials["verify"] != "failed")


def _derive(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials with columns to be counted and averaged, null where they do not apply."""
    success = succeeded(trials)
    lent_bytes = trials["lent_bytes"].where(trials["lent_bytes"] > 0)
    return trials.assign(
        success=success,
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
        **{f"{name}_per_gib": trials[name] / lent_bytes * GIB for name in ("lend_ns", *_PARTS)},
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


def _counts(groups: "DataFrameGroupBy[Any, Any]") -> pd.DataFrame:
    """Return trials that were run, outcomes, successes and the success rate with its interval."""
    counts = groups[[*OUTCOMES, "verify_failed", "success", "short", "explained"]].sum()
    counts = counts.rename(columns={"success": "successes"})
    counts.insert(0, "trials", groups.size() - counts["not_available"])
    intervals = wilson_intervals(counts["successes"].tolist(), counts["trials"].tolist())
    return counts.assign(
        success_rate=counts["successes"] / counts["trials"].where(counts["trials"] > 0),
        success_low=intervals["low"].to_numpy(),
        success_high=intervals["high"].to_numpy(),
    )


def _amounts(groups: "DataFrameGroupBy[Any, Any]") -> pd.DataFrame:
    """Return what was granted: the mean over all trials, the least and the most."""
    amounts = groups["granted_bytes"].agg(["mean", "min", "max"])
    names = {"mean": "granted_mean_bytes", "min": "granted_least_bytes"}
    return amounts.rename(columns=names | {"max": "granted_most_bytes"})


def _quantiles(groups: "DataFrameGroupBy[Any, Any]", column: str) -> pd.DataFrame:
    wide = groups[column].quantile(np.array(QUANTILES) / 100).unstack()
    return wide.set_axis([f"{column}_p{q:02d}" for q in QUANTILES], axis="columns")


@entry_point
def main() -> None:
    """Make the tables of statistics from the table of trials."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.statistics.summarize", description=main.__doc__
    )
    parser.add_argument("trials", type=Path)
    made = {"summary": summarize, "variants": describe_variants, "failures": list_failures}
    for name in (*made, "curves"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    wanted = parser.parse_args()
    trials = read_table("trials", wanted.trials, COLUMNS)
    metadata = read_metadata(wanted.trials)
    for name, make in made.items():
        write_table(name, make(trials), getattr(wanted, name), metadata)
    curves = describe_curves(read_table("summary", wanted.summary))
    write_table("curves", curves, wanted.curves, metadata)


if __name__ == "__main__":
    sys.exit(main())
