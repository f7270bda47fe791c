# SPDX-License-Identifier: GPL-2.0-only
"""Whether a load came to the dose that it was to have."""

import pandas as pd

# By so many points a load may miss its dose and still count as carried.
SHORT_OF_DOSE = 2


def is_short_of_dose(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which loads came to less than they were to, null where it is not known.

    Args:
        rows: of any table with `dose_target` and `dose_achieved`, in percent; of a load that was
            refused the second is what it came to until then.
    """
    target, achieved = (rows[name].astype("Float64") for name in ("dose_target", "dose_achieved"))
    return achieved < target - SHORT_OF_DOSE


def misses_dose(rows: pd.DataFrame, refused: "pd.Series[bool]") -> "pd.Series[bool]":
    """Return which loads were not refused and yet never there, as page cache that is trimmed is.

    Args:
        rows: as for `is_short_of_dose`.
        refused: which rows are of loads that were.
    """
    return is_short_of_dose(rows).fillna(value=False).astype(bool) & ~refused
