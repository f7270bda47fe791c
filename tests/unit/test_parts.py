# SPDX-License-Identifier: GPL-2.0-only
"""Parts: a cell's trials are spread over jobs, each trial once, whatever its hosts and doses."""

from pathlib import Path
from typing import Any

import pytest

from carveout.boots.cell_trials import CellTrials
from carveout.boots.journal import Journal
from carveout.boots.parts import Part, batches, job_minutes, parts_of, work_s
from carveout.study.cell import Point
from tests.unit.made_cells import made_cell

ADAPTIVE = {"interval_width": 0.5, "least_seeds": 2}


@pytest.mark.parametrize(
    "members",
    [
        {"seeds": 40},
        {"seeds": 7, "doses_permille": (0, 50, 100)},
        {"seeds": 12, "layouts": 3},
        {"seeds": 5, "first_seed": 9, "layouts": 2},
        {"seeds": 6, "doses_permille": (0, 50, 100), "replication": ADAPTIVE},
    ],
)
def test_every_trial_is_of_one_part(members: dict[str, Any]) -> None:
    cell = made_cell(**members)
    parts = parts_of(cell, 10, boots_each=False)
    assert len(parts) > 1
    points = [point for part in parts for point in part.points_of(cell)]
    assert sorted(points) == sorted(cell.points())
    assert all(part.points_of(cell) for part in parts)


def test_a_part_is_about_as_long_as_a_job_may_be() -> None:
    cell = made_cell(seeds=400)
    whole_s = work_s(cell, 400, boots_each=False)
    assert len(parts_of(cell, whole_s / 8, boots_each=False)) == 8
    assert parts_of(cell, whole_s, boots_each=False) == []
    assert len(parts_of(cell, 0.1, boots_each=False)) == 400, "a seed stays whole"


def test_a_part_boots_no_more_hosts_than_it_must() -> None:
    cell = made_cell(seeds=12, layouts=3)
    assert [Part(number, 3).layouts_of(cell) for number in (1, 2, 3)] == [1, 1, 1]
    assert Part(1, 1).layouts_of(cell) == 3


def test_seeds_that_may_end_early_stay_together() -> None:
    cell = made_cell(seeds=9, doses_permille=(0, 50, 100), replication=ADAPTIVE)
    for part in parts_of(cell, 1, boots_each=False):
        assert len({point.dose_permille for point in part.points_of(cell)}) == 1


def test_a_part_is_its_text() -> None:
    assert Part.parse(str(Part(3, 8))) == Part(3, 8)


def test_what_cannot_be_had_is_no_work_to_divide() -> None:
    assert parts_of(made_cell(seeds=400, granule="single"), 1, boots_each=False) == []


def test_small_cells_are_put_together_in_their_order() -> None:
    cells = [made_cell(seeds=seeds) for seeds in (1, 1, 1, 50, 1)]
    one_s = work_s(cells[0], 1, boots_each=False)
    together = batches(cells, 2 * one_s, boots_each=False)
    assert [[cell.seeds for cell in batch] for batch in together] == [[1, 1], [1], [50], [1]]


def test_a_job_asks_for_more_time_when_it_is_tried_again() -> None:
    first, second = (job_minutes(made_cell(), 1, n, boots_each=False) for n in (1, 2))
    assert second == 2 * first


def test_a_part_is_given_its_own_points_alone() -> None:
    cell = made_cell(seeds=6)
    part = Part(2, 3)
    trials = CellTrials(cell, [], part.points_of(cell))
    given = iter(trials.next_point, None)
    assert list(given) == sorted(part.points_of(cell))


def test_the_cell_takes_in_what_its_parts_have_made(tmp_path: Path) -> None:
    path = tmp_path / "journals/a.b.page.jsonl"
    ids = {Point(0, seed): f"trial {seed}" for seed in (1, 2, 3)}

    def result(seed: int) -> dict[str, Any]:
        trial = {"dose_permille": 0, "seed": seed, "trial_id": f"trial {seed}"}
        trial["ending"] = {"cause": None}
        return {"trial": trial, "run": {"trial_id": f"trial {seed}", "made_by": "code"}}

    done, killed = (Journal(path, "code", part) for part in ("1-of-2", "2-of-2"))
    for journal, seed in ((done, 1), (killed, 2)):
        journal.start([])
        journal.add(result(seed))
    done.pack([])
    of_another_cell = Journal(path.with_name("a.b.page2.jsonl"), "code", "1-of-2")
    of_another_cell.start([])
    of_another_cell.add(result(3))
    whole = Journal(path, "code")
    assert whole.trials(ids) == [result(1), result(2)]
    assert killed.trials(ids) == [result(1), result(2)], "of whichever part"
    whole.start([])
    whole.pack([])
    assert sorted(file.name for file in path.parent.iterdir()) == [
        *("a.b.page.jsonl.gz", "a.b.page2.1-of-2.jsonl")
    ]
    assert Journal(path, "code").trials(ids) == [result(1), result(2)]
