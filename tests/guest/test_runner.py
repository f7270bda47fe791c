# SPDX-License-Identifier: GPL-2.0-only
"""The runner owns its QEMUs: what dies is made again, and nothing outlives it, however it ends."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from carveout.guests.command_line import most_memory_bytes
from tests.conftest import Run, wait_until

RECORD_SCHEMA = "workflow/schemas/record.schema.yaml"


@dataclass(frozen=True)
class Runner:
    """How a test runs one cell of a run again, with outputs in a folder of its own."""

    made: Run
    folder: Path
    load: str = "idle"
    qemu: str = "qemu-system-aarch64"
    engine: str = "fork"
    at_once: int = 1
    state_limit_bytes: int = 2**30

    @property
    def trials(self) -> Path:
        """The output with the trials."""
        return self.folder / "trials.jsonl"

    @property
    def journal(self) -> Path:
        """Where trials are kept until the job is done."""
        return self.folder / "journal.jsonl"

    def made_trials(self) -> Path:
        """The same cell's trials, as the run made them."""
        return next((self.made.results / "trials").glob(f"**/mem/*/{self.load}.*.jsonl"))

    def cell(self) -> dict[str, Any]:
        """The cell that is run."""
        cell: dict[str, Any] = json.loads(self.made_trials().read_text().splitlines()[0])["cell"]
        return cell

    def start(self) -> subprocess.Popen[str]:
        """The runner at work."""
        images = self.made.results / "guest" / "debian-6.12"
        command = [
            *(sys.executable, "-m", "carveout.boots.run", "--cell", json.dumps(self.cell())),
            *("--qemu", self.qemu, "--engine", self.engine, "--wall-limit-s", "100"),
            *(
                "--record-schema",
                str(self.made.checkout.path / "workflow/schemas/record.schema.yaml"),
            ),
            *("--state-limit-bytes", str(self.state_limit_bytes)),
            *("--at-once", str(self.at_once), "--code", "made for a test"),
            *("--kernel", str(self.made.results / "kernels/debian-6.12/kernel.json"), "--images"),
            *(str(images / name) for name in ("base.cpio", "strategies/mem.cpio")),
            str(images / f"loads/{self.load}.cpio"),
            *("--trials", str(self.trials), "--runs", str(self.folder / "runs.jsonl")),
            *("--journal", str(self.journal), "--log", str(self.folder / "log")),
            *("--progress", str(self.folder / "progress")),
        ]
        (self.folder / "tmp").mkdir(exist_ok=True)
        return subprocess.Popen(
            command,
            env=os.environ
            | {
                "PYTHONPATH": str(self.made.checkout.path / "workflow"),
                "TMPDIR": str(self.folder / "tmp"),
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> tuple[int, str]:
        """Exit status and what it said."""
        process = self.start()
        _, said = process.communicate()
        return process.returncode, said


@pytest.fixture
def runner(smoke: Run, tmp_path: Path) -> Runner:
    return Runner(smoke, tmp_path)


def qemus_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The QEMUs of a runner's guests; not the one that is asked its version."""
    found = []
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.name().startswith("qemu-system") and "-kernel" in child.cmdline():
                found.append(child)
    return found


def forks_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Those that were started for a saved state: their kernel is an empty file."""
    found = []
    for qemu in qemus_of(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            command = qemu.cmdline()
            if Path(command[command.index("-kernel") + 1]).name == "empty":
                found.append(qemu)
    return found


def test_a_killed_runner_leaves_no_qemu(runner: Runner) -> None:
    process = runner.start()
    qemu = wait_until(lambda: qemus_of(process))[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not qemu.is_running(), limit_s=5)
    assert not runner.trials.exists()


def test_an_ended_runner_cleans_up_and_keeps_its_trials(runner: Runner) -> None:
    process = runner.start()
    qemu = wait_until(lambda: forks_of(process))[0]
    wait_until(lambda: runner.journal.read_text().count("\n") == 1 + 1)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert not qemu.is_running()
    assert list((runner.folder / "tmp").iterdir()) == []
    assert runner.run() == (0, "")
    assert runner.trials.read_bytes() == runner.made_trials().read_bytes()


def test_a_runner_that_is_told_to_end_again_and_again_cleans_up_as_well(runner: Runner) -> None:
    process = runner.start()
    wait_until(lambda: forks_of(process))
    while process.poll() is None:
        process.terminate()
        time.sleep(0.0005)
    assert process.returncode == 128 + signal.SIGTERM
    _, said = process.communicate()
    assert said == ""
    assert list((runner.folder / "tmp").iterdir()) == []


def test_a_boot_whose_qemu_dies_is_made_again(runner: Runner) -> None:
    process = runner.start()
    wait_until(lambda: qemus_of(process))[0].kill()
    assert process.wait() == 0
    assert runner.trials.read_bytes() == runner.made_trials().read_bytes()
    runs = [json.loads(line) for line in (runner.folder / "runs.jsonl").read_text().splitlines()]
    assert [run["process"] for run in runs] == ["boot", "trial", "trial"]


def test_one_or_two_guests_at_once_give_the_smoke_runs_bytes(runner: Runner) -> None:
    assert replace(runner, at_once=2).run() == (0, "")
    assert runner.trials.read_bytes() == runner.made_trials().read_bytes()
    assert list((runner.folder / "tmp").iterdir()) == [], "states and consoles are cleaned up"
    assert not runner.journal.exists()


def test_a_fork_that_dies_is_made_again_and_loses_only_itself(runner: Runner) -> None:
    process = runner.start()
    wait_until(lambda: forks_of(process))[0].kill()
    assert process.wait() == 0
    assert runner.trials.read_bytes() == runner.made_trials().read_bytes()


def test_a_fork_that_dies_after_others_in_the_same_qemu_loses_only_itself(runner: Runner) -> None:
    process = runner.start()
    fork = wait_until(lambda: forks_of(process))[0]
    wait_until(lambda: runner.journal.read_text().count("\n") == 1 + 1)
    fork.kill()
    assert process.wait() == 0
    assert runner.trials.read_bytes() == runner.made_trials().read_bytes()


def test_the_forks_of_a_job_share_one_qemu(runner: Runner) -> None:
    process = runner.start()
    pids: set[int] = set()
    while process.poll() is None:
        pids.update(fork.pid for fork in forks_of(process))
        time.sleep(0.02)
    assert process.returncode == 0
    assert len(pids) == 1


def test_what_a_failed_job_made_is_kept_for_the_next(runner: Runner) -> None:
    process = runner.start()
    killed: set[int] = set()
    while process.poll() is None and len(killed) < 2:
        for fork in forks_of(process):
            if fork.pid not in killed:
                fork.kill()
                killed.add(fork.pid)
        time.sleep(0.02)
    _, said = process.communicate()
    assert process.returncode == 1
    assert "lost 1 trials, twice each" in said
    assert re.search("seed 1: .*found that (QEMU|it) ended", said)
    assert len(said.splitlines()) == 1
    assert not runner.trials.exists()
    kept = [json.loads(line) for line in runner.journal.read_text().splitlines()[1:]]
    assert [result["trial"]["seed"] for result in kept] == [2]
    assert runner.run() == (0, "")
    assert runner.trials.read_bytes() == runner.made_trials().read_bytes()
    runs = [json.loads(line) for line in (runner.folder / "runs.jsonl").read_text().splitlines()]
    assert [run["wall_ns"] for run in runs if run["seed"] == 2] == [kept[0]["run"]["wall_ns"]]


def test_a_state_larger_than_its_limit_is_a_clear_error(runner: Runner) -> None:
    status, said = replace(runner, state_limit_bytes=2**24).run()
    assert status == 1
    assert "found that QEMU could not write it" in said
    assert "raise the key limits.state" in said
    assert len(said.splitlines()) == 1
    assert not runner.trials.exists()
    assert list((runner.folder / "tmp").iterdir()) == []


def test_every_guest_stays_within_the_memory_that_is_asked_for_it(smoke: Run) -> None:
    runs, trials = smoke.table("runs"), smoke.table("trials")
    assert set(runs["process"]) == {"boot", "trial"}
    assert runs["qemu_peak_rss_bytes"].max() < most_memory_bytes(int(trials["ram_bytes"].max()))
