# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how the cost of a lend is spread over trials, by variant and load."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from carveout.common.sizes import GIB
from carveout.drawing import multiples, style
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels
from carveout.wording.quantities import ns_label

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
    return style.stacked(
        costs,
        lambda rows: multiples.rows_of(rows, labels) + 0.8 + _notes_rows(labels, rows),
        lambda part, rows: _draw_machine(part, rows, labels, looks, limits),
    )


def _notes_rows(labels: Labels, rows: pd.DataFrame) -> float:
    return style.footnote_rows(style.caveats(labels, labels.variants(rows)))


def _draw_machine(
    part: SubFigure,
    costs: pd.DataFrame,
    labels: Labels,
    looks: Mapping[multiples.Row, multiples.Look],
    limits: tuple[float, float],
) -> None:
    grid = multiples.grid(part, costs, labels, looks)
    for strategy, axes in grid.items():
        for ax, load in zip(axes, multiples.loads_in(costs), strict=True):
            of_load = costs[costs["load"] == load]
            _frame(ax, limits)
            for row in labels.variants(of_load):
                of_variant = of_load[(of_load[VARIANT] == list(row)).all(axis="columns")]
                values = np.sort(of_variant["ns_per_gib"].to_numpy(float))
                if row[0] == strategy:
                    look = looks[row]
                    ax.ecdf(values, color=look.color, linestyle=look.line, linewidth=1.3)
                else:
                    ax.ecdf(values, color=style.FAINT, linewidth=0.6, zorder=1)
    part.supxlabel("guest time of a lend for each GiB lent, log scale", fontsize="medium")
    part.supylabel("share of lends, %", fontsize="medium")
    style.footnotes(part, style.caveats(labels, labels.variants(costs)))


def _frame(ax: Axes, limits: tuple[float, float]) -> None:
    ax.set_xscale("log")
    ax.set(xlim=limits, ylim=(0, 1.04), yticks=[0, 0.5, 1])
    ax.set_yticklabels(["0", "50", "100"])
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: ns_label(value)))
