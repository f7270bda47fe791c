# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how often each variant lends all that was asked for, under each load."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from carveout.figures import style
from carveout.wording.labels import Labels, comparable_parts, load_label, loads_of

TABLE = "summary"
COLUMNS = None

_PANELS_A_ROW = 4


def draw(summary: pd.DataFrame, labels: Labels) -> Figure:
    """Draw success rates with their 95 % Wilson intervals, one panel per load and dose."""
    machines = dict(comparable_parts(summary))
    heights_in = [_height_in(of_machine, labels) for of_machine in machines.values()]
    figure = style.new_figure(sum(heights_in))
    colors = style.strategy_colors(labels, summary)
    for part, of_machine in zip(
        style.parts(figure, list(machines)), machines.values(), strict=True
    ):
        _draw_machine(part, of_machine, labels, colors)
    return figure


def _panel_rows(summary: pd.DataFrame) -> int:
    return -(-len(loads_of(summary)) // _PANELS_A_ROW)


def _height_in(summary: pd.DataFrame, labels: Labels) -> float:
    rows = len(labels.variants(summary))
    return (rows * style.ROW_IN * 1.15 + 0.7) * _panel_rows(summary) + 0.5


def _draw_machine(
    part: SubFigure, summary: pd.DataFrame, labels: Labels, colors: Mapping[str, str]
) -> None:
    rows, loads = labels.variants(summary), loads_of(summary)
    requests = sorted(summary["request_bytes"].unique())
    columns = min(len(loads), _PANELS_A_ROW)
    grid = part.subplots(_panel_rows(summary), columns, sharey=True, sharex=True, squeeze=False)
    for ax in grid.flat[len(loads) :]:
        ax.set_visible(False)
    for place, (load, ax) in enumerate(zip(loads, grid.flat, strict=False)):
        ax.set_title(load_label(*load), fontsize=8)
        ax.set_xlim(-6, 106)
        ax.set_xticks([0, 25, 50, 75, 100])
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=place % columns == 0, labelbottom=True)
        of_load = summary[(summary["load"] == load[0]) & (summary["dose_target"] == load[1])]
        _draw_rates(ax, of_load, rows, requests, colors)
    part.supxlabel("trials in which all that was asked for was granted, %", fontsize=9)
    _draw_legend(part, requests)


def _draw_rates(
    ax: Axes,
    cells: pd.DataFrame,
    rows: Sequence[tuple[str, str]],
    requests: Sequence[int],
    colors: Mapping[str, str],
) -> None:
    places = {row: place for place, row in enumerate(rows)}
    shifts = _shifts(len(requests))
    drawn = cells.assign(
        y=[places[pair] for pair in zip(cells["strategy"], cells["variant"], strict=True)]
    )
    for number, request_bytes in enumerate(requests):
        points = drawn[drawn["request_bytes"] == request_bytes]
        y = points["y"] + shifts[number]
        shades = [colors[name] for name in points["strategy"]]
        ends = points[["success_low", "success_high"]].to_numpy(float, na_value=np.nan) * 100
        ax.hlines(y, ends[:, 0], ends[:, 1], shades, linewidth=1.4)
        # What the seed does not change is no estimate: a bar in place of a point and its interval.
        varies = ~points["deterministic"].to_numpy(bool)
        for chosen, marker in ((varies, style.MARKERS[number]), (~varies, "|")):
            colors_here = [shade for shade, is_here in zip(shades, chosen, strict=True) if is_here]
            is_filled = number == 0 or marker == "|"
            ax.scatter(
                points["success_rate"][chosen] * 100,
                y[chosen],
                s=50 if marker == "|" else 24,
                marker=marker,
                facecolors=colors_here if is_filled else "white",
                edgecolors=None if marker == "|" else colors_here,
                linewidths=2 if marker == "|" else 1.2,
                zorder=3,
            )
    for row in set(rows) - set(zip(cells["strategy"], cells["variant"], strict=True)):
        style.note(ax, places[row], "not run")


def _shifts(count: int) -> list[float]:
    """Return where in its row each request is drawn."""
    return [0.44 * (number - (count - 1) / 2) / max(count - 1, 1) for number in range(count)]


def _draw_legend(part: SubFigure, requests: Sequence[int]) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=style.INK,
            marker=style.MARKERS[number],
            linestyle="",
            markerfacecolor=style.INK if number == 0 else "white",
            markersize=5,
            label=style.request_label(request_bytes),
        )
        for number, request_bytes in enumerate(requests)
    ]
    handles.append(Line2D([], [], color=style.INK, label="95 % interval (Wilson)"))
    handles.append(
        Line2D([], [], color=style.INK, marker="|", linestyle="", label="the same in every trial")
    )
    part.legend(handles=handles, loc="outside upper right", ncols=len(handles))
