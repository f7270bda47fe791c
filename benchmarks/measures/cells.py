# SPDX-License-Identifier: GPL-2.0-only
"""Growth with cells: a dry run of the workflow, and tables of as many made-up cells.

Beside the largest dry run stands Snakemake's own of as many jobs that need and do nothing: no
workflow of that many jobs is planned sooner.
"""

import sys
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

from benchmarks.bench import IDLE, Bench
from benchmarks.cost import Cost
from benchmarks.made import make_results
from benchmarks.table import Row

_SEEDS = 5
_ROWS_A_TRIAL = 2
_MOST_S = 15
_LIMIT = "the limit"
_JOBS_ALONE = """
rule all:
    input: [f"{{number}}" for number in range({jobs})]
rule job:
    output: "{{number}}"
    shell: "touch {{output}}"
"""
_ONE_CELL_A_REQUEST = {"strategies": {"mem": ["carve_out"]}, "loads": IDLE, "granules": ["page"]}


def measure(bench: Bench) -> list[Row]:
    """Measure a dry run and the collection of tables, for growing numbers of cells.

    Nothing is booted: the cells' outputs are made up, in the form in which the runner writes them.
    10,000 cells are to be planned within 15 s.
    """
    sizes = (10, 100) if bench.quick else (10, 100, 1_000, 10_000)
    costs = {
        (step, cells): cost
        for cells in sizes
        for step, cost in {
            "dry run": _dry_run(bench, cells),
            "collection": _collection(bench, cells),
        }.items()
    }
    most = sizes[-1]
    return [
        *(
            row
            for (step, cells), cost in costs.items()
            for row in _rows(step, cells, cost, sizes[0])
        ),
        *_beside_snakemake(f"{most} cells", costs["dry run", most], _jobs_alone(bench, most)),
    ]


def _dry_run(bench: Bench, cells: int) -> Cost:
    """Let Snakemake plan a job of this many cells, of which nothing is made yet."""
    sizes = [f"{number}MiB" for number in range(2, 202, 2)]  # two to a request, none asked twice
    pairs = islice(product(sizes, sizes), cells)
    requests = {f"request{number}": list(pair) for number, pair in enumerate(pairs)}
    job = bench.job(f"dry{cells}", **_ONE_CELL_A_REQUEST, requests=requests)
    return job.snakemake(options=["--dry-run"])


def _jobs_alone(bench: Bench, jobs: int) -> Cost:
    """Let Snakemake plan as many jobs that need nothing."""
    snakefile = bench.folder / "jobs_alone.smk"
    snakefile.write_text(_JOBS_ALONE.format(jobs=jobs), encoding="utf-8")
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    options = ["--cores", "1", "--dry-run", "--workflow-profile", "none"]
    options += ["--directory", str(bench.folder), "--quiet", "rules", "progress"]
    return bench.run("jobs_alone", [snakemake, "--snakefile", str(snakefile), *options])


def _collection(bench: Bench, cells: int) -> Cost:
    results = bench.folder / f"made{cells}"
    words = make_results(bench, results, cells * _SEEDS * _ROWS_A_TRIAL, cells)
    return bench.python(
        f"collect{cells}", "-m", "carveout.collection.collect", "--results", str(results), *words
    )


def _rows(step: str, cells: int, cost: Cost, fewest: int) -> Iterator[Row]:
    for what, unit, value in (
        ("wall time", "s", cost.wall_s),
        ("processor time", "s", cost.cpu_s),
        ("peak memory", "bytes", cost.peak_memory_bytes),
    ):
        yield Row(
            measure="cells",
            quantity=f"{step}, {what}",
            case=f"{cells} cells",
            unit=unit,
            samples=[value],
            size=cells,
            ratio_to=None if cells == fewest else f"{fewest} cells",
        )


def _beside_snakemake(case: str, dry_run: Cost, alone: Cost) -> Iterator[Row]:
    quantity = "the largest dry run, wall time"
    yield Row("cells", quantity, _LIMIT, "s", [_MOST_S])
    yield Row("cells", quantity, case, "s", [dry_run.wall_s], ratio_to=_LIMIT, ratio_at_most=1)
    yield Row("cells", quantity, "Snakemake alone", "s", [alone.wall_s], ratio_to=_LIMIT)
