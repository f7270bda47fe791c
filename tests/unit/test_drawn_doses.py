# SPDX-License-Identifier: GPL-2.0-only
"""Figures over doses: a cell is where its load came to, and one that was refused says so."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from carveout.common.sizes import MIB
from carveout.drawing.doses import at_doses
from carveout.figures import capacity, frontier, pareto, success
from carveout.statistics.summarize import summarize
from carveout.tables.parquet import read_table, write_table
from carveout.times import cycles
from carveout.wording.labels import Labels

ASKED = [10.0, 30.0, 60.0, 70.0]
# The last load is refused; that before it comes to less than it was to.
ACHIEVED = [9.9, 29.8, 43.0, None]
GRANTED_MIB = [512, 508, 256, 0]
POINTS = [[9.9, 512], [29.8, 508], [43, 256]]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("tables") / "trials.parquet"
    write_table("trials", made_trials(), path)
    return read_table("trials", path)


@pytest.fixture(scope="module")
def cells(trials: pd.DataFrame) -> pd.DataFrame:
    """Of one variant under one load, of a request of 512 MiB."""
    summary = summarize(trials)
    one = summary[(summary["strategy"] == "mem") & (summary["load"] == "page_cache")]
    one = one[one["request_bytes"] == one["request_bytes"].max()]
    granted = [size * MIB for size in GRANTED_MIB]
    held = pd.array([None if at is None else at * 40 * MIB for at in ACHIEVED], "Float64")
    made: pd.DataFrame = pd.concat([one] * len(ASKED), ignore_index=True).assign(
        request_bytes=512 * MIB,
        dose_target=pd.array(ASKED, "Float64"),
        dose_achieved=pd.array(ACHIEVED, "Float64"),
        physical_bytes=held,
        successes=[1 if size == 512 else 0 for size in GRANTED_MIB],
        trials=1,
        **{f"granted_{name}_bytes": granted for name in ("mean", "least", "most")},
        **{f"granted_{name}_bytes": np.nan for name in ("low", "high")},
        deterministic=False,
        success_low=0.0,
        success_high=1.0,
    )
    return made


def lines(axes: Axes, marker: str) -> list[list[list[float]]]:
    return [
        np.asarray(line.get_xydata(), dtype=float).tolist()
        for line in axes.get_lines()
        if line.get_marker() == marker
    ]


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def test_a_cell_is_where_its_load_came_to(cells: pd.DataFrame) -> None:
    drawn = at_doses(cells)
    assert drawn["dose"].tolist() == [9.9, 29.8, 43, 70]
    assert drawn["refused"].tolist() == [False, False, False, True]
    assert drawn["short"].tolist() == [False, False, True, False]


def test_a_load_without_a_dose_is_where_it_was_asked(cells: pd.DataFrame) -> None:
    idle = cells.assign(dose_target=0.0, dose_achieved=pd.array([None] * 4, "Float64"))
    drawn = at_doses(idle[:3])
    assert drawn["dose"].tolist() == [0, 0, 0]
    assert not drawn[["refused", "short"]].to_numpy().any()


def test_the_frontier_ends_at_the_load_that_was_carried(cells: pd.DataFrame) -> None:
    (axes,) = frontier.draw(cells, Labels()).get_axes()
    assert lines(axes, "o") == [POINTS]
    assert lines(axes, "x") == [[POINTS[-1]]]


def test_the_capacity_has_a_line_where_the_load_was_carried(cells: pd.DataFrame) -> None:
    (axes,) = capacity.draw(cells, Labels()).get_axes()
    assert lines(axes, "o") == [POINTS]
    assert lines(axes, "x") == [[[70, 0]]]
    (dashed, *_) = lines(axes, "None")
    assert [dose for dose, _ in dashed] == [9.9, 29.8], "of hosts that came to what was asked"


def test_an_ideal_is_of_loads_that_came_to_their_dose(cells: pd.DataFrame) -> None:
    other = cells.assign(strategy="cma", dose_achieved=pd.array([10, 30, 59.5, 69], "Float64"))
    other["physical_bytes"] = pd.array([4096.0 * MIB - 300 * MIB] * 4, "Float64")
    ideal = capacity.ideal_mib(at_doses(pd.concat([cells, other])))
    assert ideal.index.tolist() == [9.95, 29.9, 59.5, 69]
    assert ideal.tolist()[2:] == [300, 300]


def test_a_share_is_of_what_was_asked_for_and_says_what_it_stands_on(cells: pd.DataFrame) -> None:
    many = pd.concat([cells, cells.assign(strategy="cma")])
    figure = success.draw(many, Labels())
    (axes,) = figure.get_axes()
    shown: Any = axes.images[0].get_array()
    assert shown[0].tolist()[:3] == [1, 508 / 512, 0.5]
    assert bool(shown.mask[0][3]), "what no host carried has no share"
    written = texts(figure)
    assert "99.2 %" in written
    assert "50 %" in written
    assert "load refused" in written
    assert lines(axes, "<") == [[[1.6, 0], [1.6, 1]]]
    assert lines(axes, "x") == [[[3, 0], [3, 1]]]


def test_whole_lends_are_marked_where_there_is_no_room_for_numbers(cells: pd.DataFrame) -> None:
    narrow = pd.concat(
        [cells.assign(load=f"load_{n}", dose_target=cells["dose_target"] + n) for n in range(8)]
    )
    marks = [lines(axes, "o") for axes in success.draw(narrow, Labels()).get_axes()]
    assert marks == [[[[0, 0]]]] * 8


def test_the_pareto_front_is_of_loads_that_came_to_their_dose(cells: pd.DataFrame) -> None:
    at_60 = at_doses(cells[cells["dose_target"] == 60])
    carried = at_60.assign(strategy="cma", short=False, granted_mean_bytes=128 * MIB)
    found = pareto.points(pd.concat([at_60, carried]), ("page_cache", 60.0))
    assert [strategy for strategy, _ in pareto.front(found[~found["short"]])] == ["cma"]
    drawn = pd.concat([cells, cells.assign(strategy="cma")])
    assert "load short of its dose" in texts(pareto.draw(drawn, Labels()))


def test_cycles_beside_a_load_that_was_short_say_so(trials: pd.DataFrame) -> None:
    again = trials[trials["load"] == "page_cache"].assign(question="cycles")
    assert "<" not in texts(cycles.draw(again, Labels()))
    short = again.assign(dose_achieved=again["dose_target"] - 8)
    assert "< 42 %" in texts(cycles.draw(short, Labels()))
