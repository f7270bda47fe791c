# SPDX-License-Identifier: GPL-2.0-only
"""Figure: what the RAM is good for while nothing is lent."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from carveout.common.sizes import MIB
from carveout.drawing import style
from carveout.drawing.layout import Part, stacked
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

COLUMNS = {
    "variants": (
        *(*COMPARABLE, *VARIANT, "request_bytes", "trials", "not_available"),
        *("stranded_bytes", "movable_only_bytes", "memmap_idle_bytes"),
    )
}
# The figure of the accounts has the same colours for the same things. Lightness falls and rises
# again, and what is of no use to Linux is dotted, so that grey prints are legible too.
_LOOKS = {
    "any use of Linux's": ("#E9F0D8", ""),
    "movable pages only": ("#A9D3F0", "////"),
    "memmap": ("#E3A72F", ""),
    "stranded: no use at all": ("#FFFFFF", "...."),
}
# A part has room for its number from this share of the RAM on.
_LEAST_SHARE = 0.06


def draw(variants: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a bar of all RAM for each variant, in medians over what was counted before any lend."""
    return stacked(
        variants,
        lambda rows: Part(
            rows=len(labels.variants(rows)) + 1.3,
            draw=lambda part: _draw_machine(part, rows, labels),
            legend=[
                Patch(
                    facecolor=color, hatch=hatch, edgecolor=style.MUTED, linewidth=0.6, label=name
                )
                for name, (color, hatch) in _LOOKS.items()
            ],
            entry_em=13,
            notes=style.caveats(labels, labels.variants(rows)),
        ),
    )


def uses_mib(variants: pd.DataFrame) -> pd.DataFrame:
    """Return for each variant how its RAM is used, in the order in which it is drawn."""
    idle = variants.groupby(VARIANT).first()
    columns = ["movable_only_bytes", "memmap_idle_bytes", "stranded_bytes"]
    parts = idle[columns].astype(float)
    parts.insert(0, "any", idle["ram_bytes"].astype(float) - parts.sum(axis="columns"))
    parts.columns = pd.Index(_LOOKS)
    return parts / MIB


def _draw_machine(part: SubFigure, variants: pd.DataFrame, labels: Labels) -> None:
    rows = labels.variants(variants)
    uses = uses_mib(variants).reindex(pd.MultiIndex.from_tuples(rows))
    ram_mib = float(variants["ram_bytes"].max()) / MIB
    ax = part.subplots()
    left = pd.Series(0.0, uses.index)
    for name, (color, hatch) in _LOOKS.items():
        ax.barh(
            range(len(rows)), uses[name].fillna(0), left=left, height=0.72, facecolor=color,
            hatch=hatch, edgecolor=style.MUTED, linewidth=0.4,
        )  # fmt: skip
        _write(ax, uses[name], left, ram_mib, hatched=bool(hatch))
        left += uses[name].fillna(0)
    for place, missing in enumerate(uses.isna().all(axis="columns")):
        if missing:
            style.note(ax, place, "not measured")
    style.draw_variant_rows(ax, labels, rows)
    ax.set(xlim=(0, ram_mib), xlabel="MiB of the host's RAM")


def _write(
    ax: Axes,
    widths: "pd.Series[float]",
    left: "pd.Series[float]",
    ram_mib: float,
    *,
    hatched: bool,
) -> None:
    """Write how much a part is, where it has room for that."""
    for place, (width, start) in enumerate(zip(widths, left, strict=True)):
        if width > _LEAST_SHARE * ram_mib:
            ax.text(
                start + width / 2, place, f"{width:.0f}", ha="center", va="center",
                fontsize="small",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if hatched else None,
            )  # fmt: skip
