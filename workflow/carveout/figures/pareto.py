# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant lends against what it takes from the host: the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from carveout.common.sizes import MIB
from carveout.drawing import multiples, style
from carveout.drawing.layout import Part, stacked
from carveout.figures.capacity import largest_requests
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", "dose_target", "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "granted_mean_bytes"),
        *("memmap_host_bytes", "memmap_idle_host_bytes", "stranded_bytes"),
    )
}
_PANEL_ROWS = 6.5
# Points that are closer than this share of the axes are one, with the numbers of all of them.
_CLOSE = 0.02
# Of the text of numbers, in shares of a panel.
_LETTER_WIDTH, _LINE_HEIGHT = 0.02, 0.075
_MARK = 0.022
# Below this share of its height a panel has more room upwards.
_LOW = 0.4
# Runs of fewer numbers are written out.
_RUN = 3
_Panel = tuple[str, float]


class _Box(NamedTuple):
    """What is written or marked, in shares of a panel."""

    left: float
    right: float
    bottom: float
    top: float


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw for each load, at its lightest and heaviest dose, what is lent over what it costs."""
    cells = largest_requests(summary)
    colors = style.strategy_colors(labels, cells)
    return stacked(
        cells,
        lambda rows: Part(
            rows=_panels_rows(rows) + _key_rows(labels.variants(rows)),
            draw=lambda part: _draw_machine(part, rows, labels, colors),
            legend=[
                Line2D([], [], color=style.MUTED, linewidth=0.9, label="Pareto front, bold"),
                Line2D(
                    [], [], color=style.INK, linestyle="", marker="o", label="several strategies"
                ),
            ],
            notes=style.caveats(labels, labels.variants(rows)),
        ),
    )


def _panels(cells: pd.DataFrame) -> list[_Panel]:
    """Return each load with its lightest dose, and with the heaviest under which any got any."""
    panels: dict[_Panel, None] = {}
    for load in multiples.loads_in(cells):
        of_load = cells[cells["load"] == load]
        lent = of_load[of_load["granted_mean_bytes"] > 0]
        for dose in (of_load["dose_target"].min(), lent["dose_target"].max()):
            if not pd.isna(dose):
                panels[load, float(dose)] = None
    return list(panels)


def _columns(cells: pd.DataFrame) -> int:
    return style.side_by_side(min(2, len(_panels(cells))), 15, names_em=4)


def _key_columns() -> int:
    return max(1, int(style.width_em() // 26))


def _panels_rows(cells: pd.DataFrame) -> float:
    return -(-len(_panels(cells)) // _columns(cells)) * _PANEL_ROWS + 1.5


def _key_rows(rows: Sequence[tuple[str, str]]) -> float:
    return -(-len(rows) // _key_columns()) * 0.47 + 0.5


def points(cells: pd.DataFrame, panel: _Panel) -> pd.DataFrame:
    """Return by variant what it takes from the host, and what it lends, in MiB.

    The memmap is that which the host pays while memory is lent, where any was.
    """
    load, dose = panel
    here = cells[(cells["load"] == load) & (cells["dose_target"] == dose)].set_index(VARIANT)
    memmap = here["memmap_host_bytes"].fillna(here["memmap_idle_host_bytes"])
    found = pd.DataFrame(
        {
            "cost_mib": (memmap + here["stranded_bytes"]).astype(float) / MIB,
            "lent_mib": here["granted_mean_bytes"].astype(float) / MIB,
        }
    )
    return found.dropna()


def front(found: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the variants that none is better than: lends as much for less, or more for as much."""
    costs, lent = (found[name].to_numpy(float) for name in ("cost_mib", "lent_mib"))
    as_good = (costs[None] <= costs[:, None]) & (lent[None] >= lent[:, None])
    better = (costs[None] < costs[:, None]) | (lent[None] > lent[:, None])
    beaten = np.asarray((as_good & better).any(axis=1)).tolist()
    return [row for row, is_beaten in zip(found.index, beaten, strict=True) if not is_beaten]


def _draw_machine(
    part: SubFigure, cells: pd.DataFrame, labels: Labels, colors: Mapping[str, str]
) -> None:
    rows = labels.variants(cells)
    numbers = {row: number for number, row in enumerate(rows, start=1)}
    panels, columns = _panels(cells), _columns(cells)
    heights = [_panels_rows(cells), _key_rows(rows)]
    above, below = part.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    lines = -(-len(panels) // columns)
    grid = above.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    found = {panel: points(cells, panel) for panel in panels}
    most_mib = int(cells["request_bytes"].max()) / MIB
    costs = pd.concat([one["cost_mib"] for one in found.values()])
    limits = (costs.min() / 1.15, costs.max() * 2.6) if len(costs) else (1.0, 2.0)
    for ax, panel in zip(grid.flat, panels, strict=False):
        load, dose = panel
        ax.set_title(f"{load.replace('_', ' ')} {dose:g} %")
        ax.grid(visible=True, axis="both")
        ax.set_xscale("log", base=2)
        ax.set(xlim=limits, ylim=(-0.06 * most_mib, 1.12 * most_mib))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        _draw_points(ax, found[panel], numbers, colors)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    above.supxlabel("memmap that the host pays + stranded, MiB, log scale", fontsize="medium")
    size = bytes_label(int(cells["request_bytes"].max()))
    above.supylabel(f"lent, MiB of {size}", fontsize="medium")
    _draw_key(below, labels, numbers)


def _draw_points(
    ax: Axes,
    found: pd.DataFrame,
    numbers: Mapping[tuple[str, str], int],
    colors: Mapping[str, str],
) -> None:
    best = front(found)
    steps = found.loc[best].sort_values(["cost_mib", "lent_mib"])
    ax.step(
        [*steps["cost_mib"], ax.get_xlim()[1]], [*steps["lent_mib"], *steps["lent_mib"][-1:]],
        where="post", color=style.MUTED, linewidth=0.9,
    )  # fmt: skip
    to_axes = ax.transAxes.inverted()
    clusters = {_mean(found, rows): rows for rows in _clusters(found, ax)}
    places = [to_axes.transform(ax.transData.transform(point)) for point in clusters]
    taken = [_Box(x - _MARK, x + _MARK, y - _MARK, y + _MARK) for x, y in places]
    for (x, y), rows in sorted(clusters.items(), key=lambda item: -item[0][1]):
        strategies = {row[0] for row in rows}
        ax.plot(
            [x], [y], marker="o", markersize=4.5 if len(rows) == 1 else 6, linestyle="",
            color=colors[rows[0][0]] if len(strategies) == 1 else style.INK,
        )  # fmt: skip
        text = _ranges([numbers[row] for row in rows])
        left, middle = to_axes.transform(ax.transData.transform((x, y)))
        ax.annotate(
            text,
            (x, y),
            xytext=(left + 1.3 * _MARK, _free(taken, left + 1.3 * _MARK, middle, text)),
            textcoords="axes fraction",
            va="center",
            fontsize="x-small",
            fontweight="bold" if set(rows) & set(best) else "normal",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": style.MUTED, "shrinkB": 2},
        )


def _mean(found: pd.DataFrame, rows: Sequence[tuple[str, str]]) -> tuple[float, float]:
    x, y = found.loc[list(rows)].mean()
    return float(x), float(y)


def _free(taken: list[_Box], left: float, middle: float, text: str) -> float:
    """Return at which height beside a point its text stands free of others, and take that place.

    In the lower part of a panel it makes way upwards, else downwards.
    """
    lines = text.split("\n")
    right = left + max(map(len, lines)) * _LETTER_WIDTH
    half = len(lines) * _LINE_HEIGHT / 2
    upwards = middle < _LOW
    middle = min(max(middle, half), 1 - half)
    for box in sorted(taken, key=lambda one: one.bottom if upwards else -one.top):
        is_beside = right < box.left or box.right < left
        if not is_beside and middle + half > box.bottom and middle - half < box.top:
            middle = box.top + half if upwards else box.bottom - half
    taken.append(_Box(left, right, middle - half, middle + half))
    return middle


def _clusters(found: pd.DataFrame, ax: Axes) -> list[list[tuple[str, str]]]:
    """Return the variants, those together whose points are too close to be told apart."""
    places = ax.transAxes.inverted().transform(ax.transData.transform(found.to_numpy(float)))
    clusters: list[list[int]] = []
    for number, place in enumerate(places):
        for cluster in clusters:
            if np.abs(places[cluster[0]] - place).max() < _CLOSE:
                cluster.append(number)
                break
        else:
            clusters.append([number])
    return [[found.index[number] for number in cluster] for cluster in clusters]


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers as a text, runs of them as ranges."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [
        f"{run[0]}–{run[-1]}" if len(run) >= _RUN else ", ".join(map(str, run)) for run in runs
    ]
    return style.wrapped(", ".join(texts), 9)


def _draw_key(part: SubFigure, labels: Labels, numbers: Mapping[tuple[str, str], int]) -> None:
    """Write which number is which variant."""
    columns = _key_columns()
    width_em = style.width_em() / columns / style.SMALL - 4
    names = [
        f"{number}  {style.wrapped(style.name(labels, *row), width_em)}"
        for row, number in numbers.items()
    ]
    per_column = -(-len(names) // columns)
    for column in range(columns):
        of_column = names[column * per_column : (column + 1) * per_column]
        part.text(
            0.01 + column / columns, 1, "\n".join(of_column), va="top", fontsize="small",
            linespacing=1.25,
        )  # fmt: skip
