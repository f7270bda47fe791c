# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how the cost of a lend is spread over trials, by variant and load."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cbook import pts_to_poststep
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from carveout.common.sizes import GIB
from carveout.drawing import multiples, style
from carveout.drawing.layout import Part, stacked
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

COLUMNS = {"trials": (*COMPARABLE, *VARIANT, "load", "outcome", "verify", "lent_bytes", "lend_ns")}
NOTHING = "No lend got anything: there is no cost to draw."
# A log scale has no zero: a cost that is less than this is drawn at this value.
_LEAST_NS = 100


def draw(trials: pd.DataFrame, labels: Labels) -> Figure:
    """Draw for each variant which share of its lends cost no more than so much a GiB lent."""
    lends = trials[(trials["lent_bytes"] > 0) & (trials["verify"] != "failed")]
    lends = lends.dropna(subset=["lend_ns"])
    if lends.empty:
        return style.sentence(NOTHING)
    costs = lends.assign(ns_per_gib=(lends["lend_ns"] / (lends["lent_bytes"] / GIB)).astype(float))
    costs["ns_per_gib"] = costs["ns_per_gib"].clip(lower=_LEAST_NS)
    looks = multiples.looks_of(costs, labels)
    limits = (costs["ns_per_gib"].min() / 1.5, costs["ns_per_gib"].max() * 1.5)
    return stacked(
        costs,
        lambda rows: Part(
            rows=multiples.rows_of(rows, labels),
            draw=lambda part: _draw_machine(part, rows, labels, looks, limits),
            legend=[
                Line2D([], [], color=multiples.OTHERS, linewidth=0.8, label="other strategies")
            ],
            notes=style.caveats(labels, labels.variants(rows)),
        ),
    )


def _draw_machine(
    part: SubFigure,
    costs: pd.DataFrame,
    labels: Labels,
    looks: Mapping[multiples.Row, multiples.Look],
    limits: tuple[float, float],
) -> None:
    grid = multiples.grid(
        part,
        costs,
        labels,
        looks,
        x_label="guest time of a lend for each GiB lent, log scale",
        y_label="% of lends",
    )
    loads = multiples.loads_in(costs)
    for place, load in enumerate(loads):
        of_load = costs[costs["load"] == load]
        curves = {}
        for (strategy, variant), values in of_load.groupby(VARIANT)["ns_per_gib"]:
            row = (str(strategy), str(variant))
            curves[row] = _draw_curve(grid[row[0]][place], values.to_numpy(float), looks[row])
        for strategy, axes in grid.items():
            ax = axes[place]
            multiples.plot_others(ax, curves, strategy)
            style.log_times(ax, *limits, labels=3)
            ax.set(ylim=(0, 104), yticks=[0, 50, 100])


def _draw_curve(
    ax: Axes, values: "np.ndarray[tuple[int], np.dtype[np.float64]]", look: multiples.Look
) -> tuple[list[float], list[float]]:
    """Draw the empirical distribution of a variant's costs; return it as a line of steps."""
    import seaborn  # noqa: PLC0415  # takes as long to import as all else, and few figures need it

    seaborn.ecdfplot(
        x=values, ax=ax, stat="percent", color=look.color, linestyle=look.line, linewidth=1.2
    )
    ax.set(xlabel="", ylabel="")
    x, y = pts_to_poststep(*ax.lines[-1].get_data())
    return x.tolist(), y.tolist()
