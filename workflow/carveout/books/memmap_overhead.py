# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant costs in memmap, who pays for it, and what is set aside."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carveout.common.sizes import MIB
from carveout.drawing import style
from carveout.drawing.marks import Mark, draw_mark, notes
from carveout.study.geometry import memmap_of
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import Labels
from carveout.wording.quantities import bytes_label

COLUMNS = {"variants": None, "trials": (*COMPARABLE, "page_bytes")}

_FILLED, _OUTLINED = "", None
# Parts of a bar, from the left: how each looks, and what it is called. A filled one costs the host
# memory, a hatched one costs less than that, an outlined one nothing.
_PAYERS = {
    "host": (_FILLED, "paid by the host"),
    "self": ("////", "by the memory that it describes"),
    "nobody": (_OUTLINED, "by nobody"),
}
_ASIDE = {
    "stranded": (_FILLED, "stranded"),
    "cma_area": ("////", "CMA area"),
    "movable_zone": ("xxx", "ZONE_MOVABLE"),
}
_Looks = Mapping[str, str | None]
_IDLE: _Looks = {f"memmap_idle_{payer}_bytes": look for payer, (look, _) in _PAYERS.items()}
_LENT: _Looks = {f"memmap_{payer}_bytes": look for payer, (look, _) in _PAYERS.items()}
_ASIDE_LOOKS: _Looks = {f"{name}_bytes": look for name, (look, _) in _ASIDE.items()}
_PANELS: Mapping[str, _Looks] = {
    "memmap, idle": _IDLE,
    "memmap, while lent": _LENT,
    "set aside, idle": _ASIDE_LOOKS,
}
_HEIGHT = 0.62
_LEGEND_ROWS = 3.4


def draw(
    variants: pd.DataFrame, trials: pd.DataFrame, labels: Labels, marks: Sequence[Mark] = ()
) -> Figure:
    """Draw who pays for the memmap, while idle and while memory is lent, and what is set aside."""
    colors = style.strategy_colors(labels, variants)
    pages = trials.drop_duplicates(list(COMPARABLE)).set_index(list(COMPARABLE))["page_bytes"]
    return style.stacked(
        variants,
        lambda rows: _rows(rows, labels, marks),
        lambda part, rows: _draw_machine(
            part, rows, labels, colors, int(pages[tuple(rows[list(COMPARABLE)].iloc[0])]), marks
        ),
    )


def _columns() -> int:
    return style.side_by_side(len(_PANELS), 10)


def _notes(rows: pd.DataFrame, labels: Labels, marks: Sequence[Mark]) -> list[str]:
    variants = labels.variants(rows)
    about = [mark for mark in marks if any(mark.is_about(*row) for row in variants)]
    return [*style.caveats(labels, variants), *notes(about)]


def _rows(rows: pd.DataFrame, labels: Labels, marks: Sequence[Mark]) -> float:
    panels = -(-len(_PANELS) // _columns()) * (len(labels.variants(rows)) + 2.4)
    return panels + _LEGEND_ROWS + style.footnote_rows(_notes(rows, labels, marks))


def _draw_machine(
    part: SubFigure,
    variants: pd.DataFrame,
    labels: Labels,
    colors: Mapping[str, str],
    page_bytes: int,
    marks: Sequence[Mark],
) -> None:
    rows = labels.variants(variants)
    of_variants = variants.sort_values("request_bytes").groupby(["strategy", "variant"])
    # What a variant costs while idle is the same for all requests; of the others, the largest of
    # which anything was lent.
    table = of_variants.first().assign(**{name: of_variants[name].last() for name in _LENT})
    table = table.reindex(pd.MultiIndex.from_tuples(rows))
    shades = [colors[strategy] for strategy, _ in rows]
    computed_mib = memmap_of(int(variants["ram_bytes"].iloc[0]), page_bytes) / MIB
    grid = part.subplots(-(-len(_PANELS) // _columns()), _columns(), sharey=True, squeeze=False)
    for place, (ax, (title, looks)) in enumerate(zip(grid.flat, _PANELS.items(), strict=True)):
        _draw_bars(ax, table, looks, shades)
        ax.set(title=title, xlabel="MiB")
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=place % _columns() == 0)
        if looks is not _ASIDE_LOOKS:
            ax.axvline(computed_mib, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    about = [mark for mark in marks if any(mark.is_about(*row) for row in rows)]
    for place, mark in enumerate(about):
        _draw_mark(grid.flat[1], variants, rows, mark, place, page_bytes)
    _draw_legend(part, f"computed: 64 bytes a page of {bytes_label(page_bytes)}")
    style.footnotes(part, _notes(variants, labels, marks))


def _draw_mark(
    ax: Axes,
    variants: pd.DataFrame,
    rows: Sequence[tuple[str, str]],
    mark: Mark,
    place: int,
    page_bytes: int,
) -> None:
    """Mark what the memmap of all RAM would be, were the published share of what is lent saved."""
    ram_bytes, lent_bytes = (int(variants[name].max()) for name in ("ram_bytes", "request_bytes"))
    saved_bytes = mark.value * memmap_of(lent_bytes, page_bytes)
    x = (memmap_of(ram_bytes, page_bytes) - saved_bytes) / MIB
    for y, row in enumerate(rows):
        if mark.variants and mark.is_about(*row):
            draw_mark(ax, x, y, place)


def _draw_bars(ax: Axes, table: pd.DataFrame, looks: _Looks, shades: list[str]) -> None:
    """Draw a bar of several parts for each variant, and write what of it costs memory."""
    left = pd.Series(0.0, table.index)
    costs = pd.Series(0.0, table.index)
    for name, look in looks.items():
        values = table[name].astype(float).fillna(0) / MIB
        ax.barh(
            range(len(table)),
            values,
            left=left,
            height=_HEIGHT,
            facecolor=shades if look == _FILLED else "white",
            edgecolor=shades,
            hatch=look,
            linestyle=":" if look is _OUTLINED else "-",
            linewidth=0.8,
        )
        left += values
        if look is not _OUTLINED:
            costs += values
    for place, (end, cost) in enumerate(zip(left, costs, strict=True)):
        if table[list(looks)].iloc[place].isna().all():
            style.note(ax, place, "never lent" if looks is _LENT else "not measured")
        else:
            _write(ax, place, end, cost)
    most = left.max()
    ax.set_xlim(0, (most if most > 0 else 1) * 1.32)


def _draw_legend(part: SubFigure, computed: str) -> None:
    handles = [
        Patch(
            facecolor=style.MUTED if look == _FILLED else "white",
            edgecolor=style.MUTED,
            hatch=look,
            linestyle=":" if look is _OUTLINED else "-",
            label=f"{of}{name}",
        )
        for of, looks in (("memmap ", _PAYERS), ("set aside: ", _ASIDE))
        for look, name in looks.values()
    ]
    handles.append(
        Line2D([], [], color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)), label=computed)
    )
    columns = max(1, int(style.width_em() // 24))
    part.legend(handles=handles, loc="outside upper left", ncols=columns, labelspacing=0.25)


def _write(ax: Axes, place: float, end: float, value: float) -> None:
    ax.annotate(
        f"{value:.3g}" if value < 1000 else f"{value:.0f}",
        (end, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
    )
