# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how often each variant lends all that was asked for, by dose, request and granule."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carveout.drawing import multiples, style
from carveout.drawing.layout import Part, stacked
from carveout.drawing.marks import Mark, beside, letter, notes
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", "dose_target", "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "successes", "success_low", "success_high", "deterministic"),
    )
}
# Yellow is never, dark blue is always; grey prints keep the order.
_COLORS = "YlGnBu"
# A cell that is this wide has room for its numbers.
_NUMBERS_EM = 3.6
_LEAST_CELL_EM = 0.95
# A dose has room beside the next where a cell is this wide.
_UPRIGHT_EM = 2.4
_RATES = {0.0: "never", 0.5: "half", 1.0: "always"}
# The numbers stand out from cells that are darker than this.
_DARK = 0.55

_Column = tuple[str, int]


def draw(summary: pd.DataFrame, labels: Labels, marks: Sequence[Mark] = ()) -> Figure:
    """Draw a cell for each variant, load, dose and request, as dark as it was successful."""
    return stacked(
        summary,
        lambda rows: Part(
            rows=(len(labels.variants(rows)) + 2.4) * len(_lines(_panels(rows))) + 0.5,
            draw=lambda part: _draw_machine(part, rows, labels, beside(marks, rows)),
            legend=_legend(),
            entry_em=8.5,
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
    # Of one cell there is one rate, whichever list of requests asked for it last.
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
    ran = found["trials"].where(found["trials"] > 0)
    rates = (found["successes"] / ran).to_numpy(float, na_value=np.nan)
    grid = rates.reshape(-1, len(doses))
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
    for place, (cell, rate) in enumerate(zip(found.to_dict("records"), rates, strict=True)):
        y, x = divmod(place, len(doses))
        ink = "white" if rate > _DARK else style.INK
        if np.isnan(rate):
            continue
        if width_em >= _NUMBERS_EM:
            ax.text(x, y, _numbers(cell), ha="center", va="center", fontsize="x-small", color=ink)
        elif cell["deterministic"]:
            ax.plot([x], [y], marker="o", markersize=2, color=ink, markeredgewidth=0)


def _numbers(cell: dict[object, object]) -> str:
    """Return how many trials succeeded, with the interval of their rate where they vary."""
    counts = f"{cell['successes']}/{cell['trials']}"
    if cell["deterministic"]:
        return f"{counts}\nthe same"
    low, high = (round(float(str(cell[f"success_{name}"])) * 100) for name in ("low", "high"))
    return f"{counts}\n{low}–{high} %"


def _legend() -> list[Artist]:
    colors = mpl.colormaps[_COLORS]
    return [
        *(
            Patch(facecolor=colors(rate), edgecolor=style.MUTED, linewidth=0.5, label=name)
            for rate, name in _RATES.items()
        ),
        Patch(facecolor="white", edgecolor=style.FAINT, linewidth=0.5, label="not run"),
        Line2D(
            [], [], linestyle="", marker="o", markersize=3, color=style.INK, label="no seed differs"
        ),
    ]
