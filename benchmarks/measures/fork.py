# SPDX-License-Identifier: GPL-2.0-only
"""Fork against cold boot: the same trials of the same cells, one way after the other."""

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.bench import IDLE, Bench, seconds
from benchmarks.table import Row

_FIRST_INSTRUCTION = "start of QEMU to a trial's first instruction"
_QUANTITIES = {
    _FIRST_INSTRUCTION: ("ready_wall_ns",),
    "wall time of a whole trial": ("wall_ns",),
    "processor time of a whole trial": ("qemu_user_ns", "qemu_system_ns"),
}
_ENGINES = {"cold": "cold boot", "fork": "fork"}
_MOST_OF_COLD = 0.1


def measure(bench: Bench) -> list[Row]:
    """Both ways in turn, under each load of the main job, with the strategy that adds nothing."""
    job = bench.job(
        "job", strategies={"baseline": "all"}, **({"loads": IDLE} if bench.quick else {})
    )
    job.build_images()
    rounds, seeds = (1, 1) if bench.quick else (3, 2)
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for cell in job.cells:
            for engine in _ENGINES:
                _, runs = job.run_cell(cell, boot=engine, seeds=seeds)
                for quantity, columns in _QUANTITIES.items():
                    samples[quantity, cell.load, engine] += seconds(runs, "trial", *columns)
    return list(_rows(samples, [cell.load for cell in job.cells]))


def _rows(samples: dict[tuple[str, str, str], list[float]], loads: list[str]) -> Iterator[Row]:
    for quantity in _QUANTITIES:
        for load in loads:
            for engine, name in _ENGINES.items():
                is_fork = engine == "fork"
                yield Row(
                    measure="fork",
                    quantity=quantity,
                    case=_case(name, load),
                    unit="s",
                    samples=samples[quantity, load, engine],
                    ratio_to=_case(_ENGINES["cold"], load) if is_fork else None,
                    ratio_at_most=(
                        _MOST_OF_COLD if is_fork and quantity == _FIRST_INSTRUCTION else None
                    ),
                )


def _case(engine: str, load: str) -> str:
    return f"{engine}, {load.replace('_', ' ')}"
