# SPDX-License-Identifier: GPL-2.0-only
"""Ranks of what qualifies, by a measure: which is best, and of which the best is told apart.

Variants are compared under the loads, doses and seeds that all of them have. A seed's value is the
worst of these: a mean over loads would be of a mixture that nobody has.
"""

from typing import cast

import numpy as np
import pandas as pd

from carveout.claims.evidence import VARIANT, pairing_of
from carveout.statistics.compare import EQUAL_COST_SHARE
from carveout.statistics.differences import (
    LEVEL,
    holm,
    seeds_to_be_significant,
    sign_flip_p_values,
)
from carveout.tables.schema import COMPARABLE

_KEY = [*COMPARABLE, *VARIANT]
_RANKS = {"measure": "Float64", "rank": "Int64", "best": "boolean", "tells_apart": "boolean"}


def ranked(judged: pd.DataFrame, values: pd.DataFrame, more_is_better: bool) -> pd.DataFrame:
    """Return the rows with `measure`, `rank`, `best` and `tells_apart`.

    Args:
        judged: one row for each variant that was asked for, with `qualifies`.
        values: rows of a table with a `value`, of trials that have the measure.
        more_is_better: or less is.
    """
    parts = [
        _ranked(part, values, more_is_better)
        for _, part in judged.groupby(list(COMPARABLE), sort=False)
    ]
    return pd.concat(parts)


def _ranked(part: pd.DataFrame, values: pd.DataFrame, more_is_better: bool) -> pd.DataFrame:
    """Return the rows of one machine and granule."""
    part = part.assign(
        **{name: pd.array([None] * len(part), kind) for name, kind in _RANKS.items()}
    )
    part["best"] = False
    common = part[list(COMPARABLE)].drop_duplicates()
    own = values.merge(common, on=list(COMPARABLE))
    names = part.set_index(list(VARIANT))
    qualified = names.index[names["qualifies"].fillna(value=False).astype(bool)]
    by_seed = _by_seed(own, qualified, more_is_better)
    rest = _by_seed(own, names.index.difference(qualified), more_is_better)
    names["measure"] = pd.concat([by_seed, rest]).median(axis=1).reindex(names.index)
    if not by_seed.empty:
        sign = -1 if more_is_better else 1
        costs = sign * by_seed.to_numpy(np.float64)
        middle = np.median(costs, axis=1)
        best = int(np.argmin(middle))
        apart = told_apart(costs, best)
        places = pd.Series(middle, by_seed.index).rank(method="min").astype("Int64")
        places[[is_apart is False for is_apart in apart]] = 1
        names.loc[by_seed.index, "rank"] = places
        names.loc[by_seed.index, "tells_apart"] = pd.array(apart, "boolean")
        names.loc[by_seed.index, "best"] = (places == 1).astype("boolean")
    return names.reset_index()


def _by_seed(own: pd.DataFrame, names: pd.MultiIndex, more_is_better: bool) -> pd.DataFrame:
    """Return the worst value of each variant with each seed, where all have one."""
    table = own.set_index(list(VARIANT))
    rows = table[table.index.isin(names)].reset_index()
    if rows.empty:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []], names=VARIANT))
    cell = [name for name in pairing_of("trials") if name in rows]
    count = rows[list(VARIANT)].drop_duplicates().shape[0]
    wide = rows.pivot_table(index=list(VARIANT), columns=cell, values="value", aggfunc="first")
    shared = wide.loc[:, wide.notna().sum() == count]
    chosen = shared if shared.shape[1] else wide
    seeds = chosen.T.groupby(level="seed")
    worst = (seeds.min() if more_is_better else seeds.max()).T
    return cast("pd.DataFrame", worst.loc[:, worst.notna().all()] if shared.shape[1] else worst)


def told_apart(
    costs: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", best: int
) -> list[bool | None]:
    """Return of each row of costs, one a seed, whether the best one is told apart from it.

    What lies within 5 % of it is not; what no seed changes is, if it differs; else the seeds decide
    (sign flips, with Holm's correction). Null of the best itself, and where all seeds say the same but are too
    few to be significant.
    """
    differences = costs - costs[best]
    others = [row for row in range(len(costs)) if row != best]
    apart: list[bool | None] = [None] * len(costs)
    margin = EQUAL_COST_SHARE * abs(float(np.median(costs[best])))
    tested = []
    for row in others:
        own = differences[row]
        if np.isnan(own).any():
            continue
        if abs(np.median(own)) <= margin:
            apart[row] = False
        elif np.ptp(costs[row]) == 0 and np.ptp(costs[best]) == 0:
            apart[row] = True
        else:
            tested.append(row)
    if tested:
        p_values = holm(sign_flip_p_values(differences[tested]))
        enough = costs.shape[1] >= seeds_to_be_significant(len(tested))
        for row, p_value in zip(tested, p_values, strict=True):
            agree = bool((differences[row] > 0).all())
            apart[row] = True if p_value < LEVEL else (None if agree and not enough else False)
    return apart
