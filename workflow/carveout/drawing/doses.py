# SPDX-License-Identifier: GPL-2.0-only
"""At which dose a cell is drawn: that to which its load came, which may be less than was asked."""

import pandas as pd

from carveout.tables.rules import misses_dose

# What is needed to know it, of the table `summary`.
DOSES = ("dose_target", "dose_achieved", "physical_bytes")
REFUSED = "load refused"
SHORT = "load short of its dose"


def at_doses(cells: pd.DataFrame) -> pd.DataFrame:
    """Return cells of the table `summary` with the dose at which they are drawn, and how it came.

    Columns that are added: `dose`, in percent, is what the load came to, and what was asked of it
    where that is not known; `refused`, whether no trial's host carried the load; `short`, whether
    it was carried and came to less than it was to.
    """
    target, achieved = (cells[name].astype(float) for name in ("dose_target", "dose_achieved"))
    refused = cells["physical_bytes"].isna()
    return cells.assign(
        dose=achieved.where(achieved.notna() & ~refused, target),
        refused=refused,
        short=misses_dose(cells, refused),
    )
