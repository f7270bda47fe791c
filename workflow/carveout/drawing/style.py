# SPDX-License-Identifier: GPL-2.0-only
"""What all figures share: size, fonts, colours, rows of variants, and how they are saved.

A figure is as wide as the report's column, so its text is read at the size that it has here.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from carveout.common.files import write_atomically
from carveout.wording.labels import Labels
from carveout.wording.quantities import bytes_label

WIDTH_IN = 9.4
ROW_IN = 0.27
INK = "#222222"
FAINT = "#d9d9d9"
MUTED = "#767676"
WRONG = "#C23B22"

# People with any kind of colour vision tell these apart; the palette's grey, its eighth colour, is
# for the baseline.
_COLORBLIND = seaborn.color_palette("colorblind").as_hex()
PALETTE = (*_COLORBLIND[:7], "#000000", *_COLORBLIND[8:])
MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*", "<", ">")

_SETTINGS: dict[Any, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 9,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
}


def new_figure(height_in: float) -> Figure:
    """Return an empty figure of the report's width, in the style of all figures."""
    seaborn.set_theme(context="paper", style="ticks", rc=_SETTINGS)
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def parts(
    figure: Figure, machines: Sequence[str], heights: Sequence[float] | None = None
) -> list[SubFigure]:
    """Return one part of the figure per machine, titled when there is more than one.

    They are equally high, or as their heights say.
    """
    ratios = heights or [1] * len(machines)
    made = list(figure.subfigures(len(machines), 1, squeeze=False, height_ratios=ratios)[:, 0])
    if len(machines) > 1:
        for part, machine in zip(made, machines, strict=True):
            part.suptitle(machine, x=0.01, ha="left", fontweight="bold")
    return made


def strategy_colors(labels: Labels, frame: pd.DataFrame) -> Mapping[str, str]:
    """Return one colour per strategy; the baseline is grey."""
    others = [name for name in labels.strategies(frame) if name != "baseline"]
    colors = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(others)}
    return {"baseline": MUTED, **colors}


def draw_variant_rows(ax: Axes, labels: Labels, rows: Sequence[tuple[str, str]]) -> None:
    """Make the y axis a list of variants, the first on top, with a line between strategies."""
    ax.set_yticks(range(len(rows)), [labels.variant(*row) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    for place in range(1, len(rows)):
        if rows[place][0] != rows[place - 1][0]:
            ax.axhline(place - 0.5, color=FAINT, linewidth=0.8)


def note(ax: Axes, row: float, text: str) -> None:
    """Write in a row why nothing is drawn there."""
    ax.annotate(
        text,
        (0, row),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        fontstyle="italic",
        color=MUTED,
    )


def request_label(request_bytes: int) -> str:
    """Return what was asked for, for a legend or a panel's title."""
    return f"{bytes_label(request_bytes)} request"


def save(figure: Figure, name: str, svg: Path, png: Path) -> None:
    """Write a figure as SVG and PNG; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": name}):
        write_atomically(svg, _bytes(figure, "svg", {"Date": None, "Creator": None}))
    write_atomically(png, _bytes(figure, "png", {"Software": None}))


def _bytes(figure: Figure, kind: str, metadata: Mapping[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=200, metadata=dict(metadata))
    return buffer.getvalue()
