# SPDX-License-Identifier: GPL-2.0-only
"""How a figure is laid out: a part for each machine and granule, with its legend and notes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure, SubFigure

from carveout.common.errors import CarveoutError
from carveout.drawing import style
from carveout.wording.labels import comparable_parts

_TITLE_ROWS, _LEGEND_ROW, _NOTE_ROW = 0.8, 0.53, 0.46


@dataclass(frozen=True)
class Part:
    """What one machine and granule has of a figure: a legend above its panels, notes below.

    Attributes:
        rows: how many rows the panels take, with their axes.
        draw: draws the panels.
        entry_em: what the widest entry of the legend takes.
    """

    rows: float
    draw: Callable[[SubFigure], None]
    legend: Sequence[Artist] = ()
    entry_em: float = 16.0
    notes: Sequence[str] = ()

    @property
    def legend_columns(self) -> int:
        """How many entries of the legend stand beside each other."""
        return max(1, min(len(self.legend), int(style.width_em() // self.entry_em)))

    @property
    def legend_rows(self) -> float:
        """How many rows the legend takes."""
        lines = -(-len(self.legend) // self.legend_columns)
        return _LEGEND_ROW * lines + 0.25 * bool(self.legend)

    @property
    def note_lines(self) -> list[str]:
        """The notes in lines that fit."""
        room_em = (style.width_em() - 2) / style.SMALL
        return [line for note in self.notes for line in style.wrapped(note, room_em).split("\n")]

    @property
    def notes_rows(self) -> float:
        """How many rows the notes take."""
        return _NOTE_ROW * len(self.note_lines) + 0.25 * bool(self.notes)


def compose(parts: Mapping[str, Part]) -> Figure:
    """Return a figure of parts below each other, by their titles; one that is empty is no title."""
    bands = [
        rows
        for title, part in parts.items()
        for rows in (_TITLE_ROWS * bool(title) + part.legend_rows, part.rows, part.notes_rows)
    ]
    figure = style.new_figure(sum(bands))
    made = figure.subfigures(
        len(bands), 1, squeeze=False, height_ratios=[max(b, 0.01) for b in bands]
    )
    for place, (title, part) in enumerate(parts.items()):
        head, body, foot = made[3 * place : 3 * place + 3, 0]
        if title:
            head.text(0.01, 0.94, title, va="top", fontweight="bold")
        if part.legend:
            head.legend(
                handles=part.legend, loc="lower left", ncols=part.legend_columns, borderaxespad=0.2,
                labelspacing=0.2, columnspacing=1.2, handlelength=1.6, borderpad=0.5,
            )  # fmt: skip
        part.draw(body)
        if part.notes:
            foot.text(
                0.01, 1, "\n".join(part.note_lines), va="top", fontsize="small", linespacing=1.15
            )
    return figure


def stacked(frame: pd.DataFrame, part_of: Callable[[pd.DataFrame], Part]) -> Figure:
    """Return a figure with a part for each machine and granule, below each other.

    Args:
        frame: the rows of a table.
        part_of: lays out the part of some of them.

    Raises:
        CarveoutError: nothing was run of what the rows are about.
    """
    machines = dict(comparable_parts(frame))
    if not machines:
        raise CarveoutError(
            "wanted trials to draw, found none that were run: not one variant is available on "
            "these machines; the table summary says why in why_not_available"
        )
    return compose({machine: part_of(rows) for machine, rows in machines.items()})
