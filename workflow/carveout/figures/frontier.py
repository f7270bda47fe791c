# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how much memory each strategy lends beside a load that the host carries."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from carveout.common.sizes import MIB
from carveout.drawing import multiples, style
from carveout.figures.capacity import largest_requests
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", "dose_target", "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "physical_bytes", "granted_mean_bytes"),
    )
}
_PANEL_ROWS = 8.0
_LEAST_EM = 15.0
# Curves that coincide are drawn within each other, the first of them as wide as this.
_WIDEST_PT = 6.0


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a panel for each load, in it a curve for each strategy: its variant that lends most."""
    cells = largest_requests(summary)
    colors = style.strategy_colors(labels, cells)
    return style.stacked(
        cells,
        lambda rows: _rows(rows, labels),
        lambda part, rows: _draw_machine(part, rows, labels, colors),
    )


def _columns(cells: pd.DataFrame) -> int:
    return style.side_by_side(len(multiples.loads_in(cells)), _LEAST_EM, names_em=5)


def _legend_columns() -> int:
    return max(1, int(style.width_em() // 19))


def _rows(cells: pd.DataFrame, labels: Labels) -> float:
    panels = -(-len(multiples.loads_in(cells)) // _columns(cells))
    legend = -(-(len(labels.strategies(cells)) + 2) // _legend_columns())
    notes = style.footnote_rows(_notes(_best(cells, labels), labels))
    return panels * _PANEL_ROWS + legend * 0.62 + notes + 1


def _best(cells: pd.DataFrame, labels: Labels) -> dict[str, dict[str, tuple[str, str]]]:
    """Return by load and strategy which of its variants lends most, over all doses."""
    best: dict[str, dict[str, tuple[str, str]]] = {}
    for load in multiples.loads_in(cells):
        of_load = cells[cells["load"] == load]
        amounts = {
            row: _lent_over_doses(_of_variant(of_load, row)) for row in labels.variants(of_load)
        }
        best[load] = {
            strategy: max(
                (row for row in amounts if row[0] == strategy), key=lambda row: amounts[row]
            )
            for strategy in labels.strategies(of_load)
        }
    return best


def _of_variant(cells: pd.DataFrame, row: tuple[str, str]) -> pd.DataFrame:
    of_variant = cells[(cells["strategy"] == row[0]) & (cells["variant"] == row[1])]
    return of_variant.sort_values("dose_target")


def _lent_over_doses(curve: pd.DataFrame) -> float:
    """Return the area below a curve; of a single dose, its height."""
    doses = curve["dose_target"].to_numpy(float)
    granted = curve["granted_mean_bytes"].to_numpy(float)
    return float(np.trapezoid(granted, doses) if len(doses) > 1 else granted[0])


def _draw_machine(
    part: SubFigure, cells: pd.DataFrame, labels: Labels, colors: Mapping[str, str]
) -> None:
    loads, columns = multiples.loads_in(cells), _columns(cells)
    best = _best(cells, labels)
    strategies = labels.strategies(cells)
    widths = dict(zip(strategies, np.linspace(_WIDEST_PT, 1, len(strategies)), strict=True))
    grid = part.subplots(
        -(-len(loads) // columns), columns, sharex=True, sharey=True, squeeze=False
    )
    for ax in grid.flat[len(loads) :]:
        ax.set_visible(False)
    ram_mib = int(cells["ram_bytes"].max()) / MIB
    most_mib = int(cells["request_bytes"].max()) / MIB
    for ax, load in zip(grid.flat, loads, strict=False):
        ax.set_title(load.replace("_", " "))
        ax.grid(visible=True, axis="both")
        ax.plot(
            [0, ram_mib - most_mib, ram_mib], [most_mib, most_mib, 0],
            color=style.INK, linewidth=0.9, linestyle=(0, (4, 3)),
        )  # fmt: skip
        for strategy, row in best[load].items():
            curve = _of_variant(cells[cells["load"] == load], row)
            _draw_curve(ax, curve, colors[strategy], widths[strategy])
        ax.set(xlim=(0, ram_mib), ylim=(0, most_mib * 1.06))
    size = bytes_label(int(cells["request_bytes"].max()))
    part.supxlabel("load that the host carries, MiB", fontsize="medium")
    part.supylabel(f"lent, MiB of {size}", fontsize="medium")
    _legend(part, labels, strategies, colors)
    style.footnotes(part, _notes(best, labels))


def _draw_curve(ax: Axes, curve: pd.DataFrame, color: str, width_pt: float) -> None:
    """Draw what was lent over what the load held; a cross ends a curve where it held no more."""
    carried = curve[curve["physical_bytes"].notna()]
    held = carried["physical_bytes"].to_numpy(float) / MIB
    granted = carried["granted_mean_bytes"].to_numpy(float) / MIB
    ax.plot(
        held, granted, color=color, linewidth=width_pt, marker="o", markersize=width_pt + 1,
        solid_joinstyle="round", markeredgewidth=0,
    )  # fmt: skip
    if len(held) and pd.isna(curve["physical_bytes"].iloc[-1]):
        ax.plot(held[-1:], granted[-1:], marker="x", color=color, markersize=8, markeredgewidth=1.6)


def _legend(
    part: SubFigure, labels: Labels, strategies: list[str], colors: Mapping[str, str]
) -> None:
    handles = [
        Line2D([], [], color=colors[name], linewidth=3, label=labels.strategy(name))
        for name in strategies
    ]
    handles += [
        Line2D(
            [], [], color=style.INK, linewidth=0.9, linestyle=(0, (4, 3)), label="load + lent = RAM"
        ),
        Line2D([], [], color=style.INK, marker="x", linestyle="", label="carries no more"),
    ]
    part.legend(
        handles=handles, loc="outside upper left", ncols=_legend_columns(), labelspacing=0.2,
        columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip


def _notes(best: Mapping[str, Mapping[str, tuple[str, str]]], labels: Labels) -> list[str]:
    """Return which variants are drawn, of strategies that have several."""
    drawn: dict[tuple[str, str], list[str]] = {}
    for load, rows in best.items():
        for row in rows.values():
            drawn.setdefault(row, []).append(load.replace("_", " "))
    texts = []
    for row, loads in drawn.items():
        under = "" if len(loads) == len(best) else f" ({', '.join(loads)})"
        texts.append(f"{labels.short(*row)}{under}")
    return [f"Drawn is of each strategy the variant that lends most: {'; '.join(texts)}."]
