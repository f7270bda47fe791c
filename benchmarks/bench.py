# SPDX-License-Identifier: GPL-2.0-only
"""The base of all measures: jobs like the main one, run by Snakemake in a folder of their own."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cost import Cost, Gauge, run
from carveout.common.schemas import load_yaml
from carveout.study.cell import Cell
from carveout.study.matrix import read_matrix

MAIN_CONFIG = Path("config/config.yaml")
IDLE = {"idle": [0]}
# The strategy that adds nothing, in its cheapest variant, and pieces that it can give: one cell.
BASELINE: Mapping[str, Any] = {
    "strategies": {"baseline": ["transparent_huge_pages"]},
    "granules": ["2M"],
}


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark.

    Attributes:
        folder: a folder of one measure's own, in the checkout; it is gone afterwards.
        quick: whether only to show that the benchmark works, with the smallest sizes.
        against: the revision that this code is measured against.
    """

    folder: Path
    quick: bool
    against: str

    def job(self, name: str, **changes: Any) -> "Job":
        """Return the main job with some keys of its config changed; None takes a key away."""
        # Who changes it measures cells of one host, as every revision has them.
        of_one_host = {"layouts": None} if changes else {}
        config = load_yaml(MAIN_CONFIG) | of_one_host | changes
        config["results"] = str(self.folder / name)
        config = {key: value for key, value in config.items() if value is not None}
        if changes and "figures" not in changes:
            config.pop("figures", None)  # it names a trial that may not be among the changed
        path = self.folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return Job(self, path, read_matrix(config, str(path), Path("workflow")).cells)

    def run(
        self, name: str, command: Sequence[str], gauges: Mapping[str, Gauge] | None = None
    ) -> Cost:
        """Run a command whose temporary files lie in `temporary`."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        environment = {
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(Path("workflow").absolute()),
        }
        return run(command, self.folder / f"{name}.log", environment, gauges)

    def python(self, name: str, *args: str, gauges: Mapping[str, Gauge] | None = None) -> Cost:
        """Run a module or script with this Python."""
        return self.run(name, [sys.executable, *args], gauges)

    @property
    def temporary(self) -> Path:
        """The folder of the temporary files of all commands of this measure."""
        return self.folder.absolute() / "tmp"


@dataclass(frozen=True)
class Job:
    """One config with its results."""

    bench: Bench
    config: Path
    cells: Sequence[Cell]

    @property
    def results(self) -> Path:
        """The folder of the results: the path of the config without its suffix."""
        return self.config.with_suffix("")

    def snakemake(
        self,
        *targets: str,
        options: Sequence[str] = (),
        cores: int = 1,
        gauges: Mapping[str, Gauge] | None = None,
        keys: Mapping[str, str | int] | None = None,
    ) -> Cost:
        """Run Snakemake with this config, some keys of it changed."""
        command = [
            *(str(Path(sys.executable).with_name("snakemake")), "--cores", str(cores)),
            *("--configfile", str(self.config), "--config", f"results={self.results}"),
            *(f"{key}={value}" for key, value in (keys or {}).items()),
            *(*options, "--quiet", "rules", "progress", "--", *targets),
        ]
        return self.bench.run(self.config.stem, command, gauges)

    def build_images(self) -> None:
        """Make all that is made before the first boot, so that no measured time includes it."""
        parts = {
            f"{self.results}/{name}"
            for cell in self.cells
            for name in (
                "qemu.json",
                f"kernels/{cell.kernel}/kernel.json",
                *(f"guest/{cell.kernel}/{image}.cpio" for image in images_of(cell)),
            )
        }
        self.snakemake(*sorted(parts), cores=2)

    def run_cell(
        self, cell: Cell, gauges: Mapping[str, Gauge] | None = None, **keys: str | int
    ) -> tuple[Cost, list[dict[str, Any]]]:
        """Make one cell's trials, anew if they exist; return the cost and the rows of `runs`."""
        target = self.results / "trials" / f"{cell.path}.jsonl"
        target.unlink(missing_ok=True)
        cost = self.snakemake(str(target), gauges=gauges, keys=keys)
        runs = self.results / "runs" / f"{cell.path}.jsonl"
        return cost, [json.loads(line) for line in runs.read_text().splitlines()]


def images_of(cell: Cell) -> tuple[str, str, str]:
    """Return the names of the archives of a cell's initramfs, in order, without suffix."""
    return "base", f"strategies/{cell.variant.strategy}", f"loads/{cell.load}"


def seconds(runs: Sequence[Mapping[str, Any]], process: str, *columns: str) -> list[float]:
    """Return the sum of some columns of nanoseconds, in seconds, for each guest of a kind.

    The kind is the column `process`: ``boot`` or ``trial``.
    """
    return [
        sum(run[column] for column in columns) / 1e9 for run in runs if run["process"] == process
    ]
