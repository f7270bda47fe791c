# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what lending and giving back cost, in guest time."""

import itertools
from collections.abc import Mapping, Sequence
from typing import cast

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
    *("request_bytes", "outcome", "verify", "lend_ns", "give_back_ns"),
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
_NOT_CLEARED = "the host reaches none of it"
# A log scale has no zero: a cost that is less than this is drawn at this value.
_LEAST_NS = 100
# More trials than this in a cell are drawn as a box instead of dots.
_DOTS = 30


def draw(trials: pd.DataFrame, labels: Labels, marks: Sequence[Mark] = ()) -> Figure:
    """Draw the costs of all granted lends: a dot per trial, or a box where there are many."""
    return stacked(
        trials,
        lambda rows: Part(
            rows=-(-_panels(rows) // _columns()) * (len(labels.variants(rows)) + 1.8) + 2.2,
            draw=lambda part: _draw_machine(part, rows, labels, beside(marks, rows)),
            legend=_legend(_load_looks(rows)),
            entry_em=15,
            notes=[*style.caveats(labels, labels.variants(rows)), *notes(beside(marks, rows))],
        ),
    )


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
    granted = trials[(trials["outcome"] == "granted") & (trials["verify"] != "failed")]
    columns = _columns()
    grid = part.subplots(-(-_panels(trials) // columns), columns, sharey=True, squeeze=False)
    *times, parts, clearing = grid.flat
    panels = itertools.product(requests, _STEPS.items())
    for ax, (request_bytes, (column, step)) in zip(times, panels, strict=True):
        of_request = granted[granted["request_bytes"] == request_bytes]
        _draw_costs(ax, of_request, column, rows, loads)
        _draw_failing(ax, trials[trials["request_bytes"] == request_bytes], of_request, rows)
        ax.set_title(f"{step}, {style.request_label(request_bytes)}")
        if column == _MARKED:
            _draw_marks(ax, marks, rows, request_bytes / GIB)
    largest = _largest(granted)
    _draw_parts(parts, largest, rows)
    _draw_clearing(clearing, largest, rows)
    limits = _limits(granted)
    for ax in (*times, clearing):
        style.log_times(ax, *limits, labels=4)
    for place, ax in enumerate(grid.flat):
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=place % columns == 0)
    clearing.set_xlabel("guest time, log scale")


def _draw_marks(
    ax: Axes, marks: Sequence[Mark], rows: Sequence[tuple[str, str]], request_gib: float
) -> None:
    for place, mark in enumerate(marks):
        for y, (strategy, variant) in enumerate(rows):
            if mark.is_beside(strategy=strategy, variant=variant):
                draw_mark(ax, mark.value * request_gib, y, place)


def _limits(granted: pd.DataFrame) -> tuple[float, float]:
    """Return the least and the longest time that is drawn, with some room."""
    times = granted[[*_STEPS, *_CLEARING]].to_numpy(float, na_value=np.nan).clip(min=_LEAST_NS)
    if not np.isfinite(times).any():
        return _LEAST_NS, _LEAST_NS * 1e6
    return float(np.nanmin(times)) / 2, float(np.nanmax(times)) * 2


def _largest(granted: pd.DataFrame) -> pd.DataFrame:
    """Return the lends of each variant's largest request that was ever granted."""
    most = granted.groupby(["strategy", "variant"])["request_bytes"].transform("max")
    return granted[granted["request_bytes"] == most]


def _draw_parts(ax: Axes, granted: pd.DataFrame, rows: Sequence[tuple[str, str]]) -> None:
    """Draw where the time of lends goes, as shares of all of it."""
    columns = [f"lend_{name}_ns" for name in LEND_PARTS]
    spent = granted.groupby(["strategy", "variant"])[columns].sum().astype(float)
    shares = spent.div(spent.sum(axis="columns").clip(lower=1), axis="index") * 100
    shares = shares.reindex(pd.MultiIndex.from_tuples(rows))
    for place in np.flatnonzero(shares.isna().all(axis="columns")).tolist():
        style.note(ax, place, "no success")
    shares = shares.fillna(0)
    left = np.zeros(len(rows))
    for column, (name, color) in zip(columns, _PART_COLORS.items(), strict=True):
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


def _draw_clearing(ax: Axes, granted: pd.DataFrame, rows: Sequence[tuple[str, str]]) -> None:
    """Draw what went into clearing, which is no part of a lend's time."""
    medians = granted.groupby(["strategy", "variant"])[list(_CLEARING)].median()
    medians = medians.reindex(pd.MultiIndex.from_tuples(rows)).astype(float)
    lent = set(zip(granted["strategy"], granted["variant"], strict=True))
    for place in np.flatnonzero(medians["zero_ns"].isna()).tolist():
        style.note(ax, place, _NOT_CLEARED if rows[place] in lent else "no success")
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
    granted: pd.DataFrame,
    column: str,
    rows: Sequence[tuple[str, str]],
    loads: Mapping[str, tuple[str, str]],
) -> None:
    places = {row: place for place, row in enumerate(rows)}
    step = 0.72 / len(loads)
    shifts = {load: step * (n - (len(loads) - 1) / 2) for n, load in enumerate(loads)}
    costs = granted.dropna(subset=[column])
    for key, cell in costs.groupby(["strategy", "variant", "load"], sort=True):
        strategy, variant, load = cast("tuple[str, str, str]", key)
        color, marker = loads[load]
        values = cell[column].astype(float).clip(lower=_LEAST_NS)
        y = places[strategy, variant] + shifts[load]
        if len(values) > _DOTS:
            _draw_box(ax, values, y, color)
        else:
            ax.plot(
                values, [y] * len(values), linestyle="", marker=marker, markersize=3, color=color,
                alpha=0.75, markeredgewidth=0,
            )  # fmt: skip
    medians = costs.groupby(["strategy", "variant"])[column].median().clip(lower=_LEAST_NS)
    centers = np.array([places[row] for row in medians.index])
    ax.vlines(medians, centers - 0.42, centers + 0.42, color=style.INK, linewidth=1.6)


def _draw_box(ax: Axes, values: "pd.Series[float]", y: float, color: str) -> None:
    """Draw the median with the middle half (thick) and nine tenths (thin) of the values."""
    import seaborn  # noqa: PLC0415  # takes as long to import as all else, and few figures need it

    for percent, linewidth in ((90, 0.9), (50, 3.6)):
        seaborn.pointplot(
            x=values,
            y=np.full(len(values), y),
            orient="h",
            native_scale=True,  # places are numbers
            estimator="median",
            errorbar=("pi", percent),
            err_kws={"linewidth": linewidth},
            color=color,
            marker=".",
            markersize=2.5,
            markeredgecolor="white",
            linestyle="none",
            ax=ax,
        )
    ax.set(xlabel="", ylabel="")


def _draw_failing(
    ax: Axes, trials: pd.DataFrame, granted: pd.DataFrame, rows: Sequence[tuple[str, str]]
) -> None:
    """Write in a variant's row that there is no cost because there was no success."""
    counts = trials.groupby(["strategy", "variant"]).size()
    succeeded = granted.groupby(["strategy", "variant"]).size().index
    for place, row in enumerate(rows):
        if row in counts.index and row not in succeeded:
            style.note(ax, place, f"no success in {counts[row]} trials")


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
    ]  # fmt: skip
