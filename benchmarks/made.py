# SPDX-License-Identifier: GPL-2.0-only
"""Made results as the measures need them: `benchmarks.synthetic.results`, run off the clock."""

from pathlib import Path

from benchmarks.bench import Bench


def make_results(bench: Bench, results: Path, rows: int, cells: int) -> list[str]:
    """Makes up a job's outputs; returns the words that name its cells to the collection."""
    name = f"make-{results.name}"
    bench.python(
        *(name, "-m", "benchmarks.synthetic.results"),
        *("--results", str(results), "--rows", str(rows), "--cells", str(cells)),
    )
    return (bench.folder / f"{name}.log").read_text(encoding="utf-8").split()
