# SPDX-License-Identifier: GPL-2.0-only
"""Made results are what the runner writes, so that what is measured with them is true."""

from pathlib import Path

import pytest
from benchmarks.bench import Bench
from benchmarks.synthetic.records import write_kernel
from benchmarks.synthetic.results import JOB, made_cells, made_trials, write_cell

from carveout.collection.collect import collect
from carveout.common.errors import CarveoutError
from carveout.common.schemas import load_yaml
from carveout.records.channel import problem_of
from carveout.records.lines import read_line, sealed_lines
from carveout.study.cell import CellPath
from carveout.tables.parquet import read_table


def test_made_records_follow_the_schema_of_records() -> None:
    for cell in made_cells(40):
        for trial in made_trials(cell, 2, 2):
            problems = [problem_of(record) for record in trial["records"]]
            assert not any(problems), problems
            assert [record["seq"] for record in trial["records"]] == list(range(len(problems)))


def test_made_results_are_collected(tmp_path: Path) -> None:
    cells = made_cells(20)
    for number, cell in enumerate(cells):
        write_cell(tmp_path, cell, 1 + number % 2, 2)
    path = tmp_path / "trials" / f"{cells[0].path}.jsonl"
    for line in path.read_bytes().splitlines(keepends=True):
        assert line.decode() == sealed_lines([read_line(line)])
    write_kernel(tmp_path, cells[0].parts[0].partition("/")[0])
    collect(tmp_path, [CellPath.parse(cell.path) for cell in cells])
    trials = read_table("trials", tmp_path / "tables" / "trials.parquet")
    assert len(trials) == 60
    assert (trials["trials_asked"] == 2).all()
    assert len(read_table("phases", tmp_path / "tables" / "phases.parquet")) >= 150


@pytest.mark.parametrize("count", [10, 40, 1000, 10_000])
def test_as_many_cells_as_asked_for(count: int) -> None:
    cells = made_cells(count)
    assert len({cell.path for cell in cells}) == count
    parts = [set(part) for part in zip(*(cell.parts for cell in cells), strict=True)]
    assert len(parts[0]) * len(parts[1]) * len(parts[2]) == count


@pytest.mark.parametrize("count", [0, 15, 2020])
def test_cells_that_are_no_product_are_refused(count: int) -> None:
    with pytest.raises(CarveoutError, match="--cells"):
        made_cells(count)


def test_the_trial_whose_pageblocks_are_drawn_is_among_the_made(tmp_path: Path) -> None:
    job = Bench(tmp_path, quick=True, against="").job("job", **JOB)
    shown = load_yaml(job.config)["figures"]["pageblock_map"]
    (cell,) = (
        cell
        for cell in made_cells(40)
        if cell.parts[1:] == (f"{shown['strategy']}/{shown['variant']}", shown["scenario"])
    )
    *_, trial = made_trials(cell, shown["seed"], 2)
    assert trial["dose_permille"] == shown["dose"] * 10
    taken = {record["cycle"] for record in trial["records"] if record["record"] == "census"}
    assert shown["cycle"] in taken
