# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how much memory each strategy lends beside a load that the host carries."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from carveout.common.sizes import MIB
from carveout.drawing import multiples, style
from carveout.drawing.doses import DOSES, at_doses
from carveout.drawing.layout import Part, stacked
from carveout.drawing.marks import Mark, beside, draw_mark, notes
from carveout.figures.capacity import ideal_mib, largest_requests, of_variant
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", *DOSES, "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "granted_mean_bytes"),
    )
}
_DASHED = (0, (4, 3))
_PANEL_ROWS = 6.5
_LEAST_EM = 15.0
# Of variants that lend the most but for less than this, the first is drawn.
_AS_MUCH = 0.99
# Curves that coincide are drawn within each other, the first of them as wide as this.
_WIDEST_PT = 5.5


def draw(summary: pd.DataFrame, labels: Labels, marks: Sequence[Mark] = ()) -> Figure:
    """Draw a panel for each load, in it a curve for each strategy: its variant that lends most."""
    cells = at_doses(largest_requests(summary))
    # An idle host carries nothing: it says something only where there is nothing else.
    if len(cells["load"].unique()) > 1:
        cells = cells[cells["load"] != "idle"]
    colors = style.strategy_colors(labels, cells)
    return stacked(cells, lambda rows: _part(rows, labels, colors, beside(marks, rows)))


def _part(
    cells: pd.DataFrame, labels: Labels, colors: Mapping[str, str], marks: Sequence[Mark]
) -> Part:
    best = best_of_strategies(cells, labels)
    handles = [
        Line2D([], [], color=colors[name], linewidth=3, label=style.name(labels, *row))
        for name, row in best.items()
    ]
    handles += [
        Line2D(
            [], [], color=style.INK, linewidth=0.9, linestyle=_DASHED, label="RAM less the load"
        ),
        Line2D([], [], color=style.INK, marker="x", linestyle="", label="carries no more"),
    ]
    return Part(
        rows=-(-len(multiples.loads_in(cells)) // _columns(cells)) * _PANEL_ROWS + 0.7,
        draw=lambda part: _draw_machine(part, cells, best, colors, marks),
        legend=handles,
        entry_em=20,
        notes=[*_notes(list(best.values()), labels), *notes(marks)],
    )


def _columns(cells: pd.DataFrame) -> int:
    return style.side_by_side(len(multiples.loads_in(cells)), _LEAST_EM, names_em=5)


def best_of_strategies(cells: pd.DataFrame, labels: Labels) -> dict[str, multiples.Row]:
    """Return of each strategy the variant that lends most, over all loads and doses.

    One may lose a load to another of its strategy: who sets memory aside has to choose one.
    """
    lent = {row: _lent(of_variant(cells, row)) for row in labels.variants(cells)}
    best: dict[str, multiples.Row] = {}
    for row, amount in lent.items():
        most = max(other for name, other in lent.items() if name[0] == row[0])
        if row[0] not in best and amount >= most * _AS_MUCH:
            best[row[0]] = row
    return best


def _lent(cells: pd.DataFrame) -> float:
    """Return the sum over loads of the area below a variant's curve, by how far doses reach."""
    return sum(_below(curve.sort_values("dose")) for _, curve in cells.groupby("load"))


def _below(curve: pd.DataFrame) -> float:
    """Return the area below a curve for each percent that was asked for; of a dose its height."""
    doses, asked = (curve[name].to_numpy(float) for name in ("dose", "dose_target"))
    granted = curve["granted_mean_bytes"].to_numpy(float)
    if len(doses) == 1:
        return float(granted[0])
    return float(np.trapezoid(granted, doses)) / float(asked.max() - asked.min())


def _draw_machine(
    part: SubFigure,
    cells: pd.DataFrame,
    best: Mapping[str, multiples.Row],
    colors: Mapping[str, str],
    marks: Sequence[Mark],
) -> None:
    columns, loads = _columns(cells), multiples.loads_in(cells)
    widths = dict(zip(best, np.linspace(_WIDEST_PT, 1, len(best)), strict=True))
    grid = part.subplots(-(-len(loads) // columns), columns, sharey=True, squeeze=False)
    most_mib = int(cells["request_bytes"].max()) / MIB
    for place, (ax, load) in enumerate(zip(grid.flat, loads, strict=False)):
        of_load = cells[cells["load"] == load]
        ax.set_title(style.load_title(load, (style.width_em() - 6) / columns))
        ax.grid(visible=True, axis="both")
        ideal = ideal_mib(of_load)
        ax.plot(
            ideal.index, ideal, color=style.INK, linewidth=0.9, linestyle=_DASHED, zorder=4,
            marker="_" if len(ideal) == 1 else None,
        )  # fmt: skip
        for strategy, row in best.items():
            curve = of_variant(of_load, row)
            if len(curve):
                _draw_curve(ax, curve, colors[strategy], widths[strategy])
        ax.set(xlim=(0, float(of_load["dose"].max()) * 1.06 or 1), ylim=(0, most_mib * 1.06))
        for number, mark in enumerate(marks):
            if mark.is_beside(load=load):
                ax.axvline(mark.value, color=style.REFERENCE, linewidth=0.8, linestyle=":")
                draw_mark(ax, mark.value, 0, number)
        if place + columns >= len(loads):
            ax.set_xlabel("load carried: dose, %")
    for ax in grid.flat[len(loads) :]:
        ax.set_visible(False)
    size = bytes_label(int(cells["request_bytes"].max()))
    part.supylabel(f"lent, MiB of {size}", fontsize="medium")


def _draw_curve(ax: Axes, curve: pd.DataFrame, color: str, width_pt: float) -> None:
    """Draw what was lent up to the largest load that was carried; a cross says that it ends."""
    carried = curve[~curve["refused"]].sort_values("dose")
    doses = carried["dose"].to_numpy(float)
    granted = carried["granted_mean_bytes"].to_numpy(float) / MIB
    ax.plot(
        doses, granted, color=color, linewidth=width_pt, marker="o", markersize=width_pt,
        markeredgewidth=0, clip_on=False,
    )  # fmt: skip
    heaviest = curve.sort_values("dose_target").iloc[-1]
    if len(doses) and (heaviest["refused"] or heaviest["short"]):
        ax.plot(
            doses[-1:], granted[-1:], marker="x", color=style.INK, markersize=6,
            markeredgewidth=1.2, zorder=5, clip_on=False,
        )  # fmt: skip


def _notes(rows: Sequence[multiples.Row], labels: Labels) -> list[str]:
    """Return which variants are drawn."""
    return [
        "Of each strategy the variant that lends most is drawn; of several that lend as much "
        "within 1 %, the first.",
        *style.caveats(labels, rows),
    ]
