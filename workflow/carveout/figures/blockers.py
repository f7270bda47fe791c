# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what was in the way of lends that ended short."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from carveout.drawing import multiples, style
from carveout.drawing.layout import Part, stacked
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

COLUMNS = {"blockers": (*COMPARABLE, *VARIANT, "load", "in_the_way", "shorts")}
NOTHING = "No lend ended short: nothing was in the way of any."
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oo", "||||", "**")
# More kinds than this cannot be told apart: the rarest are one, which names a few.
_MOST_KINDS = len(_HATCHES)
_OTHER = "others"
_FEW = 3
# Of which lends a bar is.
_BAR = [*COMPARABLE, *VARIANT, "load"]


def draw(blockers: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a bar of all lends that ended short for each variant and load, by what stopped them."""
    if blockers.empty:
        return style.sentence(NOTHING)
    looks = _looks(blockers)
    is_named = blockers["in_the_way"].isin(list(looks))
    kinds = blockers["in_the_way"].where(is_named, _OTHER)
    rare = sorted(blockers["in_the_way"][~is_named].unique())
    words = {_OTHER: ", ".join(rare)} if len(rare) <= _FEW else {}
    return stacked(
        blockers.assign(in_the_way=kinds),
        lambda rows: Part(
            rows=-(-len(multiples.loads_in(rows)) // _columns(rows))
            * (len(labels.variants(rows)) + 1.6)
            + 0.7,
            draw=lambda part: _draw_machine(part, rows, labels, looks),
            legend=[
                Patch(
                    facecolor=color, hatch=hatch, edgecolor="white", linewidth=0,
                    label=words.get(kind, kind).replace("_", " "),
                )
                for kind, (color, hatch) in looks.items()
            ],
            notes=style.caveats(labels, labels.variants(rows)),
        ),
    )  # fmt: skip


def _looks(blockers: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return the colour and hatch of each kind, the most frequent first.

    Where they are too many, those that alone are a bar are kept before others.
    """
    counts = blockers.groupby("in_the_way")["shorts"].sum()
    of_bar = blockers.groupby(_BAR)["in_the_way"]
    alone = set(blockers["in_the_way"][of_bar.transform("nunique") == 1])
    order = counts.sort_values(ascending=False, kind="stable")
    kinds = [str(kind) for kind in order.index]
    if len(kinds) > _MOST_KINDS:
        first = sorted(kinds, key=lambda kind: kind not in alone)[: _MOST_KINDS - 1]
        kinds = [*(kind for kind in kinds if kind in first), _OTHER]
    return {kind: (style.PALETTE[place], _HATCHES[place]) for place, kind in enumerate(kinds)}


def _columns(blockers: pd.DataFrame) -> int:
    return style.side_by_side(len(multiples.loads_in(blockers)), 10)


def _draw_machine(
    part: SubFigure,
    blockers: pd.DataFrame,
    labels: Labels,
    looks: Mapping[str, tuple[str, str]],
) -> None:
    rows, loads = labels.variants(blockers), multiples.loads_in(blockers)
    columns = _columns(blockers)
    grid = part.subplots(
        -(-len(loads) // columns), columns, sharex=True, sharey=True, squeeze=False
    )
    for place, ax in enumerate(grid.flat):
        if place >= len(loads):
            ax.set_visible(False)
            continue
        _draw_bars(ax, blockers[blockers["load"] == loads[place]], rows, looks)
        width_em = (style.width_em() - style.NAMES_EM) / columns
        ax.set_title(style.load_title(loads[place], width_em))
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=place % columns == 0, labelbottom=True)
    part.supxlabel("lends that ended short", fontsize="medium")


def _draw_bars(
    ax: Axes,
    blockers: pd.DataFrame,
    rows: Sequence[tuple[str, str]],
    looks: Mapping[str, tuple[str, str]],
) -> None:
    counts = blockers.pivot_table("shorts", VARIANT, "in_the_way", "sum", fill_value=0)
    counts = counts.reindex(pd.MultiIndex.from_tuples(rows), fill_value=0).astype(float)
    left = pd.Series(0.0, counts.index)
    for kind, (color, hatch) in looks.items():
        if kind in counts:
            ax.barh(
                range(len(rows)), counts[kind], left=left, height=0.7, facecolor=color, hatch=hatch,
                edgecolor="white", linewidth=0,
            )  # fmt: skip
            left += counts[kind]
    for place, total in enumerate(left):
        if total:
            ax.annotate(
                f"{total:.0f}", (total, place), xytext=(2, 0), textcoords="offset points",
                va="center", fontsize="small",
            )  # fmt: skip
    ax.margins(x=0.18)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
