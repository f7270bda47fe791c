# SPDX-License-Identifier: GPL-2.0-only
"""Where a curve turns: the dose from which a variant lends less than half of its most."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from carveout.common.rates import last_with_half
from carveout.statistics.intervals import Numbers, quantile_interval, units_of
from carveout.tables.rules import misses_dose
from carveout.tables.schema import CURVE
from carveout.tables.statistics_tables import CURVES


class _Trials(NamedTuple):
    """Trials of one curve or of all: what each counts as, and what came of it."""

    units: Numbers
    seeds: Numbers
    doses: Numbers
    granted_bytes: Numbers
    # 1 of each whose load was refused.
    refused: Numbers

    @classmethod
    def of(cls, trials: pd.DataFrame) -> "_Trials":
        columns = (
            units_of(trials["layout"], trials["seed"]),
            *(trials[name] for name in ("seed", "dose_target", "granted_bytes")),
            trials["outcome"] == "load_refused",
        )
        return cls(*(column.to_numpy(np.float64) for column in columns))

    def at(self, places: Any) -> "_Trials":
        return _Trials(*(column[places] for column in self))


def describe_curves(summary: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the table `curves`: one row per curve.

    A variant that cannot give the granule has no curve. A dose that the load missed says nothing of
    that dose, and is no part of the curve, unless it is the lowest.

    Args:
        summary: the table `summary`.
        trials: the table `trials`, of which each seed has a curve of its own; what failed its
            verification was granted nothing.
    """
    available = summary[summary["not_available"] == 0]
    curves = [
        (key, curve.sort_values("dose_target"))
        for key, curve in available.groupby(list(CURVE), sort=False)
    ]
    all_trials = _Trials.of(trials)
    places = trials.groupby(list(CURVE), sort=False).indices
    rows = []
    for key, curve in curves:
        is_lowest = curve["dose_target"] == curve["dose_target"].min()
        there = curve[~misses_dose(curve, curve["load_refused"] > 0) | is_lowest]
        rows.append(
            dict(zip(CURVE, key, strict=True))
            | _turning_point(there)
            | _over_seeds(there["dose_target"].tolist(), all_trials.at(places.get(key, [])))
            | _carried(curve)
        )
    return pd.DataFrame(rows, columns=list(CURVES.columns)).astype(CURVES.dtypes())


def _over_seeds(doses: list[float], trials: _Trials) -> dict[str, Any]:
    """Return where the curves of seeds turn, of those that ran every dose and were granted any.

    Of several hosts each has a curve, the mean of its seeds'. One that does not turn does so above
    every dose.
    """
    different, first, rows = np.unique(trials.seeds, return_index=True, return_inverse=True)
    granted, loads_refused = np.full((2, len(different), len(doses)), np.nan)
    for column, dose in enumerate(doses):
        here = trials.doses == dose
        granted[rows[here], column] = trials.granted_bytes[here]
        loads_refused[rows[here], column] = trials.refused[here]
    whole = ~np.isnan(granted).any(axis=1)
    own_units = trials.units[first]
    turning = []
    for unit in np.unique(own_units[whole]):
        of_unit = whole & (own_units == unit)
        means = (of_host[of_unit].mean(axis=0).tolist() for of_host in (granted, loads_refused))
        turning.append(_turns_at(doses, *means))
    turns = np.sort(np.array(turning, np.float64))
    turns = turns[~np.isnan(turns)]
    ends: dict[str, float | None] = {}
    if turns.size:
        ends = {"least": turns[0], "most": turns[-1]}
    if turns.size and turns[0] < turns[-1]:
        ends["low"], ends["high"] = quantile_interval(turns, 0.5)
    hosts = max(len(np.unique(own_units[own_units < 0])), int(len(own_units) > 0))
    return {"seeds": int(whole.sum()), "hosts": hosts} | {
        f"turning_point_{end}": dose
        for end, dose in ends.items()
        if dose is not None and np.isfinite(dose)
    }


def _turns_at(doses: list[float], granted_bytes: list[float], refused: list[float]) -> float:
    """Return where one curve turns: infinity where it has half everywhere, NaN without a most.

    Args:
        doses: in ascending order.
        granted_bytes: at each dose, in the mean, nothing where the load was refused.
        refused: the share of loads that were.
    """
    last = last_with_half(granted_bytes)
    if last is None:
        return np.nan
    if last + 1 == len(doses):
        return np.inf
    if _is_refusal(granted_bytes, refused[last + 1], last + 1):
        return doses[last]
    ends = slice(last, last + 2)
    return _crossing(doses[ends], granted_bytes[ends], max(granted_bytes) / 2)


def _is_refusal(granted_bytes: list[float], refused: float, place: int) -> bool:
    """Return whether less than half is granted at a dose because hosts do not carry the load.

    Those that do carry it are then granted half or more, or there are none.
    """
    return refused > 0 and granted_bytes[place] >= max(granted_bytes) / 2 * (1 - refused)


def _turning_point(curve: pd.DataFrame) -> dict[str, Any]:
    """Return what is known of one curve, whose rows ascend by dose."""
    doses = curve["dose_target"].tolist()
    granted_bytes = curve["granted_mean_bytes"].tolist()
    refused = (curve["load_refused"] / curve["trials"]).tolist()
    most_bytes = max(granted_bytes)
    found: dict[str, Any] = {
        "trials": curve["trials"].sum(),
        "doses": len(doses),
        "ladder": curve["ladder"].iloc[0],
        "least_dose": doses[0],
        "most_dose": doses[-1],
        "granted_most_bytes": most_bytes,
        "half_until_dose": None,
        "less_from_dose": None,
        "fall": None,
        "turning_point": None,
    }
    last = last_with_half(granted_bytes)
    if last is None:
        return found
    found["half_until_dose"] = doses[last]
    if last + 1 < len(doses):
        found["less_from_dose"] = doses[last + 1]
        is_refusal = _is_refusal(granted_bytes, refused[last + 1], last + 1)
        found["fall"] = "load_refused" if is_refusal else "lends_less"
        found["turning_point"] = _turns_at(doses, granted_bytes, refused)
    return found


def _carried(curve: pd.DataFrame) -> dict[str, float | None]:
    """Return up to which dose the host carried the load, whose rows ascend by dose."""
    doses = curve["dose_target"].tolist()
    is_refused = curve["load_refused"] > 0
    refused = (is_refused | misses_dose(curve, is_refused)).tolist()
    first = refused.index(True) if True in refused else len(doses)
    return {
        "carries_until_dose": doses[first - 1] if first else None,
        "refused_from_dose": doses[first] if first < len(doses) else None,
    }


def _crossing(doses: list[float], granted_bytes: list[float], half_bytes: float) -> float:
    """Return the dose at which the line between two points has half; the first has it, not less."""
    fallen = (granted_bytes[0] - half_bytes) / (granted_bytes[0] - granted_bytes[1])
    return doses[0] + fallen * (doses[1] - doses[0])
