# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant costs in memmap and in memory set aside."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from carveout.common.sizes import MIB
from carveout.figures import style
from carveout.wording.labels import Labels, comparable_parts

TABLE = "comparison"
COLUMNS = None

_PER_GIB = "memmap_per_lent_gib_bytes"
_FILLED = ""
# What is set aside, from the left: filled is of no use to Linux, hatched of use for movable pages.
_ASIDE = {"stranded_bytes": _FILLED, "cma_area_bytes": "////", "movable_zone_bytes": "xxx"}
_IDLE = ("memmap_idle_bytes", *_ASIDE)
_HEIGHT = 0.62


def draw(comparison: pd.DataFrame, labels: Labels) -> Figure:
    """Draw memmap of the host, memmap of lent memory, and memory set aside while idle."""
    machines = dict(comparable_parts(comparison))
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
    # What a variant costs while idle is the same for all requests.
    table = comparison.groupby(["strategy", "variant"])[list(_IDLE)].first()
    table = table.reindex(pd.MultiIndex.from_tuples(rows))
    requests = [int(size) for size in sorted(comparison["request_bytes"].unique())]
    per_gib = comparison.pivot_table(
        index=["strategy", "variant"], columns="request_bytes", values=_PER_GIB
    ).reindex(pd.MultiIndex.from_tuples(rows), columns=requests)
    shades = [colors[strategy] for strategy, _ in rows]
    host, lent, aside = part.subplots(1, 3, sharey=True, width_ratios=(1, 1, 1.3))
    _bars(host, table["memmap_idle_bytes"], shades)
    host.set(title="memmap of the host, idle", xlabel="MiB")
    _draw_lent(lent, per_gib, shades)
    lent.set(title="memmap of lent memory", xlabel="MiB per GiB lent")
    _draw_aside(aside, table, shades)
    style.draw_variant_rows(host, labels, rows)
    for ax in (lent, aside):
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=False)
    _draw_legend(part, requests)


def _draw_lent(ax: Axes, per_gib: pd.DataFrame, shades: list[str]) -> None:
    """Draw a bar for each request: the smallest on top and filled, the others outlined."""
    height = _HEIGHT / len(per_gib.columns)
    for number, size in enumerate(per_gib.columns):
        values = per_gib[size].astype(float) / MIB
        places = [place - _HEIGHT / 2 + height * (number + 0.5) for place in range(len(values))]
        ax.barh(
            places,
            values.fillna(0),
            height=height * 0.8,
            facecolor=shades if number == 0 else "white",
            edgecolor=shades,
            linewidth=0.8,
        )
        for place, value in zip(places, values, strict=True):
            if pd.isna(value):
                style.note(ax, place, "never lent")
            else:
                _write(ax, place, value, fontsize=7)
    _room_for_text(ax, per_gib.max().max() / MIB)


def _draw_aside(ax: Axes, table: pd.DataFrame, shades: list[str]) -> None:
    left = pd.Series(0.0, table.index)
    for name, look in _ASIDE.items():
        values = table[name].astype(float).fillna(0) / MIB
        ax.barh(
            range(len(table)),
            values,
            left=left,
            height=_HEIGHT,
            facecolor=shades if look == _FILLED else "white",
            edgecolor=shades,
            hatch=look,
            linewidth=0.8,
        )
        left += values
    for place, value in enumerate(left):
        _write(ax, place, value)
    _room_for_text(ax, left.max())
    ax.set(title="set aside while idle", xlabel="MiB")


def _draw_legend(part: SubFigure, requests: list[int]) -> None:
    looks = {"stranded": _FILLED, "CMA area": "////", "ZONE_MOVABLE": "xxx"}
    handles = [
        Patch(
            facecolor=style.MUTED if number == 0 else "white",
            edgecolor=style.MUTED,
            label=f"lent: {style.request_label(size)}",
        )
        for number, size in enumerate(requests)
    ]
    handles += [
        Patch(
            facecolor=style.MUTED if hatch == _FILLED else "white",
            edgecolor=style.MUTED,
            hatch=hatch,
            label=f"set aside: {name}",
        )
        for name, hatch in looks.items()
    ]
    part.legend(handles=handles, loc="outside upper right", ncols=len(handles))


def _bars(ax: Axes, sizes_bytes: "pd.Series[float]", shades: list[str]) -> None:
    values = sizes_bytes.astype(float) / MIB
    ax.barh(range(len(values)), values.fillna(0), height=_HEIGHT, color=shades)
    for place, value in enumerate(values):
        if pd.isna(value):
            style.note(ax, place, "not measured")
        else:
            _write(ax, place, value)
    _room_for_text(ax, values.max())


def _write(ax: Axes, place: float, value: float, fontsize: float = 8) -> None:
    ax.annotate(
        f"{value:.3g}" if value < 1000 else f"{value:.0f}",
        (value, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=fontsize,
    )


def _room_for_text(ax: Axes, most: float) -> None:
    ax.set_xlim(0, (most if most > 0 else 1) * 1.22)
