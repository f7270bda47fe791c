# SPDX-License-Identifier: GPL-2.0-only
"""The figure of what changed: relative changes with their intervals, by variant and quantity."""

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from carveout.compare.changes import QUANTITY_LABELS, relative_ends
from carveout.drawing import style
from carveout.drawing.layout import Part, compose
from carveout.statistics.pair import LEAST_CHANGE
from carveout.tables.comparison_tables import QUANTITIES
from carveout.wording.labels import Labels, comparable_parts

NAME = "changes"
# Colour and filling say the verdict; what is neither clear nor small is hollow.
_COLOURS: Mapping[str, str] = {
    "worse": style.WRONG,
    "better": style.PALETTE[0],
    "changed": style.INK,
    "cannot_tell": style.INK,
    "small": style.MUTED,
    "equal": style.MUTED,
}
_WORDS = {
    "worse": "worse",
    "better": "better",
    "changed": "changed",
    "cannot_tell": "cannot be told",
    "small": f"less than {LEAST_CHANGE * 100:g} %",
}
_CLEAR = ("worse", "better", "changed")
# Linear within this of no change, beyond it by powers of ten: shares of what was before.
_LINEAR = LEAST_CHANGE
_MARK_ROWS = 0.32
_AXES_ROWS = 4.0
# With more columns there is room for one label on each side of no change.
_MOST_WIDE = 4
_DRAWN = [name for name in _COLOURS if name != "equal"]


def draw(changes: pd.DataFrame, labels: Labels) -> Figure:
    """Return the forest plot of the table `changes`: a row a variant, a column a quantity."""
    differing = changes[changes["verdict"].isin(_DRAWN)]
    machines = comparable_parts(differing)
    if not machines:
        return style.sentence("Nothing differs: all pairs are equal to the bit.")
    quantities = [name for name in QUANTITIES if name in set(differing["quantity"])]
    loads = sorted(changes["load"].unique())
    handles = [*_verdict_handles(differing), *_load_handles(loads), *_line_handles(differing)]

    def laid_out(part: pd.DataFrame) -> Part:
        def draw_part(page: SubFigure) -> None:
            axes = page.subplots(1, len(quantities), sharey=True, squeeze=False)[0]
            for ax, quantity in zip(axes, quantities, strict=True):
                most = _draw_quantity(ax, part, quantity, labels, loads)
                _scale(ax, most, narrow=len(quantities) > _MOST_WIDE)
                style.draw_variant_rows(ax, labels, labels.variants(part))
                ax.tick_params(labelleft=ax is axes[0])
            page.supxlabel(
                "change of the mean, as a share of what it was before", fontsize="medium"
            )

        # High enough for the marks of one variant and quantity to stand apart.
        of_row = part.groupby(["strategy", "variant", "quantity"]).size().max()
        rows = len(labels.variants(part)) * max(1.0, _MARK_ROWS * of_row)
        return Part(rows + _AXES_ROWS, draw_part, handles, entry_em=12)

    return compose({machine: laid_out(part) for machine, part in machines})


def _draw_quantity(
    ax: Axes, part: pd.DataFrame, quantity: str, labels: Labels, loads: list[str]
) -> float:
    """Draw one quantity of one machine: a mark a curve, a line where it may lie.

    Returns:
        How far from no change it reaches.
    """
    places = {pair: place for place, pair in enumerate(labels.variants(part))}
    ax.axvline(0, color=style.INK, linewidth=0.8)
    ax.axvspan(-LEAST_CHANGE, LEAST_CHANGE, color=style.FAINT, alpha=0.5, linewidth=0)
    most = 0.1
    of_quantity = part[part["quantity"] == quantity]
    for pair in labels.variants(of_quantity):
        is_variant = (of_quantity["strategy"] == pair[0]) & (of_quantity["variant"] == pair[1])
        rows = of_quantity[is_variant]
        offsets = np.linspace(-0.32, 0.32, len(rows)) if len(rows) > 1 else [0.0]
        ordered = rows.sort_values(["load", "requests", "cycle"]).to_dict("records")
        for row, offset in zip(ordered, offsets, strict=True):
            most = max(most, _draw_row(ax, row, places[pair] + offset, loads))
        if rows["relative_change"].isna().any():
            ax.text(
                0.9,
                places[pair],
                "from 0",
                transform=ax.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize="small",
            )
    ax.set_title(textwrap.fill(QUANTITY_LABELS[quantity][0], 11), fontsize="small")
    return most


def _scale(ax: Axes, most: float, *, narrow: bool) -> None:
    """Make the axis linear about no change, and logarithmic up to what it reaches."""
    ax.set_xscale("symlog", linthresh=_LINEAR, linscale=0.5)
    ax.set_xlim(-most * 1.6, most * 1.6)
    ax.xaxis.set_major_locator(matplotlib.ticker.FixedLocator(_ticks(most, narrow=narrow)))
    ax.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    ax.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_tick_label))
    ax.tick_params(axis="x", labelsize="small")


def _draw_row(ax: Axes, row: Mapping[Any, Any], place: float, loads: list[str]) -> float:
    """Draw one change, and return how far from no change it reaches."""
    colour = _COLOURS[row["verdict"]]
    relative = row["relative_change"]
    look: dict[str, Any] = {
        "marker": style.MARKERS[loads.index(row["load"]) % len(style.MARKERS)],
        "markersize": 4.5,
        "color": colour,
        "markerfacecolor": colour if row["verdict"] in _CLEAR else "white",
        "linestyle": "none",
    }
    if pd.isna(relative):  # it came from nothing
        ax.plot([0.96], [place], transform=ax.get_yaxis_transform(), **look)
        return 0.0
    reach = [abs(float(relative))]
    for low, high, width in (("least", "most", 0.8), ("low", "high", 2.0)):
        if ends := relative_ends(row, low, high):
            ax.plot(ends, [place, place], color=colour, linewidth=width, solid_capstyle="butt")
            reach += map(abs, ends)
    ax.plot([relative], [place], **look)
    return max(reach)


def _ticks(most: float, *, narrow: bool) -> list[float]:
    """Return no change and a power of ten or two around it, as far as their labels have room."""
    tens = [10.0**power for power in range(-2, 7) if 10.0**power <= most * 1.6]
    tens = tens[-1:] if narrow or tens[-1] >= 1 else tens
    return [*(-ten for ten in reversed(tens)), 0.0, *tens]


def _tick_label(share: float, _: object) -> str:
    return f"{share * 100:+g} %" if share else "0"


def _verdict_handles(changes: pd.DataFrame) -> list[Line2D]:
    there = set(changes["verdict"])
    return [
        Line2D(
            [],
            [],
            color=_COLOURS[name],
            marker="o",
            markersize=5,
            linestyle="-",
            markerfacecolor=_COLOURS[name] if name in _CLEAR else "white",
            label=words,
        )
        for name, words in _WORDS.items()
        if name in there
    ]


def _load_handles(loads: list[str]) -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=style.MUTED,
            marker=style.MARKERS[place % len(style.MARKERS)],
            markersize=5,
            linestyle="none",
            label=load.replace("_", " "),
        )
        for place, load in enumerate(loads)
    ]


def _line_handles(changes: pd.DataFrame) -> list[Line2D]:
    handles = [Line2D([], [], color=style.MUTED, linewidth=0.8, label="over the seeds")]
    if changes["difference_low"].notna().any():
        handles.append(Line2D([], [], color=style.MUTED, linewidth=2.2, label="95 % interval"))
    return handles
