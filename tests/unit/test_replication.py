# SPDX-License-Identifier: GPL-2.0-only
"""Adaptive replication: seeds stop, in order, once the success rate is known well enough."""

from collections.abc import Sequence
from typing import Any

import pytest
from benchmarks.synthetic.records import trial as made_trial
from benchmarks.synthetic.records import whole_cycle

from carveout.boots import replication
from carveout.boots.cell_trials import CellTrials, point_of
from carveout.common.sizes import MIB
from carveout.study.cell import Cell, Point
from tests.unit.made_cells import made_cell

_successes_of = replication.successes_of


@pytest.fixture(autouse=True)
def trials_say_themselves_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replication, "successes_of", lambda trial: trial["successes"])


def trial(seed: int, *successes: bool, dose: int = 0) -> dict[str, Any]:
    return {"trial": {"dose_permille": dose, "seed": seed, "successes": successes}, "run": {}}


def seeds_of(trials: CellTrials) -> list[int]:
    return [result["trial"]["seed"] for result in trials.in_order()]


def next_seed(trials: CellTrials) -> int | None:
    point = trials.next_point()
    return None if point is None else point.seed


def cell(seeds: int, doses: Sequence[int] = (0,), **rule: Any) -> Cell:
    return made_cell(seeds=seeds, doses_permille=doses, replication=rule or None)


ADAPTIVE: dict[str, Any] = {"interval_width": 0.4, "least_seeds": 3}


def test_without_a_rule_every_seed_is_run() -> None:
    trials = CellTrials(cell(4), [])
    while (seed := next_seed(trials)) is not None:
        trials.add(trial(seed, True))
    assert seeds_of(trials) == [1, 2, 3, 4]


# Wilson 95 %: 6 of 6 is 0.61..1 (width 0.39), 5 of 5 is 0.57..1; 11 of 22 is 0.31..0.69.
@pytest.mark.parametrize(
    ("successes", "stops_after"),
    [([True] * 30, 6), ([False] * 30, 6), ([True, False] * 15, 21)],
)
def test_a_cell_stops_when_its_interval_is_narrow(
    successes: Sequence[bool], stops_after: int
) -> None:
    trials = CellTrials(cell(30, **ADAPTIVE), [])
    while (seed := next_seed(trials)) is not None:
        trials.add(trial(seed, successes[seed - 1]))
    assert len(seeds_of(trials)) == stops_after


def test_each_dose_stops_by_itself() -> None:
    trials = CellTrials(cell(30, (100, 50), **ADAPTIVE), [])
    while (point := trials.next_point()) is not None:
        success = point.dose_permille == 50 or point.seed % 2 == 0
        trials.add(trial(point.seed, success, dose=point.dose_permille))
    points = [point_of(result["trial"]) for result in trials.in_order()]
    assert points == [Point(50, seed) for seed in range(1, 7)] + [
        Point(100, seed) for seed in range(1, 22)
    ]


def test_every_request_must_be_known_well_enough() -> None:
    rule = replication.AdaptiveRule(**ADAPTIVE)
    outcomes = [rule.is_enough_with(trial(s, True, s % 2 == 0)["trial"]) for s in range(1, 30)]
    assert outcomes.index(True) + 1 == 21


def test_least_seeds_are_run_whatever_they_show() -> None:
    rule = replication.AdaptiveRule(interval_width=0.99, least_seeds=4)
    assert [rule.is_enough_with(trial(s, True)["trial"]) for s in range(1, 5)] == [False] * 3 + [
        True
    ]


def test_the_order_in_which_trials_end_changes_nothing() -> None:
    trials = CellTrials(cell(30, **ADAPTIVE), [])
    given = [next_seed(trials) for _ in range(8)]
    assert given == [1, 2, 3, 4, 5, 6, 7, 8]
    for seed in reversed(given):
        trials.add(trial(seed or 0, True))
    assert trials.are_enough()
    assert trials.next_point() is None
    assert seeds_of(trials) == [1, 2, 3, 4, 5, 6]


def test_a_success_is_a_lend_that_was_granted_in_full() -> None:
    made = made_trial(whole_cycle(1, 256 * MIB) + whole_cycle(2, 255 * MIB))
    assert _successes_of(made) == [True, False]


def test_what_an_earlier_job_made_is_not_made_again() -> None:
    trials = CellTrials(cell(4), [trial(3, True), trial(1, True)])
    assert [next_seed(trials), next_seed(trials), next_seed(trials)] == [2, 4, None]
    assert not trials.are_enough()
    trials.add(trial(2, True))
    trials.add(trial(4, True))
    assert seeds_of(trials) == [1, 2, 3, 4]
