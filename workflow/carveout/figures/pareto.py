# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant lends against what it takes from the host: the Pareto front."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from carveout.common.sizes import MIB
from carveout.drawing import multiples, style
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
# How much smaller the text of the key is.
_SMALL = 0.833
_Panel = tuple[str, float]


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw for each load, at its lightest and heaviest dose, what is lent over what it costs."""
    cells = largest_requests(summary)
    colors = style.strategy_colors(labels, cells)
    return style.stacked(
        cells,
        lambda rows: _rows(rows, labels),
        lambda part, rows: _draw_machine(part, rows, labels, colors),
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


def _rows(cells: pd.DataFrame, labels: Labels) -> float:
    rows = labels.variants(cells)
    return _panels_rows(cells) + _key_rows(labels, rows)


def _panels_rows(cells: pd.DataFrame) -> float:
    return -(-len(_panels(cells)) // _columns(cells)) * _PANEL_ROWS + 1.5


def _key_rows(labels: Labels, rows: Sequence[tuple[str, str]]) -> float:
    notes = style.footnote_rows(style.caveats(labels, rows))
    return -(-len(rows) // _key_columns()) * 0.5 + 0.5 + notes


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


def front(found: pd.DataFrame) -> pd.DataFrame:
    """Return the points that no other is better than: none lends more for as little or less."""
    ordered = found.sort_values(["cost_mib", "lent_mib"], ascending=[True, False])
    most = ordered["lent_mib"].cummax()
    return ordered[(most > most.shift(fill_value=-1.0)) & (ordered["lent_mib"] == most)]


def _draw_machine(
    part: SubFigure, cells: pd.DataFrame, labels: Labels, colors: Mapping[str, str]
) -> None:
    rows = labels.variants(cells)
    numbers = {row: number for number, row in enumerate(rows, start=1)}
    panels, columns = _panels(cells), _columns(cells)
    above, below = part.subfigures(
        2, 1, height_ratios=[_panels_rows(cells), _key_rows(labels, rows)]
    )
    grid = above.subplots(
        -(-len(panels) // columns), columns, sharex=True, sharey=True, squeeze=False
    )
    found = {panel: points(cells, panel) for panel in panels}
    most_mib = int(cells["request_bytes"].max()) / MIB
    dearest_mib = max([1.0, *(one["cost_mib"].max() for one in found.values() if len(one))])
    for place, ax in enumerate(grid.flat):
        if place >= len(panels):
            ax.set_visible(False)
            continue
        load, dose = panels[place]
        ax.set_title(f"{load.replace('_', ' ')} {dose:g} %" if dose else load.replace("_", " "))
        ax.grid(visible=True, axis="both")
        ax.set(
            xlim=(-0.03 * dearest_mib, 1.2 * dearest_mib), ylim=(-0.06 * most_mib, 1.16 * most_mib)
        )
        _draw_points(ax, found[panels[place]], numbers, colors, (dearest_mib, most_mib))
    above.supxlabel("memmap that the host pays + stranded, MiB", fontsize="medium")
    above.supylabel(
        f"lent, MiB of {bytes_label(int(cells['request_bytes'].max()))}", fontsize="medium"
    )
    _draw_key(below, labels, numbers)
    style.footnotes(below, style.caveats(labels, rows))


def _draw_points(
    ax: Axes,
    found: pd.DataFrame,
    numbers: Mapping[tuple[str, str], int],
    colors: Mapping[str, str],
    scales: tuple[float, float],
) -> None:
    best = front(found)
    ax.step(
        [*best["cost_mib"], ax.get_xlim()[1]], [*best["lent_mib"], *best["lent_mib"][-1:]],
        where="post", color=style.MUTED, linewidth=0.9,
    )  # fmt: skip
    for rows in _clusters(found, scales):
        x, y = found.loc[rows].mean()
        ax.plot(
            [x], [y], marker="o", markersize=4.5 if len(rows) == 1 else 6.5, linestyle="",
            color=colors[rows[0][0]] if len({row[0] for row in rows}) == 1 else style.INK,
        )  # fmt: skip
        ax.annotate(
            _ranges([numbers[row] for row in rows]),
            (x, y),
            xytext=(4, 2),
            textcoords="offset points",
            fontsize="x-small",
            fontweight="bold" if any(row in best.index for row in rows) else "normal",
        )


def _clusters(found: pd.DataFrame, scales: tuple[float, float]) -> list[list[tuple[str, str]]]:
    """Return the variants, those together whose points are too close to be told apart."""
    places = found.to_numpy(float) / np.array(scales)
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
    """Return numbers as a text, runs of them as ranges: 1, 3–5."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return style.wrapped(", ".join(texts), 9)


def _draw_key(part: SubFigure, labels: Labels, numbers: Mapping[tuple[str, str], int]) -> None:
    """Write which number is which variant."""
    columns = _key_columns()
    width_em = style.width_em() / columns / _SMALL - 4
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
