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
from carveout.drawing.choice import Only, chosen
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
        _read(wanted.name, table, path, columns, wanted.where, wanted.only)
        for (table, columns), path in zip(module.COLUMNS.items(), wanted.tables, strict=True)
    ]
    labels = Labels.read(wanted.descriptions)
    with style.on_page(wanted.width):
        if CATALOGUE[wanted.name].marks and wanted.published:
            figure = module.draw(*frames, labels, read_marks(wanted.published, wanted.name))
        else:
            figure = module.draw(*frames, labels)
        style.save(figure, wanted.name, wanted.svg, wanted.png)


def _read(
    figure: str,
    table: str,
    path: Path,
    columns: Sequence[str] | None,
    pairs: Sequence[str],
    only: Only,
) -> pd.DataFrame:
    """Return what a figure shows of a table."""
    frame = read_table(table, path, columns, _values(table, pairs))
    if frame.empty and pairs:
        raise CarveoutError(
            f"{path}: wanted rows for the figure {figure}, found none with {', '.join(pairs)}; "
            f"see figures.{figure} in the config"
        )
    rows = chosen(frame, only)
    if rows.empty and not frame.empty:
        raise CarveoutError(
            f"{path}: wanted rows for the figure {figure}, found none with "
            f"{', '.join(f'{key} {" ".join(names)}' for key, names in only.items())}; "
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
