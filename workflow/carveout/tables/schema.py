# SPDX-License-Identifier: GPL-2.0-only
"""What a table's schema is made of: columns, rules across columns, a key and an order.

And the columns that tables share, with what tells their rows apart.

A column's name ends in its unit. A null means "not measured", never zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa
import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute  # type: ignore[import-untyped]
from pandas.api.extensions import ExtensionDtype

from carveout.study.geometry import GRANULES

INTEGER = pd.Int64Dtype()
NUMBER = pd.Float64Dtype()
BOOLEAN = pd.BooleanDtype()
TEXT = pd.StringDtype("pyarrow", na_value=float("nan"))
ARROW_TYPES = {
    "Int64": pyarrow.int64(),
    "Float64": pyarrow.float64(),
    "boolean": pyarrow.bool_(),
    "str": pyarrow.string(),
}


def integer(*, least: int | None = 0, most: int | None = None, null: bool = False) -> pa.Column:
    """Return a column of whole numbers within bounds."""
    return pa.Column(INTEGER, _bounds(least, most), nullable=null)


def number(*, least: float | None = 0, most: float | None = None, null: bool = False) -> pa.Column:
    """Return a column of numbers within bounds."""
    return pa.Column(NUMBER, _bounds(least, most), nullable=null)


def boolean(*, null: bool = False) -> pa.Column:
    """Return a column of yes or no."""
    return pa.Column(BOOLEAN, nullable=null)


def _bounds(least: float | None, most: float | None) -> list[pa.Check]:
    checks = [] if least is None else [pa.Check.ge(least)]
    return checks if most is None else [*checks, pa.Check.le(most)]


def text(*, values: Sequence[str] | None = None, null: bool = False) -> pa.Column:
    """Return a column of texts, limited to some values if these are given."""
    return pa.Column(TEXT, [] if values is None else pa.Check.isin(values), nullable=null)


def letters(known: str) -> pa.Column:
    """Return a column of texts of some letters alone.

    Maps are long and many, so Arrow checks them.
    """

    def holds(texts: "pd.Series[str]") -> "pd.Series[bool]":
        rest = pyarrow.compute.ascii_trim(pyarrow.array(texts), characters=known)
        return pd.Series(
            pyarrow.compute.equal(rest, "").to_numpy(zero_copy_only=False), texts.index
        )

    name = f"letters of {known}"
    return pa.Column(TEXT, pa.Check(holds, name=name, error=name))


def measured() -> pa.Column:
    """Return a count that is null when the trial did not get that far."""
    return integer(null=True)


@dataclass(frozen=True)
class Rule:
    """A rule across columns; `name` is what the user reads when it does not hold."""

    name: str
    holds: Callable[[pd.DataFrame], "pd.Series[bool]"]

    def check(self) -> pa.Check:
        """Return the rule for a schema."""
        return pa.Check(self.holds, name=self.name, error=self.name, ignore_na=False)


@dataclass(frozen=True)
class Sums(Rule):
    """A rule that two sums of columns are equal wherever both are known."""

    left: Callable[[pd.DataFrame], "pd.Series[int]"]
    right: Callable[[pd.DataFrame], "pd.Series[int]"]

    def found(self, row: pd.DataFrame) -> str:
        """Return what both sums are in a row, and by how much they differ."""
        left, right = int(self.left(row).iloc[0]), int(self.right(row).iloc[0])
        return f"{left} and {right}, which is {left - right:+}"


def sums(
    name: str,
    left: Callable[[pd.DataFrame], "pd.Series[int]"],
    right: Callable[[pd.DataFrame], "pd.Series[int]"],
) -> Sums:
    """Return the rule that two sums are equal, whose error says by how much they differ."""
    return Sums(name, lambda t: (left(t) == right(t)).fillna(True).astype(bool), left, right)


def rule(name: str, holds: Callable[[pd.DataFrame], "pd.Series[bool]"]) -> Rule:
    """Return a rule across columns; where it cannot be told (null), it holds."""
    return Rule(name, lambda t: holds(t).fillna(True).astype(bool))


def _each_once(key: Sequence[str]) -> Rule:
    names = ", ".join(key)
    return rule(f"one row for each {names}", lambda t: ~t.duplicated(list(key), keep=False))


@dataclass(frozen=True)
class Table:
    """How one table looks: its schema, what identifies a row, and how rows are ordered."""

    columns: Mapping[str, pa.Column]
    key: Sequence[str]
    order: Sequence[str]
    rules: Sequence[Rule] = ()
    csv: bool = False
    rows_per_group: int = 131_072

    def schema(self, names: Sequence[str] | None = None) -> pa.DataFrameSchema:
        """Return the whole table's schema, or some columns' without the rules across columns."""
        if names is not None:
            return pa.DataFrameSchema({n: self.columns[n] for n in names}, strict=True)
        return pa.DataFrameSchema(
            dict(self.columns),
            checks=[rule.check() for rule in (_each_once(self.key), *self.rules)],
            strict=True,
            ordered=True,
        )

    def found(self, name: str, row: pd.DataFrame) -> str:
        """Return which row breaks the rule of a name, and what was found in it."""
        place = ", ".join(f"{key} {row[key].iloc[0]}" for key in self.key)
        broken = [rule for rule in self.rules if rule.name == name and isinstance(rule, Sums)]
        what = [rule.found(row) for rule in broken] or ["otherwise"]
        return f"{', '.join(what)}, for {place}"

    def dtypes(self, names: Sequence[str] | None = None) -> dict[str, ExtensionDtype]:
        """Return each column's pandas type."""
        return {name: _dtype(self.columns[name]) for name in (names or self.columns)}

    def arrow_schema(self) -> pyarrow.Schema:
        """Return the same schema as Arrow and parquet see it."""
        return pyarrow.schema(
            [
                pyarrow.field(name, ARROW_TYPES[_dtype(column).name], bool(column.nullable))
                for name, column in self.columns.items()
            ]
        )


def _dtype(column: pa.Column) -> ExtensionDtype:
    dtype: ExtensionDtype = column.dtype.type
    return dtype


KERNEL_COLUMNS = {
    # As the config names it.
    "kernel": text(),
    # The version that ran, and the one that was pinned: the archive drops a version when a newer
    # one lands, which then takes its place.
    "kernel_version": text(),
    "kernel_pinned": text(),
}
# What trials must have in common to be compared: the machine, and in pieces of which size is lent.
COMPARABLE = (*KERNEL_COLUMNS, "ram_bytes", "granule")

GRANULE = {"granule": text(values=tuple(GRANULES))}
CELL_COLUMNS = {
    **KERNEL_COLUMNS,
    "ram_bytes": integer(),
    **GRANULE,
    "strategy": text(),
    "variant": text(),
    "load": text(),
    "dose_target": number(most=100),
    "requests": text(),
    "cycle": integer(least=1),
    "request_bytes": integer(least=1),
}
CELL = tuple(CELL_COLUMNS)
# One curve: what a variant lends at growing doses of a load.
CURVE = tuple(name for name in CELL if name != "dose_target")
