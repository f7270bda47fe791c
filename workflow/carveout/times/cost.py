# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what lending and giving back cost, in guest time for each GiB that was lent."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from carveout.common.sizes import GIB
from carveout.drawing import multiples, style
from carveout.drawing.layout import Part, stacked
from carveout.drawing.marks import Mark, beside, draw_mark, notes
from carveout.tables.rules import LEND_PARTS
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import Labels

_COLUMNS = (
    *(*COMPARABLE, "strategy", "variant", "load", "dose_target"),
    *("request_bytes", "verify", "lent_bytes", "granted_bytes", "lend_ns", "give_back_ns"),
    *(f"lend_{part}_ns" for part in LEND_PARTS),
    *("content_ns", "zero_ns"),
)
COLUMNS = {"trials": _COLUMNS}
_STEPS = {"lend_ns": "lend", "give_back_ns": "give back"}
# Times that others published are of this step.
_MARKED = "lend_ns"
# Lightness falls from part to part, so that grey prints are legible too.
_PART_COLORS = dict(
    zip(LEND_PARTS, ("#FDE9A9", "#F2A65A", "#D1495B", "#3D5A80", "#BBBBBB"), strict=True)
)
_CLEARING = {
    "zero_ns": ("the same pass for all", "o"),
    "content_ns": ("by the kernel meanwhile", "x"),
}
_PARTS = [f"lend_{part}_ns" for part in LEND_PARTS]
_TIMES = (*_STEPS, *_PARTS, *_CLEARING)
_TIME_AXIS = "time of a GiB, log scale"
_NOTHING_LENT = "nothing lent"
_NOT_CLEARED = "the host reaches none of it"
# A log scale has no zero: a cost that is less than this is drawn at this value.
_LEAST_NS = 100
# More trials than this in a cell are drawn as a box instead of dots.
_DOTS = 30
# Of a box: its ends, its thick part's, and the median.
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def draw(trials: pd.DataFrame, labels: Labels, marks: Sequence[Mark] = ()) -> Figure:
    """Draw the costs of all lends that got anything: a dot a trial, or a box where many."""
    return stacked(
        trials,
        lambda rows: Part(
            rows=-(-_panels(rows) // _columns()) * (len(labels.variants(rows)) + 2.3) + 1.7,
            draw=lambda part: _draw_machine(part, rows, labels, beside(marks, rows)),
            legend=_legend(_load_looks(rows)),
            entry_em=15,
            notes=[*style.caveats(labels, labels.variants(rows)), *notes(beside(marks, rows))],
        ),
    )


def costs_of(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the lends that got anything, with the time of a GiB of it and whether it was all.

    What was asked for and not got cost nothing: times are of what was lent, so a lend that ended
    short stands beside one that did not.
    """
    lends = trials[(trials["lent_bytes"] > 0) & (trials["verify"] != "failed")]
    lent_gib = lends["lent_bytes"].astype(float) / GIB
    per_gib = {name: lends[name].astype("Float64") / lent_gib for name in _TIMES}
    return lends.assign(**per_gib, whole=lends["granted_bytes"] >= lends["request_bytes"])


def _columns() -> int:
    return style.side_by_side(2, 14)


def _panels(trials: pd.DataFrame) -> int:
    return 2 * trials["request_bytes"].nunique() + 2


def _draw_machine(
    part: SubFigure, trials: pd.DataFrame, labels: Labels, marks: Sequence[Mark]
) -> None:
    rows = labels.variants(trials)
    loads = _load_looks(trials)
    requests = sorted(trials["request_bytes"].unique())
    lends = costs_of(trials)
    columns = _columns()
    grid = part.subplots(-(-_panels(trials) // columns), columns, sharey=True, squeeze=False)
    *times, parts, clearing = grid.flat
    panels = itertools.product(requests, _STEPS.items())
    for ax, (request_bytes, (column, step)) in zip(times, panels, strict=True):
        of_request = lends[lends["request_bytes"] == request_bytes]
        _draw_costs(ax, of_request, column, rows, loads)
        _draw_failing(ax, trials[trials["request_bytes"] == request_bytes], of_request, rows)
        ax.set_title(f"{step}, {style.request_label(request_bytes)}")
        ax.set_xlabel(_TIME_AXIS)
        if column == _MARKED:
            _draw_marks(ax, marks, rows)
    largest = _largest(lends)
    _draw_parts(parts, largest, rows)
    _draw_clearing(clearing, largest, rows)
    limits = _limits(lends)
    for ax in (*times, clearing):
        style.log_times(ax, *limits, labels=4)
    for place, ax in enumerate(grid.flat):
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=place % columns == 0)
    clearing.set_xlabel(_TIME_AXIS)


def _draw_marks(ax: Axes, marks: Sequence[Mark], rows: Sequence[tuple[str, str]]) -> None:
    for place, mark in enumerate(marks):
        for y, (strategy, variant) in enumerate(rows):
            if mark.is_beside(strategy=strategy, variant=variant):
                draw_mark(ax, mark.value, y, place)


def _limits(lends: pd.DataFrame) -> tuple[float, float]:
    """Return the least and the longest time that is drawn, with some room."""
    times = lends[[*_STEPS, *_CLEARING]].to_numpy(float, na_value=np.nan).clip(min=_LEAST_NS)
    if not np.isfinite(times).any():
        return _LEAST_NS, _LEAST_NS * 1e6
    return float(np.nanmin(times)) / 2, float(np.nanmax(times)) * 2


def _largest(lends: pd.DataFrame) -> pd.DataFrame:
    """Return the lends of each variant's largest request that ever got anything."""
    most = lends.groupby(["strategy", "variant"])["request_bytes"].transform("max")
    return lends[lends["request_bytes"] == most]


def _draw_parts(ax: Axes, lends: pd.DataFrame, rows: Sequence[tuple[str, str]]) -> None:
    """Draw where the time of lends goes, as shares of all of it."""
    # A GiB of each lend counts alike, however much it got.
    spent = lends.groupby(["strategy", "variant"])[_PARTS].sum().astype(float)
    shares = spent.div(spent.sum(axis="columns").clip(lower=1), axis="index") * 100
    shares = shares.reindex(pd.MultiIndex.from_tuples(rows))
    for place in np.flatnonzero(shares.isna().all(axis="columns")).tolist():
        style.note(ax, place, _NOTHING_LENT)
    shares = shares.fillna(0)
    left = np.zeros(len(rows))
    for column, (name, color) in zip(_PARTS, _PART_COLORS.items(), strict=True):
        ax.barh(
            range(len(rows)),
            shares[column],
            left=left,
            height=0.62,
            color=color,
            label=name,
        )
        left += shares[column].to_numpy()
    ax.set(title="parts of a lend, largest request", xlim=(0, 100), xlabel="% of its time")
    _legend_below(ax, columns=3)


def _draw_clearing(ax: Axes, lends: pd.DataFrame, rows: Sequence[tuple[str, str]]) -> None:
    """Draw what went into clearing, which is no part of a lend's time."""
    medians = lends.groupby(["strategy", "variant"])[list(_CLEARING)].median()
    medians = medians.reindex(pd.MultiIndex.from_tuples(rows)).astype(float)
    lent = set(zip(lends["strategy"], lends["variant"], strict=True))
    for place in np.flatnonzero(medians["zero_ns"].isna()).tolist():
        style.note(ax, place, _NOT_CLEARED if rows[place] in lent else _NOTHING_LENT)
    for column, (name, marker) in _CLEARING.items():
        values = medians[column].to_numpy()
        some = values > 0
        ax.scatter(
            values[some].clip(min=_LEAST_NS),
            np.arange(len(rows))[some],
            s=22,
            marker=marker,
            color=style.INK,
            label=name,
        )
    ax.set_title("clearing, apart, median")
    _legend_below(ax, columns=1)


def _legend_below(ax: Axes, columns: int) -> None:
    """Draw a legend of so many columns, which has no more room than its axes."""
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=4.2,
        ncols=columns,
        columnspacing=1.2,
        handlelength=1.2,
    )


def _load_looks(trials: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return each load's colour and marker."""
    looks = zip((style.MUTED, *style.PALETTE), style.MARKERS, strict=False)
    return dict(zip(multiples.loads_in(trials), itertools.cycle(looks), strict=False))


def _draw_costs(
    ax: Axes,
    lends: pd.DataFrame,
    column: str,
    rows: Sequence[tuple[str, str]],
    loads: Mapping[str, tuple[str, str]],
) -> None:
    """Draw the times of each variant under each load, and its median over all loads."""
    costs = lends.dropna(subset=[column])
    costs = costs.assign(
        ns=costs[column].astype(float).clip(lower=_LEAST_NS),
        y=[float(rows.index(row)) for row in zip(costs["strategy"], costs["variant"], strict=True)],
    )
    step = 0.72 / len(loads)
    for number, (load, (color, marker)) in enumerate(loads.items()):
        of_load = costs[costs["load"] == load]
        of_load = of_load.assign(y=of_load["y"] + step * (number - (len(loads) - 1) / 2))
        many = of_load.groupby("y")["ns"].transform("size") > _DOTS
        _draw_dots(ax, of_load[~many], color, marker)
        _draw_boxes(ax, of_load[many], color)
    medians = costs.groupby("y")["ns"].median()
    centers = medians.index.to_numpy(float)
    ax.vlines(medians, centers - 0.42, centers + 0.42, color=style.INK, linewidth=1.6)


def _draw_dots(ax: Axes, costs: pd.DataFrame, color: str, marker: str) -> None:
    """Draw a dot for each lend, a hollow one where it got less than was asked for."""
    for whole, dots in costs.groupby("whole"):
        ax.plot(
            dots["ns"], dots["y"], linestyle="", marker=marker, markersize=3, alpha=0.75,
            markerfacecolor=color if whole else "white", markeredgecolor=color, markeredgewidth=0.6,
        )  # fmt: skip


def _draw_boxes(ax: Axes, costs: pd.DataFrame, color: str) -> None:
    """Draw the median with the middle half (thick) and nine tenths (thin) of the times.

    The median is hollow where any of the lends got less than was asked for.
    """
    if costs.empty:
        return
    boxes = costs.groupby("y")["ns"].quantile(np.array(_QUANTILES)).unstack()
    y = boxes.index.to_numpy(float)
    low, first, middle, third, high = (boxes[quantile] for quantile in _QUANTILES)
    ax.hlines(y, low, high, color=color, linewidth=0.9)
    ax.hlines(y, first, third, color=color, linewidth=3.6)
    whole = costs.groupby("y")["whole"].all()
    for is_whole, medians in middle.groupby(whole):
        ax.plot(
            medians, medians.index, linestyle="", marker="o", markersize=3,
            markerfacecolor=color if is_whole else "white", markeredgewidth=0.6,
            markeredgecolor="white" if is_whole else color, zorder=3,
        )  # fmt: skip


def _draw_failing(
    ax: Axes, trials: pd.DataFrame, lends: pd.DataFrame, rows: Sequence[tuple[str, str]]
) -> None:
    """Write in a variant's row that there is no cost because nothing was lent."""
    counts = trials.groupby(["strategy", "variant"]).size()
    lending = lends.groupby(["strategy", "variant"]).size().index
    for place, row in enumerate(rows):
        if row in counts.index and row not in lending:
            style.note(ax, place, f"{_NOTHING_LENT} in {counts[row]} trials")


def _legend(loads: Mapping[str, tuple[str, str]]) -> list[Artist]:
    return [
        *(
            Line2D([], [], linestyle="", marker=marker, color=color, label=load.replace("_", " "))
            for load, (color, marker) in loads.items()
        ),
        Line2D(
            [], [], linestyle="", marker="|", markersize=10, markeredgewidth=1.6, color=style.INK,
            label="median",
        ),
        Line2D(
            [], [], linestyle="", marker="o", markersize=4, markerfacecolor="white",
            color=style.INK, label="got less than asked",
        ),
    ]  # fmt: skip
