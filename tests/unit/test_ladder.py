# SPDX-License-Identifier: GPL-2.0-only
"""The ladder of doses: trials go where the answer changes, the same in whatever order they end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from benchmarks.synthetic.records import trial as made_trial
from benchmarks.synthetic.records import whole_cycle

from carveout.boots.cell_trials import CellTrials, point_of
from carveout.boots.ladder import Ladder, granted_share
from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB
from carveout.study.cell import Cell
from carveout.study.doses import read_doses
from tests.unit.made_cells import made_cell

COARSE = (0, 200, 400, 600, 800)
FINEST = 25


def cell(seeds: int = 2) -> Cell:
    return made_cell(
        load="anonymous_memory",
        doses_permille=COARSE,
        ladder={"finest_permille": FINEST, "resolution": 0.05},
        requests_bytes=(256 * MIB,),
        seeds=seeds,
    )


def trial(dose: int, seed: int, granted_bytes: int) -> dict[str, Any]:
    lends = [
        {"record": "lend", "granted_bytes": granted_bytes, "request_bytes": 256 * MIB},
    ]
    content = {"requests_bytes": [256 * MIB]}
    made = {"dose_permille": dose, "seed": seed, "cell": content, "records": lends}
    return {"trial": made, "run": {}}


def walk(capacity: Callable[[int], int], trials: CellTrials | None = None) -> CellTrials:
    """Make all trials that are asked for, on a host that lends so many MiB at a dose."""
    trials = trials or CellTrials(cell(), [])
    while True:
        given = []
        while (point := trials.next_point()) is not None:
            given.append(point)
        for point in reversed(given):
            dose = point.dose_permille
            trials.add(trial(dose, point.seed, capacity(dose) * MIB))
        if not trials.climb():
            return trials


def doses_of(trials: CellTrials) -> list[int]:
    made = [point_of(result["trial"]) for result in trials.in_order()]
    assert made == sorted(made)
    return sorted({point.dose_permille for point in made})


def falls_at(dose: int) -> Callable[[int], int]:
    return lambda tried: 256 if tried < dose else 0


def test_where_nothing_changes_there_is_the_coarse_ladder_alone() -> None:
    assert doses_of(walk(lambda _: 256)) == list(COARSE)


@pytest.mark.parametrize("dose", [1, 130, 375, 799])
def test_a_fall_is_found_within_the_finest_step(dose: int) -> None:
    doses = doses_of(walk(falls_at(dose)))
    above, below = max(d for d in doses if d < dose), min(d for d in doses if d >= dose)
    assert below - above == FINEST
    assert len(doses) == len(COARSE) + 3, "each dose between halves what is left of 200"


def test_a_slope_is_walked_until_neighbours_are_alike() -> None:
    shares = dict.fromkeys(doses_of(walk(lambda dose: 256 - dose * 256 // 800)))
    steps = {high - low for low, high in zip(list(shares)[:-1], list(shares)[1:], strict=True)}
    assert steps == {FINEST}, "a twentieth is 40 permille: 50 is too much, 25 is not"


def test_what_an_earlier_job_made_leads_to_the_same_doses() -> None:
    whole = walk(falls_at(375))
    for kept in range(len(whole.in_order())):
        again = CellTrials(cell(), whole.in_order()[:kept])
        assert [point_of(r["trial"]) for r in walk(falls_at(375), again).in_order()] == [
            point_of(r["trial"]) for r in whole.in_order()
        ]
    finished = CellTrials(cell(), whole.in_order())
    assert finished.are_enough()
    assert finished.next_point() is None


def test_a_trial_that_no_longer_counts_is_left_out() -> None:
    other = trial(25, 1, 0)
    assert 25 not in doses_of(walk(lambda _: 256, CellTrials(cell(), [other])))


def test_more_seeds_are_asked_of_all_doses() -> None:
    again = CellTrials(replace(cell(), seeds=3), walk(falls_at(375)).in_order())
    assert not again.are_enough()
    assert doses_of(walk(falls_at(375), again)) == doses_of(walk(falls_at(375)))


def test_the_share_granted_is_of_all_that_was_asked_for() -> None:
    assert granted_share(made_trial(whole_cycle(1, 256 * MIB) + whole_cycle(2, 64 * MIB))) == 0.625
    assert granted_share(made_trial(whole_cycle(1, 256 * MIB), "panic")) == 0.5
    assert granted_share(made_trial([], "oom")) == 0


def test_neighbours_are_compared_whatever_their_order() -> None:
    ladder = Ladder(finest_permille=10, resolution=0.1)
    assert ladder.between({300: 1.0, 0: 0.5, 100: 0.5, 110: 1.0}) == []
    assert ladder.between({300: 0.2, 0: 0.5, 100: 0.8}) == [50, 200]
    assert ladder.between({0: 1.0, 30: 0.0}) == [10]


def test_where_a_curve_turns_a_small_difference_is_enough() -> None:
    ladder = Ladder(finest_permille=25, resolution=0.25)
    slope = {0: 1.0, 200: 0.8, 400: 0.6, 600: 0.4, 800: 0.2}
    assert ladder.between(slope) == [500]
    assert ladder.between(slope | {500: 0.5}) == [550]
    assert ladder.between(slope | {500: 0.5, 550: 0.45}) == [525]
    assert ladder.between(slope | {500: 0.5, 525: 0.47, 550: 0.45}) == []


def test_a_curve_that_does_not_turn_has_no_doses_between() -> None:
    ladder = Ladder(finest_permille=25, resolution=0.25)
    assert ladder.between({0: 1.0, 200: 0.8, 400: 0.6}) == []
    assert ladder.between({0: 0.0, 200: 0.0, 400: 0.0}) == []


LADDER = {"from": 0, "to": 80, "step": 20, "finest": 2.5}


def test_a_ladder_of_a_config_begins_with_its_coarse_doses() -> None:
    doses = read_doses(LADDER, "job.yaml: key loads.page_cache", "ram")
    assert doses.permille == COARSE
    assert doses.ladder == {"finest_permille": FINEST, "resolution": 0.25}
    assert cell().planned_trials() == 2 * len(COARSE)
    assert len(cell().points()) == 2 * 33


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"to": 85}, "wanted whole steps of 20 from 0 up, found that 85 is none"),
        ({"from": 80}, "wanted whole steps of 20 from 80 up, found that 80 is none"),
        ({"finest": 3}, "finest: wanted a part of the step of 20, found 3"),
        ({"finest": 0.25}, "finest: wanted a multiple of 0.1 percent, found 0.25"),
    ],
)
def test_a_ladder_that_cannot_be_walked(changes: dict[str, float], wanted: str) -> None:
    with pytest.raises(CarveoutError, match=r"^job\.yaml: key loads\.page_cache") as caught:
        read_doses(LADDER | changes, "job.yaml: key loads.page_cache", "ram")
    assert wanted in str(caught.value)


def test_a_load_without_a_dose_has_no_ladder() -> None:
    with pytest.raises(CarveoutError, match="since this load has no dose"):
        read_doses(LADDER, "job.yaml: key loads.idle", "none")
