# SPDX-License-Identifier: GPL-2.0-only
"""What another kernel changes: trials that differ in nothing but the kernel, pair by pair.

Seeds and doses make trials differ by far more than most patches do, but both kernels get the same
ones: so each trial is held against its partner, and only then are the differences averaged.
"""

import argparse
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy.stats import (
    false_discovery_control,
    permutation_test,
    rankdata,
    wilcoxon,
)

from carveout.common.errors import entry_point
from carveout.statistics.differences import LEVEL, mcnemar_p_value
from carveout.statistics.intervals import Numbers
from carveout.statistics.summarize import with_quantities
from carveout.tables.comparison_tables import BEFORE, CHANGES, QUANTITIES
from carveout.tables.parquet import read_metadata, read_table, write_table
from carveout.tables.schema import CELL, CURVE, KERNEL_COLUMNS

# What a change must be besides to be called significant: see docs/measuring.md, "Before and after".
LEAST_CHANGE = 0.01
# With fewer differing pairs no test of theirs can come below the level: the least two-sided p of
# n of them, all to one side, is 2^(1-n).
LEAST_PAIRS = 6

# What partners have in common, and what the pairs of one row have.
_PARTNERS = [name for name in (*CELL, "seed") if name not in KERNEL_COLUMNS]
_ROW = [name for name in CURVE if name not in KERNEL_COLUMNS]
# What every trial has, whatever became of it.
_OF_ALL = ("success", "granted_bytes")
# Up to this many, all 2^n signs of their ranks are fewer than scipy tries by default.
_MOST_TIED_PAIRS = 13

COLUMNS = (
    *CELL,
    *("seed", "outcome", "verify", "lent_bytes", "granted_bytes", "lend_ns", "give_back_ns"),
    *("memmap_lent_bytes", "pages_migrated", "regained_bytes"),
)


def find_changes(trials: pd.DataFrame, pairs: Collection[tuple[str, str]]) -> pd.DataFrame:
    """Return the table `changes`: each curve and quantity, with another kernel than before.

    Args:
        trials: the table `trials`, at least its `COLUMNS`.
        pairs: names of kernels, the one before first. Only machines that both have are compared.
    """
    run = with_quantities(trials)[[*KERNEL_COLUMNS, *_PARTNERS, *QUANTITIES]]
    of_kernels = list(run.groupby(list(KERNEL_COLUMNS), sort=False))
    names = [f"{BEFORE}{name}" for name in KERNEL_COLUMNS]
    rows = [
        dict(zip(names, old, strict=True)) | dict(zip(KERNEL_COLUMNS, new, strict=True)) | row
        for old, of_old in of_kernels
        for new, of_new in of_kernels
        if (old[0], new[0]) in pairs
        for row in _rows(*_of_common_machines(of_old, of_new))
    ]
    table = pd.DataFrame(rows, columns=[*CHANGES.columns]).astype(CHANGES.dtypes())
    return _judged(table)


def _of_common_machines(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trials of hosts with as much RAM as the other kernel's have, too."""
    both = set(old["ram_bytes"]) & set(new["ram_bytes"])
    return old[old["ram_bytes"].isin(both)], new[new["ram_bytes"].isin(both)]


def _rows(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of one kernel against another, before they are judged together."""
    both = old.drop(columns=list(KERNEL_COLUMNS)).merge(
        new.drop(columns=list(KERNEL_COLUMNS)),
        on=_PARTNERS,
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
    success = QUANTITIES.index("success")
    both_succeeded = (old_values[:, success] == 1) & (new_values[:, success] == 1)
    known = ~np.isnan(old_values) & ~np.isnan(new_values)
    known &= both_succeeded[:, np.newaxis] | np.isin(QUANTITIES, _OF_ALL)
    groups = both.groupby(_ROW, sort=False).indices
    for key, places in cast("dict[tuple[Any, ...], Any]", groups).items():
        found = both["found"].iloc[places]
        if set(found) in ({"left_only"}, {"right_only"}):
            continue  # one kernel alone ran any of this curve
        common = dict(zip(_ROW, key, strict=True)) | {
            "unpaired_before": int((found == "left_only").sum()),
            "unpaired_after": int((found == "right_only").sum()),
        }
        for column, name in enumerate(QUANTITIES):
            pairs = places[known[places, column]]
            change = _change(name, old_values[pairs, column], new_values[pairs, column])
            yield common | {"quantity": name} | change


def _change(quantity: str, old: Numbers, new: Numbers) -> dict[str, Any]:
    """Return what is known of the pairs of one quantity: means, and the p-value of its test."""
    # Rounded, so that differences that are equal are so to the bit, and tie.
    differences = (new - old).round(6)
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    row: dict[str, Any] = {"pairs": len(old), "pairs_up": up, "pairs_down": down}
    if not len(old):
        return row
    before, difference = float(old.mean()), float(differences.mean())
    row |= {"before": before, "after": float(new.mean()), "difference": difference}
    if before or not difference:
        row["relative_change"] = difference / abs(before) if before else 0.0
    if len(old) > 1 and quantity != "success":
        row |= {"before_std": float(old.std(ddof=1)), "after_std": float(new.std(ddof=1))}
    return row | {"p_value": _p_value(quantity, differences[differences != 0])}


def _p_value(quantity: str, differences: Numbers) -> float:
    """Return how likely as clear a change is by chance, of the pairs that differ.

    Of successes McNemar's exact test. Of all else Wilcoxon's signed-rank test (Wilcoxon 1945),
    which leaves out equal pairs as he did: exact up to 50 pairs, of tied ones up to 13 (as in
    scipy).
    """
    if not len(differences):
        return 1.0
    if quantity == "success":
        up = int((differences > 0).sum())
        return mcnemar_p_value(up, len(differences) - up)
    sizes = np.abs(differences)
    if len(np.unique(sizes)) < len(sizes) <= _MOST_TIED_PAIRS:
        # The same test as wilcoxon(differences), which takes seconds for each.
        signed_ranks = np.sign(differences) * rankdata(sizes)
        return float(permutation_test((signed_ranks,), np.sum, permutation_type="samples").pvalue)
    return float(wilcoxon(differences).pvalue)


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with corrected p-values, and whether each change is significant.

    Corrected over all rows at once (Benjamini and Hochberg 1995, as in scipy), of which those that
    cannot be significant count for nothing (Tarone 1990, Gilbert 2005).
    """
    testable = table["pairs_up"] + table["pairs_down"] >= LEAST_PAIRS
    table["p_corrected"] = pd.Series(np.nan, table.index, "Float64")
    if testable.any():
        p_values = table.loc[testable, "p_value"].to_numpy(np.float64)
        table.loc[testable, "p_corrected"] = false_discovery_control(p_values)
    to_one_side = np.sign(table["difference"].fillna(0)) == np.sign(
        table["pairs_up"] - table["pairs_down"]
    )
    table["significant"] = (
        (table["p_corrected"] < LEVEL).fillna(value=False) & is_relevant(table) & to_one_side
    )
    return table


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
    pairs = {(before, after) for before, _, after in (pair.partition("/") for pair in wanted.pairs)}
    changes = find_changes(read_table("trials", wanted.trials, COLUMNS), pairs)
    write_table("changes", changes, wanted.changes, read_metadata(wanted.trials))


if __name__ == "__main__":
    sys.exit(main())
