# SPDX-License-Identifier: GPL-2.0-only
"""The tables as checks see them: columns that they name, and the sizes of the kernel's pages."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from carveout.claims.expressions import NUMBERS, TEXT, TEXTS, TRUTHS
from carveout.study.geometry import huge_page_bytes_of, section_bytes_of
from carveout.tables.definitions import TABLES
from carveout.tables.parquet import read_table
from carveout.tables.rules import is_short_of_dose
from carveout.tables.schema import COMPARABLE, KERNEL_COLUMNS

# What is made of trials is no witness of them.
CHECKABLE = tuple(name for name in TABLES if name not in ("runs", "changes", "claims", "needs"))
VARIANT = ("strategy", "variant")
# Sizes that every row of a kernel has, whatever its table.
_COUNTED = ("page_bytes", "pageblock_bytes", "struct_page_bytes")
GEOMETRY = (*_COUNTED, "huge_page_bytes", "section_bytes")
# Of a trial, whether its host carried the load: it was not refused, and came to its dose.
LOAD_CARRIED = "load_carried"
_OF_CARRIED = ("outcome", "dose_target", "dose_achieved")
# Columns that say that nothing was run. A row of which they do counts only where a check names one.
NOT_RUN = ("not_available", "why_not_available", "available", "message")
_KINDS = {"Int64": NUMBERS, "Float64": NUMBERS, "boolean": TRUTHS, "str": TEXTS}
_OF_ONE_SIDE = ("trial_id", *VARIANT)


def kinds_of(table: str) -> dict[str, str]:
    """Return what the columns of a table are, with those of the kernel's sizes, by their names."""
    own = {name: _KINDS[dtype.name] for name, dtype in TABLES[table].dtypes().items()}
    carried = {LOAD_CARRIED: TRUTHS} if set(_OF_CARRIED) <= own.keys() else {}
    return own | carried | dict.fromkeys(GEOMETRY, NUMBERS)


def pairing_of(table: str) -> tuple[str, ...]:
    """Return the columns in which rows of two variants agree that are to be compared."""
    alike = (*KERNEL_COLUMNS, *TABLES[table].order)
    own = [*COMPARABLE, *alike] if "granule" in TABLES[table].columns else alike
    return tuple(name for name in dict.fromkeys(own) if name not in _OF_ONE_SIDE)


class Evidence:
    """The tables of one folder, each read once, with no more columns than are needed."""

    def __init__(self, folder: Path, columns: Mapping[str, Iterable[str]]) -> None:
        self._folder = folder
        self._columns = {table: set(names) for table, names in columns.items()}

    @functools.cache  # noqa: B019 - lives as long as the program
    def rows(self, table: str) -> pd.DataFrame | None:
        """Return a table's rows, null where there is none of that name.

        A column `_run` says whether anything was run for the row.
        """
        path = self._folder / f"{table}.parquet"
        if not path.is_file():
            return None
        known = TABLES[table].columns
        wanted = self._columns[table] | {*VARIANT, *TABLES[table].key, *pairing_of(table)}
        wanted |= {"trials", "outcome", *NOT_RUN}
        if LOAD_CARRIED in wanted:
            wanted |= set(_OF_CARRIED)
        frame = read_table(table, path, [name for name in known if name in wanted])
        if LOAD_CARRIED in wanted:
            frame[LOAD_CARRIED] = _is_carried(frame)
        texts = {name: TEXT for name, kind in kinds_of(table).items() if kind == TEXTS}
        frame = frame.astype({name: kind for name, kind in texts.items() if name in frame})
        frame = frame.assign(_run=_was_run(frame))
        sizes = self._sizes()
        if sizes is None or not set(GEOMETRY) & self._columns[table]:
            return frame
        missing = [name for name in sizes if name not in frame or name in KERNEL_COLUMNS]
        return frame.merge(sizes[missing], on=list(KERNEL_COLUMNS), how="left")

    def part(self, table: str, columns: Iterable[str]) -> pd.DataFrame | None:
        """Return a table's rows with some columns, those that tell rows apart, and `_run`.

        Rows of few columns are picked faster.
        """
        rows = self.rows(table)
        if rows is None:
            return None
        wanted = {*columns, *VARIANT, *NOT_RUN, *pairing_of(table), "_run"}
        return rows[[name for name in rows if name in wanted]]

    @functools.cache  # noqa: B019
    def _sizes(self) -> pd.DataFrame | None:
        """Return each kernel's sizes, as its censuses have them."""
        path = self._folder / "phases.parquet"
        if not path.is_file():
            return None
        read = read_table("phases", path, [*KERNEL_COLUMNS, *_COUNTED])
        sizes = read.drop_duplicates(list(KERNEL_COLUMNS))
        sizes = sizes.astype(dict.fromkeys(KERNEL_COLUMNS, TEXT))
        return sizes.assign(
            huge_page_bytes=sizes["page_bytes"].map(huge_page_bytes_of).astype("Int64"),
            section_bytes=sizes["page_bytes"].map(section_bytes_of).astype("Int64"),
        )


class CommonDoses(Evidence):
    """The same tables, of doses that every variant ran: so variants are held against each other.

    A ladder adds doses where a variant's own answer changes: judged by these, too, a variant would
    be asked what others are not.
    """

    def __init__(self, whole: Evidence) -> None:
        self._whole = whole

    @functools.cache  # noqa: B019
    def rows(self, table: str) -> pd.DataFrame | None:
        """Return a table's rows, as all of the evidence has them."""
        rows = self._whole.rows(table)
        if rows is None or "dose_target" not in rows:
            return rows
        load = [name for name in (*COMPARABLE, "load", "requests", "cycle") if name in rows]
        variants = rows.groupby(list(VARIANT)).ngroup().where(rows["_run"])
        grouped = rows.assign(_variant=variants)
        of_load, of_dose = (
            grouped.groupby(keys)["_variant"].transform("nunique")
            for keys in (load, [*load, "dose_target"])
        )
        return rows[~rows["_run"] | (of_load == of_dose)]


def _is_carried(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Return whether hosts carried their loads; null where it is not known what a load came to."""
    came = ~is_short_of_dose(trials) | (trials["dose_target"] == 0)
    return (trials["outcome"] != "load_refused") & came


def _was_run(frame: pd.DataFrame) -> "pd.Series[bool]":
    if "outcome" in frame:
        return (frame["outcome"] != "not_available").astype(bool)
    if "available" in frame:
        return frame["available"].astype(bool)
    if "not_available" in frame:
        return (frame["trials"] > 0).astype(bool)
    return pd.Series(data=True, index=frame.index)
