# SPDX-License-Identifier: GPL-2.0-only
"""Figure: how what is granted and what it costs go from cycle to cycle."""

from collections.abc import Sequence
from typing import cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB
from carveout.drawing import style
from carveout.drawing.doses import DOSES, SHORT, at_doses
from carveout.drawing.layout import Part, stacked
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

COLUMNS = {
    "trials": (
        *(*COMPARABLE, *VARIANT, "trial_id", "load", "requests", "question", "cycle"),
        *DOSES,
        *("request_bytes", "outcome", "granted_bytes", "lent_bytes", "lend_ns"),
    )
}
# Blue is what was asked for; blue is cheaper than in the first cycle, red is dearer.
_GRANTED, _TIME = "YlGnBu", "RdBu_r"
_MOST_TIMES = 4.0
_SHORT_SIGN = "<"
# What the title and the legend of a quantity take.
_HEAD_ROWS = 2.0
# Cells that are this wide have room for their number, and those that dark want a light one.
_NUMBERS_EM = 2.2
_DARK = 0.55
# Both ends of the other scale are dark, from this far off its middle on.
_FAR = 0.3
Row = tuple[str, str]
_Panel = tuple[str, str]


def draw(trials: pd.DataFrame, labels: Labels) -> Figure:
    """Draw two cells for each variant, load and cycle: what was granted, and what a GiB took."""
    cycles = at_doses(trials[trials["question"] == "cycles"])
    if cycles.empty:
        raise CarveoutError(
            "wanted trials that lend the same again and again for the figure cycles, found none; "
            "ask for some with question: cycles in the key requests of the config"
        )
    return stacked(
        cycles,
        lambda rows: Part(
            rows=_lines(rows) * (len(labels.variants(rows)) + 2.0) + 2 * _HEAD_ROWS,
            draw=lambda part: _draw_machine(part, rows, labels),
            notes=[*style.caveats(labels, labels.variants(rows)), *_notes(rows)],
        ),
    )


def _panels(cycles: pd.DataFrame) -> list[_Panel]:
    """Return the lists of requests and the loads, each a panel."""
    pairs = cycles[["requests", "load"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(pairs, key=lambda pair: (pair[0], pair[1] != "idle", pair[1]))


def _notes(cycles: pd.DataFrame) -> list[str]:
    meaning = f"{_SHORT_SIGN} {SHORT}: to how much of it it came, the median"
    return [meaning] if cycles["short"].any() else []


def _columns(cycles: pd.DataFrame) -> int:
    return style.side_by_side(len(_panels(cycles)), 9)


def _lines(cycles: pd.DataFrame) -> int:
    return 2 * -(-len(_panels(cycles)) // _columns(cycles))


def shares(cycles: pd.DataFrame) -> pd.DataFrame:
    """Return by variant, requests, load and cycle the share granted, and the time of a GiB.

    The time is that of the trial's first cycle's, of which both are medians over trials.
    """
    key = [*VARIANT, "requests", "load"]
    per_gib = cycles["lend_ns"] / (cycles["lent_bytes"].where(cycles["lent_bytes"] > 0) / GIB)
    found = cycles.assign(
        share=(cycles["granted_bytes"] / cycles["request_bytes"]).astype(float),
        ns_per_gib=per_gib.astype("Float64"),
    )
    groups = found.groupby([*key, "cycle"])
    result = pd.DataFrame(
        {"share": groups["share"].mean(), "ns_per_gib": groups["ns_per_gib"].median()}
    )
    first = result["ns_per_gib"].groupby(level=key).transform("first")
    return result.assign(times=(result["ns_per_gib"] / first).astype(float))


def _draw_machine(part: SubFigure, cycles: pd.DataFrame, labels: Labels) -> None:
    rows, panels = labels.variants(cycles), _panels(cycles)
    found = shares(cycles)
    columns = _columns(cycles)
    halves = part.subfigures(2, 1, squeeze=False)[:, 0]
    several = cycles["requests"].nunique() > 1
    for half, quantity in zip(halves, ("share", "times"), strict=True):
        grid = half.subplots(_lines(cycles) // 2, columns, sharey=True, squeeze=False)
        for place, ax in enumerate(grid.flat):
            if place >= len(panels):
                ax.set_visible(False)
                continue
            requests, load = panels[place]
            of_panel = found.xs(panels[place], level=["requests", "load"])[quantity]
            width_em = (style.width_em() - style.NAMES_EM) / columns
            _draw_cells(ax, of_panel, rows, width_em)
            _mark_short(ax, cycles, panels[place], rows)
            title = style.load_title(load, width_em)
            ax.set_title(f"{title}\n{requests}" if several else title, fontweight="normal")
            style.draw_variant_rows(ax, labels, rows)
            ax.tick_params(labelleft=place % columns == 0)
        half.supxlabel("cycle", fontsize="medium")
        _draw_legend(half, quantity)


def _draw_cells(
    ax: Axes, of_panel: "pd.Series[float]", rows: Sequence[Row], room_em: float
) -> None:
    """Draw a cell for each variant and cycle, with its number where it has room for one."""
    quantity = str(of_panel.name)
    numbers = sorted({cycle for *_, cycle in of_panel.index})
    index = pd.MultiIndex.from_tuples([(*row, cycle) for row in rows for cycle in numbers])
    values = of_panel.reindex(index).to_numpy(float).reshape(len(rows), len(numbers))
    colors, norm = _scale(quantity)
    ax.imshow(
        np.ma.masked_invalid(values), cmap=colors, norm=norm, aspect="auto", interpolation="none"
    )
    ax.grid(visible=False)
    step = max(1, len(numbers) // 8)
    ax.set_xticks(range(0, len(numbers), step), [str(number) for number in numbers[::step]])
    if room_em / len(numbers) < _NUMBERS_EM:
        return
    for (y, x), value in np.ndenumerate(values):
        if not np.isnan(value):
            shade = float(np.asarray(norm(value)))
            is_dark = shade > _DARK if quantity == "share" else abs(shade - 0.5) > _FAR
            text = f"{value * 100:.0f}" if quantity == "share" else f"{value:.2g}"
            ax.text(
                x, y, text, ha="center", va="center", fontsize="x-small",
                color="white" if is_dark else style.INK,
            )  # fmt: skip


def _mark_short(ax: Axes, cycles: pd.DataFrame, panel: _Panel, rows: Sequence[Row]) -> None:
    """Write behind rows whose load came to less than it was to, to how much it came."""
    requests, load = panel
    of_panel = cycles[(cycles["requests"] == requests) & (cycles["load"] == load)]
    short = of_panel[of_panel["short"]].groupby(VARIANT)["dose"].median()
    for row, dose in short.items():
        ax.annotate(
            f"{_SHORT_SIGN} {dose:.0f} %",
            (1, rows.index(cast("Row", row))),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=style.MUTED,
        )


def _scale(quantity: str) -> tuple[str, Normalize]:
    if quantity == "share":
        return _GRANTED, Normalize(0, 1)
    return _TIME, LogNorm(1 / _MOST_TIMES, _MOST_TIMES, clip=True)


def _draw_legend(part: SubFigure, quantity: str) -> None:
    colors, norm = _scale(quantity)
    names = (
        {0.0: "0", 0.5: "50", 1.0: "100 %"}
        if quantity == "share"
        else {1 / _MOST_TIMES: "a quarter or less", 1.0: "as much", _MOST_TIMES: "4 times or more"}
    )
    handles = [
        Patch(facecolor=mpl.colormaps[colors](norm(value)), edgecolor=style.MUTED, label=name)
        for value, name in names.items()
    ]
    titles = {
        "share": "granted, of what was asked for, %",
        "times": "time of a GiB lent, of that of the first cycle",
    }
    part.legend(
        handles=handles, title=titles[quantity], title_fontproperties={"weight": "bold"},
        alignment="left", loc="outside upper left", ncols=3,
    )  # fmt: skip
