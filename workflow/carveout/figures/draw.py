# SPDX-License-Identifier: GPL-2.0-only
"""Draw one figure from one table: ``python -m carveout.figures.draw NAME TABLE ...``."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from carveout.common.errors import CarveoutError, entry_point
from carveout.figures import style
from carveout.tables.definitions import TABLES
from carveout.tables.parquet import read_table
from carveout.wording.labels import Labels


@entry_point
def main() -> None:
    """Draw a figure: read the TABLE and COLUMNS that its module names and call its draw()."""
    parser = argparse.ArgumentParser(prog="python -m carveout.figures.draw")
    parser.add_argument("name", help="the module of the figure")
    parser.add_argument("table", type=Path)
    parser.add_argument("--where", nargs="*", default=[], help="column=value, to read some rows")
    parser.add_argument("--descriptions", type=Path, nargs="*", default=[])
    parser.add_argument("--svg", type=Path, required=True)
    parser.add_argument("--png", type=Path, required=True)
    wanted = parser.parse_args()
    module = importlib.import_module(f"carveout.figures.{wanted.name}")
    where = _values(module.TABLE, wanted.where)
    frame = read_table(module.TABLE, wanted.table, module.COLUMNS, where)
    if frame.empty:
        raise CarveoutError(
            f"{wanted.table}: wanted rows for the figure {wanted.name}, found none"
            + (
                f" with {', '.join(wanted.where)}; see figures.{wanted.name} in the config"
                * bool(where)
            )
        )
    figure = module.draw(frame, Labels.read(wanted.descriptions))
    style.save(figure, wanted.name, wanted.svg, wanted.png)


def _values(table: str, pairs: Sequence[str]) -> dict[str, str | int | float]:
    """Return column=value pairs with the values in the columns' types."""
    values = dict(pair.split("=", 1) for pair in pairs)
    dtypes = TABLES[table].dtypes(list(values))
    types: dict[str, type[int | float | str]] = {"Int64": int, "Float64": float}
    return {column: types.get(dtypes[column].name, str)(value) for column, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
