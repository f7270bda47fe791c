# SPDX-License-Identifier: GPL-2.0-only
"""A part of a study: what it names of cells, doses and seeds, and that parts make up the whole."""

import copy
from pathlib import Path
from typing import Any

import pytest

from carveout.common.errors import CarveoutError
from carveout.study.cell import Cell, Point
from carveout.study.matrix import Matrix, read_matrix
from tests.unit.test_matrix import CONFIG

STUDY = {
    **CONFIG,
    "kernels": ["debian-6.12", "lab"],
    "strategies": {"baseline": ["ordinary_pages"], "hugetlbfs": ["2M_boot", "2M_run_time"]},
    "loads": {"idle": [0], "unmovable_pages": [5, 10]},
    "seeds": 3,
    "figures": {
        "pageblock_map": {
            "strategy": "baseline",
            "variant": "ordinary_pages",
            "scenario": "idle.quarter_then_whole.page",
            "dose": 0,
        }
    },
}


def read(part: dict[str, Any] | None, **changes: Any) -> Matrix:
    config = copy.deepcopy({**STUDY, **changes, **({"part": part} if part else {})})
    return read_matrix(config, "job.yaml", Path("workflow"))


def trials(matrix: Matrix) -> list[tuple[str, Point]]:
    return [(str(cell.path), point) for cell in matrix.cells for point in cell.points()]


@pytest.mark.parametrize(
    "parts",
    [
        [{"strategies": ["baseline"]}, {"strategies": ["hugetlbfs"]}],
        [
            {"strategies": ["baseline", "hugetlbfs/2M_boot"]},
            {"strategies": ["hugetlbfs/2M_run_time"]},
        ],
        [{"kernels": ["lab"]}, {"kernels": ["debian-6.12"]}],
        [{"seeds": 1}, {"seeds": "2-3"}],
        [{"doses": ["0", "5"]}, {"doses": [10]}],
        [
            {"loads": ["idle"]},
            {"loads": ["unmovable_pages"], "seeds": "1-2"},
            {"loads": ["unmovable_pages"], "seeds": "3"},
        ],
    ],
)
def test_parts_make_up_the_whole(parts: list[dict[str, Any]]) -> None:
    of_parts = [trial for part in parts for trial in trials(read(part))]
    assert sorted(of_parts) == sorted(trials(read(None)))
    assert len(of_parts) == len(set(of_parts))


def test_a_part_is_a_product_without_what_others_run() -> None:
    matrix = read({"strategies": ["hugetlbfs/2M_boot"], "doses": [10], "kernels": ["lab"]})
    (cell,) = matrix.cells
    assert str(cell.path) == "lab/4GiB/hugetlbfs/2M_boot/unmovable_pages.quarter_then_whole.page"
    assert cell.doses_permille == (100,)
    assert list(matrix.strategies) == ["hugetlbfs"]
    assert list(matrix.loads) == ["unmovable_pages"]
    assert Cell.from_json(cell.to_json()).points() == cell.points()


def test_a_trial_of_a_part_runs_on_the_host_of_the_whole() -> None:
    whole, part = (read(part, layouts=2).cells[0] for part in (None, {"seeds": "2-3"}))
    assert [part.layout_of(seed) for seed in part.seed_numbers] == [2, 1]
    assert [whole.layout_of(seed) for seed in whole.seed_numbers] == [1, 2, 1]


@pytest.mark.parametrize(
    ("part", "changes", "wanted"),
    [
        ({"strategies": ["mem"]}, {}, "key part.strategies: wanted what the study has, found mem"),
        ({"kernels": ["debian-6.1"]}, {}, "key part.kernels: wanted what the study has"),
        ({"seeds": 0}, {}, "key part.seeds: 0 is less than the minimum of 1"),
        ({"seeds": "0-1"}, {}, "key part.seeds: '0-1' does not match"),
        ({"doses": ["10; id"]}, {}, "key part.doses.0: '10; id' does not match"),
        ({"seeds": "3-2"}, {}, "key part.seeds: wanted some of the seeds"),
        ({"seeds": "1-4"}, {}, "from 1 to 3"),
        ({"seeds": "1-2"}, {"replication": {"interval_width": 0.5, "least_seeds": 2}}, "seeds"),
        ({"doses": [7]}, {}, "found that it names none"),
        ({"loads": ["idle"], "doses": [5]}, {}, "found that it names none"),
        (
            {"doses": [10]},
            {"loads": {"idle": [0], "page_cache": {"from": 10, "to": 70, "step": 20, "finest": 5}}},
            "found page_cache, whose ladder",
        ),
        ({}, {}, "key part: {} should be non-empty"),
        ({"seedz": [1, 2]}, {}, "key part: unknown key seedz"),
    ],
)
def test_a_part_that_cannot_be(part: dict[str, Any], changes: dict[str, Any], wanted: str) -> None:
    config = copy.deepcopy({**STUDY, **changes, "part": part})
    with pytest.raises(CarveoutError) as error:
        read_matrix(config, "job.yaml", Path("workflow"))
    assert wanted in str(error.value)
