# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how much of what was asked for each variant lends, by dose, request and granule."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carveout.drawing import multiples, style
from carveout.drawing.doses import DOSES, REFUSED, SHORT, at_doses
from carveout.drawing.layout import Part, stacked
from carveout.drawing.marks import Mark, beside, letter, notes
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", *DOSES, "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "successes", "success_low", "success_high", "deterministic"),
        "granted_mean_bytes",
    )
}
# Yellow is nothing, dark blue is all; grey prints keep the order.
_COLORS = "YlGnBu"
# A cell that is this wide has room for its numbers.
_NUMBERS_EM = 4.2
_LEAST_CELL_EM = 0.95
# A dose has room beside the next where a cell is this wide.
_UPRIGHT_EM = 2.4
_SHARES = {0.0: "none granted", 0.5: "half", 1.0: "all granted"}
# The numbers stand out from cells that are darker than this.
_DARK = 0.55
# A share above this would be rounded to all.
_ALMOST = 0.99

_Column = tuple[str, int]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.float64]


class _Sign(NamedTuple):
    """What is drawn in cells that have no room for words."""

    marker: str
    size_pt: float
    edge_pt: float
    meaning: str


_WHOLE = _Sign("o", 2, 0, "all, each time")
# No share is known of what no host carried.
_REFUSED = _Sign("x", 3.5, 0.8, REFUSED)
_SHORT = _Sign("<", 3, 0, SHORT)


def draw(summary: pd.DataFrame, labels: Labels, marks: Sequence[Mark] = ()) -> Figure:
    """Draw a cell for each variant, load, dose and request, as dark as much of it was granted."""
    return stacked(
        at_doses(summary),
        lambda rows: Part(
            rows=(len(labels.variants(rows)) + 2.4) * len(_lines(_panels(rows))) + 0.5,
            draw=lambda part: _draw_machine(part, rows, labels, beside(marks, rows)),
            legend=_legend(),
            entry_em=13,
            notes=[*style.caveats(labels, labels.variants(rows)), *notes(beside(marks, rows))],
        ),
    )


def _panels(summary: pd.DataFrame) -> dict[_Column, list[float]]:
    """Return the doses of each load and request."""
    requests = sorted(summary["request_bytes"].unique())
    doses = {
        load: sorted(summary.loc[summary["load"] == load, "dose_target"].unique())
        for load in multiples.loads_in(summary)
    }
    return {(load, size): doses[load] for size in requests for load in doses}


def _lines(panels: dict[_Column, list[float]]) -> list[list[_Column]]:
    """Return which panels stand beside each other: as many as have cells that can be seen."""
    needed_em = sum(_width(doses) * _LEAST_CELL_EM + 0.5 for doses in panels.values())
    lines = math.ceil(needed_em / (style.width_em() - style.NAMES_EM))
    columns, each = list(panels), math.ceil(len(panels) / lines)
    return [columns[place : place + each] for place in range(0, len(columns), each)]


def _width(doses: Sequence[float]) -> float:
    """Return how many cells wide a panel is: a few are wide enough for its title."""
    return max(5.0, len(doses))


def _draw_machine(
    part: SubFigure, summary: pd.DataFrame, labels: Labels, marks: Sequence[Mark]
) -> None:
    rows = labels.variants(summary)
    panels = _panels(summary)
    lines = _lines(panels)
    several = summary["request_bytes"].nunique() > 1
    # Of one cell there is one share, whichever list of requests asked for it last.
    key = [*VARIANT, "load", "dose_target", "request_bytes"]
    cells = summary.drop_duplicates(key, keep="last").set_index(key)
    made = part.subfigures(len(lines), 1, squeeze=False)[:, 0]
    for line, columns in zip(made, lines, strict=True):
        widths = [_width(panels[column]) for column in columns]
        axes = line.subplots(1, len(columns), squeeze=False, width_ratios=widths)[0]
        room_em = style.width_em() - style.NAMES_EM - len(columns)
        for ax, (load, size), width in zip(axes, columns, widths, strict=True):
            doses = panels[load, size]
            width_em = room_em * width / sum(widths)
            index = [(*row, load, dose, size) for row in rows for dose in doses]
            found = cells.reindex(pd.MultiIndex.from_tuples(index))
            _draw_cells(ax, found, doses, width_em / len(doses))
            title = style.load_title(load, width_em)
            ax.set_title(f"{title}\n{bytes_label(size)}" if several else title, fontsize="small")
            style.draw_variant_rows(ax, labels, rows)
            ax.tick_params(labelleft=ax is axes[0])
        _draw_marks(axes[-1], marks, rows)
    part.supxlabel("dose of the load, %", fontsize="medium")


def _draw_marks(ax: Axes, marks: Sequence[Mark], rows: Sequence[tuple[str, str]]) -> None:
    """Draw marks behind the rows of those that they are about: no cell is a place of a share."""
    for y, (strategy, variant) in enumerate(rows):
        about = [
            n for n, mark in enumerate(marks) if mark.is_beside(strategy=strategy, variant=variant)
        ]
        if about:
            ax.annotate(
                "◇ " + ", ".join(map(letter, about)),
                (1, y),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
                fontstyle="italic",
                color=style.REFERENCE,
            )


def _draw_cells(ax: Axes, found: pd.DataFrame, doses: Sequence[float], width_em: float) -> None:
    """Draw the cells of all variants, row by row."""
    # Of a cell that was not run neither holds.
    ran = found["trials"].fillna(0) > 0
    refused, carried = (ran & found["refused"].eq(other=known) for known in (True, False))
    asked_bytes = found.index.get_level_values(-1).to_numpy(float)
    granted_bytes = found["granted_mean_bytes"].where(carried).to_numpy(float, na_value=np.nan)
    shares = granted_bytes / asked_bytes
    grid = shares.reshape(-1, len(doses))
    ax.imshow(
        np.ma.masked_invalid(grid), cmap=_COLORS, vmin=0, vmax=1, aspect="auto",
        interpolation="none",
    )  # fmt: skip
    ax.grid(visible=False)
    ax.hlines(np.arange(1, len(grid)) - 0.5, -0.5, len(doses) - 0.5, "white", linewidth=0.8)
    ax.set_xticks(range(len(doses)), [f"{dose:g}" for dose in doses])
    if width_em < _UPRIGHT_EM:
        ax.tick_params(axis="x", labelrotation=90, labelsize="small")
    if doses == [0]:
        ax.set_xticks([])
    has_room = width_em >= _NUMBERS_EM
    y, x = np.divmod(np.arange(len(found)), len(doses))
    if has_room:
        _write_numbers(ax, found, shares, zip(x.tolist(), y.tolist(), strict=True))
    known = ~np.isnan(shares)
    whole = known & (found["successes"] == found["trials"]).to_numpy(bool, na_value=False)
    short = known & found["short"].eq(other=True).to_numpy(bool)
    # Where there are numbers a sign stands beside them, and below a dot else.
    beside, below = (-0.4, 0 * y) if has_room else (0, 0.27 * whole)
    for shade, ink in ((shares > _DARK, "white"), (shares <= _DARK, style.INK)):
        _mark(ax, _WHOLE, shade & whole & ~np.array(has_room), (x, y), ink)
        _mark(ax, _SHORT, shade & short, (x + beside, y + below), ink)
    _mark(ax, _REFUSED, refused.to_numpy(bool), (x, y), style.MUTED)


def _mark(ax: Axes, sign: _Sign, cells: Flags, places: tuple[Places, Places], ink: str) -> None:
    """Draw a sign in some of the cells."""
    if cells.any():
        x, y = places
        ax.plot(
            x[cells], y[cells], linestyle="", marker=sign.marker, markersize=sign.size_pt,
            color=ink, markeredgewidth=sign.edge_pt,
        )  # fmt: skip


def _write_numbers(
    ax: Axes, found: pd.DataFrame, shares: Places, places: Iterable[tuple[int, int]]
) -> None:
    """Write what the share of each cell stands on."""
    for cell, share, (x, y) in zip(found.to_dict("records"), shares, places, strict=True):
        if not np.isnan(share):
            ink = "white" if share > _DARK else style.INK
            ax.text(
                x, y, _numbers(cell, share), ha="center", va="center", fontsize="x-small", color=ink
            )


def _numbers(cell: Mapping[Hashable, Any], share: float) -> str:
    """Return how much was granted, and how often all of it.

    Where lends are all or nothing the share is their rate, with its interval if trials vary.
    """
    counts = f"{cell['successes']}/{cell['trials']}"
    is_rate = math.isclose(share, cell["successes"] / cell["trials"])
    if cell["deterministic"]:
        return f"{counts if is_rate else _percent(share)}\nthe same"
    if not is_rate:
        return f"{_percent(share)}\n{counts} whole"
    low, high = (round(float(cell[f"success_{name}"]) * 100) for name in ("low", "high"))
    return f"{counts}\n{low}–{high} %"


def _percent(share: float) -> str:
    """Return a share in percent; what is not all is not rounded to it."""
    percent = share * 100
    return f"{math.floor(percent * 10) / 10:.3g} %" if share > _ALMOST else f"{percent:.0f} %"


def _legend() -> list[Artist]:
    colors = mpl.colormaps[_COLORS]
    return [
        *(
            Patch(facecolor=colors(share), edgecolor=style.MUTED, linewidth=0.5, label=name)
            for share, name in _SHARES.items()
        ),
        Patch(facecolor="white", edgecolor=style.FAINT, linewidth=0.5, label="not run"),
        *(
            Line2D(
                [], [], linestyle="", marker=sign.marker, markersize=sign.size_pt + 1,
                markeredgewidth=sign.edge_pt, color=style.INK, label=sign.meaning,
            )
            for sign in (_WHOLE, _REFUSED, _SHORT)
        ),
    ]  # fmt: skip
