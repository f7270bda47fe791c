# SPDX-License-Identifier: GPL-2.0-only
"""Figure: the memmap of idle hosts against their RAM, counted, and beside it computed."""

import re
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB, MIB
from carveout.drawing import style
from carveout.drawing.layout import Part, compose
from carveout.study.geometry import memmap_of
from carveout.tables.schema import KERNEL_COLUMNS
from carveout.wording.labels import VARIANT, Labels, version_label
from carveout.wording.quantities import bytes_label

_KERNEL = list(KERNEL_COLUMNS)
_COLUMNS = (*_KERNEL, *VARIANT, "ram_bytes", "page_bytes", "request_bytes", "memmap_bytes")
COLUMNS = {"phases": _COLUMNS}
_HOST = [*_KERNEL, *VARIANT, "page_bytes", "ram_bytes"]
_DASHED = (0, (4, 3))
_PANEL_ROWS = 10.0


def draw(phases: pd.DataFrame, labels: Labels) -> Figure:
    """Draw what was counted over what the geometry says, and by how much the two differ."""
    counted = phases[phases["request_bytes"].isna()]
    if counted.empty:
        raise CarveoutError(
            "wanted hosts that are only counted for the figure memmap_by_ram, found none; ask for "
            "some with question: census in the key requests of the config"
        )
    hosts = counted.groupby(_HOST, sort=False)["memmap_bytes"].median().reset_index()
    sizes = hosts[["ram_bytes", "page_bytes"]].itertuples(index=False, name=None)
    hosts["computed_bytes"] = [memmap_of(*host) for host in sizes]
    hosts["line"] = [_label(host, hosts, labels) for host in hosts.to_dict("records")]
    lines = list(dict.fromkeys(hosts["line"]))
    beside = style.side_by_side(2, 22, names_em=6) == 2
    heights = (_PANEL_ROWS, len(lines) + 2.5)
    part = Part(
        rows=max(heights) if beside else sum(heights),
        draw=lambda part: _draw_panels(part, hosts, lines, heights, beside=beside),
        legend=[
            Line2D([], [], color=style.MUTED, linewidth=0.8, linestyle=_DASHED, label="computed"),
            *(_mark(line, place, len(lines)) for place, line in enumerate(lines)),
        ],
        entry_em=26,
    )
    return compose({"": part})


def _mark(line: str, place: int, count: int) -> Line2D:
    """Return how a kernel is marked: those of the same memmap stand within each other."""
    return Line2D(
        [], [], linestyle="none", marker=style.MARKERS[place % len(style.MARKERS)], label=line,
        markersize=3.5 + min(1.8, 12 / count) * (count - 1 - place), markerfacecolor="none",
        markeredgecolor=style.PALETTE[place % len(style.PALETTE)],
    )  # fmt: skip


def _draw_panels(
    part: SubFigure,
    hosts: pd.DataFrame,
    lines: Sequence[str],
    heights: tuple[float, float],
    *,
    beside: bool,
) -> None:
    if beside:
        against, differences = part.subplots(1, 2, width_ratios=(1, 1.1))
    else:
        against, differences = part.subplots(2, 1, height_ratios=heights)
    _draw_against_ram(against, hosts, lines)
    _draw_differences(differences, hosts, lines)


def _label(host: Mapping[Hashable, object], hosts: pd.DataFrame, labels: Labels) -> str:
    """Return what one host is called: its kernel, and its strategy where there are several."""
    version = version_label(str(host["kernel_version"]), str(host["kernel_pinned"]))
    name = f"{host['kernel']} ({version})"
    if len(hosts[VARIANT].drop_duplicates()) == 1:
        return name
    return f"{name}, {labels.variant(str(host['strategy']), str(host['variant']))}"


def _draw_against_ram(ax: Axes, hosts: pd.DataFrame, lines: Sequence[str]) -> None:
    ram_gib = sorted(hosts["ram_bytes"].unique() / GIB)
    for page_bytes in sorted(hosts["page_bytes"].unique()):
        of_pages = hosts[hosts["page_bytes"] == page_bytes]
        computed = of_pages.drop_duplicates("ram_bytes").sort_values("ram_bytes")
        ax.plot(
            computed["ram_bytes"] / GIB,
            computed["computed_bytes"] / MIB,
            color=style.MUTED,
            linewidth=0.8,
            linestyle=_DASHED,
            zorder=1,
        )
        last = computed.iloc[-1]
        ax.annotate(
            f"{bytes_label(page_bytes)} pages",
            (last["ram_bytes"] / GIB, last["computed_bytes"] / MIB),
            xytext=(11, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    for place, line in enumerate(lines):
        of_line = hosts[hosts["line"] == line]
        mark = _mark(line, place, len(lines))
        mark.set_data(of_line["ram_bytes"] / GIB, of_line["memmap_bytes"].astype(float) / MIB)
        ax.add_line(mark)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=4)
    ax.set(xlabel="RAM, GiB", ylabel="memmap, MiB", title="counted")
    ax.xaxis.set_major_locator(FixedLocator(ram_gib))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlim(ram_gib[0] * 0.75, ram_gib[-1] * 3)
    ax.grid(visible=True, axis="both")


def _draw_differences(ax: Axes, hosts: pd.DataFrame, lines: Sequence[str]) -> None:
    """Write by how much what was counted differs from what is computed: for most, not at all."""
    rams = sorted(hosts["ram_bytes"].unique())
    for _, host in hosts.iterrows():
        difference = host["memmap_bytes"] - host["computed_bytes"]
        ax.annotate(
            f"{difference / MIB:+.2g}" if difference else "0",
            (rams.index(host["ram_bytes"]), lines.index(host["line"])),
            ha="center",
            va="center",
            fontsize="small",
            color=style.WRONG if difference else style.INK,
            fontweight="bold" if difference else "normal",
        )
    ax.set_xticks(range(len(rams)), [f"{ram / GIB:g}" for ram in rams])
    ax.set_yticks(
        range(len(lines)), [style.wrapped(re.sub(r" \(.*?\)", "", line), 10) for line in lines]
    )
    ax.set(
        xlim=(-0.6, len(rams) - 0.4),
        ylim=(len(lines) - 0.5, -0.5),
        xlabel="RAM, GiB",
        title="counted less computed, MiB",
    )
    ax.grid(visible=False)
