# SPDX-License-Identifier: GPL-2.0-only
"""Small multiples: a row of panels for each strategy, a panel for each load, curves of variants."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from carveout.drawing import style
from carveout.wording.labels import Labels

Line = Literal["-", "--", ":", "-."]
_LINES: tuple[Line, ...] = ("-", "--", ":", "-.")
_PANEL_ROWS = 2.9
_LEGEND_ROWS = 0.58
_AXIS_ROWS = 0.75

OTHERS = "#c4c4c4"

Row = tuple[str, str]


class Look(NamedTuple):
    """How the curve of a variant is drawn, the same in all parts of a figure."""

    color: str
    line: Line
    marker: str


def looks_of(frame: pd.DataFrame, labels: Labels) -> dict[Row, Look]:
    """Return how each variant is drawn: within a strategy they differ in line and marker."""
    colors = style.strategy_colors(labels, frame)
    looks = {}
    for strategy, rows in frame.groupby("strategy"):
        styles = zip(itertools.cycle(_LINES), itertools.cycle(style.MARKERS), strict=False)
        for variant, (line, marker) in zip(labels.variants(rows), styles, strict=False):
            looks[variant] = Look(colors[str(strategy)], line, marker)
    return looks


def rows_of(frame: pd.DataFrame, labels: Labels) -> float:
    """Return how many rows the panels of a machine take."""
    legends = [_legend_rows(labels, rows) for rows in _by_strategy(frame, labels).values()]
    return _AXIS_ROWS + 0.5 + sum(_PANEL_ROWS + legend for legend in legends)


def grid(
    part: SubFigure, frame: pd.DataFrame, labels: Labels, looks: Mapping[Row, Look]
) -> dict[str, Sequence[Axes]]:
    """Return the panels of each strategy, in the order of `loads_in`, with legends and titles."""
    rows = _by_strategy(frame, labels)
    loads = loads_in(frame)
    heights = [_PANEL_ROWS + _legend_rows(labels, variants) for variants in rows.values()]
    # The first has the loads' names above it, the last its axis below.
    heights[0] += 0.5
    heights[-1] += _AXIS_ROWS
    lines = part.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    made: dict[str, Sequence[Axes]] = {}
    for line, (strategy, variants) in zip(lines, rows.items(), strict=True):
        axes = list(line.subplots(1, len(loads), sharey=True, squeeze=False)[0])
        _legend(line, labels, strategy, variants, looks)
        for ax, load in zip(axes, loads, strict=True):
            ax.grid(visible=True, axis="y")
            ax.tick_params(labelbottom=line is lines[-1])
            if line is lines[0]:
                ax.set_title(load.replace("_", " "))
        made[strategy] = axes
    return made


def loads_in(frame: pd.DataFrame) -> list[str]:
    """Return the loads of a table: idle first, the rest by name."""
    return sorted(frame["load"].unique(), key=lambda load: (load != "idle", load))


def plot(ax: Axes, x: Any, y: Any, look: Look, *, marked: bool = True) -> None:
    """Draw the curve of a variant."""
    ax.plot(
        x,
        y,
        color=look.color,
        linestyle=look.line,
        marker=look.marker if marked else None,
        markersize=3,
        linewidth=1.2,
    )


def plot_others(ax: Axes, curves: Mapping[Row, tuple[Any, Any]], strategy: str) -> None:
    """Draw the curves of all other strategies, faintly."""
    x, y = style.joined(curve for row, curve in curves.items() if row[0] != strategy)
    ax.plot(x, y, color=OTHERS, linewidth=0.6, zorder=1)


def _by_strategy(frame: pd.DataFrame, labels: Labels) -> dict[str, list[Row]]:
    variants = labels.variants(frame)
    return {name: [row for row in variants if row[0] == name] for name in labels.strategies(frame)}


def _names(labels: Labels, variants: Sequence[Row]) -> list[str]:
    if (
        len(variants) == 1
        and style.within(labels, *variants[0]).lower() == labels.strategy(variants[0][0]).lower()
    ):
        return []
    return [style.within(labels, *row) for row in variants]


def _columns(names: Sequence[str]) -> int:
    longest_em = max((len(name) for name in names), default=0) * 0.5 + 4.2
    return max(1, min(len(names), int(style.width_em() // longest_em)))


def _legend_rows(labels: Labels, variants: Sequence[Row]) -> float:
    names = _names(labels, variants)
    return _LEGEND_ROWS * (1 + -(-len(names) // _columns(names))) + 0.2


def _legend(
    part: SubFigure,
    labels: Labels,
    strategy: str,
    variants: Sequence[Row],
    looks: Mapping[Row, Look],
) -> None:
    names = _names(labels, variants)
    handles = [
        Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, markersize=3)
        for look in (looks[row] for row in variants)
    ]
    part.legend(
        handles[: len(names)],
        names,
        title=labels.strategy(strategy),
        title_fontproperties={"weight": "bold"},
        alignment="left",
        loc="outside upper left",
        ncols=_columns(names),
        borderpad=0,
        labelspacing=0.2,
        handlelength=2.4,
        columnspacing=1.5,
    )
