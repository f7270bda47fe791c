# SPDX-License-Identifier: GPL-2.0-only
"""Tables as parquet files: checked, sorted and written whole or in pieces, read and checked again.

Same rows, same bytes: rows are sorted by the table's key, columns stand in the schema's order, the
compression is fixed, and a file carries no metadata but what the caller gives, its version and its
seal. Whatever is read is held against that seal.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
from pandera.errors import SchemaErrors

from carveout.common.errors import CarveoutError
from carveout.common.files import file_made_aside, write_atomically
from carveout.records.outcomes import PHASES
from carveout.tables import seal
from carveout.tables.definitions import TABLES, TABLES_VERSION
from carveout.tables.schema import ARROW_TYPES, BOOLEAN, INTEGER, NUMBER, TEXT, Table

# Use malloc: Arrow's allocator returns freed pages to the OS, and in a VM faulting them back costs
# as much as filling them.
pyarrow.set_memory_pool(pyarrow.system_memory_pool())


def write_table(
    name: str, frame: pd.DataFrame, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Check, sort and write a table: parquet, and a CSV beside it when it is a summary.

    Columns may stand in any order and have any type that converts without loss. `metadata` goes
    into the file. If the table must not change from run to run, neither may the metadata.
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
    """Yield a table to write piece by piece; the file gets its name when the block ends well."""
    table = _table(name)
    with file_made_aside(path) as stream:
        with pyarrow.parquet.ParquetWriter(
            stream,
            table.arrow_schema(),
            version="2.6",
            compression="zstd",
            compression_level=3,
            # Only of columns by which rows are found: the smallest and largest map are of no use.
            write_statistics=list(table.order),
            # Else the file carries how the installed pandas and Arrow see the columns.
            store_schema=False,
        ) as parquet:
            writer = TableWriter(name, path, parquet)
            writer.describe({"tables_version": TABLES_VERSION, seal.KEY: seal.OPEN})
            yield writer
            writer.write_rest()
        seal.seal(stream)


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
        """Return the key by which a row is sorted."""
        values = piece.slice(row, 1).select(list(self._table.order)).to_pylist()[0]
        return tuple(
            PHASES.index(value) if name == "phase" else value for name, value in values.items()
        )


def read_table(
    name: str,
    path: Path,
    columns: Sequence[str] | None = None,
    where: Mapping[str, str | int | float] | None = None,
) -> pd.DataFrame:
    """Read and check a table, or some of its columns, or the rows with some values in columns."""
    _check_file(name, path)
    arrow = pyarrow.parquet.read_table(
        path,
        columns=None if columns is None else list(columns),
        filters=None if not where else [(key, "==", value) for key, value in where.items()],
    )
    return _checked(name, _frame(name, arrow, columns, spent=True), path, columns)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the key-value metadata that was given when the table was written, and its version."""
    stored = _sound_file(path.stem, path).metadata.metadata
    return {
        key.decode(): value.decode()
        for key, value in sorted(stored.items())
        if key != seal.KEY.encode()
    }


def _table(name: str) -> Table:
    if name not in TABLES:
        raise CarveoutError(f"wanted a table of {', '.join(TABLES)}; found the name {name!r}")
    return TABLES[name]


def _frame(
    name: str, arrow: pyarrow.Table, columns: Sequence[str] | None = None, *, spent: bool = False
) -> pd.DataFrame:
    """Return an Arrow table in the schema's pandas types; `spent` frees the Arrow table."""
    dtypes = {str(ARROW_TYPES[t.name]): t for t in (BOOLEAN, INTEGER, NUMBER, TEXT)}
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
    """Check the frame against the schema and return it."""
    try:
        return _table(name).schema(columns).validate(frame, lazy=True, inplace=True)
    except SchemaErrors as error:
        raise CarveoutError(
            f"table {name} ({path}): {_first_failure(name, frame, error.failure_cases)}"
        ) from error


def _first_failure(name: str, frame: pd.DataFrame, cases: pd.DataFrame) -> str:
    """Return in one line what a failed check wanted and found."""
    first = cases.iloc[0]
    rows = cases["index"].dropna().nunique()
    others = f" and {rows - 1} more" if rows > 1 else ""
    where = "" if pd.isna(first["index"]) else f" in row {first['index']}{others}"
    if first["schema_context"] != "DataFrameSchema":
        return (
            f"wanted {first['check']} of column {first['column']}; "
            f"found {first['failure_case']}{where}"
        )
    found = ""
    if not pd.isna(first["index"]):
        found = _table(name).found(str(first["check"]), frame.loc[[first["index"]]])
    return f"wanted: {first['check']}; found {found or 'otherwise'}{where}"


def _ordered(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the table's order, with phases as they happen.

    Rows that are in that order already are returned as they are.
    """
    order = list(_table(name).order)
    keys = frame[order]
    if "phase" in keys:
        keys = keys.assign(phase=pd.Categorical(keys["phase"], PHASES).codes)
    if _are_ordered(keys):
        return frame
    return frame.loc[keys.sort_values(order, kind="stable").index]


def _are_ordered(keys: pd.DataFrame) -> bool:
    """Return whether each row is before the next one, which is faster than to sort them."""
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


def _sound_file(name: str, path: Path) -> pyarrow.parquet.ParquetFile:
    """Return a table's file; one of another version, or changed after it was made, is refused."""
    file = _parquet_file(path)
    version = (file.metadata.metadata or {}).get(b"tables_version", b"1").decode()
    if version != TABLES_VERSION:
        raise CarveoutError(
            f"table {name} ({path}): wanted tables version {TABLES_VERSION}, found {version}; "
            "CHANGELOG.md says what changed; write it again with 'snakemake tables'"
        )
    status = path.stat()
    _check_seal_once(path, status.st_ino, status.st_mtime_ns)
    return file


@functools.cache
def _check_seal_once(path: Path, _inode: int, _mtime_ns: int) -> None:
    """Check a file's seal, once in a process: some read a few columns after others."""
    seal.check_seal(path)


def _check_file(name: str, path: Path) -> None:
    """Refuse a file that is not sound, or whose columns or types are not the schema's."""
    wanted = _table(name).arrow_schema()
    found = _sound_file(name, path).schema_arrow.remove_metadata()
    if not wanted.equals(found):
        differing = sorted(
            {f"{field.name}: {field.type}" for field in wanted}
            ^ {f"{field.name}: {field.type}" for field in found}
        )
        raise CarveoutError(
            f"table {name} ({path}): wanted the columns of its schema; found a difference in "
            f"{', '.join(differing) or 'their order'}; write it again with this version"
        )
