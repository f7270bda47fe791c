# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant lends, and what it takes from the host: which none is better than."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from carveout.common.sizes import MIB
from carveout.drawing import multiples, style
from carveout.drawing.doses import DOSES, REFUSED, SHORT, at_doses
from carveout.drawing.layout import Part, stacked
from carveout.figures.capacity import largest_requests
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", *DOSES, "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "granted_mean_bytes"),
        *("memmap_host_bytes", "memmap_idle_host_bytes", "stranded_bytes"),
    )
}
# What the heads and the axis of a line of panels take.
_HEAD_ROWS = 2.6
_LEAST_EM = 8.5
_ALIKE = 0.01
Row = tuple[str, str]
_Panel = tuple[str, float]


class _Look(NamedTuple):
    """How a load's lightest or heaviest dose is drawn: above the middle of a row, or below it."""

    marker: str
    shift: float
    name: str


_LIGHT = _Look("o", -0.2, "lightest dose")
_HEAVY = _Look("D", 0.2, "heaviest dose with any lend")


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw what each variant costs, and by load what it lends at the lightest and heaviest dose."""
    cells = at_doses(largest_requests(summary))
    colors = style.strategy_colors(labels, cells)
    return stacked(
        cells,
        lambda rows: Part(
            rows=(len(labels.variants(rows)) + _HEAD_ROWS) * _lines(rows) + 0.4,
            draw=lambda part: _draw_machine(part, rows, labels, colors),
            legend=_legend(),
            entry_em=22,
            notes=style.caveats(labels, labels.variants(rows)),
        ),
    )


def doses_of(cells: pd.DataFrame, load: str) -> dict[_Look, _Panel]:
    """Return a load's lightest dose, and the heaviest at which any variant lent anything."""
    of_load = cells[cells["load"] == load]
    lent = of_load.loc[of_load["granted_mean_bytes"] > 0, "dose_target"]
    found = {_LIGHT: (load, float(of_load["dose_target"].min()))}
    if len(lent) and lent.max() > found[_LIGHT][1]:
        found[_HEAVY] = (load, float(lent.max()))
    return found


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
            "short": here["short"],
            "refused": here["refused"],
        }
    )
    return found[found["cost_mib"].notna() | found["refused"]]


def front(found: pd.DataFrame) -> list[Row]:
    """Return the variants that none is better than: lends as much for less, or more for as much.

    What differs by less than `_ALIKE` is as much: seeds vary it.
    """
    costs, lent = (found[name].to_numpy(float) for name in ("cost_mib", "lent_mib"))
    # Each row has one variant, each column another that may beat it.
    other_costs, other_lent, costs, lent = costs[None], lent[None], costs[:, None], lent[:, None]
    cheaper = (other_costs < costs * (1 - _ALIKE)) & (other_lent >= lent * (1 - _ALIKE))
    larger = (other_costs <= costs) & (other_lent > lent * (1 + _ALIKE))
    beaten = np.asarray((cheaper | larger).any(axis=1)).tolist()
    return [row for row, is_beaten in zip(found.index, beaten, strict=True) if not is_beaten]


def comparable(found: pd.DataFrame) -> pd.DataFrame:
    """Return the points that are of one dose: of loads that were carried, and came to it."""
    return found[~found["short"] & ~found["refused"]]


def _panels_a_line(cells: pd.DataFrame) -> int:
    return style.side_by_side(len(multiples.loads_in(cells)) + 1, _LEAST_EM)


def _lines(cells: pd.DataFrame) -> int:
    return -(-(len(multiples.loads_in(cells)) + 1) // _panels_a_line(cells))


def _draw_machine(
    part: SubFigure, cells: pd.DataFrame, labels: Labels, colors: Mapping[str, str]
) -> None:
    rows, loads = labels.variants(cells), multiples.loads_in(cells)
    columns = _panels_a_line(cells)
    grid = part.subplots(_lines(cells), columns, sharey=True, squeeze=False)
    found = {
        load: {look: points(cells, panel) for look, panel in doses_of(cells, load).items()}
        for load in loads
    }
    most_bytes = int(cells["request_bytes"].max())
    costs, *lent = grid.flat
    _draw_costs(costs, pd.concat([one for by in found.values() for one in by.values()]), rows)
    width_em = (style.width_em() - style.NAMES_EM) / columns - 1.5
    for ax, load in zip(lent, loads, strict=False):
        doses = [f"{dose:g}" for _, dose in doses_of(cells, load).values()]
        title = style.load_title(load, width_em)
        ax.set_title(f"{title}\n{' and '.join(doses)} %", fontsize="small")
        for look, table in found[load].items():
            _draw_points(ax, table, look, rows, colors)
        ax.set_xlim(-0.06 * most_bytes / MIB, 1.06 * most_bytes / MIB)
        ax.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        ax.set_xlabel(f"MiB of {bytes_label(most_bytes)}", fontsize="small")
    for ax in lent[len(loads) :]:
        ax.set_visible(False)
    for place, ax in enumerate(grid.flat):
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(axis="y", labelleft=place % columns == 0)
        ax.tick_params(axis="x", labelsize="small")


def _draw_costs(ax: Axes, found: pd.DataFrame, rows: Sequence[Row]) -> None:
    """Draw from what to what a variant's costs go, over all that is drawn of it."""
    by_variant = found.groupby(level=[0, 1])["cost_mib"]
    ends = pd.DataFrame({"least": by_variant.min(), "most": by_variant.max()}).dropna()
    places = [rows.index(row) for row in ends.index]
    ax.set_title("costs the\nhost, MiB", fontsize="small")
    if len(ends):
        ax.set_xscale("log", base=2)
        ax.set_xlim(ends["least"].min() / 1.5, ends["most"].max() * 1.5)
    ax.hlines(places, ends["least"], ends["most"], color=style.INK, linewidth=1.2)
    for name in ends:
        ax.plot(ends[name], places, linestyle="", marker="|", markersize=7, color=style.INK)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlabel("log scale", fontsize="small")


def _draw_points(
    ax: Axes, found: pd.DataFrame, look: _Look, rows: Sequence[Row], colors: Mapping[str, str]
) -> None:
    best = set(front(comparable(found)))
    for row, cell in found.iterrows():
        variant = (str(row[0]), str(row[1]))  # type: ignore[index]
        color = colors[variant[0]]
        ax.plot(
            [cell["lent_mib"]], [rows.index(variant) + look.shift], linestyle="",
            marker="x" if cell["refused"] else "<" if cell["short"] else look.marker,
            markersize=4.5, markeredgecolor=color, markeredgewidth=0.9,
            markerfacecolor=color if variant in best else "white", clip_on=False, zorder=3,
        )  # fmt: skip


def _legend() -> list[Artist]:
    looks = {
        f"{_LIGHT.name}, above": (_LIGHT.marker, "white"),
        f"{_HEAVY.name}, below": (_HEAVY.marker, "white"),
        "none lends as much for less": (_LIGHT.marker, style.INK),
        REFUSED: ("x", style.INK),
        SHORT: ("<", "white"),
    }
    return [
        Line2D(
            [], [], linestyle="", marker=marker, color=style.INK, markersize=4.5,
            markerfacecolor=face, label=name,
        )
        for name, (marker, face) in looks.items()
    ]  # fmt: skip
