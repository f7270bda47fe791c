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
    if "scenario" in frame and "load" not in frame:
        # Its first part is the load.
        loads = frame["scenario"].str.partition(".")[0]
    else:
        loads = frame.get("load")
    for key, column in _COLUMNS.items():
        values = loads if key == "loads" else frame.get(column)
        if key in only and values is not None:
            frame = frame[values.reindex(frame.index).isin(list(only[key]))]
    if "strategies" in only and "strategy" in frame:
        wanted = set(only["strategies"])
        variants = frame["strategy"].str.cat(frame["variant"], sep="/")
        frame = frame[frame["strategy"].isin(wanted) | variants.isin(wanted)]
    return frame
