# SPDX-License-Identifier: GPL-2.0-only
"""Growth with seeds: the cost per trial when a cell has more seeds, the workflow included."""

from benchmarks.bench import BASELINE, IDLE, Bench
from benchmarks.table import Row


def measure(bench: Bench) -> list[Row]:
    """Measure one idle cell, forked, with growing numbers of seeds.

    All its trials share the cost of the boot and of Snakemake itself.
    """
    job = bench.job("job", **BASELINE, loads=IDLE)
    job.build_images()
    sizes = (1, 2) if bench.quick else (1, 5, 20, 50)
    (cell,) = job.cells
    costs = {seeds: job.run_cell(cell, seeds=seeds)[0] for seeds in sizes}
    return [
        Row(
            measure="seeds",
            quantity=quantity,
            case=_case(seeds),
            unit="s",
            samples=[total_s / seeds],
            size=seeds,
            ratio_to=None if seeds == sizes[0] else _case(sizes[0]),
        )
        for quantity, totals in {
            "wall time a trial": {seeds: cost.wall_s for seeds, cost in costs.items()},
            "processor time a trial": {seeds: cost.cpu_s for seeds, cost in costs.items()},
        }.items()
        for seeds, total_s in totals.items()
    ]


def _case(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds > 1)}"
