# SPDX-License-Identifier: GPL-2.0-only
"""Draw figures from tables: ``python -m carveout.drawing.draw NAMES --tables FILES ...``."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

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
    """Draw figures: read the COLUMNS of the tables that their modules name, call their draw()."""
    parser = argparse.ArgumentParser(prog="python -m carveout.drawing.draw")
    parser.add_argument("names", nargs="+", choices=CATALOGUE, metavar="NAME")
    parser.add_argument("--tables", type=Path, nargs="+", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="gets NAME.svg and NAME.png")
    parser.add_argument("--trial", nargs="*", default=[], help="column=value, of what has a key")
    parser.add_argument("--only", type=json.loads, default={}, help="names by kind, as JSON")
    parser.add_argument("--width", choices=style.PAGES, default="report")
    parser.add_argument("--published", type=Path, help="figures of others, to be marked")
    parser.add_argument("--descriptions", type=Path, nargs="*", default=[])
    wanted = parser.parse_args()
    labels = Labels.read(wanted.descriptions)
    with style.on_page(wanted.width):
        for name in wanted.names:
            figure = _drawn(name, wanted, labels)
            style.save(figure, name, wanted.folder / f"{name}.svg", wanted.folder / f"{name}.png")


def _drawn(name: str, wanted: argparse.Namespace, labels: Labels) -> Figure:
    """Return a figure of the wanted rows of its tables."""
    entry = CATALOGUE[name]
    module = importlib.import_module(module_of(name))
    files = {path.stem: path for path in wanted.tables}
    frames = []
    for table, columns in module.COLUMNS.items():
        if table not in files:
            raise CarveoutError(
                f"wanted the table {table} for the figure {name}, found {', '.join(files)}"
            )
        frame = _read(name, table, files[table], columns, wanted.trial if entry.key else [])
        frames.append(_chosen(name, frame, wanted.only, files[table]))
    marks = (
        (read_marks(wanted.published, name, entry.marks),)
        if entry.marks and wanted.published
        else ()
    )
    figure: Figure = module.draw(*frames, labels, *marks)
    return figure


def _read(
    name: str, table: str, path: Path, columns: Sequence[str] | None, pairs: Sequence[str]
) -> pd.DataFrame:
    """Return the rows of a table of which some columns have the wanted values."""
    frame = read_table(table, path, columns, _values(table, pairs))
    if frame.empty and pairs:
        raise CarveoutError(
            f"{path}: wanted rows for the figure {name}, found none with {', '.join(pairs)}; "
            f"see figures.{name} in the config"
        )
    return frame


def _chosen(name: str, frame: pd.DataFrame, only: Only, path: Path) -> pd.DataFrame:
    """Return the rows of a table that are to be drawn."""
    rows = chosen(frame, only)
    if rows.empty and not frame.empty:
        names = "; ".join(f"{key} {', '.join(found)}" for key, found in only.items())
        raise CarveoutError(
            f"{path}: wanted rows for the figure {name}, found none of {names}; "
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
