# SPDX-License-Identifier: GPL-2.0-only
"""Rows of tables, whose numbers are given out with marks of where they are from.

Every number of the report and of the mail's text that is a table's comes through `Row`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from carveout.wording.marks import Name, Number, Part, Words, words
from carveout.wording.quantities import NOTHING, bytes_label, ns_label, percent_label


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        table: the table's name.
        number: the row's place in the table and in its CSV file, from 1.
        values: what the row holds, by column.
    """

    table: str
    number: int
    values: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:
        return self.values[column]

    def knows(self, column: str) -> bool:
        """Return whether the row has a value in a column."""
        return bool(pd.notna(self.values[column]))

    def more_than_nothing(self, column: str) -> bool:
        """Return whether the row has a number in a column that is not 0."""
        return self.knows(column) and self.values[column] != 0

    def bytes(self, column: str) -> Part:
        """Return a size."""
        return self._number(column, bytes_label)

    def ns(self, column: str) -> Part:
        """Return a duration."""
        return self._number(column, ns_label)

    def share(self, column: str) -> Part:
        """Return a share of 1 in percent."""
        return self._number(column, percent_label)

    def dose(self, column: str) -> Part:
        """Return a dose, which is in percent, with as many digits as it has."""
        return self._number(column, dose_label)

    def count(self, column: str) -> Part:
        """Return a count, which may be a median between two."""
        return self._number(column, count_label)

    def change(self, column: str) -> Part:
        """Return a change as a share of what was before, with its sign."""
        return self._number(column, lambda share: f"{share * 100:+.1f} %")

    def plain(self, column: str) -> Part:
        """Return a number without a unit in three digits: a p-value, an effect."""
        return self._number(column, plain_label)

    def name(self, column: str) -> Part:
        """Return a text of the table as it is, which is not the report's own."""
        return Name(str(self.values[column])) if self.knows(column) else NOTHING

    def label(self, column: str) -> Part:
        """Return a name of the table's own, with blanks for its underscores."""
        return Name(str(self.values[column]).replace("_", " ")) if self.knows(column) else NOTHING

    def of(self, part: str, whole: str) -> Words:
        """Return how many of how many."""
        return words("{}/{}", self.count(part), self.count(whole))

    def between(self, low: str, high: str, unit: Callable[["Row", str], Part]) -> Words:
        """Return an interval or a range; nothing where it is not known."""
        if not (self.knows(low) and self.knows(high)):
            return Words()
        return words("{} to {}", unit(self, low), unit(self, high))

    def _number(self, column: str, label: Callable[[Any], str]) -> Part:
        value = self.values[column]
        if pd.isna(value):
            return NOTHING
        return Number(label(value), value, self.table, self.number, column)


def rows_of(table: str, frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a table, or of a part of it that has kept its index."""
    return [
        Row(table, int(place) + 1, {str(name): value for name, value in row.items()})
        for place, row in zip(frame.index, frame.to_dict("records"), strict=True)
    ]


def dose_label(percent: float) -> str:
    """Return a dose in percent."""
    return f"{percent:g} %" if percent == round(percent, 1) else f"{percent:.1f} %"


def count_label(count: float) -> str:
    """Return a count, with a digit where it is a median between two."""
    return f"{count:.0f}" if count == round(count) else f"{count:.1f}"


def plain_label(value: float) -> str:
    """Return a number in three digits, and very small ones as such."""
    return f"{value:.3f}" if abs(value) >= 0.001 or not value else f"{value:.0e}"
