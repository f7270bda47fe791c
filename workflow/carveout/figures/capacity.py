# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how much each variant lends under growing doses of each load."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB
from carveout.drawing import multiples, style
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import bytes_label

_AMOUNTS = [f"granted_{name}_bytes" for name in ("mean", "low", "high", "least", "most")]
COLUMNS = {
    "summary": (
        *(*COMPARABLE, *VARIANT, "load", "dose_target", "requests", "cycle", "request_bytes"),
        *("trials", "not_available", "physical_bytes", *_AMOUNTS),
    )
}


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a row of panels for each strategy, one for each load, of the largest request."""
    cells = largest_requests(summary)
    doses = cells.groupby("load")["dose_target"].transform("nunique")
    if (ladders := cells[doses > 1]).empty:
        raise CarveoutError(
            "wanted a load with several doses for the figure capacity, found one dose of each; name "
            "more, or a ladder, in the key loads of the config"
        )
    looks = multiples.looks_of(cells, labels)
    return style.stacked(
        ladders,
        lambda rows: multiples.rows_of(rows, labels) + 0.8 + _notes_rows(labels, rows),
        lambda part, rows: _draw_machine(part, rows, labels, looks),
    )


def largest_requests(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of each machine's largest request, one for each load and dose."""
    most = summary.groupby(list(COMPARABLE))["request_bytes"].transform("max")
    # Of one load and dose there is one amount, whichever list of requests asked for it last.
    key = [*COMPARABLE, *VARIANT, "load", "dose_target"]
    return summary[summary["request_bytes"] == most].drop_duplicates(key, keep="last")


def ideal_mib(cells: pd.DataFrame) -> "pd.Series[float]":
    """Return by dose what a host could lend all of whose memory is for the load and the lend."""
    held = cells.groupby("dose_target")["physical_bytes"].median().astype(float)
    ram_bytes, most_bytes = cells["ram_bytes"].iloc[0], cells["request_bytes"].iloc[0]
    return (ram_bytes - held).clip(0, most_bytes) / MIB


def _notes_rows(labels: Labels, rows: pd.DataFrame) -> float:
    return style.footnote_rows(style.caveats(labels, labels.variants(rows)))


def _draw_machine(
    part: SubFigure,
    cells: pd.DataFrame,
    labels: Labels,
    looks: Mapping[multiples.Row, multiples.Look],
) -> None:
    most_bytes = int(cells["request_bytes"].max())
    grid = multiples.grid(part, cells, labels, looks)
    for strategy, axes in grid.items():
        for ax, load in zip(axes, multiples.loads_in(cells), strict=True):
            of_load = cells[cells["load"] == load]
            doses = of_load["dose_target"]
            margin = (doses.max() - doses.min()) * 0.04
            ax.set(
                xlim=(doses.min() - margin, doses.max() + margin),
                ylim=(-0.03 * most_bytes / MIB, most_bytes / MIB * 1.08),
            )
            ideal = ideal_mib(of_load)
            ax.plot(ideal.index, ideal, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
            _draw_others(ax, of_load[of_load["strategy"] != strategy])
            _draw_strategy(ax, of_load[of_load["strategy"] == strategy], labels, looks)
            if axes is list(grid.values())[-1]:
                ax.set_xlabel("dose, %")
    part.supylabel(f"MiB granted of {bytes_label(most_bytes)}; dashed: RAM less the load")
    style.footnotes(part, style.caveats(labels, labels.variants(cells)))


def _draw_others(ax: Axes, others: pd.DataFrame) -> None:
    for _, curve in others.groupby(VARIANT):
        ordered = curve.sort_values("dose_target")
        granted = ordered["granted_mean_bytes"].astype(float) / MIB
        ax.plot(ordered["dose_target"], granted, color=style.FAINT, linewidth=0.7, zorder=1)


def _draw_strategy(
    ax: Axes,
    curves: pd.DataFrame,
    labels: Labels,
    looks: Mapping[multiples.Row, multiples.Look],
) -> None:
    for variant in labels.variants(curves):
        curve = curves[(curves[VARIANT] == list(variant)).all(axis="columns")]
        curve = curve.sort_values("dose_target")
        doses = curve["dose_target"].to_numpy(float)
        mean, low, high, least, most = (curve[name].to_numpy(float) / MIB for name in _AMOUNTS)
        # An interval where there is one, else what was found.
        low, high = (
            np.where(np.isnan(one), all_, one) for one, all_ in ((low, least), (high, most))
        )
        ax.fill_between(doses, low, high, color=looks[variant].color, alpha=0.18, linewidth=0)
        multiples.plot(ax, doses, mean, looks[variant])
        ax.vlines(doses, low, high, color=looks[variant].color, linewidth=0.7, alpha=0.7)
