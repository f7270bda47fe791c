# SPDX-License-Identifier: GPL-2.0-only
"""Marks of reference: figures that others published, drawn apart from what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from carveout.common import schemas
from carveout.drawing import style


@dataclass(frozen=True)
class Mark:
    """A published figure.

    Attributes:
        claim: what it says, in words.
        source: who published it, where.
        variants: which variants it is about, as `strategy/variant`; all if there are none.
    """

    claim: str
    value: float
    unit: str
    source: str
    variants: tuple[str, ...] = ()

    def is_about(self, strategy: str, variant: str) -> bool:
        """Return whether it is about a variant."""
        return not self.variants or f"{strategy}/{variant}" in self.variants


def read_marks(path: Path, figure: str) -> list[Mark]:
    """Return the published figures that are to be marked in a figure, in the order of the file."""
    return [
        Mark(
            claim=entry["claim"],
            value=float(entry["value"]),
            unit=entry["unit"],
            source=entry["source"],
            variants=tuple(entry.get("variants", ())),
        )
        for entry in schemas.load_yaml(path)
        if entry.get("figure") == figure
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
        f"◇ {letter(place)}: published, not measured here: {mark.claim} ({mark.source})"
        for place, mark in enumerate(marks)
    ]
