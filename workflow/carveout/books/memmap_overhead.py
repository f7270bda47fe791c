# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant costs in memmap, who pays for it, and what is set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carveout.common.sizes import GIB, MIB
from carveout.drawing import style
from carveout.drawing.layout import Part, stacked
from carveout.drawing.marks import Mark, beside, draw_mark, notes
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
_DASHED = (0, (4, 3))


def draw(
    variants: pd.DataFrame, trials: pd.DataFrame, labels: Labels, marks: Sequence[Mark] = ()
) -> Figure:
    """Draw who pays for the memmap, while idle and while memory is lent, and what is set aside."""
    colors = style.strategy_colors(labels, variants)
    pages = trials.drop_duplicates(list(COMPARABLE)).set_index(list(COMPARABLE))["page_bytes"]

    def part_of(rows: pd.DataFrame) -> Part:
        page_bytes = int(pages[tuple(rows[list(COMPARABLE)].iloc[0])])
        order = labels.variants(rows)
        about = beside(marks, rows)
        return Part(
            rows=-(-len(_PANELS) // _columns()) * (len(order) + 2.2),
            draw=lambda part: _Drawing(rows, labels, page_bytes, about).draw(part, colors),
            legend=_legend(f"computed: 64 bytes a page of {bytes_label(page_bytes)}"),
            entry_em=25,
            notes=[*style.caveats(labels, order), *notes(about)],
        )

    return stacked(variants, part_of)


def _columns() -> int:
    return style.side_by_side(len(_PANELS), 10)


@dataclass(frozen=True)
class _Drawing:
    """What one machine and granule has of the figure."""

    variants: pd.DataFrame
    labels: Labels
    page_bytes: int
    marks: Sequence[Mark]

    def draw(self, part: SubFigure, colors: Mapping[str, str]) -> None:
        rows = self.labels.variants(self.variants)
        of_variants = self.variants.sort_values("request_bytes").groupby(["strategy", "variant"])
        # What a variant costs while idle is the same for all requests; of the others, the largest
        # of which anything was lent.
        table = of_variants.first().assign(**{name: of_variants[name].last() for name in _LENT})
        table = table.reindex(pd.MultiIndex.from_tuples(rows))
        shades = [colors[strategy] for strategy, _ in rows]
        columns = _columns()
        grid = part.subplots(-(-len(_PANELS) // columns), columns, sharey=True, squeeze=False)
        for place, (ax, (title, looks)) in enumerate(zip(grid.flat, _PANELS.items(), strict=True)):
            _draw_bars(ax, table, looks, shades)
            ax.set(title=title, xlabel="MiB")
            style.draw_variant_rows(ax, self.labels, rows)
            ax.tick_params(labelleft=place % columns == 0)
            if looks is not _ASIDE_LOOKS:
                ax.axvline(self._memmap_mib(), color=style.INK, linewidth=0.8, linestyle=_DASHED)
        for place, mark in enumerate(self.marks):
            self._draw_mark(grid.flat[1], mark, place, rows)

    def _memmap_mib(self) -> float:
        """Return what is computed: of all RAM."""
        return memmap_of(int(self.variants["ram_bytes"].iloc[0]), self.page_bytes) / MIB

    def _draw_mark(self, ax: Axes, mark: Mark, place: int, rows: Sequence[tuple[str, str]]) -> None:
        """Mark what would be left, were as much of it saved as was published."""
        lent = self.variants[self.variants["memmap_host_bytes"].notna()]
        largest = lent.groupby(["strategy", "variant"])["request_bytes"].max()
        for y, (strategy, variant) in enumerate(rows):
            if mark.is_beside(strategy=strategy, variant=variant) and rows[y] in largest.index:
                saved_bytes = mark.value * int(largest[rows[y]]) / GIB
                draw_mark(ax, self._memmap_mib() - saved_bytes / MIB, y, place)


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


def _legend(computed: str) -> list[Artist]:
    return [
        *(
            Patch(
                facecolor=style.MUTED if look == _FILLED else "white",
                edgecolor=style.MUTED,
                hatch=look,
                linestyle=":" if look is _OUTLINED else "-",
                label=f"{of}{name}",
            )
            for of, looks in (("memmap ", _PAYERS), ("set aside: ", _ASIDE))
            for look, name in looks.values()
        ),
        Line2D([], [], color=style.INK, linewidth=0.8, linestyle=_DASHED, label=computed),
    ]


def _write(ax: Axes, place: float, end: float, value: float) -> None:
    ax.annotate(
        f"{value:.3g}" if value < 1000 else f"{value:.0f}",
        (end, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
    )
