# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant costs in memmap and in memory set aside."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from carveout.common.sizes import MIB
from carveout.figures import style
from carveout.figures.labels import Labels, by_machine

TABLE = "comparison"
COLUMNS = None


def draw(comparison: pd.DataFrame, labels: Labels) -> Figure:
    """Draw memmap of the host, memmap of lent memory, and memory set aside while idle."""
    machines = dict(by_machine(comparison))
    rows = max(len(labels.variants(of_machine)) for of_machine in machines.values())
    figure = style.new_figure((rows * style.ROW_IN + 1.1) * len(machines))
    colors = style.strategy_colors(labels, comparison)
    for part, of_machine in zip(
        style.parts(figure, list(machines)), machines.values(), strict=True
    ):
        _draw_machine(part, of_machine, labels, colors)
    return figure


def _draw_machine(
    part: SubFigure, comparison: pd.DataFrame, labels: Labels, colors: Mapping[str, str]
) -> None:
    rows = labels.variants(comparison)
    # What a variant costs while idle is the same for all requests; what lent memory costs
    # is shown for the largest request.
    largest = comparison.sort_values("request_bytes").groupby(["strategy", "variant"]).last()
    table = largest.reindex(pd.MultiIndex.from_tuples(rows))
    shades = [colors[strategy] for strategy, _ in rows]
    host, lent, aside = part.subplots(1, 3, sharey=True, width_ratios=(1, 1, 1.3))
    _bars(host, table["memmap_idle_bytes"], shades)
    host.set(title="memmap of the host, idle", xlabel="MiB")
    _bars(lent, table["memmap_per_lent_gib_bytes"], shades)
    lent.set(title="memmap of lent memory", xlabel="MiB per GiB lent")
    _draw_aside(aside, table, shades)
    style.draw_variant_rows(host, labels, rows)
    for ax in (lent, aside):
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=False)


def _draw_aside(ax: Axes, table: pd.DataFrame, shades: list[str]) -> None:
    stranded = table["stranded_bytes"].fillna(0)
    movable = table["movable_only_bytes"].fillna(0)
    _bars(ax, table["stranded_bytes"], shades, text=False)
    places = range(len(table))
    ax.barh(
        places,
        movable / MIB,
        left=stranded / MIB,
        height=0.62,
        facecolor="white",
        edgecolor=shades,
        hatch="////",
        linewidth=0.8,
    )
    for place, (a, b) in enumerate(zip(stranded, movable, strict=True)):
        _write(ax, place, (a + b) / MIB)
    _room_for_text(ax, (stranded + movable).max() / MIB)
    ax.set(title="set aside while idle", xlabel="MiB stranded; hatched: movable only")


def _bars(ax: Axes, sizes_bytes: "pd.Series[float]", shades: list[str], text: bool = True) -> None:
    values = sizes_bytes.astype(float) / MIB
    ax.barh(range(len(values)), values.fillna(0), height=0.62, color=shades)
    if text:
        for place, value in enumerate(values):
            if pd.isna(value):
                style.note(ax, place, "never lent")
            else:
                _write(ax, place, value)
        _room_for_text(ax, values.max())


def _write(ax: Axes, place: int, value: float) -> None:
    ax.annotate(
        f"{value:.3g}" if value < 1000 else f"{value:.0f}",
        (value, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )


def _room_for_text(ax: Axes, most: float) -> None:
    ax.set_xlim(0, (most if most > 0 else 1) * 1.2)
