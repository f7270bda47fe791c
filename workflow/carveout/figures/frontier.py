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
from carveout.drawing.layout import Part, stacked
from carveout.drawing.marks import Mark, beside, draw_mark, notes
from carveout.figures.capacity import ideal_mib, largest_requests, of_variant
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", "dose_target", "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "physical_bytes", "granted_mean_bytes"),
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
    cells = largest_requests(summary)
    # An idle host carries nothing: it says something only where there is nothing else.
    if len(cells["load"].unique()) > 1:
        cells = cells[cells["load"] != "idle"]
    colors = style.strategy_colors(labels, cells)
    return stacked(cells, lambda rows: _part(rows, labels, colors, beside(marks, rows)))


def _part(
    cells: pd.DataFrame, labels: Labels, colors: Mapping[str, str], marks: Sequence[Mark]
) -> Part:
    best = _best(cells, labels)
    handles = [
        Line2D([], [], color=colors[name], linewidth=3, label=labels.strategy(name))
        for name in labels.strategies(cells)
    ]
    handles += [
        Line2D(
            [], [], color=style.INK, linewidth=0.9, linestyle=_DASHED, label="RAM less the load"
        ),
        Line2D([], [], color=style.INK, marker="x", linestyle="", label="carries no more"),
    ]
    return Part(
        rows=-(-len(best) // _columns(cells)) * _PANEL_ROWS + 0.7,
        draw=lambda part: _draw_machine(part, cells, best, colors, marks),
        legend=handles,
        entry_em=20,
        notes=[*_notes(best, labels), *notes(marks)],
    )


def _columns(cells: pd.DataFrame) -> int:
    return style.side_by_side(len(multiples.loads_in(cells)), _LEAST_EM, names_em=5)


def _best(cells: pd.DataFrame, labels: Labels) -> dict[str, dict[str, multiples.Row]]:
    """Return by load and strategy which of its variants lends most, over all doses."""
    best: dict[str, dict[str, multiples.Row]] = {}
    for load in multiples.loads_in(cells):
        of_load = cells[cells["load"] == load]
        amounts = {row: _lent_over_doses(of_load, row) for row in labels.variants(of_load)}
        best[load] = {}
        for row, amount in amounts.items():
            most = max(other for name, other in amounts.items() if name[0] == row[0])
            if row[0] not in best[load] and amount >= most * _AS_MUCH:
                best[load][row[0]] = row
    return best


def _lent_over_doses(cells: pd.DataFrame, row: multiples.Row) -> float:
    """Return the area below a curve; of a single dose, its height."""
    curve = of_variant(cells, row).sort_values("dose_target")
    doses = curve["dose_target"].to_numpy(float)
    granted = curve["granted_mean_bytes"].to_numpy(float)
    return float(np.trapezoid(granted, doses) if len(doses) > 1 else granted[0])


def _draw_machine(
    part: SubFigure,
    cells: pd.DataFrame,
    best: Mapping[str, Mapping[str, multiples.Row]],
    colors: Mapping[str, str],
    marks: Sequence[Mark],
) -> None:
    columns = _columns(cells)
    strategies = dict.fromkeys(name for rows in best.values() for name in rows)
    widths = dict(zip(strategies, np.linspace(_WIDEST_PT, 1, len(strategies)), strict=True))
    grid = part.subplots(-(-len(best) // columns), columns, sharey=True, squeeze=False)
    most_mib = int(cells["request_bytes"].max()) / MIB
    for place, (ax, (load, rows)) in enumerate(zip(grid.flat, best.items(), strict=False)):
        of_load = cells[cells["load"] == load]
        ax.set_title(style.load_title(load, (style.width_em() - 6) / columns))
        ax.grid(visible=True, axis="both")
        ideal = ideal_mib(of_load)
        ax.plot(
            ideal.index, ideal, color=style.INK, linewidth=0.9, linestyle=_DASHED, zorder=4,
            marker="_" if len(ideal) == 1 else None,
        )  # fmt: skip
        for strategy, row in rows.items():
            _draw_curve(ax, of_variant(of_load, row), colors[strategy], widths[strategy])
        ax.set(xlim=(0, float(ideal.index.max()) * 1.06 or 1), ylim=(0, most_mib * 1.06))
        for number, mark in enumerate(marks):
            if mark.is_beside(load=load):
                ax.axvline(mark.value, color=style.REFERENCE, linewidth=0.8, linestyle=":")
                draw_mark(ax, mark.value, 0, number)
        if place + columns >= len(best):
            ax.set_xlabel("load carried: dose, %")
    for ax in grid.flat[len(best) :]:
        ax.set_visible(False)
    size = bytes_label(int(cells["request_bytes"].max()))
    part.supylabel(f"lent, MiB of {size}", fontsize="medium")


def _draw_curve(ax: Axes, curve: pd.DataFrame, color: str, width_pt: float) -> None:
    """Draw what was lent up to the largest load that was carried; a cross says that it ends."""
    ordered = curve.sort_values("dose_target")
    carried = ordered[ordered["physical_bytes"].notna()]
    doses = carried["dose_target"].to_numpy(float)
    granted = carried["granted_mean_bytes"].to_numpy(float) / MIB
    ax.plot(
        doses, granted, color=color, linewidth=width_pt, marker="o", markersize=width_pt,
        markeredgewidth=0, clip_on=False,
    )  # fmt: skip
    if len(doses) and pd.isna(ordered["physical_bytes"].iloc[-1]):
        ax.plot(
            doses[-1:], granted[-1:], marker="x", color=style.INK, markersize=6,
            markeredgewidth=1.2, zorder=5, clip_on=False,
        )  # fmt: skip


def _notes(best: Mapping[str, Mapping[str, multiples.Row]], labels: Labels) -> list[str]:
    """Return which variants are drawn, and under which loads where it is not under all."""
    drawn: dict[multiples.Row, list[str]] = {}
    for load, rows in best.items():
        for row in rows.values():
            drawn.setdefault(row, []).append(load.replace("_", " "))
    texts = [
        style.name(labels, *row) + ("" if len(loads) == len(best) else f" ({', '.join(loads)})")
        for row, loads in drawn.items()
    ]
    drawn_text = f"Drawn is of each strategy the variant that lends most: {'; '.join(texts)}."
    return [drawn_text, *style.caveats(labels, list(drawn))]
