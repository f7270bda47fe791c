# SPDX-License-Identifier: GPL-2.0-only
"""Figure: in which accounts the host's RAM stands before, during and after a lend."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB
from carveout.drawing import style
from carveout.drawing.layout import Part, stacked
from carveout.tables.accounts import ACCOUNTS, DRAWN, GROUPS, column
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import VARIANT, Labels

_COLUMNS = (
    *(*COMPARABLE, *VARIANT, "scenario", "dose_target", "seed", "cycle", "phase", "request_bytes"),
    *map(column, ACCOUNTS),
)
COLUMNS = {"phases": _COLUMNS}
# The map of pageblocks has the same colours for the same things. Hatched is for movable pages only.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "free": ("#E9F0D8", ""),
    "free, for movable pages only": ("#E9F0D8", "////"),
    "in use, movable": ("#A9D3F0", ""),
    "in use, cannot move": ("#C23B22", ""),
    "kernel image, reserved": ("#5A3A6E", ""),
    "memmap": ("#E3A72F", ""),
    "stranded": ("#FFFFFF", "...."),
    "lent": ("#08121F", ""),
}
_BARS = ("before", "lent", "after")
_MEANING = "Of each variant, from above: before the lend, while lent, given back."
_BAR_ROWS = 0.27
# How much higher a variant is than in a list.
_ROWS = 1.35


def draw(phases: pd.DataFrame, labels: Labels) -> Figure:
    """Draw a bar for each census of each variant's largest request that was lent anything.

    A bar is the mean over these trials: means of accounts sum to the RAM, medians do not.
    """
    lending = phases[phases["request_bytes"].notna()]
    if lending.empty:
        raise CarveoutError(
            "wanted censuses of hosts that lend for the figure accounts, found none: no host that "
            "was to lend lived long enough; see the table failures"
        )
    return stacked(
        lending,
        lambda rows: Part(
            rows=len(labels.variants(rows)) * _ROWS + 1.3,
            draw=lambda part: _draw_machine(part, rows, labels),
            legend=[
                Patch(
                    facecolor=color, hatch=hatch, edgecolor=style.MUTED, linewidth=0.6, label=name
                )
                for name, (color, hatch) in _LOOKS.items()
            ],
            entry_em=17,
            notes=[_MEANING, *style.caveats(labels, labels.variants(rows))],
        ),
    )


def _draw_machine(part: SubFigure, phases: pd.DataFrame, labels: Labels) -> None:
    rows = labels.variants(phases)
    ax = part.subplots()
    means = _means(phases)
    for place, row in enumerate(rows):
        _draw_variant(ax, means, row, place)
    style.draw_variant_rows(ax, labels, rows)
    ax.set(xlim=(0, means.sum(axis="columns").max()), xlabel="MiB of the host's RAM")


def _means(phases: pd.DataFrame) -> pd.DataFrame:
    """Return the mean MiB of what is drawn, by variant and phase; without a lend, before alone."""
    lent_bytes = phases[[column(account) for account in GROUPS["lent_out"]]].sum(axis="columns")
    key = [*VARIANT, "scenario", "dose_target", "seed", "cycle"]
    lends = phases[(phases["phase"] == "lent") & (lent_bytes > 0)]
    largest = lends.groupby(VARIANT)["request_bytes"].max().rename("largest").reset_index()
    lends = lends.merge(largest, on=VARIANT)
    lends = lends.loc[lends["request_bytes"] == lends["largest"], key].drop_duplicates()
    wanted = phases.merge(lends.assign(was_lent=True), on=key, how="left")
    ever = wanted.groupby(VARIANT)["was_lent"].transform("count") > 0
    wanted = wanted[wanted["was_lent"].notna() | (~ever & (wanted["phase"] == "before"))]
    drawn = pd.DataFrame(
        {
            name: wanted[[column(account) for account in accounts]].sum(axis="columns") / MIB
            for name, accounts in DRAWN.items()
        }
    ).astype(float)
    return drawn.groupby([wanted[name] for name in (*VARIANT, "phase")]).mean()


def _draw_variant(ax: Axes, means: pd.DataFrame, row: tuple[str, str], place: int) -> None:
    for number, phase in enumerate(_BARS):
        y = place + (number - 1) * _BAR_ROWS
        if (*row, phase) in means.index:
            sizes_mib = means.reindex([(*row, phase)])[list(DRAWN)].to_numpy()[0].tolist()
            _draw_bar(ax, y, sizes_mib)
        elif number == 1:
            style.note(ax, y + _BAR_ROWS / 2, "nothing was ever lent")


def _draw_bar(ax: Axes, y: float, sizes_mib: Sequence[float]) -> None:
    left = 0.0
    for size, (color, hatch) in zip(sizes_mib, _LOOKS.values(), strict=True):
        ax.barh(
            y,
            size,
            left=left,
            height=_BAR_ROWS * 0.86,
            facecolor=color,
            hatch=hatch,
            edgecolor=style.MUTED,
            linewidth=0.3,
        )
        left += size
