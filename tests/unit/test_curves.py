# SPDX-License-Identifier: GPL-2.0-only
"""Where curves turn: read off the means of cells, whatever the curve looks like."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials

from carveout.common.sizes import MIB
from carveout.statistics.curves import describe_curves
from carveout.statistics.summarize import summarize
from carveout.tables.parquet import read_table, write_table

# Curves of means alone.
NO_TRIALS = made_trials().iloc[:0]


@pytest.fixture
def curve(tmp_path: Any) -> pd.DataFrame:
    """One cell of a made-up summary, which the tests repeat at other doses."""
    write_table("trials", made_trials(), tmp_path / "trials.parquet")
    summary = summarize(read_table("trials", tmp_path / "trials.parquet"))
    return summary.iloc[:1]


def turning_point(curve: pd.DataFrame, granted_mib: Mapping[float, float]) -> dict[str, Any]:
    """What is found of a curve with such means, whose rows come in any order."""
    doses = list(granted_mib)[::-1]
    rows = pd.concat([curve] * len(doses)).assign(
        dose_target=pd.array(doses, "Float64"),
        granted_mean_bytes=pd.array([granted_mib[d] * MIB for d in doses], "Float64"),
    )
    (found,) = describe_curves(rows, NO_TRIALS).to_dict("records")
    return {str(name): None if pd.isna(value) else value for name, value in found.items()}


def test_between_the_last_dose_with_half_and_the_next(curve: pd.DataFrame) -> None:
    found = turning_point(curve, {0: 512, 10: 512, 15: 384, 20: 128, 40: 0})
    assert (found["half_until_dose"], found["less_from_dose"]) == (15, 20)
    assert found["turning_point"] == pytest.approx(17.5)
    assert (found["least_dose"], found["most_dose"], found["doses"]) == (0, 40, 5)
    assert found["granted_most_bytes"] == 512 * MIB
    assert found["trials"] == 5 * curve["trials"].iloc[0]


def test_exactly_half_has_half(curve: pd.DataFrame) -> None:
    found = turning_point(curve, {0: 512, 10: 256, 20: 0})
    assert (found["half_until_dose"], found["less_from_dose"]) == (10, 20)
    assert found["turning_point"] == 10


def test_a_curve_that_has_half_everywhere_does_not_turn(curve: pd.DataFrame) -> None:
    found = turning_point(curve, {0: 512, 10: 300})
    assert (found["half_until_dose"], found["less_from_dose"]) == (10, None)
    assert found["turning_point"] is None


def test_a_curve_that_rises_is_judged_from_its_top_on(curve: pd.DataFrame) -> None:
    found = turning_point(curve, {0: 64, 10: 512, 20: 64})
    assert (found["half_until_dose"], found["less_from_dose"]) == (10, 20)


def test_where_nothing_is_ever_granted_there_is_nothing_to_halve(curve: pd.DataFrame) -> None:
    found = turning_point(curve, {0: 0, 10: 0})
    assert found["half_until_dose"] is None
    assert found["turning_point"] is None


def test_curves_are_told_apart(curve: pd.DataFrame) -> None:
    other = curve.assign(variant="another")
    points = describe_curves(pd.concat([curve, other]), NO_TRIALS)
    assert len(points) == 2
