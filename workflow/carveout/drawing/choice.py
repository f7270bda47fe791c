# SPDX-License-Identifier: GPL-2.0-only
"""Which rows of a table are drawn: what the config's key `figures.only` names, and nothing else."""

from collections.abc import Mapping, Sequence

import pandas as pd

# Of the key, in which columns its names stand. A table without the column has all of its rows
# drawn: they are over all loads, or of machines.
_COLUMNS = {"kernels": "kernel", "loads": "load", "granules": "granule"}

Only = Mapping[str, Sequence[str]]


def chosen(frame: pd.DataFrame, only: Only) -> pd.DataFrame:
    """Return the rows of strategies, kernels, loads and granules that are named, of all if none is.

    Args:
        frame: of any table.
        only: names by `strategies`, `kernels`, `loads` and `granules`; a single variant of a
            strategy is `strategy/variant`.
    """
    for key, column in _COLUMNS.items():
        if key in only and column in frame:
            frame = frame[frame[column].isin(list(only[key]))]
    if "loads" in only and "load" not in frame and "scenario" in frame:
        # Its first part is the load.
        loads = frame["scenario"].str.partition(".")[0]
        frame = frame[loads.isin(list(only["loads"]))]
    if "strategies" in only and "strategy" in frame:
        wanted = set(only["strategies"])
        variants = frame["strategy"].str.cat(frame["variant"], sep="/")
        frame = frame[frame["strategy"].isin(wanted) | variants.isin(wanted)]
    return frame
