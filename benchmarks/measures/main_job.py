# SPDX-License-Identifier: GPL-2.0-only
"""The main job with its images built: its time, what is not QEMU's, what it found, and peaks."""

import psutil

from benchmarks.bench import BASELINE, IDLE, Bench
from benchmarks.cost import disk_bytes
from benchmarks.table import Row
from carveout.tables.parquet import read_table

TURNING_POINTS = "turning points a minute of QEMU's processor time"
_MOST_NOT_OF_QEMU = 0.1
_CORES = 2
_MOST_S = 15 * 60
_LIMIT = "the limit"


def measure(bench: Bench) -> list[Row]:
    """Measure one whole run: boots, tables, figures and report."""
    less = {**BASELINE, "loads": IDLE, "seeds": 2} if bench.quick else {}
    job = bench.job("job", **less)
    job.build_images()

    def temporary_bytes(_: psutil.Process) -> int:
        return disk_bytes(*bench.temporary.glob("carveout-*"))

    cost = job.snakemake(cores=_CORES, gauges={"temporary": temporary_bytes})
    runs, curves = (
        read_table(name, job.results / "tables" / f"{name}.parquet") for name in ("runs", "curves")
    )
    qemu_s = float((runs["qemu_user_ns"] + runs["qemu_system_ns"]).sum()) / 1e9
    trials = int((runs["process"] == "trial").sum())
    turning_points = int(curves["turning_point"].notna().sum())

    def row(quantity: str, case: str, unit: str, value: float, **ratio: float | str) -> Row:
        return Row("main_job", quantity, case, unit, [value], **ratio)  # type: ignore[arg-type]

    cpu, disk = "processor time", "disk space"
    whole = f"{trials} trials, {_CORES} cores"
    return [
        row(cpu, "all processes", "s", cost.cpu_s),
        row(cpu, "QEMU", "s", qemu_s, ratio_to="all processes"),
        row(
            *(cpu, "all but QEMU", "s", cost.cpu_s - qemu_s),
            ratio_to="all processes",
            ratio_at_most=_MOST_NOT_OF_QEMU,
        ),
        row("wall time", _LIMIT, "s", _MOST_S),
        row("wall time", whole, "s", cost.wall_s, ratio_to=_LIMIT, ratio_at_most=1),
        row("trials", whole, "1/min", trials / cost.wall_s * 60),
        row(
            TURNING_POINTS,
            f"{turning_points} turning points",
            "1/min",
            turning_points / qemu_s * 60,
        ),
        row("peak memory", "all processes", "bytes", cost.peak_memory_bytes),
        row(disk, "temporary files, peak", "bytes", cost.peaks["temporary"]),
        row(disk, "results", "bytes", disk_bytes(job.results)),
    ]
