# SPDX-License-Identifier: GPL-2.0-only
"""Write the outputs of all cells of a config from what was gathered, as boots would write them."""

import argparse
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carveout.boots.cell_trials import CellTrials, Result, point_of
from carveout.boots.journal import read_packed
from carveout.boots.run import write_outputs
from carveout.common.errors import CarveoutError, entry_point
from carveout.merge.agreement import setup_difference
from carveout.records.outcomes import was_run
from carveout.study.cell import Cell, Point
from carveout.study.matrix import read_matrix


def settle(cells: Sequence[Cell], results: Path, command: str) -> None:
    """Write the trials and runs of all cells.

    Args:
        cells: of the whole study.
        results: the folder with their journals.
        command: how trials that are missing are made, for the error.

    Raises:
        CarveoutError: some trials are missing, or are not those that the config asks for.
    """
    missing: list[str] = []
    for cell in cells:
        made = _read(results / "journals" / f"{cell.path}.jsonl")
        _check_config(cell, made)
        lacking = _missing(cell, made)
        if lacking:
            missing += [f"{cell.path}, {point}" for point in lacking]
        else:
            trials = results / "trials" / f"{cell.path}.jsonl"
            write_outputs(_in_order(cell, made), trials, results / "runs" / f"{cell.path}.jsonl")
    if missing:
        raise CarveoutError(
            f"wanted all trials of the config, found that {len(missing)} are in no folder, the "
            f"first of them {missing[0]}; '{command}' makes them and takes over all others"
        )


def _read(path: Path) -> list[Result]:
    try:
        return read_packed(path)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise CarveoutError(f"{path}.gz: wanted what was gathered, found {error}") from error


def _check_config(cell: Cell, made: Sequence[Result]) -> None:
    """Refuse trials of another set-up than the config's."""
    wanted = json.loads(cell.to_json())
    for result in made:
        if "trial" in result:
            trial = result["trial"]
            whole = {"digests": trial["digests"], "cell": wanted}
            if differs := setup_difference(trial, whole):
                raise CarveoutError(
                    f"{cell.path}: wanted trials of the config's set-up, found that the trials and "
                    f"the config differ in {differs}; the config of a merge is that of the study"
                )
            return


def _trials(made: Sequence[Result]) -> dict[Point, Result]:
    return {point_of(result["trial"]): result for result in made if "trial" in result}


def _is_unavailable(trials: dict[Point, Result]) -> bool:
    return bool(trials) and not any(was_run(result["trial"]) for result in trials.values())


def _missing(cell: Cell, made: Sequence[Result]) -> list[Point]:
    """Return which trials are still to be made, as far as it can be told without them."""
    trials = _trials(made)
    if _is_unavailable(trials):
        return [point for point in cell.planned_points() if point not in trials]
    open_trials = CellTrials(cell, trials.values())
    return list(iter(open_trials.next_point, None))


def _in_order(cell: Cell, made: Sequence[Result]) -> list[dict[str, Any]]:
    """Return what a run of the whole cell would have returned."""
    trials = _trials(made)
    content = json.loads(cell.to_json())
    if _is_unavailable(trials):
        ordered = [trials[point] for point in cell.planned_points()]
    else:
        ordered = CellTrials(cell, trials.values()).in_order()
    boots = [dict(result) for result in made if "trial" not in result]
    whole = [{**result, "trial": {**result["trial"], "cell": content}} for result in ordered]
    return [*boots, *whole]


@entry_point
def main() -> None:
    """Write the outputs of all cells."""
    parser = argparse.ArgumentParser(prog="python -m carveout.merge.settle", description=__doc__)
    parser.add_argument("--config", required=True, help="the whole config, as JSON")
    parser.add_argument("--config-files", required=True, nargs="+", help="where it is from")
    parser.add_argument("--results", required=True, type=Path, help="the folder that gets all")
    args = parser.parse_args()
    files = " ".join(args.config_files)
    matrix = read_matrix(json.loads(args.config), files, Path("workflow"))
    command = f"snakemake --configfile {files} --config results={args.results}"
    settle(matrix.cells, args.results, command)


if __name__ == "__main__":
    raise SystemExit(main())
