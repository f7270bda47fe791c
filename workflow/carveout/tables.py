# SPDX-License-Identifier: GPL-2.0-only
"""The tables: one schema each, checked when a table is written and when it is read.

Same rows, same bytes: rows are sorted by the table's key, columns stand in the schema's order, the
compression is fixed, and a file carries no metadata but what the caller gives. A column's name ends
in its unit. A null means "not measured", never zero.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
from pandas.api.extensions import ExtensionDtype
from pandera.errors import SchemaErrors

from carveout.errors import CarveoutError
from carveout.files import file_made_aside, write_atomically

# Freed memory is used again; Arrow's own allocator gives it back and asks for it anew, which takes
# as long as to fill it where the machine is a virtual one.
pyarrow.set_memory_pool(pyarrow.system_memory_pool())

OUTCOMES = ("granted", "partial", "refused", "crashed")
CAUSES = ("oom", "panic", "hang", "wall_limit", "error", "torn_records")
VERDICTS = ("ok", "failed", "not_checked")
PHASES = ("before", "lent", "after")
PAGEBLOCK_LETTERS = "FMURCXLA"
ZONES = ("dma", "dma32", "normal", "movable")

INTEGER = pd.Int64Dtype()
NUMBER = pd.Float64Dtype()
TEXT = pd.StringDtype("pyarrow", na_value=float("nan"))
_ARROW_TYPES = {
    "Int64": pyarrow.int64(),
    "Float64": pyarrow.float64(),
    "str": pyarrow.string(),
}


def _integer(*, least: int | None = 0, most: int | None = None, null: bool = False) -> pa.Column:
    return pa.Column(INTEGER, _bounds(least, most), nullable=null)


def _number(*, least: float | None = 0, most: float | None = None, null: bool = False) -> pa.Column:
    return pa.Column(NUMBER, _bounds(least, most), nullable=null)


def _bounds(least: float | None, most: float | None) -> list[pa.Check]:
    checks = [] if least is None else [pa.Check.ge(least)]
    return checks if most is None else [*checks, pa.Check.le(most)]


def _text(*, values: Sequence[str] | None = None, null: bool = False) -> pa.Column:
    return pa.Column(TEXT, [] if values is None else pa.Check.isin(values), nullable=null)


def _letters(letters: str) -> pa.Column:
    """Return a text of some letters alone; maps are long and many, so Arrow looks at them."""

    def holds(texts: "pd.Series[str]") -> "pd.Series[bool]":
        rest = pyarrow.compute.ascii_trim(pyarrow.array(texts), characters=letters)
        return pd.Series(
            pyarrow.compute.equal(rest, "").to_numpy(zero_copy_only=False), texts.index
        )

    name = f"letters of {letters}"
    return pa.Column(TEXT, pa.Check(holds, name=name, error=name))


def _measured() -> pa.Column:
    """Return a count that is null when the trial did not get that far."""
    return _integer(null=True)


def _rule(name: str, holds: Callable[[pd.DataFrame], "pd.Series[bool]"]) -> pa.Check:
    """Return a check across columns; `name` is what the user reads when it fails."""
    return pa.Check(holds, name=name, error=name, ignore_na=False)


def _each_once(key: Sequence[str]) -> pa.Check:
    names = ", ".join(key)
    return _rule(f"one row for each {names}", lambda t: ~t.duplicated(list(key), keep=False))


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
                pyarrow.field(name, _ARROW_TYPES[_dtype(column).name], bool(column.nullable))
                for name, column in self.columns.items()
            ]
        )


def _dtype(column: pa.Column) -> ExtensionDtype:
    dtype: ExtensionDtype = column.dtype.type
    return dtype


_CELL_COLUMNS = {
    "kernel": _text(),
    "ram_bytes": _integer(),
    "strategy": _text(),
    "variant": _text(),
    "load": _text(),
    "dose_target": _integer(most=100),
    "requests": _text(),
    "cycle": _integer(least=1),
    "request_bytes": _integer(least=1),
}
CELL = tuple(_CELL_COLUMNS)
_ORDER = ("kernel", "ram_bytes", "strategy", "variant", "scenario", "seed")

TRIALS = Table(
    columns={
        "trial_id": _text(),
        "kernel": _text(),
        "kernel_release": _text(null=True),
        "page_bytes": _integer(least=1, null=True),
        "ram_bytes": _integer(least=1),
        "lendable_bytes": _integer(),
        "cpus": _integer(least=1),
        "strategy": _text(),
        "variant": _text(),
        "scenario": _text(),
        "load": _text(),
        "dose_target": _integer(most=100),
        "dose_achieved": _number(null=True),
        "requests": _text(),
        # How many seeds the config gives the cell, which may end earlier.
        "trials_asked": _integer(least=1),
        # The rule that may end it, as the config has it; null where every seed is run.
        "replication": _text(null=True),
        "seed": _integer(),
        "cycle": _integer(least=1),
        "request_bytes": _integer(least=1),
        "align_bytes": _integer(least=1),
        "outcome": _text(values=OUTCOMES),
        "stage": _text(null=True),
        "cause": _text(values=CAUSES, null=True),
        # What ended a trial that crashed, in one line for a person.
        "message": _text(null=True),
        "errno": _text(null=True),
        "granted_bytes": _integer(),
        "extents": _integer(),
        "largest_extent_bytes": _integer(),
        "lend_ns": _measured(),
        "give_back_ns": _measured(),
        # memmap of the whole host: census "before" (idle) and census "lent".
        "memmap_idle_bytes": _measured(),
        "memmap_bytes": _measured(),
        # memmap of the lent frames alone: census "lent".
        "memmap_lent_bytes": _measured(),
        # What is set aside while nothing is lent: census "before".
        "stranded_bytes": _measured(),
        "movable_only_bytes": _measured(),
        "verify": _text(values=VERDICTS),
        "verify_pages_checked": _measured(),
        "verify_pages_bad": _measured(),
        "returned_bytes": _measured(),
        "give_back_errno": _text(null=True),
        # MemAvailable after - lent: the load lives on, so it may be negative.
        "regained_bytes": _integer(least=None, null=True),
        "reuse_movable_bytes": _measured(),
        "reuse_unmovable_bytes": _measured(),
        "pages_migrated": _measured(),
        "pages_reclaimed": _measured(),
        "oom_kills": _measured(),
        "blocker": _text(null=True),
    },
    key=("trial_id", "cycle"),
    order=(*_ORDER, "cycle", "trial_id"),
    rules=(
        _rule(
            "a granted row has granted_bytes >= request_bytes",
            lambda t: (t["outcome"] != "granted") | (t["granted_bytes"] >= t["request_bytes"]),
        ),
        _rule(
            "a partial row has 0 < granted_bytes < request_bytes",
            lambda t: (
                (t["outcome"] != "partial")
                | ((t["granted_bytes"] > 0) & (t["granted_bytes"] < t["request_bytes"]))
            ),
        ),
        _rule(
            "a refused row has granted_bytes = 0",
            lambda t: (t["outcome"] != "refused") | (t["granted_bytes"] == 0),
        ),
        _rule(
            "a crashed row has a cause",
            lambda t: (t["outcome"] != "crashed") | t["cause"].notna(),
        ),
    ),
)

PHASES_TABLE = Table(
    columns={
        "trial_id": _text(),
        "kernel": _text(),
        "ram_bytes": _integer(least=1),
        "strategy": _text(),
        "variant": _text(),
        "scenario": _text(),
        "seed": _integer(),
        "cycle": _integer(least=1),
        "phase": _text(values=PHASES),
        "memmap_bytes": _integer(),
        "memmap_lent_bytes": _integer(),
        "memmap_counter_bytes": _measured(),
        "page_table_bytes": _integer(),
        "mem_total_bytes": _integer(),
        "mem_free_bytes": _integer(),
        "mem_available_bytes": _integer(),
        "present_bytes": _integer(),
        "lent_absent_bytes": _integer(),
        "stranded_bytes": _integer(),
        "movable_only_bytes": _integer(),
        **{
            f"{zone}_{what}_pages": _measured()
            for zone in ZONES
            for what in ("managed", "present", "spanned")
        },
        "first_pfn": _integer(),
        "pageblock_bytes": _integer(least=1),
        "pageblocks": _letters(PAGEBLOCK_LETTERS),
    },
    key=("trial_id", "cycle", "phase"),
    order=(*_ORDER, "cycle", "phase", "trial_id"),
    # Small groups: the pageblock map finds its three rows without reading all maps.
    rows_per_group=4096,
)

RUNS = Table(
    columns={
        "process": _text(values=("boot", "trial")),
        "trial_id": _text(),
        "kernel": _text(),
        "ram_bytes": _integer(least=1),
        "strategy": _text(),
        "variant": _text(),
        "scenario": _text(),
        "seed": _integer(null=True),
        "wall_ns": _integer(),
        "ready_wall_ns": _integer(null=True),
        "qemu_user_ns": _measured(),
        "qemu_system_ns": _measured(),
        "qemu_peak_rss_bytes": _measured(),
        "qemu_version": _text(null=True),
        "guest_exit": _text(null=True),
    },
    key=("trial_id",),
    order=(*_ORDER, "trial_id"),
)

QUANTILES = (5, 25, 50, 75, 95)


def _quantiles(prefix: str) -> dict[str, pa.Column]:
    return {f"{prefix}_p{q:02d}": _number(null=True) for q in QUANTILES}


# A cell may have fewer trials than were asked for: its seeds may end early.
_COUNTS = {"trials": _integer(least=1), "trials_asked": _integer(least=1)} | {
    outcome: _integer() for outcome in OUTCOMES
}
_SUCCESS = {
    "verify_failed": _integer(),
    "successes": _integer(),
    "success_rate": _number(most=1),
    "success_low": _number(most=1),
    "success_high": _number(most=1),
}
_SHARES = {
    # Medians over the trials that were granted anything at all.
    "extents_p50": _number(null=True),
    "memmap_per_lent_gib_bytes": _number(null=True),
    "regained_share": _number(least=None, null=True),
    "reuse_movable_share": _number(null=True),
    "reuse_unmovable_share": _number(null=True),
}
_IDLE = {
    # Medians of the census before the lend; in `comparison`, before the trials' first lend.
    "memmap_idle_bytes": _number(null=True),
    "stranded_bytes": _number(null=True),
    "movable_only_bytes": _number(null=True),
}
_SUCCESS_RULE = _rule(
    "outcomes add up to trials",
    lambda t: t[list(OUTCOMES)].sum(axis=1) == t["trials"],
)

SUMMARY = Table(
    columns={
        **_CELL_COLUMNS,
        **_COUNTS,
        "replication": _text(null=True),
        **_SUCCESS,
        "dose_achieved": _number(null=True),
        **_IDLE,
        "memmap_bytes": _number(null=True),
        **_SHARES,
        **_quantiles("lend_ns"),
        **_quantiles("give_back_ns"),
        "refusal_ns_p50": _number(null=True),
        "pages_migrated_p50": _number(null=True),
        "pages_reclaimed_p50": _number(null=True),
    },
    key=CELL,
    order=CELL,
    rules=(_SUCCESS_RULE,),
    csv=True,
)

COMPARISON = Table(
    columns={
        "kernel": _text(),
        "ram_bytes": _integer(),
        "strategy": _text(),
        "variant": _text(),
        "request_bytes": _integer(least=1),
        **_COUNTS,
        **_SUCCESS,
        **_IDLE,
        "memmap_bytes": _number(null=True),
        **_SHARES,
        "lend_ns_p50": _number(null=True),
        "give_back_ns_p50": _number(null=True),
    },
    key=("kernel", "ram_bytes", "strategy", "variant", "request_bytes"),
    order=("kernel", "ram_bytes", "strategy", "variant", "request_bytes"),
    rules=(_SUCCESS_RULE,),
    csv=True,
)

_FAILURE = (
    *("kernel", "ram_bytes", "strategy", "variant"),
    *("outcome", "cause", "stage", "errno", "blocker_type"),
)

FAILURES = Table(
    columns={
        "kernel": _text(),
        "ram_bytes": _integer(),
        "strategy": _text(),
        "variant": _text(),
        "outcome": _text(values=(*OUTCOMES, "verify failed")),
        "cause": _text(null=True),
        "stage": _text(null=True),
        "errno": _text(null=True),
        "blocker_type": _text(null=True),
        "loads": _text(),
        "count": _integer(least=1),
    },
    key=_FAILURE,
    order=_FAILURE,
    csv=True,
)

TABLES: Mapping[str, Table] = {
    "trials": TRIALS,
    "phases": PHASES_TABLE,
    "runs": RUNS,
    "summary": SUMMARY,
    "comparison": COMPARISON,
    "failures": FAILURES,
}


def write_table(
    name: str, frame: pd.DataFrame, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Check, sort and write a table: parquet, and a CSV beside it when it is a summary.

    Columns may stand in any order and have any type that converts without loss. `metadata` goes
    into the file: give only what does not change from run to run when the table must not.
    """
    table = _table(name)
    ordered = _ordered(name, _checked(name, _typed(name, frame, path), path))
    with open_table(name, path) as writer:
        writer.write(pyarrow.Table.from_pandas(ordered, table.arrow_schema(), preserve_index=False))
        writer.describe(metadata or {})
    if table.csv:
        write_atomically(path.with_suffix(".csv"), ordered.to_csv(index=False))


def checked_piece(name: str, rows: Sequence[pyarrow.Table], source: Path) -> pyarrow.Table:
    """Return some of a table's rows, checked and sorted, for `TableWriter.write`.

    Args:
        name: the table's.
        rows: in the schema's columns and types.
        source: where the rows come from, for errors.
    """
    arrow = pyarrow.concat_tables(rows).combine_chunks()
    checked = _checked(name, _frame(name, arrow), source)
    ordered = _ordered(name, checked)
    return arrow if ordered is checked else arrow.take(ordered.index.to_numpy())


@contextmanager
def open_table(name: str, path: Path) -> Iterator["TableWriter"]:
    """Give a table to write piece by piece; the file gets its name when the block ends well."""
    table = _table(name)
    with (
        file_made_aside(path) as stream,
        pyarrow.parquet.ParquetWriter(
            stream,
            table.arrow_schema(),
            version="2.6",
            compression="zstd",
            compression_level=3,
            # What rows are found by; the smallest and the largest of all maps are of no use.
            write_statistics=list(table.order),
            # Else the file carries what pandas and Arrow of this day think of the columns.
            store_schema=False,
        ) as parquet,
    ):
        writer = TableWriter(name, path, parquet)
        yield writer
        writer.write_rest()


class TableWriter:
    """Writes a table too large for memory: the same rows give the same bytes in any pieces."""

    def __init__(self, name: str, path: Path, parquet: pyarrow.parquet.ParquetWriter) -> None:
        self._name, self._path, self._parquet = name, path, parquet
        self._table = _table(name)
        self._waiting: list[pyarrow.Table] = []
        self._last: tuple[Any, ...] | None = None

    def write(self, piece: pyarrow.Table) -> None:
        """Write rows that `checked_piece` gave; each piece continues where the last one ended."""
        if not len(piece):
            return
        first, last = (self._place(piece, row) for row in (0, len(piece) - 1))
        if self._last is not None and first <= self._last:
            raise CarveoutError(
                f"table {self._name} ({self._path}): wanted rows in the order of "
                f"{', '.join(self._table.order)}; found {first} after {self._last}"
            )
        self._last = last
        self._waiting.append(piece.replace_schema_metadata())
        self._write_groups(least=self._table.rows_per_group)

    def describe(self, metadata: Mapping[str, str]) -> None:
        """Add metadata to the file."""
        self._parquet.add_key_value_metadata(dict(sorted(metadata.items())))

    def write_rest(self) -> None:
        """Write the rows that do not fill a row group."""
        self._write_groups(least=1)

    def _write_groups(self, least: int) -> None:
        """Write what waits in whole row groups, as long as `least` rows wait."""
        size = self._table.rows_per_group
        if sum(map(len, self._waiting)) < least:
            return
        rows = pyarrow.concat_tables(self._waiting)
        while len(rows) >= least:
            # In one chunk, because pages may end where chunks do.
            self._parquet.write_table(rows.slice(0, size).combine_chunks(), row_group_size=size)
            rows = rows.slice(size)
        self._waiting = [rows]

    def _place(self, piece: pyarrow.Table, row: int) -> tuple[Any, ...]:
        """Return what a row is sorted by."""
        values = piece.slice(row, 1).select(list(self._table.order)).to_pylist()[0]
        return tuple(
            PHASES.index(value) if name == "phase" else value for name, value in values.items()
        )


def read_table(
    name: str,
    path: Path,
    columns: Sequence[str] | None = None,
    where: Mapping[str, str | int] | None = None,
) -> pd.DataFrame:
    """Read and check a table, or some columns of it, or the rows in which columns have values."""
    _check_file(name, path)
    arrow = pyarrow.parquet.read_table(
        path,
        columns=None if columns is None else list(columns),
        filters=None if not where else [(key, "==", value) for key, value in where.items()],
    )
    return _checked(name, _frame(name, arrow, columns, spent=True), path, columns)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the key-value metadata that was given when the table was written."""
    stored = _parquet_file(path).metadata.metadata or {}
    return {key.decode(): value.decode() for key, value in sorted(stored.items())}


def _table(name: str) -> Table:
    if name not in TABLES:
        raise CarveoutError(f"wanted a table of {', '.join(TABLES)}; found the name {name!r}")
    return TABLES[name]


def _frame(
    name: str, arrow: pyarrow.Table, columns: Sequence[str] | None = None, *, spent: bool = False
) -> pd.DataFrame:
    """Return an Arrow table in the schema's pandas types; one that is spent is taken apart."""
    dtypes = {str(_ARROW_TYPES[t.name]): t for t in (INTEGER, NUMBER, TEXT)}
    frame: pd.DataFrame = arrow.to_pandas(
        types_mapper=lambda kind: dtypes.get(str(kind)), split_blocks=True, self_destruct=spent
    )
    return frame.astype(_table(name).dtypes(columns))


def _typed(name: str, frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the frame with the schema's columns, in its order, in its types."""
    table = _table(name)
    missing = [column for column in table.columns if column not in frame.columns]
    unknown = [str(column) for column in frame.columns if column not in table.columns]
    if missing or unknown:
        raise CarveoutError(
            f"table {name} ({path}): wanted the columns of its schema; found "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    typed = frame[list(table.columns)].reset_index(drop=True)
    for column, dtype in table.dtypes().items():
        try:
            typed[column] = typed[column].astype(dtype)
        except (TypeError, ValueError) as error:
            raise CarveoutError(
                f"table {name} ({path}): wanted {dtype.name} in column {column}; found {error}"
            ) from error
    return typed


def _checked(
    name: str, frame: pd.DataFrame, path: Path, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the frame when it fits the schema."""
    try:
        return _table(name).schema(columns).validate(frame, lazy=True, inplace=True)
    except SchemaErrors as error:
        raise CarveoutError(
            f"table {name} ({path}): {_first_failure(error.failure_cases)}"
        ) from error


def _first_failure(cases: pd.DataFrame) -> str:
    """Say in one line what a failed check wanted and found."""
    first = cases.iloc[0]
    rows = cases["index"].dropna().nunique()
    others = f" and {rows - 1} more" if rows > 1 else ""
    where = "" if pd.isna(first["index"]) else f" in row {first['index']}{others}"
    if first["schema_context"] == "DataFrameSchema":
        return f"wanted: {first['check']}; found otherwise{where}"
    return (
        f"wanted {first['check']} of column {first['column']}; found {first['failure_case']}{where}"
    )


def _ordered(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the table's order, phases as they happen; as they are when they are so."""
    order = list(_table(name).order)
    keys = frame[order]
    if "phase" in keys:
        keys = keys.assign(phase=pd.Categorical(keys["phase"], PHASES).codes)
    if _are_ordered(keys):
        return frame
    return frame.loc[keys.sort_values(order, kind="stable").index]


def _are_ordered(keys: pd.DataFrame) -> bool:
    """Say whether each row is before the next one, which is found faster than their order."""
    ahead, behind = keys.iloc[:-1].reset_index(drop=True), keys.iloc[1:].reset_index(drop=True)
    less, same = ahead < behind, ahead == behind
    ordered = pd.Series(False, less.index, "boolean")
    for column in reversed(keys.columns):
        ordered = less[column] | (same[column] & ordered)
    return bool(ordered.fillna(False).all())


def _parquet_file(path: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise CarveoutError(f"wanted a parquet table in {path}; found {error}") from error


def _check_file(name: str, path: Path) -> None:
    """Refuse a file whose columns or types are not the schema's."""
    wanted = _table(name).arrow_schema()
    found = _parquet_file(path).schema_arrow.remove_metadata()
    if not wanted.equals(found):
        differing = sorted(
            {f"{field.name}: {field.type}" for field in wanted}
            ^ {f"{field.name}: {field.type}" for field in found}
        )
        raise CarveoutError(
            f"table {name} ({path}): wanted the columns of its schema; found a difference in "
            f"{', '.join(differing) or 'their order'}; write it again with this version"
        )
