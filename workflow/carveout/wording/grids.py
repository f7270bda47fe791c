# SPDX-License-Identifier: GPL-2.0-only
"""Grids: what a table of the page or of the mail's text shows, before it has a form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from carveout.wording.marks import Part, joined
from carveout.wording.quantities import NOTHING

Item = TypeVar("Item")


@dataclass(frozen=True)
class Head:
    """A column's heading.

    Attributes:
        group: what it shares with the columns beside it; empty where it stands alone.
        title: its own.
        is_number: whether the column is set right, and sorted by its numbers.
    """

    group: str
    title: str
    is_number: bool = True

    @property
    def text(self) -> str:
        """Both as one."""
        return ", ".join(part for part in (self.group, self.title) if part)


@dataclass(frozen=True)
class Column(Generic[Item]):
    """A column: its heading, and what it says of an item."""

    group: str
    title: str
    cell: Callable[[Item], Part]
    is_number: bool = True


@dataclass(frozen=True)
class Line:
    """A line of a grid.

    Attributes:
        title: what it is of.
        cells: what it says.
        trials: column and value of the trials behind it.
    """

    title: Part
    cells: Sequence[Part]
    trials: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """A table for people.

    Attributes:
        table: the table that most of its numbers are from.
        stub: the heading of the lines' titles.
        heads: its columns'.
        lines: its lines.
        title: what it is called, where several stand beneath each other.
    """

    table: str
    stub: str
    heads: Sequence[Head]
    lines: Sequence[Line]
    title: Part = ""


def grid(
    table: str,
    stub: str,
    items: Sequence[Item],
    columns: Sequence[Column[Item]],
    *,
    title: Callable[[Item], Part],
    trials: Callable[[Item], Mapping[str, str]] = lambda _: {},
) -> Grid:
    """Return a grid with a line for each item."""
    lines = [
        Line(title(item), [column.cell(item) for column in columns], trials(item)) for item in items
    ]
    heads = [Head(column.group, column.title, column.is_number) for column in columns]
    return Grid(table, stub, heads, lines)


def without_alike(own: Grid) -> tuple[Grid, Sequence[tuple[Head, Part]]]:
    """Return a grid without the columns that say the same in every line that has them.

    Returns:
        The other columns; and the heading of each of those, with what it says.
    """
    said = [{str(line.cells[place]) for line in own.lines} for place in range(len(own.heads))]
    alike = [len(own.lines) > 1 and len(texts - {NOTHING}) <= 1 for texts in said]
    kept = [place for place, is_alike in enumerate(alike) if not is_alike]
    apart = [
        (
            head,
            max((line.cells[place] for line in own.lines), key=lambda cell: str(cell) != NOTHING),
        )
        for place, head in enumerate(own.heads)
        if alike[place]
    ]
    lines = [
        Line(line.title, [line.cells[place] for place in kept], line.trials) for line in own.lines
    ]
    return replace(own, heads=[own.heads[place] for place in kept], lines=lines), apart


def with_alike_joined(own: Grid) -> Grid:
    """Return a grid in which lines that say the same are one, under all of their titles."""
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in own.lines:
        found.setdefault(tuple(map(str, line.cells)), []).append(line)
    lines = [
        Line(joined([line.title for line in lines]), lines[0].cells) for lines in found.values()
    ]
    return replace(own, lines=lines)
