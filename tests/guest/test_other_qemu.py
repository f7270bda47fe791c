# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU of another suite does all that the host's own does, and ends with its runner too."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import Checkout, Run
from tests.guest.test_runner import wait_until


def run(checkout: Checkout, boot: str) -> Run:
    """One run of the config whose QEMU is another suite's."""
    results = f"other_qemu_{boot}"
    config = ("--config", f"results={results}", f"boot={boot}")
    checkout.snakemake("tables", "--configfile", "tests/guest/other_qemu.yaml", *config)
    return Run(checkout, checkout.path / results)


@pytest.fixture(scope="module")
def forked(checkout: Checkout) -> Run:
    """The run whose trials are restored from a saved state."""
    return run(checkout, "fork")


def test_trials_of_another_qemu_are_the_same_forked_or_cold(forked: Run) -> None:
    cold = run(forked.checkout, "cold")
    trials = [(made.results / "tables/trials.parquet").read_bytes() for made in (forked, cold)]
    assert trials[0] == trials[1]
    table = forked.table("trials")
    assert set(table["cause"].dropna()) == set()
    assert set(table.loc[table["strategy"] != "alloc_contig_range", "outcome"]) == {"granted"}
    assert set(table["verify"]) == {"ok"}


def test_the_runs_hold_the_version_of_the_pinned_qemu(forked: Run) -> None:
    (version,) = forked.table("runs")["qemu_version"].unique()
    assert int(version.split(".")[0]) >= 10
    description = json.loads((forked.results / "qemu.json").read_text())
    assert version == description["version"]
    assert str(Path.home()) not in json.dumps(description)


def test_a_killed_runner_leaves_no_process(forked: Run, tmp_path: Path) -> None:
    guest = forked.results / "guest/debian-6.12"
    lines = next(forked.results.glob("trials/**/mem/carve_out/*.jsonl")).read_text().splitlines()
    runner = subprocess.Popen(
        [
            *(sys.executable, "-m", "carveout.runner"),
            *("--cell", json.dumps(json.loads(lines[0])["cell"])),
            *("--qemu", str(forked.results / "qemu.json")),
            *("--engine", "cold", "--wall-limit-s", "100"),
            *("--kernel", str(forked.results / "kernels/debian-6.12/kernel.json"), "--images"),
            *(str(guest / name) for name in ("base.cpio", "strategies/mem.cpio")),
            str(guest / "loads/unmovable_pages.cpio"),
            *("--trials", str(tmp_path / "trials.jsonl"), "--runs", str(tmp_path / "runs.jsonl")),
            *("--log", str(tmp_path / "log"), "--progress", str(tmp_path / "progress")),
        ],
        env=os.environ | {"PYTHONPATH": str(forked.checkout.path / "workflow")},
    )
    process = psutil.Process(runner.pid)
    # The loader is the process: setpriv and the wrapper have become it.
    wait_until(lambda: any("ld-linux" in child.name() for child in process.children()))
    children = process.children(recursive=True)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_until(lambda: not any(child.is_running() for child in children), limit_s=5)
