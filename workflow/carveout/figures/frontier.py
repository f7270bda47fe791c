# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how much each strategy lends while the host carries how much."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from carveout.common.sizes import MIB
from carveout.drawing import style
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels, comparable_parts
from carveout.wording.quantities import bytes_label

_AMOUNTS = ("granted_mean_bytes", "granted_least_bytes", "granted_most_bytes")
_COLUMNS = (
    *(*COMPARABLE, *VARIANT, "load", "dose_target", "requests", "cycle", "request_bytes"),
    *("trials", "not_available", "physical_bytes", *_AMOUNTS),
)
COLUMNS = {"summary": _COLUMNS}
_LINES = ("-", "--", ":", "-.")
_PANEL_IN = 1.45
_IDEAL = "load + lent = RAM"


class Look(NamedTuple):
    """How the curve of a variant is drawn, the same in all parts of the figure."""

    color: str
    line: str
    marker: str


# By strategy and variant.
Looks = Mapping[tuple[str, str], Look]


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw one row of panels per strategy, one column per load, of the largest request."""
    machines = dict(comparable_parts(summary))
    rows = len(labels.strategies(summary))
    looks = _looks(summary, labels)
    figure = style.new_figure((rows * _PANEL_IN + 0.8) * len(machines))
    for part, of_machine in zip(
        style.parts(figure, list(machines)), machines.values(), strict=True
    ):
        _draw_machine(part, of_machine, labels, looks)
    return figure


def _looks(summary: pd.DataFrame, labels: Labels) -> Looks:
    colors = style.strategy_colors(labels, summary)
    looks = {}
    for strategy, curves in summary.groupby("strategy"):
        styles = zip(itertools.cycle(_LINES), itertools.cycle(style.MARKERS), strict=False)
        for variant, (line, marker) in zip(labels.variants(curves), styles, strict=False):
            looks[variant] = Look(colors[str(strategy)], line, marker)
    return looks


def _draw_machine(part: SubFigure, summary: pd.DataFrame, labels: Labels, looks: Looks) -> None:
    largest = summary[summary["request_bytes"] == summary["request_bytes"].max()]
    # Of one load and dose there is one amount, whichever list of requests asked for it last.
    cells = largest.drop_duplicates([*VARIANT, "load", "dose_target"], keep="last")
    loads = sorted(cells["load"].unique(), key=lambda load: (load != "idle", load))
    strategies = labels.strategies(cells)
    doses = {
        load: sorted(cells.loc[cells["load"] == load, "dose_target"].unique()) for load in loads
    }
    # A single dose is a point, and needs less room.
    widths = [1 if len(doses[load]) > 1 else 0.3 for load in loads]
    grid = part.subplots(
        len(strategies),
        len(loads),
        squeeze=False,
        sharex="col",
        sharey=True,
        gridspec_kw={"width_ratios": widths},
    )
    for row, strategy in zip(grid, strategies, strict=True):
        for ax, load in zip(row, loads, strict=True):
            of_load = cells[cells["load"] == load]
            _draw_ideal(ax, of_load, _IDEAL if ax is grid[0][-1] else None)
            _draw_others(ax, of_load[of_load["strategy"] != strategy])
            _draw_strategy(ax, of_load[of_load["strategy"] == strategy], labels, looks)
        _draw_frame(row, labels.strategy(strategy), cells["request_bytes"].max())
    for ax, load in zip(grid[0], loads, strict=True):
        ax.set_title(load.replace("_", " "))
    for ax, load in zip(grid[-1], loads, strict=True):
        if len(doses[load]) == 1:
            ax.set_xticks(doses[load] if doses[load] != [0] else [])
        ax.set_xlabel("" if doses[load] == [0] else "dose, %")
    size = bytes_label(cells["request_bytes"].max())
    # Short: a host with one strategy has one row of panels.
    part.supylabel(f"MiB granted of {size}", fontsize=9)


def _draw_frame(row: Sequence[Axes], title: str, most_bytes: int) -> None:
    """Name the strategy in its row, and its variants where there is room for them."""
    for ax in row:
        ax.grid(visible=True, axis="both")
        ax.margins(x=0.06)
        ax.set_ylim(bottom=0, top=most_bytes / MIB * 1.05)
    row[0].set_ylabel(title.replace(" ", "\n", 1), fontsize=8, rotation=0, ha="right", va="center")
    row[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, handlelength=2.2)


def _draw_ideal(ax: Axes, of_load: pd.DataFrame, label: str | None) -> None:
    """Draw what a host could lend that uses all of its memory for the load and the lend alone."""
    held = of_load.groupby("dose_target")["physical_bytes"].median().astype(float)
    ram_bytes, most_bytes = of_load["ram_bytes"].iloc[0], of_load["request_bytes"].iloc[0]
    ideal = (ram_bytes - held).clip(0, most_bytes) / MIB
    ax.plot(
        ideal.index,
        ideal,
        color=style.INK,
        linewidth=0.8,
        linestyle=(0, (4, 3)),
        marker="_" if len(ideal) == 1 else None,
        label=label,
    )


def _draw_others(ax: Axes, others: pd.DataFrame) -> None:
    for _, curve in others.groupby(VARIANT):
        ordered = curve.sort_values("dose_target")
        granted = ordered["granted_mean_bytes"].astype(float) / MIB
        ax.plot(ordered["dose_target"], granted, color=style.FAINT, linewidth=0.7, zorder=1)


def _draw_strategy(ax: Axes, curves: pd.DataFrame, labels: Labels, looks: Looks) -> None:
    for variant in labels.variants(curves):
        color, line, marker = looks[variant]
        curve = curves[(curves[VARIANT] == list(variant)).all(axis="columns")]
        curve = curve.sort_values("dose_target")
        doses = curve["dose_target"].to_numpy(float)
        mean, least, most = (curve[name].to_numpy(float) / MIB for name in _AMOUNTS)
        ax.fill_between(doses, least, most, color=color, alpha=0.18, linewidth=0)
        ax.plot(
            doses,
            mean,
            color=color,
            linestyle=line,
            marker=marker,
            markersize=3,
            linewidth=1.1,
            label=_within(labels, *variant),
        )
        ax.vlines(doses, np.minimum(least, mean), most, color=color, linewidth=0.6, alpha=0.6)


def _within(labels: Labels, strategy: str, variant: str) -> str:
    """Return a variant's title without its strategy's, where it begins with that."""
    title = labels.variant(strategy, variant)
    return title.removeprefix(labels.strategy(strategy)).lstrip(" ,") or title
