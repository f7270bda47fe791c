# SPDX-License-Identifier: GPL-2.0-only
"""Made-up results for the measures: `benchmarks.synthetic.results`, run while no clock runs."""

from pathlib import Path

from benchmarks.bench import Bench


def make_results(bench: Bench, results: Path, rows: int, cells: int) -> list[str]:
    """Make up a job's outputs; return the arguments that name its cells to the collection."""
    name = f"make-{results.name}"
    bench.python(
        *(name, "-m", "benchmarks.synthetic.results"),
        *("--results", str(results), "--rows", str(rows), "--cells", str(cells)),
    )
    return (bench.folder / f"{name}.log").read_text(encoding="utf-8").split()
