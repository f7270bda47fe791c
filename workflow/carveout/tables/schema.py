# SPDX-License-Identifier: GPL-2.0-only
"""What a table's schema is made of: columns, rules across columns, a key and an order.

A column's name ends in its unit. A null means "not measured", never zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa
import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute  # type: ignore[import-untyped]
from pandas.api.extensions import ExtensionDtype

INTEGER = pd.Int64Dtype()
NUMBER = pd.Float64Dtype()
TEXT = pd.StringDtype("pyarrow", na_value=float("nan"))
ARROW_TYPES = {
    "Int64": pyarrow.int64(),
    "Float64": pyarrow.float64(),
    "str": pyarrow.string(),
}


def integer(*, least: int | None = 0, most: int | None = None, null: bool = False) -> pa.Column:
    """Return a column of whole numbers within bounds."""
    return pa.Column(INTEGER, _bounds(least, most), nullable=null)


def number(*, least: float | None = 0, most: float | None = None, null: bool = False) -> pa.Column:
    """Return a column of numbers within bounds."""
    return pa.Column(NUMBER, _bounds(least, most), nullable=null)


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


def rule(name: str, holds: Callable[[pd.DataFrame], "pd.Series[bool]"]) -> pa.Check:
    """Return a check across columns; `name` is what the user reads when it fails."""
    return pa.Check(holds, name=name, error=name, ignore_na=False)


def _each_once(key: Sequence[str]) -> pa.Check:
    names = ", ".join(key)
    return rule(f"one row for each {names}", lambda t: ~t.duplicated(list(key), keep=False))


@dataclass(frozen=True)
class Table:
    """How one table looks: its schema, what identifies a row, and how rows are ordered."""

    columns: Mapping[str, pa.Column]
    key: Sequence[str]
    order: Sequence[str]
    rules: Sequence[pa.Check] = ()
    csv: bool = False
    rows_per_group: int = 131_072

    def schema(self, names: Sequence[str] | None = None) -> pa.DataFrameSchema:
        """Return the whole table's schema, or some columns' without the rules across columns."""
        if names is not None:
            return pa.DataFrameSchema({n: self.columns[n] for n in names}, strict=True)
        return pa.DataFrameSchema(
            dict(self.columns),
            checks=[_each_once(self.key), *self.rules],
            strict=True,
            ordered=True,
        )

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
