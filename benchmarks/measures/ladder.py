# SPDX-License-Identifier: GPL-2.0-only
"""The adaptive ladder of doses against the full one: trials, and the turning points of both.

The full ladder has every dose at the finest step. The adaptive one's doses are among them, so the
full one takes these trials over and makes only the others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.bench import MAIN_CONFIG, Bench, Job
from benchmarks.table import Row
from carveout.common.errors import CarveoutError
from carveout.common.schemas import load_yaml
from carveout.tables.parquet import read_table
from carveout.tables.schema import CURVE

BETWEEN_DOSES = "doses between which a curve turns, widest"
_APART = "turning points of both ladders, how far apart"
_MOST_OF_FULL = 0.5
_ADAPTIVE, _FULL = "adaptive ladder", "every dose at the finest step"
_LIMIT = "the finest step"
_LOADS = ("unmovable_pages", "anonymous_memory")
_CELLS: dict[str, Any] = {
    "strategies": {"alloc_contig_range": ["whole_memory"], "hugetlbfs": ["32M_run_time"]},
    # One range is nothing that pages of 32 MiB can give: no guest is booted for it.
    "granules": ["2M", "single"],
}
_QUICK: dict[str, Any] = {
    "strategies": {"alloc_contig_range": ["whole_memory"]},
    "granules": ["single"],
    "seeds": 1,
}


@dataclass(frozen=True)
class Walked:
    """A ladder that was walked.

    Attributes:
        trials: how many were made.
        qemu_s: the processor time of all their QEMUs, boots included.
        turning_points: the curves that turn, by what makes a curve.
    """

    trials: int
    qemu_s: float
    turning_points: pd.DataFrame

    @property
    def widest_percent(self) -> float:
        """How far apart two doses are at most between which a curve turns."""
        found = self.turning_points
        return float((found["less_from_dose"] - found["half_until_dose"]).max())


def measure(bench: Bench) -> list[Row]:
    """Walk the main job's ladders, then all of their doses, and compare what both found.

    Raises:
        CarveoutError: a curve turns on one ladder and not on the other, or none does.
    """
    loads = {
        load: doses
        for load, doses in load_yaml(MAIN_CONFIG)["loads"].items()
        if load in (_LOADS[:1] if bench.quick else _LOADS)
    }
    cells = _QUICK if bench.quick else _CELLS
    job = bench.job("adaptive", **cells, loads=loads)
    adaptive = _walk(job, job.results)
    every_dose = {
        cell.load: sorted({point.dose_permille / 10 for point in cell.points()})
        for cell in job.cells
    }
    # In the folder where the adaptive ladder's trials are: a trial is the same whichever doses
    # are asked for beside its own.
    full = _walk(bench.job("full", **cells, loads=every_dose), job.results)
    apart_percent = farthest_apart_percent(adaptive, full)
    finest_percent = max(cell.ladder["finest_permille"] / 10 for cell in job.cells if cell.ladder)
    found = (len(full.turning_points), len(adaptive.turning_points))
    widest_percent = (full.widest_percent, adaptive.widest_percent)
    return [
        *_rows("trials", "trials", (full.trials, adaptive.trials), _MOST_OF_FULL),
        *_rows("processor time of QEMU", "s", (full.qemu_s, adaptive.qemu_s)),
        *_rows("turning points found", "curves", found),
        *_rows(BETWEEN_DOSES, "%", widest_percent, 1),
        Row("ladder", _APART, _LIMIT, "%", [finest_percent]),
        Row(
            *("ladder", _APART, "farthest of all curves", "%", [apart_percent]),
            ratio_to=_LIMIT,
            ratio_at_most=1,
        ),
    ]


def _walk(job: Job, results: Path) -> Walked:
    tables = results / "tables"
    turning_points, runs = (tables / f"{name}.parquet" for name in ("curves", "runs"))
    job.snakemake(str(turning_points), keys={"results": str(results)})
    spent = read_table("runs", runs)
    found = read_table("curves", turning_points)
    return Walked(
        trials=int((spent["process"] == "trial").sum()),
        qemu_s=float((spent["qemu_user_ns"] + spent["qemu_system_ns"]).sum()) / 1e9,
        turning_points=found[found["turning_point"].notna()].set_index(list(CURVE)),
    )


def farthest_apart_percent(adaptive: Walked, full: Walked) -> float:
    """Return by how much the turning points of a curve differ at most, in percent of dose.

    Raises:
        CarveoutError: a curve turns on one ladder and not on the other, or none does.
    """
    if full.turning_points.empty:
        raise CarveoutError("ladder: wanted curves that turn on the full ladder, found none")
    lonely = adaptive.turning_points.index.symmetric_difference(full.turning_points.index)
    if len(lonely):
        raise CarveoutError(
            "ladder: wanted the same curves to turn on the adaptive ladder and on the full one, "
            f"found {len(lonely)} that turn on one alone: {lonely[0]}"
        )
    points = adaptive.turning_points["turning_point"] - full.turning_points["turning_point"]
    return float(points.abs().max())


def _rows(
    quantity: str, unit: str, values: tuple[float, float], at_most: float | None = None
) -> list[Row]:
    full, adaptive = values
    return [
        Row("ladder", quantity, _FULL, unit, [full]),
        Row(
            *("ladder", quantity, _ADAPTIVE, unit, [adaptive]),
            ratio_to=_FULL,
            ratio_at_most=at_most,
        ),
    ]
