# SPDX-License-Identifier: GPL-2.0-only
"""Measure what carveout costs, in one run on one machine: ``python -m benchmarks``.

The table and the figure are written anew after every measure, so an interrupted run leaves the
results of the measures before. docs/benchmarks.md says what each measure is.
"""

import argparse
import importlib
import shutil
import sys
from pathlib import Path

from benchmarks import figure, table
from benchmarks.bench import MAIN_CONFIG, Bench
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.schemas import load_yaml

MEASURES = (
    "fork",
    "main_job",
    "ladder",
    "seeds",
    "ram",
    "cells",
    "rows",
    "plain_qemu",
    "virtme_ng",
    "revision",
)


@entry_point
def main() -> None:
    """Run the measures that are asked for, one after another."""
    config = load_yaml(MAIN_CONFIG)
    wanted = _arguments(Path(config["results"]))
    wanted.output.mkdir(parents=True, exist_ok=True)
    head = table.machine(config["qemu"])
    if wanted.quick:
        head["sizes"] = "--quick: the smallest, to show that the benchmark works"
    rows: list[table.Row] = []
    failed: list[str] = []
    for name in wanted.only or MEASURES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        folder = wanted.output / "work" / name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            module = importlib.import_module(f"benchmarks.measures.{name}")
            rows += module.measure(Bench(folder, wanted.quick, wanted.against))
        except CarveoutError as error:
            rows.append(table.not_run(name, "all", "all", error))
            failed.append(f"{name}: {error}")
        else:
            shutil.rmtree(folder)  # kept after a failure, whose message names a log in it
        made = table.table_of(rows)
        table.write_table(made, head, wanted.output)
        figure.write(made, wanted.output)
    print((wanted.output / "bench.txt").read_text(encoding="utf-8"))
    print(f"The table and the figure are in {wanted.output}")
    if failed:
        raise CarveoutError(f"could not measure all; the first that failed is {failed[0]}")
    shutil.rmtree(wanted.output / "work")


def _arguments(results: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=MEASURES, metavar="NAME", help=", ".join(MEASURES)
    )
    parser.add_argument("--quick", action="store_true", help="smallest sizes: shows that it works")
    parser.add_argument(
        "--against", default="HEAD^", metavar="REVISION", help="what `revision` compares with"
    )
    parser.add_argument(
        "--output", type=Path, default=results / "bench", help="folder of the results"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
