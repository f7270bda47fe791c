# SPDX-License-Identifier: GPL-2.0-only
"""A thousand short jobs in a Slurm's queue: each is run once, and its trial is a local run's."""

import time
from pathlib import Path

import pytest
import yaml

from carveout.tables.parquet import read_table
from tests.cluster.runs import finish, made_trials, start, submitted
from tests.cluster.slurm import Slurm
from tests.conftest import Checkout

pytestmark = pytest.mark.long

_LONGEST_JOB_S = 60
_SHOWN = 8
# An initrd lies 128 MiB from the start of such machines, below what `mem=` leaves of them.
_RAM = ("512MiB", "640MiB", "768MiB", "896MiB")
_GRANULES = ("page", "2M")


def config_of(checkout: Checkout, cells: int) -> Path:
    """A study of so many cells of one short trial, each of another machine, size or granule."""
    sizes, rest = divmod(cells, len(_RAM) * len(_GRANULES))
    assert not rest, "the cells are all machines with all sizes and granules"
    config = {
        "kernels": ["debian-6.12"],
        "ram": list(_RAM),
        "lendable": "256MiB",
        "requests": {f"request{number}": [f"{2 * number}MiB"] for number in range(1, sizes + 1)},
        "granules": list(_GRANULES),
        "strategies": {"mem": ["carve_out"]},
        "loads": {"idle": [0]},
        "seeds": 1,
        "boot": "cold",
        "limits": {"state": "256MiB"},
    }
    path = checkout.path / f"of_{cells}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def trials_of(results: Path) -> dict[str, bytes]:
    """The trials of each cell, as the runner wrote them."""
    cells = results.glob("trials/**/*.jsonl")
    return {str(path.relative_to(results)): path.read_bytes() for path in cells}


def test_a_thousand_jobs_are_each_run_once(
    slurm: Slurm, checkout: Checkout, request: pytest.FixtureRequest
) -> None:
    jobs = request.config.getoption("--jobs")
    few = config_of(checkout, min(jobs, _SHOWN))
    checkout.snakemake("tables", "--configfile", str(few), "--config", "results=local")
    many = config_of(checkout, jobs)
    # One job for each cell, all in the queue: as the profile has it, they would share a few.
    each_alone = ("--group-components", "boots=1", "--jobs", str(jobs))
    begun_s = time.monotonic()
    study = ("--configfile", str(many), "--config", "results=queue")
    run = start(slurm, checkout, *each_alone, *study)
    said = finish(run, limit_s=_LONGEST_JOB_S * jobs)
    took_s = time.monotonic() - begun_s
    results = checkout.path / "queue"
    assert len(submitted(said)) == jobs
    assert made_trials(results) == jobs, "no trial twice"
    trials = read_table("trials", results / "tables/trials.parquet")
    assert trials["trial_id"].nunique() == jobs
    assert set(trials["outcome"]) == {"granted"}
    runs = read_table("runs", results / "tables/runs.parquet")
    guest_s = runs["wall_ns"].sum() / 1e9
    said = f"{jobs} jobs in {took_s:.0f} s, of which guests ran {guest_s:.0f} s, two at once"
    print(said)
    (results / "queue.txt").write_text(f"{said}\n")  # docs.renew keeps it
    local, queued = trials_of(checkout.path / "local"), trials_of(results)
    assert local
    assert {name: queued[name] for name in local} == local
