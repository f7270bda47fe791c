# SPDX-License-Identifier: GPL-2.0-only
"""Figure: which variants qualify for which need, and which of them does best."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch, Rectangle

from carveout.drawing import style
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

COLUMNS = {"needs": (*COMPARABLE, *VARIANT, "need", "qualifies", "rank", "best", "measure_name")}
# By what is written in a cell: its colour and what it means. Lightness falls from no to best.
_BEST, _YES, _UNKNOWN, _NO = "best", "qualifies", "unknown", "no"
_LOOKS = {
    _BEST: ("#08306B", "the best, or not told apart from it"),
    _YES: ("#9ECAE1", "qualifies; its rank, if it has one"),
    _UNKNOWN: ("#F2F2F2", "? cannot be told here"),
    _NO: ("#FFFFFF", "– does not qualify"),
}


def draw(needs: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a cell for each variant and need: whether it qualifies, and its rank if it does."""
    return style.stacked(
        needs,
        lambda rows: _rows(rows, labels),
        lambda part, rows: _draw_machine(part, rows, labels),
    )


def _columns() -> int:
    return max(1, int(style.width_em() // 20))


def _rows(needs: pd.DataFrame, labels: Labels) -> float:
    rows = labels.variants(needs)
    legend = -(-len(_LOOKS) // _columns()) * 0.65
    return len(rows) + legend + 2.6 + style.footnote_rows(style.caveats(labels, rows))


def _draw_machine(part: SubFigure, needs: pd.DataFrame, labels: Labels) -> None:
    rows = labels.variants(needs)
    names = list(dict.fromkeys(needs["need"]))
    ax = part.subplots()
    cells = needs.set_index(["need", *VARIANT])
    for x, need in enumerate(names):
        for y, row in enumerate(rows):
            if (need, *row) in cells.index:
                _draw_cell(ax, x, y, cells.loc[(need, *row)])
    style.draw_variant_rows(ax, labels, rows)
    width_em = (style.width_em() - style.NAMES_EM - 2) / len(names)
    ax.set(xlim=(-0.5, len(names) - 0.5))
    ax.set_xticks(range(len(names)), [_title(name, width_em) for name in names])
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.grid(visible=False)
    handles = [
        Patch(facecolor=color, edgecolor=style.MUTED, linewidth=0.6, label=meaning)
        for color, meaning in _LOOKS.values()
    ]
    part.legend(handles=handles, loc="outside upper left", ncols=_columns(), labelspacing=0.25)
    style.footnotes(part, style.caveats(labels, rows))


def _title(need: str, width_em: float) -> str:
    return style.wrapped(need.replace("_", " "), width_em)


def _draw_cell(ax: Axes, x: int, y: int, cell: "pd.Series[object]") -> None:
    kind = _kind(cell["qualifies"], cell["best"])
    color, _ = _LOOKS[kind]
    ax.add_patch(
        Rectangle(
            (x - 0.46, y - 0.42), 0.92, 0.84, facecolor=color, edgecolor=style.FAINT, linewidth=0.6
        )
    )
    rank = cell["rank"]
    text = {_NO: "–", _UNKNOWN: "?"}.get(kind, "" if pd.isna(rank) else f"{rank}")
    ax.text(
        x, y, text, ha="center", va="center", color="white" if kind == _BEST else style.INK,
        fontweight="bold" if kind == _BEST else "normal",
    )  # fmt: skip


def _kind(qualifies: object, best: object) -> str:
    if pd.isna(qualifies):  # type: ignore[call-overload]
        return _UNKNOWN
    if not qualifies:
        return _NO
    return _BEST if best else _YES
