# SPDX-License-Identifier: GPL-2.0-only
"""Marks of reference: figures that others published, drawn apart from what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from carveout.common import schemas
from carveout.drawing import style

# The columns that a mark may name.
_PLACES = ("strategy", "variant", "load", "granule")


@dataclass(frozen=True)
class Mark:
    """A published figure.

    Attributes:
        claim: what it says, in words.
        value: in the unit of the figure's catalogue entry.
        source: who published it, where.
        where: values of columns of the rows that it stands beside.
    """

    claim: str
    value: float
    source: str
    where: Mapping[str, str]

    def is_beside(self, **row: str) -> bool:
        """Return whether it stands beside a row of a strategy, a load and the like, by name."""
        return all(row.get(column, value) == value for column, value in self.where.items())


def read_marks(path: Path, figure: str, unit: str) -> list[Mark]:
    """Return the published values of a unit that stand in a figure, in the order of the file.

    One that names no strategy stands beside no row.
    """
    return [
        Mark(entry["claim"], float(entry["value"]), entry["source"], entry["where"])
        for entry in schemas.load_yaml(path)
        if entry["figure"] == figure and entry["unit"] == unit and "strategy" in entry["where"]
    ]


def beside(marks: Sequence[Mark], rows: pd.DataFrame) -> list[Mark]:
    """Return the marks that stand beside any row of a table."""
    columns = [name for name in _PLACES if name in rows]
    places = rows[columns].drop_duplicates().to_dict("records")
    return [
        mark
        for mark in marks
        if any(
            mark.is_beside(**{str(key): str(found) for key, found in place.items()})
            for place in places
        )
    ]


def letter(place: int) -> str:
    """Return what stands at a mark and at its note."""
    return chr(ord("a") + place)


def draw_mark(ax: Axes, x: float, y: float, place: int) -> None:
    """Draw a mark of reference at a value in a row: hollow, of a colour that no measurement has."""
    ax.plot(
        [x], [y], marker="d", markersize=5, markerfacecolor="white",
        markeredgecolor=style.REFERENCE, markeredgewidth=1, linestyle="", zorder=5,
    )  # fmt: skip
    ax.annotate(
        letter(place),
        (x, y),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize="x-small",
        fontstyle="italic",
        color=style.REFERENCE,
    )


def notes(marks: Sequence[Mark]) -> list[str]:
    """Return the notes that say what the marks are and whence."""
    return [
        f"◇ {letter(place)}: published, not measured here: {mark.claim}. Source: {mark.source}."
        for place, mark in enumerate(marks)
    ]
