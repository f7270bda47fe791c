# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what each variant costs in memmap, who pays for it, and what is set aside."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from carveout.common.sizes import MIB
from carveout.drawing import style
from carveout.wording.labels import Labels, comparable_parts

COLUMNS = {"variants": None}

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
_PANELS: Mapping[str, _Looks] = {
    "memmap of all RAM, idle": _IDLE,
    "while the largest is lent": _LENT,
    "set aside while idle": {f"{name}_bytes": look for name, (look, _) in _ASIDE.items()},
}
_HEIGHT = 0.62


def draw(comparison: pd.DataFrame, labels: Labels) -> Figure:
    """Draw who pays for the memmap, while idle and while memory is lent, and what is set aside."""
    machines = dict(comparable_parts(comparison))
    rows = [len(labels.variants(of_machine)) for of_machine in machines.values()]
    heights = [count * style.ROW_IN + 1.25 for count in rows]
    figure = style.new_figure(sum(heights))
    colors = style.strategy_colors(labels, comparison)
    for part, of_machine in zip(
        style.parts(figure, list(machines), heights), machines.values(), strict=True
    ):
        _draw_machine(part, of_machine, labels, colors)
    return figure


def _draw_machine(
    part: SubFigure, comparison: pd.DataFrame, labels: Labels, colors: Mapping[str, str]
) -> None:
    rows = labels.variants(comparison)
    of_variants = comparison.sort_values("request_bytes").groupby(["strategy", "variant"])
    # What a variant costs while idle is the same for all requests; of the others, the largest of
    # which anything was lent.
    table = of_variants.first().assign(**{name: of_variants[name].last() for name in _LENT})
    table = table.reindex(pd.MultiIndex.from_tuples(rows))
    shades = [colors[strategy] for strategy, _ in rows]
    panels = part.subplots(1, len(_PANELS), sharey=True)
    for ax, (title, looks) in zip(panels, _PANELS.items(), strict=True):
        _draw_bars(ax, table, looks, shades)
        ax.set(title=title, xlabel="MiB")
        style.draw_variant_rows(ax, labels, rows)
        ax.tick_params(labelleft=ax is panels[0])
    _draw_legend(part)


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
    ax.set_xlim(0, (most if most > 0 else 1) * 1.25)


def _draw_legend(part: SubFigure) -> None:
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
    part.legend(handles=handles, loc="outside upper right", ncols=3)


def _write(ax: Axes, place: float, end: float, value: float) -> None:
    ax.annotate(
        f"{value:.3g}" if value < 1000 else f"{value:.0f}",
        (end, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )
