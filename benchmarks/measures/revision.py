# SPDX-License-Identifier: GPL-2.0-only
"""This code against another revision of it: the same cells, one after the other, in turn."""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml

from benchmarks.bench import Bench, seconds
from benchmarks.cost import run
from benchmarks.table import Row
from carveout.common.errors import CarveoutError

_QUANTITY = "processor time of a whole trial"
_THIS = "this code"
# Names that revisions share.
_CONFIG: dict[str, Any] = {
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "128MiB",
    "requests": {"quarter_then_whole": ["32MiB", "128MiB"]},
    "strategies": {"cma": ["area"], "virtio-mem": ["online_movable"]},
    "loads": {"idle": [0], "page_cache": [25], "unmovable_pages": [10]},
    "seeds": 3,
}


def measure(bench: Bench) -> list[Row]:
    """Measure what a trial costs QEMU in this checkout and in one of the other revision."""
    config = _CONFIG | ({"loads": {"idle": [0]}} if bench.quick else {})
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    with _checkout(bench, bench.against) as other:
        for round_number in range(1 if bench.quick else 2):
            for code, checkout in ((_THIS, Path.cwd()), (bench.against, other)):
                name = f"{checkout.name}-{round_number}"
                for load, trial_s in _trials(bench, checkout, name, config):
                    samples[load, code].append(trial_s)
    return [
        Row(
            measure="revision",
            quantity=_QUANTITY,
            case=f"{code}, {load.replace('_', ' ')}",
            unit="s",
            samples=samples[load, code],
            ratio_to=None if code != _THIS else f"{bench.against}, {load.replace('_', ' ')}",
        )
        for load in config["loads"]
        for code in (bench.against, _THIS)
    ]


@contextmanager
def _checkout(bench: Bench, revision: str) -> Iterator[Path]:
    path = (bench.folder / "other").absolute()
    _git("worktree", "add", "--force", "--detach", str(path), revision)
    try:
        yield path
    finally:
        _git("worktree", "remove", "--force", str(path))


def _git(*args: str) -> None:
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise CarveoutError(f"git {' '.join(args)}: wanted it to succeed, it said: {said}")


def _trials(
    bench: Bench, checkout: Path, name: str, config: dict[str, Any]
) -> Iterator[tuple[str, float]]:
    """Boot all cells; yield the load and the processor time of each trial in a restored QEMU."""
    results = bench.folder.absolute() / name
    config_file = results.with_suffix(".yaml")
    config_file.parent.mkdir(parents=True, exist_ok=True)
    config_file.write_text(yaml.safe_dump(config | {"results": str(results)}, sort_keys=False))
    rules = [f"boot_{strategy.replace('-', '_')}" for strategy in _CONFIG["strategies"]]
    command = [
        *(str(Path(sys.executable).with_name("snakemake")), "--cores", "1"),
        *("--workflow-profile", "none", "--directory", str(checkout)),
        *("--snakefile", str(checkout / "Snakefile"), "--configfile", str(config_file)),
        *("--quiet", "rules", "progress", "--until", *rules),
    ]
    environment = {"PYTHONPATH": str(checkout / "workflow")}
    run(command, results.with_suffix(".log"), environment)
    for path in sorted(results.glob("runs/**/*.jsonl")):
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        _, *further = seconds(rows, "trial", "qemu_user_ns", "qemu_system_ns")
        (load,) = (name for name in config["loads"] if re.match(rf"{name}[-.]", path.name))
        yield from ((load, trial_s) for trial_s in further)
    shutil.rmtree(results)
