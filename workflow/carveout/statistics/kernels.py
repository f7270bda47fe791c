# SPDX-License-Identifier: GPL-2.0-only
"""What each kernel makes of each variant, side by side."""

import pandas as pd

from carveout.tables.comparison_tables import KERNELS

_KEY = list(KERNELS.key)
_OF_LENT = ["memmap_per_lent_gib_bytes", "memmap_host_bytes", "lend_ns_per_gib_p50"]


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
    groups = ordered.groupby(_KEY, sort=False)
    found = groups[["why_not_available", "memmap_idle_bytes"]].first()
    found["available"] = groups["trials"].sum() > 0
    found["why_not_available"] = found["why_not_available"].where(~found["available"])
    lent = ordered.dropna(subset=["memmap_per_lent_gib_bytes"])
    found = found.join(lent.drop_duplicates(_KEY, keep="last").set_index(_KEY)[_OF_LENT])
    found["page_bytes"] = trials.groupby(_KEY, sort=False)["page_bytes"].first()
    largest = curves[
        curves["request_bytes"] == curves.groupby(_KEY)["request_bytes"].transform("max")
    ]
    found["granted_most_bytes"] = largest.groupby(_KEY)["granted_most_bytes"].max()
    turning = largest.dropna(subset=["turning_point"]).sort_values(["turning_point", "load"])
    first = turning.drop_duplicates(_KEY).set_index(_KEY)
    found["half_dose_least"] = first["turning_point"]
    found["half_dose_least_load"] = first["load"]
    return found.reset_index()[list(KERNELS.columns)]
