# SPDX-License-Identifier: GPL-2.0-only
"""A million made-up rows: collected into tables, then all figures drawn from the tables."""

import shutil

from benchmarks.bench import Bench
from benchmarks.cost import Cost
from benchmarks.made import make_results
from benchmarks.synthetic.results import JOB
from benchmarks.table import Row
from carveout.common.sizes import GIB

_ROWS = 1_000_000
_CELLS = 40
_MOST_S = 60
_MOST_BYTES = 2 * GIB
_LIMIT = "the limit"


def measure(bench: Bench) -> list[Row]:
    """Measure the collection, the statistics and the redrawing of all figures.

    Each step is a process of its own, so the peak of all steps is the largest of their peaks.
    """
    rows = 2_000 if bench.quick else _ROWS
    job = bench.job("job", **JOB)
    words = make_results(bench, job.results, rows, _CELLS)
    tables = job.results / "tables"
    steps = {
        "collection": bench.python(
            *("collect", "-m", "carveout.collection.collect", "--results", str(job.results)), *words
        ),
        "statistics": bench.python(
            *("summarize", "-m", "carveout.statistics.summarize", str(tables / "trials.parquet")),
            *(
                word
                for name in ("summary", "variants", "failures", "blockers", "curves", "kernels")
                for word in (f"--{name}", str(tables / f"{name}.parquet"))
            ),
        ),
        "redrawing of all figures": job.snakemake("figures", cores=2),
    }
    shutil.rmtree(job.results)
    return [
        *_rows("wall time", "s", _MOST_S, steps),
        *_rows("peak memory", "bytes", _MOST_BYTES, steps),
    ]


def _rows(quantity: str, unit: str, limit: float, steps: dict[str, Cost]) -> list[Row]:
    values = {
        name: cost.wall_s if unit == "s" else cost.peak_memory_bytes for name, cost in steps.items()
    }
    whole = sum(values.values()) if unit == "s" else max(values.values())
    return [
        Row("rows", quantity, _LIMIT, unit, [limit]),
        Row("rows", quantity, "all steps", unit, [whole], ratio_to=_LIMIT, ratio_at_most=1),
        *(
            Row("rows", quantity, name, unit, [value], ratio_to=_LIMIT)
            for name, value in values.items()
        ),
    ]
