# SPDX-License-Identifier: GPL-2.0-only
"""Rows of a run's tables, as several guest tests ask for them."""

import pandas as pd

from tests.conftest import Run


def censuses(run: Run, strategy: str, **columns: object) -> pd.DataFrame:
    """The censuses of a strategy in a run; no row fails the test."""
    phases = run.table("phases")
    chosen = phases[phases["strategy"] == strategy]
    for name, value in columns.items():
        chosen = chosen[chosen[name] == value]
    assert len(chosen) > 0
    return chosen
