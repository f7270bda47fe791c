# SPDX-License-Identifier: GPL-2.0-only
"""What another kernel, or another run, changes: trials that differ in nothing else, pair by pair.

Seeds and doses make trials differ by far more than most patches do, but both sides get the same
ones: so each trial is held against its partner, and only then are the differences averaged. Trials
of one seed at several doses are not independent of each other, so whatever says how sure a change
is counts seeds: of each the mean difference of its pairs.
"""

import argparse
import math
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import (
    bootstrap,
    false_discovery_control,
    norm,
    permutation_test,
    rankdata,
    wilcoxon,
)

from carveout.common.errors import entry_point
from carveout.statistics.differences import LEVEL, mcnemar_p_value
from carveout.statistics.intervals import LEAST_FOR_BOOTSTRAP, Numbers, expanded_level
from carveout.statistics.summarize import with_quantities
from carveout.tables.comparison_tables import BEFORE, CHANGES, QUANTITIES
from carveout.tables.parquet import read_metadata, read_table, write_table
from carveout.tables.schema import CELL, CURVE, KERNEL_COLUMNS

# What a change must be besides to be called significant: see docs/comparing.md.
LEAST_CHANGE = 0.01
# With fewer differing seeds no test of theirs can come below the level: the least two-sided p of
# n of them, all to one side, is 2^(1-n).
LEAST_SEEDS = 6
_RESAMPLES = 4999
# Of which quantities less is worse, and of which more is. Migrated pages are neither: what they
# cost is in the lend's time.
LESS_IS_WORSE = ("success", "granted_bytes", "regained_bytes")
MORE_IS_WORSE = ("lend_ns_per_gib", "give_back_ns_per_gib", "memmap_bytes_per_gib")

# What else makes two trials of one cell different experiments: runs of other configs may differ.
SETTINGS = ("cpus", "lendable_bytes", "reserve_bytes", "question", "layout")
# What partners have in common, and what the pairs of one row have.
PARTNERS = [name for name in (*CELL, "seed", *SETTINGS) if name not in KERNEL_COLUMNS]
_ROW = [name for name in CURVE if name not in KERNEL_COLUMNS]
# What every trial has, whatever became of it.
_OF_ALL = ("success", "granted_bytes")
_SUCCESS, _GRANTED = (QUANTITIES.index(name) for name in _OF_ALL)
# Up to this many, all 2^n signs of their ranks are fewer than scipy tries by default.
_MOST_TIED_SEEDS = 13

COLUMNS = (
    *(*CELL, *SETTINGS),
    *("seed", "outcome", "verify", "lent_bytes", "granted_bytes", "lend_ns", "give_back_ns"),
    *("memmap_lent_bytes", "pages_migrated", "regained_bytes"),
)

_Whole = npt.NDArray[np.int64]


def find_changes(
    trials: pd.DataFrame,
    pairs: Collection[tuple[str, str]],
    after: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the table `changes`: each curve and quantity, with another kernel or run than before.

    Args:
        trials: the table `trials`, at least its `COLUMNS`.
        pairs: names of kernels, the one before first. Only machines that both have are compared.
        after: the trials of the kernels after, where they are of another run.
    """
    of_old, of_new = (
        list(derive(of_side).groupby(list(KERNEL_COLUMNS), sort=False))
        for of_side in (trials, trials if after is None else after)
    )
    names = [f"{BEFORE}{name}" for name in KERNEL_COLUMNS]
    rows = [
        dict(zip(names, old, strict=True)) | dict(zip(KERNEL_COLUMNS, new, strict=True)) | row
        for old, trials_before in of_old
        for new, trials_after in of_new
        if (old[0], new[0]) in pairs
        for row in _rows(*_of_common_machines(trials_before, trials_after))
    ]
    table = pd.DataFrame(rows, columns=[*CHANGES.columns]).astype(
        {name: dtype for name, dtype in CHANGES.dtypes().items() if name not in _JUDGED}
    )
    return _judged(table)


def derive(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that were run, with all quantities."""
    return with_quantities(trials)[[*KERNEL_COLUMNS, *PARTNERS, *QUANTITIES]]


def _of_common_machines(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trials of hosts with as much RAM as the other kernel's have, too."""
    both = set(old["ram_bytes"]) & set(new["ram_bytes"])
    return old[old["ram_bytes"].isin(both)], new[new["ram_bytes"].isin(both)]


def _rows(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of one kernel against another, before they are judged together."""
    both = old.drop(columns=list(KERNEL_COLUMNS)).merge(
        new.drop(columns=list(KERNEL_COLUMNS)),
        on=PARTNERS,
        how="outer",
        suffixes=("_old", "_new"),
        indicator="found",
        validate="one_to_one",
    )
    old_values, new_values = (
        both[[f"{name}_{kernel}" for name in QUANTITIES]].to_numpy(np.float64, na_value=np.nan)
        for kernel in ("old", "new")
    )
    # Whatever is not of every trial is of pairs in which both lends succeeded.
    both_succeeded = (old_values[:, _SUCCESS] == 1) & (new_values[:, _SUCCESS] == 1)
    known = ~np.isnan(old_values) & ~np.isnan(new_values)
    known &= both_succeeded[:, np.newaxis] | np.isin(QUANTITIES, _OF_ALL)
    seeds = both["seed"].to_numpy(np.int64)
    doses = both["dose_target"].to_numpy(np.float64)
    groups = both.groupby(_ROW, sort=False).indices
    for key, places in cast("dict[tuple[Any, ...], Any]", groups).items():
        found = both["found"].iloc[places]
        if set(found) in ({"left_only"}, {"right_only"}):
            continue  # one side alone ran any of this curve
        common = dict(zip(_ROW, key, strict=True)) | {
            "unpaired_before": int((found == "left_only").sum()),
            "unpaired_after": int((found == "right_only").sum()),
        }
        for column, name in enumerate(QUANTITIES):
            pairs = places[known[places, column]]
            old_of, new_of = old_values[pairs, column], new_values[pairs, column]
            change = _change(name, old_of, new_of, seeds[pairs])
            # A rate that is 0 or 1 in a few seeds may be neither: how much was granted tells.
            varying = [column, _GRANTED] if column == _SUCCESS else [column]
            values = np.hstack(
                [old_values[np.ix_(pairs, varying)], new_values[np.ix_(pairs, varying)]]
            )
            change["exact"] = _is_exact(values, doses[pairs], seeds[pairs])
            if change["exact"]:
                change["p_value"] = None
            yield common | {"quantity": name} | change


def _is_exact(values: Numbers, doses: Numbers, seeds: _Whole) -> bool:
    """Return whether no column varies with the seed at any dose: such a difference is no sample."""
    if len(np.unique(seeds)) < 2:
        return False
    of_doses = [values[doses == dose] for dose in np.unique(doses)]
    return all(bool((rows == rows[0]).all()) for rows in of_doses)


def _change(quantity: str, old: Numbers, new: Numbers, seeds: _Whole) -> dict[str, Any]:
    """Return what is known of the pairs of one quantity: means, intervals, and a p-value."""
    # Rounded, so that differences that are equal are so to the bit, and tie.
    differences = (new - old).round(6)
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    row: dict[str, Any] = {"pairs": len(old), "pairs_up": up, "pairs_down": down}
    _, of_seed, counts = np.unique(seeds, return_inverse=True, return_counts=True)
    sums = np.bincount(of_seed, differences).astype(np.float64)
    by_seed = (sums / counts).round(6) if len(old) else sums
    row |= {"seeds": len(by_seed), "seeds_differing": int((by_seed != 0).sum())}
    if not len(old):
        return row
    before, difference = float(old.mean()), float(differences.mean())
    row |= {"before": before, "after": float(new.mean()), "difference": difference}
    if before or not difference:
        row["relative_change"] = difference / abs(before) if before else 0.0
    if len(old) > 1 and quantity != "success":
        row |= {"before_std": float(old.std(ddof=1)), "after_std": float(new.std(ddof=1))}
    if len(by_seed) > 1:
        row["difference_std"] = float(by_seed.std(ddof=1))
    row |= _ends("difference", sums, np.bincount(of_seed).astype(np.float64))
    old_sums = np.bincount(of_seed, old).astype(np.float64)
    if (old_sums > 0).all():
        relative = sums / old_sums
        row |= {"relative_least": float(relative.min()), "relative_most": float(relative.max())}
        row |= _ends("relative", sums, old_sums)
    return row | {"p_value": _p_value(quantity, by_seed[by_seed != 0])}


def _ends(name: str, sums: Numbers, weights: Numbers) -> dict[str, float]:
    """Return the ends of an interval, where there are seeds enough for one and they vary."""
    shares = (sums / weights).round(12)
    if len(sums) < LEAST_FOR_BOOTSTRAP or shares.min() == shares.max():
        return {}
    low, high = ratio_interval(sums, weights)
    return {f"{name}_low": low, f"{name}_high": high}


def ratio_interval(sums: Numbers, weights: Numbers) -> tuple[float, float]:
    """Return the 95 % interval of a mean or ratio over pairs, by resampling the seeds of these.

    The bootstrap of clusters by percentiles (Efron 1979) at the `expanded_level`.

    Args:
        sums: of each seed, of its pairs' differences.
        weights: how many pairs these are, or the sum of what was before.
    """
    found = bootstrap(
        (sums, weights),
        lambda of_sums, of_weights, axis: of_sums.sum(axis=axis) / of_weights.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        confidence_level=expanded_level(len(sums)),
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    return float(found.low), float(found.high)


def _p_value(quantity: str, differences: Numbers) -> float | None:
    """Return how likely as clear a change is by chance, of the seeds that differ.

    Of successes the sign test, which with one dose is McNemar's exact test (McNemar 1947): whether
    of the seeds in which one side succeeded more often each side has its half. Of all else
    Wilcoxon's signed-rank test (Wilcoxon 1945), which leaves out equal ones as he did: exact up to
    50 seeds, of tied ones up to 13 (as in scipy). None where none differs.
    """
    if not len(differences):
        return None
    if quantity == "success":
        up = int((differences > 0).sum())
        return mcnemar_p_value(up, len(differences) - up)
    sizes = np.abs(differences)
    if len(np.unique(sizes)) < len(sizes) <= _MOST_TIED_SEEDS:
        # The same test as wilcoxon(differences), which takes seconds for each.
        signed_ranks = np.sign(differences) * rankdata(sizes)
        return float(permutation_test((signed_ranks,), np.sum, permutation_type="samples").pvalue)
    return float(wilcoxon(differences).pvalue)


# What is said of all rows together.
_JUDGED = ("p_corrected", "significant", "verdict", "seeds_needed")


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with corrected p-values, and what is to be said of each change.

    Corrected over all rows at once (Benjamini and Hochberg 1995, as in scipy), of which those that
    cannot be significant count for nothing (Tarone 1990, Gilbert 2005).
    """
    testable = table["p_value"].notna() & (table["seeds_differing"] >= LEAST_SEEDS)
    table["p_corrected"] = pd.Series(np.nan, table.index, "Float64")
    if testable.any():
        p_values = table.loc[testable, "p_value"].to_numpy(np.float64)
        table.loc[testable, "p_corrected"] = false_discovery_control(p_values)
    to_one_side = np.sign(table["difference"].fillna(0)) == np.sign(
        table["pairs_up"] - table["pairs_down"]
    )
    is_clear = (table["p_corrected"] < LEVEL).fillna(value=False) & to_one_side
    table["significant"] = (is_clear | is_exact_change(table)) & is_relevant(table)
    table["verdict"] = _verdicts(table)
    # With more seeds, all that differs at all would be tested.
    table["seeds_needed"] = _seeds_needed(table, int(table["p_value"].notna().sum()))
    return table[list(CHANGES.columns)].astype(CHANGES.dtypes())


def _verdicts(table: pd.DataFrame) -> "pd.Series[str]":
    """Return one of `carveout.tables.statistics_tables.CHANGE_VERDICTS` for each row."""
    less_is_worse = table["quantity"].isin(LESS_IS_WORSE)
    has_direction = less_is_worse | table["quantity"].isin(MORE_IS_WORSE)
    is_down = (table["difference"] < 0).fillna(value=False).astype(bool)
    differing = table["pairs_up"] + table["pairs_down"]
    verdicts = pd.Series("cannot_tell", table.index, dtype="str")
    verdicts[~is_relevant(table)] = "small"
    verdicts[table["significant"]] = "changed"
    # An exact change may be one way at one dose and the other way at another.
    has_direction &= ~table["exact"] | (table["pairs_up"] == 0) | (table["pairs_down"] == 0)
    verdicts[table["significant"] & has_direction] = "better"
    verdicts[table["significant"] & has_direction & (less_is_worse == is_down)] = "worse"
    verdicts[differing == 0] = "equal"
    verdicts[table["pairs"] == 0] = "no_pairs"
    return verdicts


def _seeds_needed(table: pd.DataFrame, tested: int) -> "pd.Series[int]":
    """Return how many seeds would tell what cannot be told, if they were as these are.

    So many must differ, all to one side, that p stays below the level once it is corrected, were
    it the only significant one of all rows; of seeds to both sides it takes as many as their mean
    needs to stand out from their spread, by the normal distribution. Null where the differences
    cancel out.
    """
    level = LEVEL / max(tested, 1)
    differing = 1 + math.ceil(-math.log2(level))
    needed = [
        _seeds_for(row, differing, float(norm.isf(level / 2)))
        if row["verdict"] == "cannot_tell"
        else None
        for row in table.to_dict("records")
    ]
    return pd.Series(needed, table.index, "Int64")


def _seeds_for(row: Mapping[Any, Any], differing: int, quantile: float) -> int | None:
    """Return with how many seeds one row could be told, if so many of them must differ."""
    mean, spread = row["difference"], row["difference_std"]
    if not mean or not row["seeds_differing"]:
        return None
    seeds: int = math.ceil(differing * row["seeds"] / row["seeds_differing"])
    if row["pairs_up"] and row["pairs_down"] and pd.notna(spread):
        seeds = max(seeds, math.ceil((quantile * spread / mean) ** 2))
    return max(seeds, int(row["seeds"]) + 1)


def is_exact_change(changes: pd.DataFrame) -> "pd.Series[bool]":
    """Return which rows differ and do not vary with the seed: they need no test."""
    return changes["exact"] & (changes["pairs_up"] + changes["pairs_down"] > 0)


def is_relevant(changes: pd.DataFrame) -> "pd.Series[bool]":
    """Return which changes are as large as the least that matters, or come from nothing."""
    relative = changes["relative_change"].abs()
    from_nothing = relative.isna() & changes["difference"].notna()
    return (relative >= LEAST_CHANGE).fillna(value=False) | from_nothing


@entry_point
def main() -> None:
    """Make the table of what changes from one kernel to others."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.statistics.pair", description=main.__doc__
    )
    parser.add_argument("trials", type=Path)
    parser.add_argument(
        "--pairs", nargs="*", default=[], metavar="BEFORE/AFTER", help="kernels to be compared"
    )
    parser.add_argument("--changes", type=Path, required=True)
    wanted = parser.parse_args()
    changes = find_changes(read_table("trials", wanted.trials, COLUMNS), read_pairs(wanted.pairs))
    write_table("changes", changes, wanted.changes, read_metadata(wanted.trials))


def read_pairs(texts: Collection[str]) -> set[tuple[str, str]]:
    """Return pairs of kernels that are given as BEFORE/AFTER."""
    return {(before, after) for before, _, after in (text.partition("/") for text in texts)}


if __name__ == "__main__":
    sys.exit(main())
