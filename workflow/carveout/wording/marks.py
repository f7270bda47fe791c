# SPDX-License-Identifier: GPL-2.0-only
"""Words with marks: a number says which cell of which table it is, a name that it is a name.

As plain text a mark is its text alone. In HTML a number carries its raw value and its place, so
that a reader, and a test, can look it up; and config text is escaped and set apart.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, TypeAlias

import pandas as pd
from markupsafe import Markup

from carveout.wording.quantities import NOTHING


@dataclass(frozen=True)
class Number:
    """A number of a table as people read it.

    Attributes:
        text: with its unit.
        value: as the table has it.
        table: the table's name.
        row: the row's number in the table and in its CSV file, from 1.
        column: the column's name.
    """

    text: str
    value: float
    table: str
    row: int
    column: str

    @property
    def raw(self) -> str:
        """The value in as few digits as give it back."""
        return repr(float(self.value)).removesuffix(".0")

    def html(self, table: str = "", row: int = 0, column: str = "") -> Markup:
        """Return the number as HTML, without what is the same of all that is around it."""
        place = [
            f' data-{name}="{own}"'
            for name, own, around in (
                ("table", self.table, table),
                ("row", self.row, row),
                ("column", self.column, column),
            )
            if own != around
        ]
        return Markup('<data value="{}"{}>{}</data>').format(
            self.raw, Markup("".join(place)), self.text
        )

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> Markup:
        return self.html()


@dataclass(frozen=True)
class Tally:
    """A number of many rows: how many there are, or what they come to in a column.

    Attributes:
        text: with its unit.
        value: what they come to.
        table: the table's name.
        where: what the rows have, by column.
        how: `rows`, or of a column `distinct`, `sum`, `median`, `min` or `max`.
        column: its name, empty where rows are counted.
    """

    text: str
    value: float
    table: str
    where: Mapping[str, str | float] = field(default_factory=dict)
    how: str = "rows"
    column: str = ""

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> Markup:
        where = ";".join(f"{column}={value}" for column, value in self.where.items())
        mark = '<data value="{}" data-table="{}" data-where="{}" data-how="{}" data-column="{}">'
        raw = repr(float(self.value)).removesuffix(".0")
        return Markup(mark + "{}</data>").format(
            raw, self.table, where, self.how, self.column, self.text
        )


@dataclass(frozen=True)
class Name:
    """What a config, a kernel or a source calls something: its digits are no measurements."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> Markup:
        return Markup('<bdi class="name">{}</bdi>').format(self.text)


@dataclass(frozen=True)
class Words:
    """A phrase or a sentence of words, names and numbers."""

    parts: tuple["Part", ...] = ()

    def __bool__(self) -> bool:
        return any(str(part) for part in self.parts)

    def __str__(self) -> str:
        return "".join(str(part) for part in self.parts)

    def __html__(self) -> Markup:
        return Markup("").join(self.parts)


Part: TypeAlias = str | Number | Tally | Name | Words


def tally(
    table: str,
    frame: pd.DataFrame,
    how: str = "rows",
    column: str = "",
    *,
    label: Callable[[Any], str] = str,
    where: Mapping[str, str | float] | None = None,
) -> "Part":
    """Return what the rows of a table that have some values come to."""
    kept = pd.Series(data=True, index=frame.index)
    for name, wanted in (where or {}).items():
        values = frame[name].astype(str) if isinstance(wanted, str) else frame[name]
        kept &= values == wanted
    rows = frame[kept]
    value: float = len(rows)
    if how == "distinct":
        value = rows[column].nunique()
    elif how != "rows":
        value = rows[column].agg(how)
    if pd.isna(value):
        return NOTHING
    return Tally(label(value), float(value), table, where or {}, how, column)


def words(form: str, *parts: Part) -> Words:
    """Return words in which each ``{}`` of the form is the next part."""
    waiting = iter(parts)
    found: list[Part] = []
    for text, gap, _, _ in Formatter().parse(form):
        found += [text] if text else []
        found += [next(waiting)] if gap is not None else []
    return Words(tuple(found))


def listed(parts: Iterable[Part], last: str = " and ") -> Words:
    """Return a list of parts: a, b and c."""
    every = list(parts)
    found: list[Part] = []
    for place, part in enumerate(every):
        if place:
            found.append(last if place == len(every) - 1 else ", ")
        found.append(part)
    return Words(tuple(found))


def joined(parts: Iterable[Part], between: str = "; ") -> Words:
    """Return the parts that say something, with the same between any two."""
    found: list[Part] = []
    for part in parts:
        if part:
            found += [between, part] if found else [part]
    return Words(tuple(found))
