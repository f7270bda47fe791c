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
_PANEL_ROWS, _LEGEND_ROW, _TITLE_ROWS = 2.6, 0.55, 0.5
# Between one strategy's panels and the next's name; and below all: ticks and the axis' name.
_GAP_ROWS, _AXIS_ROWS = 0.45, 1.2
# Between a strategy's name and its own.
_BELOW_ROWS = 0.12
_LEFT_EM, _RIGHT_EM, _GAP_EM = 4.8, 0.8, 1.4
# Before the y axis' name: a letter's edge would be cut at the figure's.
_MARGIN_EM = 0.3

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
    return _AXIS_ROWS + 2 * _TITLE_ROWS + sum(_PANEL_ROWS + legend for legend in legends)


def grid(
    part: SubFigure,
    frame: pd.DataFrame,
    labels: Labels,
    looks: Mapping[Row, Look],
    *,
    x_label: str,
    y_label: str,
) -> dict[str, list[Axes]]:
    """Return the panels of each strategy, in the order of `loads_in`, with legends and titles.

    Their places are known, so no solver has to look for them, which takes seconds for so many.
    """
    rows, loads = _by_strategy(frame, labels), loads_in(frame)
    width, height = style.width_em(), rows_of(frame, labels)
    panel_em = (width - _LEFT_EM - _RIGHT_EM - _GAP_EM * (len(loads) - 1)) / len(loads)
    titles = [style.load_title(load, panel_em) for load in loads]
    titles_rows = _TITLE_ROWS * max(title.count("\n") + 1 for title in titles)
    made: dict[str, list[Axes]] = {}
    top = 0.0
    for strategy, variants in rows.items():
        top += _legend_rows(labels, variants)
        place = (_LEFT_EM / width, 1 - (top - _BELOW_ROWS) / height)
        _legend(part, labels, {row: looks[row] for row in variants}, place)
        # Loads are named above the first panels.
        top += (0 if made else titles_rows) + _PANEL_ROWS
        made[strategy] = [
            part.add_axes(
                (
                    (_LEFT_EM + column * (panel_em + _GAP_EM)) / width,
                    1 - top / height,
                    panel_em / width,
                    _PANEL_ROWS / height,
                )
            )
            for column in range(len(loads))
        ]
        part.text(
            _MARGIN_EM / width, 1 - (top - _PANEL_ROWS / 2) / height, y_label, rotation=90,
            ha="left", va="center", fontsize="small",
        )  # fmt: skip
        for column, ax in enumerate(made[strategy]):
            ax.grid(visible=True, axis="y")
            ax.tick_params(labelleft=column == 0, labelbottom=strategy == list(rows)[-1])
    for ax, title in zip(next(iter(made.values())), titles, strict=True):
        ax.set_title(title)
    part.text(0.5, 0, x_label, ha="center", va="bottom")
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
    return _LEGEND_ROW * (1 + -(-len(names) // _columns(names))) + _GAP_ROWS


def _legend(
    part: SubFigure, labels: Labels, looks: Mapping[Row, Look], place: tuple[float, float]
) -> None:
    """Name a strategy and its variants, from a place of the part upwards: near its panels."""
    variants = list(looks)
    names = _names(labels, variants)
    handles = [
        Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, markersize=3)
        for look in looks.values()
    ]
    part.legend(
        handles[: len(names)],
        names,
        title=labels.strategy(variants[0][0]),
        title_fontproperties={"weight": "bold"},
        alignment="left",
        loc="lower left",
        bbox_to_anchor=place,
        borderaxespad=0,
        ncols=_columns(names),
        borderpad=0,
        labelspacing=0.2,
        handlelength=2.4,
        columnspacing=1.5,
    )
