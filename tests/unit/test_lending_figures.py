# SPDX-License-Identifier: GPL-2.0-only
"""Figures of what is lent and how well: each shows what its table says, of few and of many."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from carveout.books import idle
from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB, MIB
from carveout.drawing.marks import Mark
from carveout.figures import blockers, capacity, decision, frontier, kernels, pareto, success
from carveout.statistics.summarize import describe_variants, summarize
from carveout.tables.parquet import read_table, write_table
from carveout.times import cost_ecdf, cycles
from carveout.wording.labels import Labels

DESCRIPTIONS = sorted(Path("workflow/strategies").glob("*/strategy.yaml"))
MACHINE = {
    "kernel": "a", "kernel_version": "1", "kernel_pinned": "1", "ram_bytes": GIB, "granule": "2M",
}  # fmt: skip


@pytest.fixture(scope="module")
def labels() -> Labels:
    return Labels.read(DESCRIPTIONS)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("tables") / "trials.parquet"
    write_table("trials", made_trials(), path)
    return read_table("trials", path)


@pytest.fixture(scope="module")
def summary(trials: pd.DataFrame) -> pd.DataFrame:
    return summarize(trials)


def texts(figure: Figure) -> str:
    """All that is written in a figure; a name may be broken into lines."""
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def points(line: Line2D) -> list[list[float]]:
    found: list[list[float]] = np.asarray(line.get_xydata(), dtype=float).tolist()
    return found


def curve(summary: pd.DataFrame, granted_mib: Sequence[float]) -> pd.DataFrame:
    """Of one variant at the doses 10, 30, 60, beside a load that holds all but 300 MiB."""
    mem = summary[(summary["strategy"] == "mem") & (summary["load"] == "anonymous_memory")]
    mem = mem[mem["request_bytes"] == mem["request_bytes"].max()]
    doses = [10.0, 30.0, 60.0]
    granted = [size * MIB for size in granted_mib]
    made: pd.DataFrame = pd.concat([mem] * len(doses)).assign(
        dose_target=pd.array(doses, "Float64"),
        dose_achieved=pd.array(doses, "Float64"),
        granted_mean_bytes=pd.array(granted, "Float64"),
        granted_least_bytes=pd.array([size - 8 * MIB for size in granted], "Int64"),
        granted_most_bytes=pd.array([size + 8 * MIB for size in granted], "Int64"),
        granted_low_bytes=pd.array([granted[0] - 2 * MIB, None, None], "Float64"),
        granted_high_bytes=pd.array([granted[0] + 2 * MIB, None, None], "Float64"),
        physical_bytes=pd.array([4096.0 * MIB - 300 * MIB] * 3, "Float64"),
    )
    return made


def test_the_frontier_has_a_curve_of_all_doses_beside_the_ideal(
    summary: pd.DataFrame, labels: Labels
) -> None:
    (axes,) = frontier.draw(curve(summary, [512, 256, 8]), labels).get_axes()
    ideal, granted = axes.get_lines()
    assert points(ideal) == [[10, 300], [30, 300], [60, 300]]
    assert points(granted) == [[10, 512], [30, 256], [60, 8]]


def test_a_curve_of_the_frontier_ends_where_the_host_carries_no_more(
    summary: pd.DataFrame, labels: Labels
) -> None:
    ends = curve(summary, [512, 256, 8])
    ends["physical_bytes"] = pd.array([3000.0 * MIB, 3000.0 * MIB, None], "Float64")
    (axes,) = frontier.draw(ends, labels).get_axes()
    _, granted, cross = axes.get_lines()
    assert points(granted) == [[10, 512], [30, 256]]
    assert points(cross) == [[30, 256]]
    assert cross.get_marker() == "x"


def test_the_frontier_has_one_curve_a_strategy_of_the_variant_that_lends_most(
    summary: pd.DataFrame, labels: Labels
) -> None:
    less = curve(summary, [512, 256, 8]).assign(variant="hot_add")
    figure = frontier.draw(pd.concat([curve(summary, [512, 300, 8]), less]), labels)
    (axes,) = figure.get_axes()
    assert [points(line)[1] for line in axes.get_lines()[1:]] == [[30, 300]]
    (drawn,) = labels.variants(curve(summary, [1, 1, 1]))
    assert labels.short(*drawn) in texts(figure)


def test_a_published_load_is_marked_in_its_panel_alone(
    summary: pd.DataFrame, labels: Labels
) -> None:
    mark = Mark("it gets hard", 20, "a paper", {"strategy": "cma", "load": "anonymous_memory"})
    figure = frontier.draw(summary, labels, [mark])
    marked = {
        ax.get_title("left"): [
            points(line)[0][0] for line in ax.get_lines() if line.get_marker() == "d"
        ]
        for ax in figure.get_axes()
    }
    assert marked.pop("anonymous memory") == [20]
    assert not any(marked.values())
    assert "Source: a paper" in texts(figure)


def test_the_band_of_a_capacity_is_its_interval_and_else_its_range(
    summary: pd.DataFrame, labels: Labels
) -> None:
    (axes,) = capacity.draw(curve(summary, [400, 256, 8]), labels).get_axes()
    (band,) = axes.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}  # type: ignore[union-attr]
    assert {(10, 398), (10, 402), (30, 248), (30, 264), (60, 0), (60, 16)} <= corners


def test_capacity_wants_a_load_with_several_doses(summary: pd.DataFrame, labels: Labels) -> None:
    with pytest.raises(CarveoutError, match="found one dose of each"):
        capacity.draw(summary[summary["load"] != "unmovable_pages"], labels)


def test_the_pareto_front_is_of_what_nothing_beats() -> None:
    cost, lent = [10.0, 10.0, 12.0, 20.0, 20.0], [100.0, 100.0, 90.0, 300.0, 200.0]
    index = pd.MultiIndex.from_tuples([("s", name) for name in "abcde"])
    found = pd.DataFrame({"cost_mib": cost, "lent_mib": lent}, index)
    assert [variant for _, variant in pareto.front(found)] == ["a", "b", "d"]


def test_the_pareto_figure_has_every_variant(summary: pd.DataFrame, labels: Labels) -> None:
    shown = texts(pareto.draw(summary, labels))
    for row in labels.variants(summary):
        assert labels.short(*row) in shown
    assert "anonymous memory 50 %" in shown


def cells_of(figure: Figure) -> dict[str, list[float]]:
    """The cells of each panel, by its title, row by row; -1 is of what was not run."""
    found = {}
    for ax in figure.get_axes():
        cells: np.ma.MaskedArray[tuple[int, int], np.dtype[np.float64]] = np.ma.asarray(
            ax.images[0].get_array()
        )
        found[ax.get_title("left")] = cells.filled(-1).ravel().tolist()
    return found


def whole(cells: pd.DataFrame, successes: int, trials: int) -> pd.DataFrame:
    """Cells of lends that got all or nothing."""
    granted = cells["request_bytes"] * successes / trials
    return cells.assign(successes=successes, trials=trials, granted_mean_bytes=granted)


def test_a_cell_of_success_is_the_share_that_was_granted(
    summary: pd.DataFrame, labels: Labels
) -> None:
    one = summary[(summary["strategy"] == "cma") & (summary["load"] == "anonymous_memory")]
    one = whole(one[one["request_bytes"] == one["request_bytes"].max()], 5, 10)
    never = whole(one, 0, 10).assign(dose_target=70.0, dose_achieved=69.0)
    unrun = one.assign(strategy="mem", variant="carve_out")
    figure = success.draw(pd.concat([one, never, unrun]), labels)
    assert cells_of(figure) == {"anonymous memory": [0.5, 0, 0.5, -1]}


def test_a_cell_that_does_not_vary_has_no_interval(summary: pd.DataFrame, labels: Labels) -> None:
    one = summary[(summary["strategy"] == "cma") & (summary["load"] == "anonymous_memory")]
    one = whole(one, 10, 10).assign(success_low=0.72, success_high=1.0)
    assert "72–100 %" in texts(success.draw(one.assign(deterministic=False), labels))
    shown = texts(success.draw(one.assign(deterministic=True), labels))
    assert "10/10 the same" in shown
    assert "72–100" not in shown


def blocked(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            MACHINE
            | {
                "strategy": "cma",
                "variant": "area",
                "load": load,
                "in_the_way": kind,
                "shorts": shorts,
            }
            for load, kind, shorts in rows
        ]
    )


def test_a_bar_of_blockers_is_all_lends_that_ended_short(labels: Labels) -> None:
    rows = [("idle", "slab", 3), ("idle", "veto", 2), ("page_cache", "veto", 1)]
    figure = blockers.draw(blocked(*rows), labels)
    widths = {
        ax.get_title("left"): sum(
            part.get_width() for part in ax.patches if isinstance(part, Rectangle)
        )
        for ax in figure.get_axes()
    }
    assert widths == {"idle": 5, "page cache": 1}


def test_kinds_that_cannot_be_told_apart_are_one(labels: Labels) -> None:
    many = [("idle", f"kind_{number}", 20 - number) for number in range(14)]
    shown = texts(blockers.draw(blocked(*many), labels))
    assert "kind 8" in shown
    assert "kind 9" not in shown
    assert "others" in shown
    assert "kind 9, kind 10" not in shown
    few = texts(blockers.draw(blocked(*many[:11]), labels))
    assert "kind 10, kind 9" in few
    assert "others" not in few


def test_what_alone_is_a_bar_is_never_among_the_others(labels: Labels) -> None:
    many = [("idle", f"kind_{number}", 20 - number) for number in range(14)]
    shown = texts(blockers.draw(blocked(*many, ("page_cache", "zone_is_all_lent", 1)), labels))
    assert "zone is all lent" in shown
    assert "kind 7" in shown
    assert "kind 8" not in shown


def test_nothing_in_the_way_is_said_in_words(labels: Labels) -> None:
    assert "No lend ended short" in texts(
        blockers.draw(blocked().reindex(columns=blockers.COLUMNS["blockers"]), labels)
    )


def needed(**columns: object) -> dict[str, object]:
    known = {"strategy": "cma", "variant": "area", "measure_name": "x_bytes", "why_not": None}
    return MACHINE | known | columns


def test_a_cell_of_the_decision_says_whether_it_qualifies_and_how_well(labels: Labels) -> None:
    table = pd.DataFrame(
        [
            needed(need="static_vms", qualifies=True, rank=1, best=True),
            needed(need="gib_blocks", qualifies=True, rank=3, best=False),
            needed(need="no_iommu", qualifies=False, rank=None, best=False),
            needed(need="comes_back", qualifies=None, rank=None, best=False),
            needed(need="short_lived_vms", qualifies=False, why_not="not available: x", best=False),
        ]
    ).astype({"qualifies": "boolean", "rank": "Int64"})
    (ax,) = decision.draw(table, labels).get_axes()
    assert [text.get_text() for text in ax.texts] == ["1", "3", "–", "?", "n/a"]
    colors = [part.get_facecolor() for part in ax.patches]
    assert len(set(colors)) == 4
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "static VMs", "GiB blocks", "no IOMMU", "comes back", "short lived\nVMs",
    ]  # fmt: skip


def kernel(name: str, **columns: object) -> dict[str, object]:
    known = {"available": True, "page_bytes": 4096, "memmap_host_bytes": 16.0 * MIB}
    known |= {
        "granted_most_bytes": 512.0 * MIB,
        "half_dose_least": 40.0,
        "lend_ns_per_gib_p50": 1e6,
    }
    return MACHINE | {"kernel": name, "strategy": "cma", "variant": "area"} | known | columns


def test_kernels_stand_beside_each_other(labels: Labels) -> None:
    nothing = dict.fromkeys(
        ("memmap_host_bytes", "granted_most_bytes", "half_dose_least", "lend_ns_per_gib_p50")
    )
    table = pd.DataFrame(
        [
            kernel("a"),
            kernel("b", page_bytes=65536, memmap_host_bytes=1.0 * MIB),
            kernel("c", available=False, **nothing),
        ]
    )
    figure = kernels.draw(table, labels)
    memmap = figure.get_axes()[0]
    offsets = [np.ma.getdata(marks.get_offsets())[:, 0].tolist() for marks in memmap.collections]
    assert offsets[:2] == [[16], [1]]
    assert np.isnan(offsets[2]).all()
    assert "b (1), 64 KiB pages" in texts(figure)


def test_one_kernel_has_nothing_beside_it(labels: Labels) -> None:
    with pytest.raises(
        CarveoutError, match="wanted several kernels for the figure kernels, found a"
    ):
        kernels.draw(pd.DataFrame([kernel("a")]), labels)


def test_the_ram_of_an_idle_host_is_whole(trials: pd.DataFrame, labels: Labels) -> None:
    variants = describe_variants(trials)
    uses = idle.uses_mib(variants)
    assert uses.sum(axis="columns").tolist() == pytest.approx([4096] * len(uses))
    stranded = variants.groupby(["strategy", "variant"])["stranded_bytes"].first() / MIB
    assert uses["stranded: no use at all"].tolist() == pytest.approx(stranded.tolist())
    assert "any use of Linux's" in texts(idle.draw(variants, labels))


def test_a_cost_is_reached_by_a_share_of_the_lends(trials: pd.DataFrame, labels: Labels) -> None:
    one = trials[(trials["strategy"] == "cma") & (trials["load"] == "anonymous_memory")].head(4)
    four = one.assign(
        lent_bytes=GIB // 2, lend_ns=pd.array([1000, 2000, 3000, 4000], "Int64"), outcome="granted"
    )
    (ax,) = cost_ecdf.draw(four, labels).get_axes()
    line = ax.get_lines()[0]
    assert line.get_drawstyle() == "steps-post"
    assert points(line)[1:] == [[2000, 25], [4000, 50], [6000, 75], [8000, 100]]


def test_where_nothing_was_lent_nothing_was_spent(trials: pd.DataFrame, labels: Labels) -> None:
    assert "there is no cost to draw" in texts(cost_ecdf.draw(trials.assign(lent_bytes=0), labels))


def repeated(trials: pd.DataFrame) -> pd.DataFrame:
    """Three cycles of one trial: a half less each time, at twice the time of a GiB."""
    one = trials[trials["strategy"] == "cma"].head(1)
    return pd.concat(
        [
            one.assign(
                question="cycles", cycle=cycle, request_bytes=GIB, granted_bytes=GIB // 2**cycle,
                lent_bytes=GIB // 2**cycle, lend_ns=1000,
            )
            for cycle in (0, 1, 2)
        ]
    )  # fmt: skip


def test_cycles_are_held_against_the_first(trials: pd.DataFrame, labels: Labels) -> None:
    table = repeated(trials)
    found = cycles.shares(table)
    assert found["share"].tolist() == [1, 0.5, 0.25]
    assert found["times"].tolist() == [1, 2, 4]
    shown = texts(cycles.draw(table, labels))
    for text in ("100 50 25", "1 2 4"):
        assert text in shown


def test_cycles_want_the_question(trials: pd.DataFrame, labels: Labels) -> None:
    with pytest.raises(CarveoutError, match="question: cycles"):
        cycles.draw(trials.assign(question="capacity"), labels)


def panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.get_axes() if ax.get_visible()]


def test_many_variants_and_machines_are_drawn(summary: pd.DataFrame, labels: Labels) -> None:
    known = [(name, variant) for name, of in labels.descriptions.items() for variant in of.variants]
    one = summary[summary["strategy"] == "cma"]
    many = pd.concat(
        [
            one.assign(kernel=kernel, granule=granule, strategy=strategy, variant=variant)
            for kernel in ("a", "b")
            for granule in ("2M", "single")
            for strategy, variant in known
        ]
    )
    for module in (pareto, success):
        figure = module.draw(many, labels)
        assert len(panels(figure)) >= 4
        assert "b (6.12.107-1)" in texts(figure)
        assert "† built with HVO selected on arm64, out of tree" in texts(figure)
    loads = set(summary["load"]) - {"idle"}
    assert len(panels(frontier.draw(many, labels))) == 4 * len(loads)
