# SPDX-License-Identifier: GPL-2.0-only
"""Runs through a real Slurm with two nodes: the bytes of a local run, whatever becomes of one."""

import pytest

from carveout.common.schemas import load_sealed, write_sealed
from tests.cluster.runs import RUN_LIMIT_S, digest_of, finish, made_trials, start, submitted
from tests.cluster.slurm import Slurm
from tests.conftest import Checkout, wait_until

# So that some of its cells are several jobs, and some share one.
_CONFIG = ("--configfile", "tests/study.yaml", "--config", "limits={job_s: 20}")


@pytest.fixture(scope="module")
def local_digest(checkout: Checkout) -> str:
    """The digest of the trials that a local run makes."""
    checkout.snakemake("tables", *_CONFIG, "results=local")
    digest = digest_of(checkout.path / "local")
    print(f"trials.parquet has sha256 {digest}")
    return digest


@pytest.fixture(scope="module")
def through_slurm(slurm: Slurm, checkout: Checkout, request: pytest.FixtureRequest) -> str:
    """What a run through the cluster says."""
    request.getfixturevalue("local_digest")  # which fills the cache
    assert slurm.interfaces() == ["lo"], "nodes without a network"
    scratch = checkout.path / "scratch"
    scratch.mkdir()
    on_its_disk = ("--default-resources", f"tmpdir={scratch}")
    run = start(slurm, checkout, *_CONFIG, "results=cluster", *on_its_disk)
    wait_until(lambda: list(scratch.glob("carveout-job-*/*/ready/state")), limit_s=RUN_LIMIT_S)
    said = finish(run)
    assert list(scratch.iterdir()) == [], "a job leaves nothing on its node"
    return said


@pytest.mark.usefixtures("through_slurm")
def test_jobs_of_a_cluster_make_the_bytes_of_a_local_run(
    checkout: Checkout, local_digest: str
) -> None:
    assert digest_of(checkout.path / "cluster") == local_digest
    assert made_trials(checkout.path / "cluster") == 21


def test_large_cells_are_several_jobs_and_small_ones_share_one(through_slurm: str) -> None:
    jobs = submitted(through_slurm)
    assert sum("rule_run_part" in job for job in jobs) == 4, "two parts of each of two cells"
    assert sum("group_boots_0" in job for job in jobs) == 1, "one cell"
    assert sum("group_boots_1" in job for job in jobs) == 1, "two cells"


@pytest.mark.usefixtures("through_slurm")
def test_a_node_with_another_qemu_makes_no_trial(
    slurm: Slurm, checkout: Checkout, local_digest: str
) -> None:
    results = checkout.path / "cluster"
    described = results / "qemu.json"
    content = load_sealed(described, "qemu")
    write_sealed(described, {**content, "version": "0.1 (of elsewhere)"})
    said = finish(start(slurm, checkout, *_CONFIG, "results=cluster", "--retries", "0"), fails=True)
    told = [line for line in said.splitlines() if line.startswith("carveout: ") and "QEMU" in line]
    (line,) = dict.fromkeys(told)
    assert "wanted QEMU 0.1 (of elsewhere) (cluster/qemu.json), found QEMU " in line
    assert made_trials(results) == 0
    write_sealed(described, content)
    finish(start(slurm, checkout, *_CONFIG, "results=cluster"))
    assert made_trials(results) == 0, "those that were made are taken over"
    assert digest_of(results) == local_digest


def running_tasks_of_arrays(slurm: Slurm) -> list[tuple[str, int, int]]:
    """The node of each, its memory in MB and its time in minutes, as Slurm was asked for them."""
    wanted = ("--noheader", "--array", "--states=RUNNING", "--format=%K %N %m %l")
    found = []
    for line in slurm.run("squeue", *wanted).splitlines():
        number, node, memory, limit = line.split()
        if number.isdigit():
            *hours, minutes, _ = map(int, limit.split(":"))
            found.append((node, int(memory.removesuffix("M")), 60 * sum(hours) + minutes))
    return found


def test_a_node_that_is_lost_in_the_middle_of_an_array_changes_no_trial(
    slurm: Slurm, checkout: Checkout, local_digest: str
) -> None:
    results = checkout.path / "lost"
    array = ("--slurm-array-jobs", "run_part")
    run = start(slurm, checkout, *_CONFIG, "results=lost", *array)

    def tasks_that_have_made_trials() -> list[tuple[str, int, int]]:
        assert run.poll() is None, finish(run)
        journals = (results / "journals").rglob("*-of-*.jsonl")
        have_trials = any(path.stat().st_size for path in journals)
        return running_tasks_of_arrays(slurm) if have_trials else []

    node, memory_mb, minutes = wait_until(tasks_that_have_made_trials, RUN_LIMIT_S)[0]
    assert memory_mb > 1024, "the RAM of its guest, and what QEMU takes"
    assert minutes >= 10
    slurm.lose_node(node)
    try:
        finish(run)
    finally:
        slurm.start_node(node)
    assert digest_of(results) == local_digest
