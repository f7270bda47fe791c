# SPDX-License-Identifier: GPL-2.0-only
"""Figure: the host's physical memory through one trial, pageblock by pageblock."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB
from carveout.drawing import style
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import Labels, comparable_parts
from carveout.wording.quantities import bytes_label

_COLUMNS = (
    *(*COMPARABLE, "trial_id", "strategy", "variant", "scenario", "dose_target", "seed", "cycle"),
    *("phase", "first_pfn", "page_bytes", "pageblock_bytes", "pageblocks"),
)
COLUMNS = {"phases": _COLUMNS}
# Letter: name and colour. Lightness falls from absent to lent, so that grey prints are legible too.
_CLASSES = {
    "A": ("absent (no memmap)", "#FFFFFF"),
    "F": ("free", "#E9F0D8"),
    "M": ("movable", "#A9D3F0"),
    "C": ("CMA", "#E3A72F"),
    "R": ("reclaimable", "#3A9E85"),
    "U": ("unmovable", "#C23B22"),
    "X": ("reserved", "#5A3A6E"),
    "D": ("device memory", "#D8D8D8"),
    "P": ("partly lent", "#5F6B7A"),
    "L": ("lent", "#08121F"),
}
# By phase. Of the first cycle alone there may be a census from before the load.
_UNLOADED = "unloaded"
_PANEL_TITLES = {
    _UNLOADED: "before the load",
    "before": "loaded",
    "lent": "lent",
    "after": "given back",
}


def draw(phases: pd.DataFrame, labels: Labels) -> Figure:
    """Draw the pageblock maps of one trial's cycle, and before its load where that was counted.

    Args:
        phases: the censuses of one trial and cycle; of several hosts, the first is drawn.
        labels: how the strategy is called.
    """
    if len(phases[["trial_id", "cycle"]].drop_duplicates()) > 1:
        raise CarveoutError(
            "wanted one trial and cycle for the figure pageblock_map, found several; name one in "
            "figures.pageblock_map of the config"
        )
    first = phases.iloc[0]
    of_first = (phases["trial_id"] == first["trial_id"]) & (phases["kernel"] == first["kernel"])
    phases = phases[of_first]
    pageblock_bytes = int(first["pageblock_bytes"])
    maps = dict(zip(phases["phase"], phases["pageblocks"], strict=True))
    # A section with 4K pages; where pageblocks are larger there are few of them.
    pageblocks = max(map(len, maps.values()))
    per_row = 64 if pageblocks >= 256 else min(16, pageblocks)
    grid_rows = max(-(-len(text) // per_row) for text in maps.values())
    figure = style.new_figure(6.5 + min(max(grid_rows, 16), 128) * 0.3)
    shown = [phase for phase in _PANEL_TITLES if phase in maps or phase != _UNLOADED]
    axes = figure.subplots(1, len(shown), sharey=True)
    for ax, phase in zip(axes, shown, strict=True):
        _draw_map(ax, maps.get(phase), per_row, grid_rows)
        ax.set_title(
            style.wrapped(_PANEL_TITLES[phase], (style.width_em() - 6) / len(shown), bold=True)
        )
    start_bytes = int(first["first_pfn"]) * int(first["page_bytes"])
    _draw_addresses(axes[0], start_bytes, pageblock_bytes, per_row, grid_rows)
    figure.suptitle(_title(first, labels), x=0.01, ha="left")
    _draw_legend(figure, maps, pageblock_bytes)
    return figure


def _draw_map(ax: Axes, text: str | None, per_row: int, grid_rows: int) -> None:
    ax.grid(visible=False)
    ax.set(xticks=[], xlim=(-0.5, per_row - 0.5), ylim=(grid_rows - 0.5, -0.5))
    if text is None:
        style.note(ax, grid_rows / 2, "the trial ended before this census")
        return
    letters = list(_CLASSES)
    numbers = np.full(grid_rows * per_row, letters.index("A"))
    numbers[: len(text)] = [letters.index(letter) for letter in text]
    ax.imshow(
        numbers.reshape(grid_rows, per_row),
        cmap=ListedColormap([color for _, color in _CLASSES.values()]),
        vmin=-0.5,
        vmax=len(letters) - 0.5,
        interpolation="none",
        aspect="auto",
    )
    for spine in ax.spines.values():
        spine.set_visible(True)


def _draw_addresses(
    ax: Axes, start_bytes: int, pageblock_bytes: int, per_row: int, grid_rows: int
) -> None:
    """Label the rows with their physical addresses, at whole GiB."""
    row_bytes = per_row * pageblock_bytes
    rows_per_gib = max(1, GIB // row_bytes)
    step = max(rows_per_gib, grid_rows // 8 // rows_per_gib * rows_per_gib)
    places = list(range(0, grid_rows, step))
    ax.set_yticks(
        [place - 0.5 for place in places],
        [bytes_label(start_bytes + place * row_bytes) for place in places],
    )
    ax.tick_params(axis="y", length=3)
    ax.set_ylabel(f"physical address;\na row is {bytes_label(row_bytes)}")


def _title(first: "pd.Series[Any]", labels: Labels) -> str:
    variant = labels.variant(str(first["strategy"]), str(first["variant"]))
    dose = f"dose {first['dose_target']:g} %"
    trial = f"{first['scenario']}, {dose}, seed {first['seed']}, cycle {first['cycle']}"
    ((machine, _),) = comparable_parts(first.to_frame().T)
    lines = (machine, f"{variant}: {trial}")
    return "\n".join(style.wrapped(line, style.width_em() - 2, bold=True) for line in lines)


def _draw_legend(figure: Figure, maps: dict[str, str], pageblock_bytes: int) -> None:
    """Explain the colours, with how much memory each class has in each panel."""
    handles = [
        Patch(
            facecolor=color,
            edgecolor=style.MUTED,
            linewidth=0.6,
            label=f"{letter}  {name}: {_amounts(letter, maps, pageblock_bytes)}",
        )
        for letter, (name, color) in _CLASSES.items()
        if any(letter in text for text in maps.values())
    ]
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=max(1, int(style.width_em() // (9 + 6 * len(maps)))),
    )


def _amounts(letter: str, maps: dict[str, str], pageblock_bytes: int) -> str:
    """Return a class's size in each panel, or once when it stays as it is."""
    sizes = [
        maps[phase].count(letter) * pageblock_bytes for phase in _PANEL_TITLES if phase in maps
    ]
    return " → ".join(bytes_label(size) for size in (sizes if len(set(sizes)) > 1 else sizes[:1]))
