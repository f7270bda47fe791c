# SPDX-License-Identifier: GPL-2.0-only
"""The runner owns its QEMU: nothing outlives it, however it ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from tests.conftest import Checkout, Run

T = TypeVar("T")


def qemu_of(runner: subprocess.Popen[bytes]) -> psutil.Process:
    """The QEMU of a runner's guest, once there is one; not the one that is asked its version."""

    def found() -> psutil.Process | None:
        for child in psutil.Process(runner.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name().startswith("qemu-system") and "-kernel" in child.cmdline():
                    return child
        return None

    return wait_until(found)


def wait_until(holds: Callable[[], T | None], limit_s: float = 30) -> T:
    """Waits until a function gives something true, and returns it."""
    end_s = time.monotonic() + limit_s
    while not (held := holds()):
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.05)
    return held


def start_runner(checkout: Checkout, smoke: Run, folder: Path) -> subprocess.Popen[bytes]:
    """A runner at work on the first cell of the smoke run."""
    images = smoke.results / "guest" / "debian-6.12"
    trials = next((smoke.results / "trials").glob("**/cma/area/idle-0.*.jsonl"))
    cell = json.loads(trials.read_text().splitlines()[0])["cell"]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "carveout.runner", "--cell", json.dumps(cell)),
            *("--qemu", "qemu-system-aarch64", "--engine", "cold", "--wall-limit-s", "100"),
            *("--kernel", str(smoke.results / "kernels/debian-6.12/kernel.json"), "--images"),
            *(str(images / name) for name in ("base.cpio", "strategies/cma.cpio")),
            str(images / "loads/idle.cpio"),
            *("--trials", str(folder / "trials.jsonl"), "--runs", str(folder / "runs.jsonl")),
            *("--log", str(folder / "log"), "--progress", str(folder / "progress")),
        ],
        env=os.environ | {"PYTHONPATH": str(checkout.path / "workflow")},
    )


def test_a_killed_runner_leaves_no_qemu(checkout: Checkout, smoke: Run, tmp_path: Path) -> None:
    runner = start_runner(checkout, smoke, tmp_path)
    qemu = qemu_of(runner)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_until(lambda: not qemu.is_running(), limit_s=5)
    assert not (tmp_path / "trials.jsonl").exists()


def test_a_qemu_that_is_killed_is_a_failed_job_and_no_row(
    checkout: Checkout, smoke: Run, tmp_path: Path
) -> None:
    runner = start_runner(checkout, smoke, tmp_path)
    qemu_of(runner).kill()
    assert runner.wait() == 1
    assert not (tmp_path / "trials.jsonl").exists()
