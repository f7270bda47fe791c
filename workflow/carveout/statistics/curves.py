# SPDX-License-Identifier: GPL-2.0-only
"""Where a curve turns: the dose from which a variant lends less than half of its most."""

from typing import Any

import pandas as pd

from carveout.common.rates import last_with_half
from carveout.tables.schema import CURVE
from carveout.tables.statistics_tables import CURVES


def describe_curves(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the table `curves`: one row per curve, from the table `summary`.

    A variant that cannot give the granule has no curve.
    """
    available = summary[summary["not_available"] == 0]
    curves = [
        (key, curve.sort_values("dose_target"))
        for key, curve in available.groupby(list(CURVE), sort=False)
    ]
    rows = [
        dict(zip(CURVE, key, strict=True)) | _turning_point(curve) | _carried(curve)
        for key, curve in curves
    ]
    return pd.DataFrame(rows, columns=list(CURVES.columns)).astype(CURVES.dtypes())


def _turning_point(curve: pd.DataFrame) -> dict[str, Any]:
    """Return what is known of one curve, whose rows ascend by dose."""
    doses = curve["dose_target"].tolist()
    granted_bytes = curve["granted_mean_bytes"].tolist()
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
        "turning_point": None,
    }
    last = last_with_half(granted_bytes)
    if last is None:
        return found
    found["half_until_dose"] = doses[last]
    if last + 1 < len(doses):
        found["less_from_dose"] = doses[last + 1]
        found["turning_point"] = _crossing(
            doses[last : last + 2], granted_bytes[last : last + 2], most_bytes / 2
        )
    return found


def _carried(curve: pd.DataFrame) -> dict[str, float | None]:
    """Return up to which dose the host carried the load, whose rows ascend by dose."""
    doses = curve["dose_target"].tolist()
    refused = (curve["load_refused"] > 0).tolist()
    first = refused.index(True) if True in refused else len(doses)
    return {
        "carries_until_dose": doses[first - 1] if first else None,
        "refused_from_dose": doses[first] if first < len(doses) else None,
    }


def _crossing(doses: list[float], granted_bytes: list[float], half_bytes: float) -> float:
    """Return the dose at which the line between two points has half; the first has it, not less."""
    fallen = (granted_bytes[0] - half_bytes) / (granted_bytes[0] - granted_bytes[1])
    return doses[0] + fallen * (doses[1] - doses[0])
