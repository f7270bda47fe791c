# SPDX-License-Identifier: GPL-2.0-only
"""Figure: which variants qualify for which need, and which of them does best."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch, Rectangle

from carveout.drawing import style
from carveout.drawing.layout import Part, stacked
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

COLUMNS = {
    "needs": (
        *(*COMPARABLE, *VARIANT, "need", "qualifies", "why_not", "rank", "best", "measure_name"),
    )
}
# By what is written in a cell: its colour and what it means. Lightness falls from no to best.
_BEST, _YES, _UNKNOWN, _NO, _AWAY = "best", "qualifies", "unknown", "no", "away"
_LOOKS = {
    _BEST: ("#08306B", "the best, or within 5 % of it"),
    _YES: ("#9ECAE1", "qualifies; its rank, if it has one"),
    _UNKNOWN: ("#F2F2F2", "? cannot be told here"),
    _NO: ("#FFFFFF", "– does not qualify"),
    _AWAY: ("#FFFFFF", "n/a: not available here"),
}


_INKS = {_BEST: "white", _AWAY: style.MUTED}
# How parts of a need's name are written.
_SPELLED = {"vms": "VMs", "gib": "GiB", "iommu": "IOMMU"}


def draw(needs: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a cell for each variant and need: whether it qualifies, and its rank if it does."""
    return stacked(
        needs,
        lambda rows: Part(
            rows=len(labels.variants(rows)) + 1.8,
            draw=lambda part: _draw_machine(part, rows, labels),
            legend=[
                Patch(facecolor=color, edgecolor=style.MUTED, linewidth=0.6, label=meaning)
                for color, meaning in _LOOKS.values()
            ],
            entry_em=20,
            notes=style.caveats(labels, labels.variants(rows)),
        ),
    )


def _draw_machine(part: SubFigure, needs: pd.DataFrame, labels: Labels) -> None:
    rows = labels.variants(needs)
    names = list(dict.fromkeys(needs["need"]))
    ax = part.subplots()
    cells = {
        (cell["need"], cell["strategy"], cell["variant"]): cell for cell in needs.to_dict("records")
    }
    for x, need in enumerate(names):
        for y, row in enumerate(rows):
            if (need, *row) in cells:
                _draw_cell(ax, x, y, cells[need, *row])
    style.draw_variant_rows(ax, labels, rows)
    width_em = (style.width_em() - style.NAMES_EM - 2) / len(names)
    ax.set(xlim=(-0.5, len(names) - 0.5))
    ax.set_xticks(range(len(names)), [_title(name, width_em) for name in names])
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.grid(visible=False)


def _title(need: str, width_em: float) -> str:
    words = [_SPELLED.get(word, word) for word in need.split("_")]
    return style.wrapped(" ".join(words), width_em)


def _draw_cell(ax: Axes, x: int, y: int, cell: Mapping[Hashable, Any]) -> None:
    kind = _kind(cell)
    color, _ = _LOOKS[kind]
    ax.add_patch(
        Rectangle(
            (x - 0.46, y - 0.42), 0.92, 0.84, facecolor=color, edgecolor=style.FAINT, linewidth=0.6
        )
    )
    rank = cell["rank"]
    text = {_NO: "–", _AWAY: "n/a", _UNKNOWN: "?"}.get(kind, "" if pd.isna(rank) else f"{rank}")
    ax.text(
        x, y, text, ha="center", va="center", color=_INKS.get(kind, style.INK),
        fontweight="bold" if kind == _BEST else "normal",
    )  # fmt: skip


def _kind(cell: Mapping[Hashable, Any]) -> str:
    if pd.isna(cell["qualifies"]):
        return _UNKNOWN
    if not cell["qualifies"]:
        return _AWAY if str(cell["why_not"]).startswith("not available") else _NO
    return _BEST if cell["best"] else _YES
