# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each kernel makes of each variant, side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB
from carveout.drawing import style
from carveout.drawing.layout import Part, compose
from carveout.study.geometry import granule_label
from carveout.wording.labels import VARIANT, Labels, version_label
from carveout.wording.quantities import bytes_label

COLUMNS = {"kernels": None}
# By column: the panel's title, what its numbers are divided by, and whether its scale is of times.
_PANELS = {
    "memmap_host_bytes": ("memmap paid\nby host, MiB", MIB, False),
    "granted_most_bytes": ("granted at\nbest, MiB", MIB, False),
    "half_dose_least": ("half of it up\nto dose, %", 1, False),
    "lend_ns_per_gib_p50": ("time of a\nGiB lent", 1, True),
}
_LEAST_KERNELS = 2


def draw(kernels: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a mark for each kernel in the row of each variant, a part for each RAM and granule."""
    names = list(dict.fromkeys(kernels["kernel"]))
    if len(names) < _LEAST_KERNELS:
        raise CarveoutError(
            f"wanted several kernels for the figure kernels, found {', '.join(names) or 'none'}; "
            "name more in the key kernels of the config"
        )
    looks = {
        name: (style.PALETTE[place % len(style.PALETTE)], style.MARKERS[place % len(style.MARKERS)])
        for place, name in enumerate(names)
    }
    machines = {
        f"{bytes_label(ram_bytes)} RAM, {granule_label(granule)}": rows
        for (ram_bytes, granule), rows in cast(
            "Iterable[tuple[tuple[int, str], pd.DataFrame]]",
            kernels.groupby(["ram_bytes", "granule"]),
        )
        if rows["kernel"].nunique() >= _LEAST_KERNELS and rows["available"].any()
    }
    return compose({label: _part(rows, labels, looks) for label, rows in machines.items()})


def _part(kernels: pd.DataFrame, labels: Labels, looks: Mapping[str, tuple[str, str]]) -> Part:
    rows = labels.variants(_available(kernels))
    return Part(
        rows=-(-len(_PANELS) // _columns()) * (len(rows) + 2.0),
        draw=lambda part: _draw_machine(part, kernels, labels, looks),
        legend=[
            *(
                Line2D(
                    [], [], linestyle="", color=color, marker=marker, markersize=5,
                    label=_label(kernels, name),
                )
                for name, (color, marker) in looks.items()
                if name in set(kernels["kernel"])
            ),
            Line2D([], [], linestyle="", color=style.MUTED, marker="|", label="not available"),
        ],
        entry_em=26,
        notes=style.caveats(labels, rows),
    )  # fmt: skip


def _columns() -> int:
    return style.side_by_side(len(_PANELS), 8.5)


def _available(kernels: pd.DataFrame) -> pd.DataFrame:
    return kernels[kernels["available"].astype(bool)]


def _draw_machine(
    part: SubFigure,
    kernels: pd.DataFrame,
    labels: Labels,
    looks: Mapping[str, tuple[str, str]],
) -> None:
    rows = labels.variants(_available(kernels))
    present = [name for name in looks if name in set(kernels["kernel"])]
    columns = _columns()
    grid = part.subplots(-(-len(_PANELS) // columns), columns, sharey=True, squeeze=False)
    for place, (ax, (column, (title, unit, is_time))) in enumerate(
        zip(grid.flat, _PANELS.items(), strict=True)
    ):
        for shift, name in zip(_shifts(len(present)), present, strict=True):
            of_kernel = kernels[kernels["kernel"] == name].set_index(VARIANT)
            _draw_missing(ax, of_kernel, rows, shift, looks[name][0])
            values = of_kernel[column].reindex(pd.MultiIndex.from_tuples(rows)).astype(float)
            color, marker = looks[name]
            places = [row + shift for row in range(len(rows))]
            ax.scatter(values / unit, places, s=16, marker=marker, color=color, linewidths=0)
        ax.set_title(title, fontsize="small")
        if is_time:
            times = kernels[column].dropna().astype(float)
            limits = (times.min() / 2, times.max() * 2) if len(times) else (1e3, 1e9)
            style.log_times(ax, *limits, labels=2)
        else:
            ax.set_xlim(left=0)
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=place % columns == 0, axis="y")


def _label(kernels: pd.DataFrame, name: str) -> str:
    first = kernels[kernels["kernel"] == name].iloc[0]
    pages = kernels.loc[kernels["kernel"] == name, "page_bytes"].dropna()
    size = f", {bytes_label(int(pages.iloc[0]))} pages" if len(pages) else ""
    version = version_label(str(first["kernel_version"]), str(first["kernel_pinned"]))
    return f"{name} ({version}){size}"


def _shifts(count: int) -> list[float]:
    """Return where in its row each kernel is drawn."""
    return [0.6 * (number - (count - 1) / 2) / max(count - 1, 1) for number in range(count)]


def _draw_missing(
    ax: Axes, of_kernel: pd.DataFrame, rows: Sequence[tuple[str, str]], shift: float, color: str
) -> None:
    """Draw a stroke at the left edge for what a kernel cannot run."""
    for place, row in enumerate(rows):
        if row not in of_kernel.index or not of_kernel.loc[row, "available"]:
            ax.plot(
                [0], [place + shift], transform=ax.get_yaxis_transform(), marker="|",
                markersize=4, color=color, clip_on=False,
            )  # fmt: skip
