# SPDX-License-Identifier: GPL-2.0-only
"""Runs through a real Slurm with two nodes: the bytes of a local run, whatever becomes of one."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import Slurm, running_slurm
from tests.conftest import Checkout

# So that some of its cells are several jobs, and some share one.
_CONFIG = ("--configfile", "tests/study.yaml", "--config", "limits={job_s: 20}")
# What this cluster is not like others in: no accounting, and nobody minds frequent questions.
_SITE = (
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "5"),
)
_RUN_LIMIT_S = 3600


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of this module's own."""
    with running_slurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def local_digest(checkout: Checkout) -> str:
    """The digest of the trials that a local run makes."""
    checkout.snakemake("tables", *_CONFIG, "results=local")
    return digest_of(checkout.path / "local")


def digest_of(results: Path) -> str:
    """The SHA-256 of a run's trials."""
    return hashlib.sha256((results / "tables/trials.parquet").read_bytes()).hexdigest()


def start(slurm: Slurm, checkout: Checkout, *args: str) -> subprocess.Popen[str]:
    """Starts a run whose boots are jobs of the cluster."""
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    profile = ("--workflow-profile", "workflow/profiles/slurm")
    return subprocess.Popen(
        slurm.command([snakemake, "tables", *profile, *_SITE, *_CONFIG, *args], checkout.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(run: subprocess.Popen[str], *, fails: bool = False) -> str:
    """Waits for a run; one that ends otherwise than expected fails the test."""
    said, _ = run.communicate(timeout=_RUN_LIMIT_S)
    assert (run.returncode != 0) == fails, said
    return said


def made_trials(results: Path) -> int:
    """How many trials the last run has made, and not taken over."""
    return (results / "progress").read_text().count("\ntrial ")


@pytest.fixture(scope="module")
def through_slurm(slurm: Slurm, checkout: Checkout) -> str:
    """What a run through the cluster says."""
    return finish(start(slurm, checkout, "results=cluster"))


@pytest.mark.usefixtures("through_slurm")
def test_jobs_of_a_cluster_make_the_bytes_of_a_local_run(
    checkout: Checkout, local_digest: str
) -> None:
    assert digest_of(checkout.path / "cluster") == local_digest
    assert made_trials(checkout.path / "cluster") == 13


def test_large_cells_are_several_jobs_and_small_ones_share_one(through_slurm: str) -> None:
    jobs = [line for line in through_slurm.splitlines() if "has been submitted" in line]
    assert sum("rule_run_part" in job for job in jobs) == 4, "two parts of each of two cells"
    assert sum("group_boots_0" in job for job in jobs) == 1, "one cell"
    assert sum("group_boots_1" in job for job in jobs) == 1, "two cells"


@pytest.mark.usefixtures("through_slurm")
def test_a_node_with_another_qemu_makes_no_trial(
    slurm: Slurm, checkout: Checkout, local_digest: str
) -> None:
    results = checkout.path / "cluster"
    described = results / "qemu.json"
    content = described.read_text()
    described.write_text(json.dumps({**json.loads(content), "version": "0.1 (of elsewhere)"}))
    said = finish(start(slurm, checkout, "results=cluster", "--retries", "0"), fails=True)
    told = [line for line in said.splitlines() if line.startswith("carveout: ") and "QEMU" in line]
    (line,) = dict.fromkeys(told)
    assert "wanted QEMU 0.1 (of elsewhere) (cluster/qemu.json), found QEMU " in line
    assert made_trials(results) == 0
    described.write_text(content)
    finish(start(slurm, checkout, "results=cluster"))
    assert made_trials(results) == 0, "those that were made are taken over"
    assert digest_of(results) == local_digest


def test_a_node_that_is_lost_in_the_middle_of_an_array_changes_no_trial(
    slurm: Slurm, checkout: Checkout, local_digest: str
) -> None:
    results = checkout.path / "lost"
    array = ("--slurm-array-jobs", "run_part")
    run = start(slurm, checkout, "results=lost", *array)
    end_s = time.monotonic() + _RUN_LIMIT_S
    while not (results / "progress").is_file() or not made_trials(results):
        assert run.poll() is None, finish(run)
        assert time.monotonic() < end_s
        time.sleep(0.2)
    busy = slurm.run("squeue", "--noheader", "--states=RUNNING", "--format=%N").split()
    slurm.lose_node(busy[0])
    try:
        finish(run)
    finally:
        slurm.start_node(busy[0])
    assert digest_of(results) == local_digest
