# SPDX-License-Identifier: GPL-2.0-only
"""This code against another revision of it: the same cells, one after the other, in turn.

Half of a host of 1 GiB is lent at once, under loads between those that no way of lending notices
and those that few withstand.
"""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import orjson
import yaml

from benchmarks.bench import Bench
from benchmarks.cost import run
from benchmarks.table import Row
from carveout.common.errors import CarveoutError
from carveout.common.schemas import load_yaml

_QUANTITY = "processor time of a whole trial"
_THIS = "this code"
_ALL = "all cells"
# The revision that a trial is to cost half of.
_FIRST = "8992b15"
_MOST_OF_FIRST = 0.5
# Keys and names that revisions share.
_CONFIG: dict[str, Any] = {
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "512MiB",
    "requests": {"half": ["512MiB"]},
    "strategies": {
        "alloc_contig_range": ["whole_memory"],
        "hugetlbfs": ["2M_run_time"],
        "virtio-mem": ["online_movable"],
    },
    "loads": {"anonymous_memory": [10, 30, 45], "unmovable_pages": [2, 10, 40]},
    "seeds": 3,
}
_QUICK: dict[str, Any] = {
    "strategies": {"hugetlbfs": ["2M_run_time"]},
    "loads": {"unmovable_pages": [2, 10]},
    "seeds": 2,
}


def measure(bench: Bench) -> list[Row]:
    """Measure what a trial costs QEMU in this checkout and in one of the other revision.

    A sample is the mean over the doses of one seed. The limit is of one revision, and holds against
    no other.

    Raises:
        CarveoutError: a revision does not know the config, or the two do not boot the same kernel.
    """
    config = _CONFIG | (_QUICK if bench.quick else {})
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    kernels: dict[str, str] = {}
    with _checkout(bench, bench.against) as other:
        for round_number in range(1 if bench.quick else 2):
            for code, checkout in ((_THIS, Path.cwd()), (bench.against, other)):
                results = bench.folder.absolute() / f"{checkout.name}-{round_number}"
                _boot_cells(checkout, results, config)
                kernels[code] = _kernel(results)
                check_same_kernel(kernels)
                for case, sample_s in samples_of(results, config["loads"]):
                    samples[case, code].append(sample_s)
                shutil.rmtree(results)
    has_limit = bench.against.startswith(_FIRST)
    return [
        Row(
            measure="revision",
            quantity=_QUANTITY,
            case=f"{code}, {case}",
            unit="s",
            samples=samples[case, code],
            ratio_to=None if code != _THIS else f"{bench.against}, {case}",
            ratio_at_most=_MOST_OF_FIRST if code == _THIS and has_limit else None,
        )
        for case in dict.fromkeys(case for case, _ in samples)
        for code in (bench.against, _THIS)
    ]


@contextmanager
def _checkout(bench: Bench, revision: str) -> Iterator[Path]:
    path = (bench.folder / "other").absolute()
    _git("worktree", "add", "--force", "--detach", str(path), revision)
    try:
        known_keys = load_yaml(path / "workflow/schemas/config.schema.yaml")["properties"]
        if "exact_pins" not in known_keys:
            # It stops at a pin that the archive has dropped: it gets the newest, by its own means.
            _python(path, bench.folder / "pins.log", "-m", "carveout.pins")
        yield path
    finally:
        _git("worktree", "remove", "--force", str(path))


def _git(*args: str) -> None:
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise CarveoutError(f"git {' '.join(args)}: wanted it to succeed, it said: {said}")


def _python(checkout: Path, log: Path, *args: str) -> None:
    """Run Python in a checkout, with its code."""
    command = ["env", "--chdir", str(checkout), sys.executable, *args]
    run(command, log, {"PYTHONPATH": str(checkout / "workflow")})


def _boot_cells(checkout: Path, results: Path, config: Mapping[str, Any]) -> None:
    """Make the trials of all cells by the code of a checkout, and no tables."""
    strategies = {"baseline": [_ordinary_pages(checkout)], **config["strategies"]}
    config_file = results.with_suffix(".yaml")
    config_file.write_text(
        yaml.safe_dump(
            {**config, "strategies": strategies, "results": str(results)}, sort_keys=False
        ),
        encoding="utf-8",
    )
    _python(
        *(checkout, results.with_suffix(".log"), "-m", "snakemake", "--cores", "1"),
        *("--workflow-profile", "none", "--configfile", str(config_file)),
        *("--quiet", "rules", "progress", "--until"),
        *(f"boot_{strategy.replace('-', '_')}" for strategy in strategies),
    )


def _ordinary_pages(checkout: Path) -> str:
    """Return the name of the baseline's first variant: ordinary pages, whatever they are called."""
    content = load_yaml(checkout / "workflow/strategies/baseline/strategy.yaml")
    return str(next(iter(content["variants"])))


def _kernel(results: Path) -> str:
    """Return the digest of the kernel that was booted."""
    (path,) = results.glob("kernels/*/kernel.json")
    return str(orjson.loads(path.read_bytes())["image_sha256"])


def check_same_kernel(kernels: Mapping[str, str]) -> None:
    """Check that all revisions boot one kernel.

    Args:
        kernels: the digests of the images, by revision.

    Raises:
        CarveoutError: they do not, so that nothing could be said of the revisions.
    """
    if len(set(kernels.values())) > 1:
        found = ", ".join(f"{digest[:12]} ({code})" for code, digest in kernels.items())
        raise CarveoutError(
            f"revision: wanted both to boot the same kernel, found images {found}; "
            "run 'make relock' here"
        )


def samples_of(results: Path, loads: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield, for each seed, the mean processor time of a trial of each cell, and of all cells.

    The first seed is left out: one of its trials starts the QEMU in which the others are restored.
    """
    spent_s: dict[tuple[str, int], list[float]] = defaultdict(list)
    for path in sorted(results.glob("runs/**/*.jsonl")):
        (load,) = (load for load in loads if re.match(rf"{load}[-.]", path.name))
        for run_of in map(orjson.loads, path.read_bytes().splitlines()):
            if run_of["process"] == "trial" and run_of["seed"] > 1:
                case = f"{run_of['strategy']}, {load}".replace("_", " ")
                cost_s = (run_of["qemu_user_ns"] + run_of["qemu_system_ns"]) / 1e9
                spent_s[_ALL, run_of["seed"]].append(cost_s)
                spent_s[case, run_of["seed"]].append(cost_s)
    for (case, _), costs_s in spent_s.items():
        yield case, fmean(costs_s)
