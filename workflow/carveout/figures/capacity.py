# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how much each variant lends under growing doses of each load."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB
from carveout.drawing import multiples, style
from carveout.drawing.doses import DOSES, REFUSED, at_doses
from carveout.drawing.layout import Part, stacked
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

_AMOUNTS = [f"granted_{name}_bytes" for name in ("mean", "low", "high", "least", "most")]
COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", *DOSES, "requests", "cycle", "request_bytes"),
        *("trials", "not_available", *_AMOUNTS),
    )
}


_DASHED = (0, (4, 3))
_IDEAL = "RAM less the load"
_BAND = "95 % interval, or the range"


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a row of panels for each strategy, one for each load, of the largest request."""
    cells = at_doses(largest_requests(summary))
    doses = cells.groupby("load")["dose_target"].transform("nunique")
    if (ladders := cells[doses > 1]).empty:
        raise CarveoutError(
            "wanted a load with several doses for the figure capacity, found one dose of each; "
            "name more, or a ladder, in the key loads of the config"
        )
    looks = multiples.looks_of(cells, labels)
    return stacked(
        ladders,
        lambda rows: Part(
            rows=multiples.rows_of(rows, labels),
            draw=lambda part: _draw_machine(part, rows, labels, looks),
            legend=[
                Line2D([], [], color=style.INK, linewidth=0.8, linestyle=_DASHED, label=_IDEAL),
                Line2D([], [], color=multiples.OTHERS, linewidth=0.8, label="other strategies"),
                Patch(facecolor=style.MUTED, alpha=0.3, label=_BAND),
                Line2D([], [], color=style.INK, marker="x", linestyle="", label=REFUSED),
            ],
            entry_em=26,
            notes=style.caveats(labels, labels.variants(rows)),
        ),
    )


def largest_requests(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of each machine's largest request, one for each load and dose."""
    most = summary.groupby(list(COMPARABLE))["request_bytes"].transform("max")
    # Of one load and dose there is one amount, whichever list of requests asked for it last.
    key = [*COMPARABLE, *VARIANT, "load", "dose_target"]
    return summary[summary["request_bytes"] == most].drop_duplicates(key, keep="last")


def of_variant(cells: pd.DataFrame, row: multiples.Row) -> pd.DataFrame:
    """Return the rows of a variant."""
    return cells[(cells["strategy"] == row[0]) & (cells["variant"] == row[1])]


def ideal_mib(cells: pd.DataFrame) -> "pd.Series[float]":
    """Return by dose what a host could lend all of whose memory is for the load and the lend.

    Args:
        cells: of one load, with the doses at which they are drawn; of those that were asked for
            each is where the loads came to it, and has no ideal where none did.
    """
    carried = cells[~cells["refused"] & ~cells["short"]]
    by_dose = carried.groupby("dose_target")
    held, doses = (by_dose[name].median().astype(float) for name in ("physical_bytes", "dose"))
    ram_bytes, most_bytes = cells["ram_bytes"].iloc[0], cells["request_bytes"].iloc[0]
    return pd.Series(((ram_bytes - held).clip(0, most_bytes) / MIB).to_numpy(), doses.to_numpy())


def _draw_machine(
    part: SubFigure,
    cells: pd.DataFrame,
    labels: Labels,
    looks: Mapping[multiples.Row, multiples.Look],
) -> None:
    most_bytes = int(cells["request_bytes"].max())
    grid = multiples.grid(
        part,
        cells,
        labels,
        looks,
        x_label="dose of the load, %",
        y_label=f"MiB of {bytes_label(most_bytes)}",
    )
    for place, load in enumerate(multiples.loads_in(cells)):
        of_load = cells[cells["load"] == load]
        curves = {
            (str(strategy), str(variant)): curve.sort_values("dose")
            for (strategy, variant), curve in of_load.groupby(VARIANT)
        }
        lines = {
            row: (_doses(curve), _mib(curve, _AMOUNTS[0]))
            for row, curve in ((row, _carried(curve)) for row, curve in curves.items())
        }
        ideal, doses = ideal_mib(of_load), of_load["dose"]
        margin = (doses.max() - doses.min()) * 0.04
        for strategy, axes in grid.items():
            ax = axes[place]
            ax.set(
                xlim=(doses.min() - margin, doses.max() + margin),
                ylim=(-0.03 * most_bytes / MIB, most_bytes / MIB * 1.08),
            )
            ax.plot(ideal.index, ideal, color=style.INK, linewidth=0.8, linestyle=_DASHED)
            multiples.plot_others(ax, lines, strategy)
            for row, curve in curves.items():
                if row[0] == strategy:
                    _draw_curve(ax, curve, looks[row])


def _carried(curve: pd.DataFrame) -> pd.DataFrame:
    return curve[~curve["refused"]]


def _doses(curve: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return curve["dose"].to_numpy(float)


def _mib(curve: pd.DataFrame, column: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return curve[column].to_numpy(float, na_value=np.nan) / MIB


def _draw_curve(ax: Axes, curve: pd.DataFrame, look: multiples.Look) -> None:
    """Draw what was lent beside loads that were carried; of one that was not nothing, as a cross.

    No line leads there: between the two doses nothing is known.
    """
    carried, refused = _carried(curve), curve[curve["refused"]]
    doses = _doses(carried)
    mean, low, high, least, most = (_mib(carried, name) for name in _AMOUNTS)
    # An interval where there is one, else what was found.
    low, high = np.where(np.isnan(low), least, low), np.where(np.isnan(high), most, high)
    ax.fill_between(doses, low, high, color=look.color, alpha=0.2, linewidth=0)
    multiples.plot(ax, doses, mean, look)
    if len(refused):
        ax.plot(
            _doses(refused), _mib(refused, _AMOUNTS[0]), marker="x", markersize=4, linestyle="",
            color=look.color, clip_on=False,
        )  # fmt: skip
