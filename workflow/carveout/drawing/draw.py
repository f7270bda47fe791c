# SPDX-License-Identifier: GPL-2.0-only
"""Draw one figure from its tables: ``python -m carveout.drawing.draw NAME TABLES ...``."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from carveout.common.errors import CarveoutError, entry_point
from carveout.drawing import style
from carveout.drawing.catalogue import CATALOGUE, module_of
from carveout.drawing.choice import chosen
from carveout.drawing.marks import read_marks
from carveout.tables.definitions import TABLES
from carveout.tables.parquet import read_table
from carveout.wording.labels import Labels


@entry_point
def main() -> None:
    """Draw a figure: read the COLUMNS of the tables that its module names, and call its draw()."""
    parser = argparse.ArgumentParser(prog="python -m carveout.drawing.draw")
    parser.add_argument("name", choices=CATALOGUE)
    parser.add_argument("tables", type=Path, nargs="+", help="in the order of its COLUMNS")
    parser.add_argument("--where", nargs="*", default=[], help="column=value, to read some rows")
    parser.add_argument("--only", type=json.loads, default={}, help="names by kind, as JSON")
    parser.add_argument("--width", choices=style.PAGES, default="report")
    parser.add_argument("--published", type=Path, help="figures of others, to be marked")
    parser.add_argument("--descriptions", type=Path, nargs="*", default=[])
    parser.add_argument("--svg", type=Path, required=True)
    parser.add_argument("--png", type=Path, required=True)
    wanted = parser.parse_args()
    module = importlib.import_module(module_of(wanted.name))
    frames = [
        _chosen(_read(wanted, table, path, columns), wanted, path)
        for (table, columns), path in zip(module.COLUMNS.items(), wanted.tables, strict=True)
    ]
    labels = Labels.read(wanted.descriptions)
    with style.on_page(wanted.width):
        if (unit := CATALOGUE[wanted.name].marks) and wanted.published:
            figure = module.draw(*frames, labels, read_marks(wanted.published, wanted.name, unit))
        else:
            figure = module.draw(*frames, labels)
        style.save(figure, wanted.name, wanted.svg, wanted.png)


def _read(
    wanted: argparse.Namespace, table: str, path: Path, columns: Sequence[str] | None
) -> pd.DataFrame:
    """Return the rows of a table of which some columns have the wanted values."""
    frame = read_table(table, path, columns, _values(table, wanted.where))
    if frame.empty and wanted.where:
        raise CarveoutError(
            f"{path}: wanted rows for the figure {wanted.name}, found none with "
            f"{', '.join(wanted.where)}; see figures.{wanted.name} in the config"
        )
    return frame


def _chosen(frame: pd.DataFrame, wanted: argparse.Namespace, path: Path) -> pd.DataFrame:
    """Return the rows of a table that are to be drawn."""
    rows = chosen(frame, wanted.only)
    if rows.empty and not frame.empty:
        names = "; ".join(f"{key} {', '.join(found)}" for key, found in wanted.only.items())
        raise CarveoutError(
            f"{path}: wanted rows for the figure {wanted.name}, found none of {names}; "
            "see figures.only in the config"
        )
    return rows


def _values(table: str, pairs: Sequence[str]) -> dict[str, str | int | float]:
    """Return column=value pairs with the values in the columns' types."""
    values = dict(pair.split("=", 1) for pair in pairs)
    dtypes = TABLES[table].dtypes(list(values))
    types: dict[str, type[int | float | str]] = {"Int64": int, "Float64": float}
    return {column: types.get(dtypes[column].name, str)(value) for column, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
