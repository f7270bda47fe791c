# SPDX-License-Identifier: GPL-2.0-only
"""How strategies differ: each variant held against another, under each load, seed by seed.

All variants get the same seeds, which make the loads' pages lie in the same places, and hosts of
the same histories. So a trial is held against the one of the same dose, seed and history; the
differences of a seed are averaged over doses, where there are several hosts those of a host over
its seeds, and these are what is counted.

Of what is granted a seed's mean is that of its curve, on lines between the doses that were run: so
it does not depend on which doses a ladder added, and those of several variants can be ranked. A
trial whose load was not refused and yet missed its dose is of another dose, and left out.
"""

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from carveout.common.errors import entry_point
from carveout.statistics import pair
from carveout.statistics.differences import (
    LEVEL,
    boschloo_p_value,
    brunner_munzel_p_value,
    cliffs_delta,
    holm,
    mcnemar_p_value,
    seeds_to_be_significant,
    seeds_to_see,
    sign_flip_p_values,
)
from carveout.statistics.intervals import (
    LEAST_FOR_BOOTSTRAP,
    Numbers,
    mean_intervals,
    newcombe_interval,
    units_of,
)
from carveout.statistics.sides import Side, of_common_doses
from carveout.statistics.summarize import with_quantities
from carveout.tables.comparison_tables import AGAINST, COMPARED, COMPARISONS
from carveout.tables.parquet import read_metadata, read_table, write_table
from carveout.tables.rules import misses_dose
from carveout.tables.schema import COMPARABLE

Variant = tuple[str, str]

# What counts as equal: so much of a rate, and these shares of the request and of the other's cost.
EQUAL_SUCCESS = 0.05
EQUAL_GRANTED_SHARE = 0.01
EQUAL_COST_SHARE = 0.05
# Where the seeds are too few for a test, and differ by no more than this share of a difference, it
# is taken for what it is.
CLEAR_SHARE = 0.1
# The range over so many seeds has the median of all seeds' differences in 31 of 32 cases.
LEAST_FOR_RANGE = 6

_VARIANT = ["strategy", "variant"]
_CURVE = ["load", "requests", "cycle", "request_bytes"]
_PARTNERS = [*_CURVE, "dose_target", "seed", "layout"]
_COSTS = ("lend_ns_per_gib", "give_back_ns_per_gib")
# Strategies of one machine are one experiment: what else tells trials apart is the same for all.
COLUMNS = (
    *(name for name in pair.COLUMNS if name not in pair.SETTINGS),
    *("layout", "dose_achieved"),
)
_FAMILY = [*COMPARABLE, "quantity"]
_TESTED = ("difference_low", "difference_high", "interval", "method", "p_value")


@dataclass
class _Compared:
    """A row, and what it is judged by."""

    row: dict[str, Any]
    # One for each seed that both sides have, or for each host where there are several; none where
    # they have no seed in common.
    differences: Numbers
    # How far these lie apart: a standard deviation.
    spread: float
    # Whether the seed changes neither side.
    is_exact: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether all pairs are equal to the bit, and what lies between them too."""
        unequal = self.row["pairs_up"] + self.row["pairs_down"] + np.count_nonzero(self.differences)
        return bool(self.row["pairs"] > 0 and not unequal)

    @property
    def is_clear(self) -> bool:
        """Whether seeds change next to nothing of a difference that is none to be ignored.

        A rate has none: 0 or 1 of few seeds looks clear by chance.
        """
        size = abs(self.row["difference"])
        return (
            self.row["quantity"] != "success"
            and len(self.differences) > 1
            and size > self.row["margin"]
            and bool(np.ptp(self.differences) <= CLEAR_SHARE * size)
        )


def compare(trials: pd.DataFrame, references: Sequence[Variant]) -> pd.DataFrame:
    """Return the table `comparisons`: each variant against a reference.

    Args:
        trials: the table `trials`, at least the columns that `COLUMNS` names.
        references: what to hold all others against: on each machine, with each granule, the first
            of these that was run there; else of all the first by name.
    """
    found: list[_Compared] = []
    for run in _comparable(trials):
        reference = next(name for name in (*references, *run.values) if name in run.values)
        found += run.compared((name, reference) for name in run.values if name != reference)
    return _judged(found)


def compare_pairs(trials: pd.DataFrame, pairs: Sequence[tuple[Variant, Variant]]) -> pd.DataFrame:
    """Return the same table of some pairs of variants: each first one against the second."""
    found: list[_Compared] = []
    for run in _comparable(trials):
        found += run.compared(pairs)
    return _judged(found)


@dataclass(frozen=True)
class _Run:
    """What was run on one machine with one granule."""

    common: Mapping[str, Any]
    # What a trial is of beside its variant, and of each curve which of these.
    doses: Numbers
    seeds: Numbers
    units: Numbers
    curves: Mapping[tuple[Any, ...], npt.NDArray[np.intp]]
    # Of each variant a row for each of these, null where it was not run, in columns of quantities.
    values: Mapping[Variant, Numbers]

    def compared(self, pairs: Iterable[tuple[Variant, Variant]]) -> Iterator[_Compared]:
        """Yield what is found of pairs of variants that were both run, before it is judged."""
        against = [f"{AGAINST}{name}" for name in _VARIANT]
        for one, other in pairs:
            if one not in self.values or other not in self.values:
                continue
            names = dict(zip([*_VARIANT, *against], [*one, *other], strict=True))
            for key, places in self.curves.items():
                curve = dict(zip(_CURVE, key, strict=True))
                of_one, of_other = (self._side(variant, places) for variant in (one, other))
                for quantity in COMPARED:
                    found = _compared(quantity, of_one, of_other, curve["request_bytes"])
                    if found is not None:
                        about = {**self.common, **names, **curve, "quantity": quantity}
                        found.row = about | found.row
                        yield found

    def _side(self, variant: Variant, places: npt.NDArray[np.intp]) -> Mapping[str, Side]:
        """Return a variant's trials of a curve, each quantity's."""
        values = self.values[variant][places]
        return {
            name: Side(
                self.doses[places], self.seeds[places], self.units[places], values[:, column]
            )
            for column, name in enumerate(COMPARED)
        }


def _comparable(trials: pd.DataFrame) -> Iterator[_Run]:
    """Yield what was run on each machine with each granule."""
    there = trials[~misses_dose(trials, trials["outcome"] == "load_refused")]
    for common, run in with_quantities(there).groupby(list(COMPARABLE), sort=False):
        # Sorted, so that nothing depends on the order of the trials.
        numbers = run.groupby(_PARTNERS).ngroup().to_numpy()
        places = run[_PARTNERS].drop_duplicates().sort_values(_PARTNERS)
        quantities = run[list(COMPARED)].to_numpy(np.float64, na_value=np.nan)
        values = {}
        for variant, rows in run.groupby(_VARIANT).indices.items():
            values[cast("Variant", variant)] = of_variant = np.full(
                (len(places), len(COMPARED)), np.nan
            )
            of_variant[numbers[rows]] = quantities[rows]
        yield _Run(
            common=dict(zip(COMPARABLE, cast("tuple[Any, ...]", common), strict=True)),
            doses=places["dose_target"].to_numpy(np.float64),
            seeds=places["seed"].to_numpy(np.float64),
            units=np.asarray(units_of(places["layout"], places["seed"]), np.float64),
            curves=cast("dict[tuple[Any, ...], Any]", places.groupby(_CURVE).indices),
            values=values,
        )


def _compared(
    quantity: str, one: Mapping[str, Side], other: Mapping[str, Side], request_bytes: int
) -> _Compared | None:
    """Return how a quantity differs on a curve; None where no dose has it of both sides."""
    sides = [one[quantity], other[quantity]]
    both = ~np.isnan(sides[0].values) & ~np.isnan(sides[1].values)
    chosen = [side.where(both) for side in sides] if both.any() else of_common_doses(sides)
    if not len(chosen[0].doses):
        return None
    found = _of_paired(quantity, sides, chosen) if both.any() else _of_unpaired(quantity, *chosen)
    found.row["least_dose"], found.row["most_dose"] = (
        float(end(chosen[0].doses)) for end in (np.min, np.max)
    )
    against_value = found.row[f"{AGAINST}value"]
    found.row["margin"] = {
        "success": EQUAL_SUCCESS,
        "granted_bytes": EQUAL_GRANTED_SHARE * request_bytes,
    }.get(quantity, EQUAL_COST_SHARE * against_value)
    if quantity in _COSTS:
        deltas = map(cliffs_delta, chosen[0].of_doses(), chosen[1].of_doses())
        found.row["effect"] = float(np.mean([*deltas]))
    elif quantity == "success":
        # A rate that is 0 or 1 may hide what does differ.
        granted = [side["granted_bytes"] for side in (one, other)]
        chosen = [side.where(both) if both.any() else side.known() for side in granted]
    found.is_exact = not _vary(chosen) and len(np.unique(found.differences)) < 2
    return found


def _vary(sides: Iterable[Side]) -> bool:
    """Return whether the seed changes one of the sides at any dose, as far as is known."""
    return any(
        len(values) < 2 or np.ptp(values) > 0 for side in sides for values in side.of_doses()
    )


def _means(quantity: str, side: Side) -> Numbers:
    """Return a quantity's mean of each unit: of what is granted that of its curve."""
    return side.areas_by_unit() if quantity == "granted_bytes" else side.by_unit()


def _of_paired(quantity: str, sides: Sequence[Side], chosen: Sequence[Side]) -> _Compared:
    """Return how trials of the same doses and seeds differ.

    Args:
        quantity: what is compared.
        sides: all trials of both sides, in the same order.
        chosen: of these those that have the quantity on both sides.
    """
    one, other = chosen
    # Rounded, so that differences that are equal are so to the bit.
    values = (one.values - other.values).round(6)
    if quantity == "granted_bytes":
        one, other = (side.filled() for side in sides)
        both = ~np.isnan(one.values) & ~np.isnan(other.values)
        both &= np.isin(one.seeds, chosen[0].seeds)
        one, other = one.where(both), other.where(both)
    pairs, means = chosen[0], [_means(quantity, side) for side in (one, other)]
    differences = (means[0] - means[1]).round(6)
    row = {
        "doses": len(np.unique(pairs.doses)),
        "seeds": len(np.unique(pairs.seeds)),
        "hosts": max(len(np.unique(pairs.units[pairs.units < 0])), 1),
        "pairs": len(values),
        "pairs_up": int((values > 0).sum()),
        "pairs_down": int((values < 0).sum()),
        "value": float(means[0].mean()),
        f"{AGAINST}value": float(means[1].mean()),
        "difference": float(differences.mean()),
    }
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    return _Compared(row, differences, spread)


def _of_unpaired(quantity: str, one: Side, other: Side) -> _Compared:
    """Return how trials of the same doses differ whose seeds are others."""
    means = [_means(quantity, side) for side in (one, other)]
    doses = len(np.unique(one.doses))
    row: dict[str, Any] = {
        "doses": doses,
        "seeds": 0,
        "hosts": 0,
        "pairs": 0,
        "pairs_up": 0,
        "pairs_down": 0,
        "value": float(means[0].mean()),
        f"{AGAINST}value": float(means[1].mean()),
        "difference": float(means[0].mean() - means[1].mean()),
    }
    are_single = len(one.values) == len(means[0]) and len(other.values) == len(means[1])
    if quantity == "success" and are_single:
        counts = [n for side in (one, other) for n in (int(side.values.sum()), len(side.values))]
        low, high = newcombe_interval(*counts)
        row |= {"difference_low": low, "difference_high": high, "interval": "newcombe"}
        row |= {"method": "boschloo", "p_value": boschloo_p_value(*counts)}
    elif (p_value := brunner_munzel_p_value(*means)) is not None:
        row |= {"method": "brunner_munzel", "p_value": p_value}
    spreads = [float(side.std(ddof=1)) if len(side) > 1 else 0.0 for side in means]
    return _Compared(row, np.empty(0), math.hypot(*spreads))


def _judged(found: Sequence[_Compared]) -> pd.DataFrame:
    """Return the table of the rows, tested where a test says more than the rows do."""
    families = defaultdict(list)
    for one in found:
        if one.is_equal or one.is_exact:
            one.row["verdict"] = "equal" if one.is_equal else "exact"
            one.row |= dict.fromkeys(_TESTED)
        else:
            families[tuple(one.row[name] for name in _FAMILY)].append(one)
    _test([one for family in families.values() for one in family])
    for family in families.values():
        tested = [one for one in family if one.row.get("p_value") is not None]
        corrected = holm(np.array([one.row["p_value"] for one in tested]))
        for one, p_value in zip(tested, corrected, strict=True):
            one.row["p_corrected"] = float(p_value)
        for one in family:
            one.row |= _verdict(one, len(family))
    rows = [one.row for one in found]
    return pd.DataFrame(rows, columns=list(COMPARISONS.columns)).astype(COMPARISONS.dtypes())


def _test(found: Sequence[_Compared]) -> None:
    """Add intervals and p-values to rows of pairs, those of as many seeds at once."""
    by_units = defaultdict(list)
    for one in found:
        by_units[len(one.differences)].append(one)
    for units, rows in by_units.items():
        if units < 2:
            continue
        differences = np.array([one.differences for one in rows])
        ends, interval = mean_intervals(differences), "bootstrap"
        if units < LEAST_FOR_BOOTSTRAP:
            ends = np.column_stack([differences.min(axis=1), differences.max(axis=1)])
            interval = "range"
        p_values = sign_flip_p_values(differences)
        for one, (low, high), p_value in zip(rows, ends, p_values, strict=True):
            one.row |= {"difference_low": float(low), "difference_high": float(high)}
            one.row |= {"interval": interval, "method": "sign_flips", "p_value": float(p_value)}
            if one.row["quantity"] == "success" and one.row["pairs"] == units:
                # The same p-value under its own name: each difference is 1, 0 or -1.
                split = one.row["pairs_up"], one.row["pairs_down"]
                one.row |= {"method": "mcnemar", "p_value": mcnemar_p_value(*split)}


def _verdict(one: _Compared, tests: int) -> dict[str, Any]:
    """Return what can be told of a row, one of so many tests, or with how many seeds it could."""
    row, margin = one.row, one.row["margin"]
    has_interval = row.get("interval") and (
        row["interval"] != "range" or len(one.differences) >= LEAST_FOR_RANGE
    )
    if has_interval and -margin <= row["difference_low"] <= row["difference_high"] <= margin:
        return {"verdict": "equal_within"}
    if row.get("p_corrected") is not None and row["p_corrected"] < LEVEL:
        return {"verdict": "differs"}
    if one.is_clear:
        return {"verdict": "clear", "method": None, "p_value": None, "p_corrected": None}
    size = abs(row["difference"])
    needed = [
        seeds_to_see(distance, one.spread, among)
        for distance, among in ((size, tests), (margin - size, 1))
        if distance > 0
    ]
    least = min(needed, default=seeds_to_be_significant(tests))
    return {"verdict": "cannot_tell", "trials_needed": max(least, len(one.differences) + 1)}


@entry_point
def main() -> None:
    """Make the table of how strategies differ from the table of trials."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.statistics.compare", description=main.__doc__
    )
    parser.add_argument("trials", type=Path)
    parser.add_argument(
        "--references",
        nargs="+",
        required=True,
        metavar="STRATEGY/VARIANT",
        help="what all others are held against: on each machine, with each granule, the first of "
        "these that was run",
    )
    parser.add_argument("--comparisons", type=Path, required=True)
    wanted = parser.parse_args()
    references = [tuple(name.split("/", 1)) for name in wanted.references]
    comparisons = compare(
        read_table("trials", wanted.trials, COLUMNS), cast("list[Variant]", references)
    )
    write_table("comparisons", comparisons, wanted.comparisons, read_metadata(wanted.trials))


if __name__ == "__main__":
    sys.exit(main())
