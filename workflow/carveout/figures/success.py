# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how often each variant lends all that was asked for, by dose, request and granule."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carveout.drawing import multiples, style
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

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
_LEAST_CELL_EM = 1.1
_LEGEND = ((0, "never"), (0.25, "25 %"), (0.5, "half"), (0.75, "75 %"), (1, "always"))
# The numbers stand out from cells that are darker than this.
_DARK = 0.55

_Column = tuple[str, int]


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a cell for each variant, load, dose and request, as dark as it was successful."""
    return style.stacked(
        summary,
        lambda rows: _rows(rows, labels),
        lambda part, rows: _draw_machine(part, rows, labels),
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
    room_em = style.width_em() - style.NAMES_EM
    lines: list[list[_Column]] = []
    taken_em = 0.0
    for column, doses in panels.items():
        needed_em = max(5.0, len(doses) * _LEAST_CELL_EM) + 0.8
        if not lines or taken_em + needed_em > room_em:
            lines.append([])
            taken_em = 0.0
        lines[-1].append(column)
        taken_em += needed_em
    return lines


def _rows(summary: pd.DataFrame, labels: Labels) -> float:
    rows = labels.variants(summary)
    lines = len(_lines(_panels(summary)))
    return (len(rows) + 3.6) * lines + 1.8 + style.footnote_rows(style.caveats(labels, rows))


def _draw_machine(part: SubFigure, summary: pd.DataFrame, labels: Labels) -> None:
    rows = labels.variants(summary)
    panels = _panels(summary)
    lines = _lines(panels)
    several = summary["request_bytes"].nunique() > 1
    # Of one cell there is one rate, whichever list of requests asked for it last.
    key = [*VARIANT, "load", "dose_target", "request_bytes"]
    cells = summary.drop_duplicates(key, keep="last").set_index(key)
    for line, columns in zip(
        part.subfigures(len(lines), 1, squeeze=False)[:, 0], lines, strict=True
    ):
        widths = [max(4.0, len(panels[column])) for column in columns]
        axes = line.subplots(1, len(columns), squeeze=False, width_ratios=widths)[0]
        cell_em = (style.width_em() - style.NAMES_EM - 2 * len(columns)) / sum(widths)
        for ax, (load, size) in zip(axes, columns, strict=True):
            doses = panels[(load, size)]
            width_em = cell_em * max(4.0, len(doses)) / len(doses)
            _draw_cells(ax, cells, rows, load, size, doses, width_em)
            title = load.replace("_", " ")
            ax.set_title(
                style.wrapped(
                    f"{title}, {style.request_label(size)}" if several else title,
                    width_em * len(doses),
                ),
            )
            style.draw_variant_rows(ax, labels, rows)
            ax.tick_params(labelleft=ax is axes[0])
    part.supxlabel("dose, %", fontsize="medium")
    _draw_legend(part)
    style.footnotes(part, style.caveats(labels, rows))


def _draw_cells(
    ax: Axes,
    cells: pd.DataFrame,
    rows: Sequence[tuple[str, str]],
    load: str,
    size: int,
    doses: Sequence[float],
    width_em: float,
) -> None:
    index = pd.MultiIndex.from_tuples([(*row, load, dose, size) for row in rows for dose in doses])
    found = cells.reindex(index)
    rates = (found["successes"] / found["trials"].where(found["trials"] > 0)).to_numpy(
        float, na_value=np.nan
    )
    shape = (len(rows), len(doses))
    ax.imshow(
        np.ma.masked_invalid(rates.reshape(shape)),
        cmap=_COLORS, vmin=0, vmax=1, aspect="auto", interpolation="none",
    )  # fmt: skip
    ax.grid(visible=False)
    ax.set_xticks(range(len(doses)), [f"{dose:g}" for dose in doses])
    if width_em < 2.4:
        ax.tick_params(axis="x", labelrotation=90, labelsize="small")
    if doses == [0]:
        ax.set_xticks([])
    has_numbers = width_em >= _NUMBERS_EM
    for place, (cell, rate) in enumerate(zip(found.to_dict("records"), rates, strict=True)):
        y, x = divmod(place, len(doses))
        ink = "white" if rate > _DARK else style.INK
        if np.isnan(rate):
            continue
        if has_numbers:
            ax.text(x, y, _numbers(cell), ha="center", va="center", fontsize="x-small", color=ink)
        elif cell["deterministic"]:
            ax.plot([x], [y], marker="o", markersize=2, color=ink, markeredgewidth=0)


def _numbers(cell: dict[object, object]) -> str:
    """Return how many trials succeeded, with the interval of their rate where they vary."""
    counts = f"{cell['successes']}/{cell['trials']}"
    if cell["deterministic"]:
        return f"{counts}, the same"
    low, high = (round(float(str(cell[f"success_{name}"])) * 100) for name in ("low", "high"))
    return f"{counts}\n{low}–{high} %"


def _draw_legend(part: SubFigure) -> None:
    colors = mpl.colormaps[_COLORS]
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colors(rate), edgecolor=style.MUTED, linewidth=0.5, label=name)
        for rate, name in _LEGEND
    ]
    handles.append(
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=3,
            color=style.INK,
            label="the same in all seeds",
        )
    )
    part.legend(
        handles=handles, loc="outside upper left", ncols=len(handles), columnspacing=1.2,
        handlelength=1.2,
    )  # fmt: skip
