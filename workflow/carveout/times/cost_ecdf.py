# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how the cost of a lend is spread over trials, by variant and load."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
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
        curves = {
            (str(strategy), str(variant)): _steps(values.to_numpy(float))
            for (strategy, variant), values in of_load.groupby(VARIANT)["ns_per_gib"]
        }
        for strategy, axes in grid.items():
            ax = axes[place]
            multiples.plot_others(ax, curves, strategy)
            for row, curve in curves.items():
                if row[0] == strategy:
                    multiples.plot(ax, *curve, looks[row], marked=False)
            style.log_times(ax, *limits, labels=3)
            ax.set(ylim=(0, 104), yticks=[0, 50, 100])


def _steps(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> tuple[list[float], list[float]]:
    """Return the empirical distribution as a line: up by a step at each value, from 0 to 100 %."""
    ordered = np.sort(values)
    shares = np.arange(len(ordered) + 1) / len(ordered) * 100
    return np.repeat(ordered, 2).tolist(), np.repeat(shares, 2)[1:-1].tolist()
