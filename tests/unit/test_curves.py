# SPDX-License-Identifier: GPL-2.0-only
"""Where curves turn: read off the means of cells, whatever the curve looks like."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials

from carveout.common.sizes import MIB
from carveout.statistics.curves import describe_curves
from carveout.statistics.summarize import summarize
from carveout.tables.parquet import read_table, write_table
from carveout.tables.schema import CURVE

# Curves of means alone.
NO_TRIALS = made_trials().iloc[:0]


@pytest.fixture
def curve(tmp_path: Any) -> pd.DataFrame:
    """One cell of a made-up summary, which the tests repeat at other doses."""
    write_table("trials", made_trials(), tmp_path / "trials.parquet")
    summary = summarize(read_table("trials", tmp_path / "trials.parquet"))
    return summary.iloc[:1]


def turning_point(
    curve: pd.DataFrame,
    granted_mib: Mapping[float, float],
    refused: Mapping[float, int] | None = None,
    achieved: Mapping[float, float] | None = None,
) -> dict[str, Any]:
    """What is found of a curve with such means of 4 trials, whose rows come in any order."""
    doses = list(granted_mib)[::-1]
    rows = pd.concat([curve] * len(doses)).assign(
        dose_target=pd.array(doses, "Float64"),
        dose_achieved=pd.array([(achieved or {}).get(dose, dose) for dose in doses], "Float64"),
        load_refused=pd.array([(refused or {}).get(dose, 0) for dose in doses], "Int64"),
        trials=pd.array([4] * len(doses), "Int64"),
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
    assert found["trials"] == 5 * 4
    assert found["fall"] == "lends_less"


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


def test_a_fall_that_is_a_refusal_has_no_dose_between_two(curve: pd.DataFrame) -> None:
    """Between a load that the host carries, and one that it does not, nothing is known."""
    granted: dict[float, float] = {0: 512, 10: 512, 20: 128, 40: 0}
    # Of a load that is refused it is known what it came to until then.
    found = turning_point(curve, granted, {20: 3, 40: 4}, {40: 25})
    assert (found["half_until_dose"], found["less_from_dose"]) == (10, 20)
    assert (found["fall"], found["turning_point"]) == ("load_refused", 10)
    # The one host that carries the load is granted next to nothing.
    lends_less = turning_point(curve, granted | {20: 12}, {20: 3, 40: 4})
    assert lends_less["fall"] == "lends_less"
    assert lends_less["turning_point"] == pytest.approx(10 + 10 * 256 / 500)


def test_a_dose_that_the_load_missed_is_no_part_of_its_curve(curve: pd.DataFrame) -> None:
    granted: dict[float, float] = {10: 512, 30: 512, 50: 512, 70: 512}
    found = turning_point(curve, granted, achieved={50: 36, 70: 36})
    assert (found["most_dose"], found["doses"], found["half_until_dose"]) == (30, 2, 30)
    assert (found["carries_until_dose"], found["refused_from_dose"]) == (30, 50)
    never = turning_point(curve, granted, achieved=dict.fromkeys(granted, 5))
    assert (never["most_dose"], never["doses"], never["carries_until_dose"]) == (10, 1, None)


def test_curves_are_told_apart(curve: pd.DataFrame) -> None:
    other = curve.assign(variant="another")
    points = describe_curves(pd.concat([curve, other]), NO_TRIALS)
    assert len(points) == 2


def of_seeds(
    curve: pd.DataFrame,
    granted_mib: Sequence[Sequence[float | None]],
    layouts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """What is found of seeds' curves at doses of 0, 10, 20, ... %.

    None is a trial not run, less than nothing one whose load was refused.
    """
    trials = pd.DataFrame(
        {
            **{name: curve[name].iloc[0] for name in CURVE},
            "seed": seed,
            "layout": layouts[seed - 1] if layouts else 0,
            "dose_target": 10.0 * place,
            "granted_bytes": max(amount, 0) * MIB,
            "outcome": "load_refused" if amount < 0 else "granted",
        }
        for seed, amounts in enumerate(granted_mib, 1)
        for place, amount in enumerate(amounts)
        if amount is not None
    )
    doses = [10.0 * place for place in range(len(granted_mib[0]))]
    rows = pd.concat([curve] * len(doses)).assign(
        dose_target=pd.array(doses, "Float64"),
        dose_achieved=pd.array(doses, "Float64"),
        granted_mean_bytes=[
            float(trials[trials["dose_target"] == dose]["granted_bytes"].mean()) for dose in doses
        ],
    )
    (found,) = describe_curves(rows, trials).to_dict("records")
    return {str(name): None if pd.isna(value) else value for name, value in found.items()}


ENDS = ("least", "most", "low", "high")


def ends_of(found: Mapping[str, Any]) -> list[float | None]:
    return [found[f"turning_point_{end}"] for end in ENDS]


def test_each_seed_has_a_curve_of_its_own(curve: pd.DataFrame) -> None:
    found = of_seeds(curve, [[512, 512, 0], [512, 0, 0], [512, 256, 0]])
    assert found["seeds"] == 3
    assert ends_of(found) == [5, 15, None, None]


def test_a_seed_whose_load_is_refused_turns_at_the_dose_before(curve: pd.DataFrame) -> None:
    found = of_seeds(curve, [[512, 512, -1], [512, 512, 0], [512, -1, -1]])
    assert ends_of(found) == [0, 15, None, None]


def test_six_seeds_have_an_interval_of_their_median(curve: pd.DataFrame) -> None:
    seeds = [[512, 256 + 16 * place, 0] for place in range(6)]
    found = of_seeds(curve, seeds)
    ends = (10, 10 + 80 / 336 * 10)
    assert ends_of(found) == pytest.approx([*ends, *ends])


def test_a_seed_that_does_not_turn_does_so_above_every_dose(curve: pd.DataFrame) -> None:
    seeds = [[512, 256, 0]] * 5 + [[512, 512, 512]]
    assert ends_of(of_seeds(curve, seeds)) == [10, None, 10, None]
    assert ends_of(of_seeds(curve, [[512, 512]] * 6)) == [None] * 4


def test_of_several_hosts_each_has_a_curve(curve: pd.DataFrame) -> None:
    seeds = [[512, 512, 0], [512, 0, 0], [512, 0, 0]]
    found = of_seeds(curve, seeds, [1, 2, 1])
    assert (found["seeds"], found["hosts"]) == (3, 2)
    # The first host's mean is 512, 256 and 0 MiB.
    assert ends_of(found) == [5, 10, None, None]
    assert of_seeds(curve, seeds)["hosts"] == 1


def test_seeds_that_lack_a_dose_or_were_never_granted_any_have_no_curve(
    curve: pd.DataFrame,
) -> None:
    found = of_seeds(curve, [[512, 256, 0], [512, None, 0], [0, 0, 0]])
    assert found["seeds"] == 2
    assert ends_of(found) == [10, 10, None, None]
