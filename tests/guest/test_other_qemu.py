# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU of another suite does all that the host's own does, and ends with its runner too."""

import contextlib
import json
import signal
from pathlib import Path

import psutil
import pytest
import yaml

from carveout.archive.lockfile import Lock
from carveout.tables.parquet import read_metadata
from tests.conftest import Checkout, Run, copy_checkout, wait_until
from tests.guest.tables import run_config
from tests.guest.test_runner import Runner


def run(checkout: Checkout, results: str, **changes: object) -> Run:
    """One run of the config whose QEMU is another suite's."""
    config = yaml.safe_load((checkout.path / "tests/guest/other_qemu.yaml").read_text())
    return run_config(checkout, config | {"results": results} | changes)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose pin of the QEMU is one that the archive has dropped."""
    checkout = copy_checkout(tmp_path_factory.mktemp("other_qemu"))
    path = checkout.path / "config/qemus.yaml"
    pins = yaml.safe_load(path.read_text())
    pins["debian-13"]["packages"]["program"] |= {"version": "1:10.0.0-1", "sha256": "ef" * 32}
    path.write_text(yaml.safe_dump(pins, sort_keys=False))
    return checkout


@pytest.fixture(scope="module")
def one(moved: Checkout) -> Run:
    """One cell, whose trials are restored from a saved state."""
    return run(moved, "one", strategies={"mem": ["carve_out"]})


@pytest.mark.long
def test_trials_of_another_qemu_are_the_same_forked_or_cold(moved: Checkout) -> None:
    forked, cold = (run(moved, boot, boot=boot) for boot in ("fork", "cold"))
    trials = [(made.results / "tables/trials.parquet").read_bytes() for made in (forked, cold)]
    assert trials[0] == trials[1]
    table = forked.table("trials")
    assert set(table["cause"].dropna()) == set()
    assert table["strategy"].nunique() >= 6
    granted = table["variant"].isin(["carve_out", "online_movable"])
    assert set(table.loc[granted, "outcome"]) == {"granted"}
    assert "failed" not in set(table["verify"])


def test_the_lock_has_what_took_the_place_of_the_pin(one: Run) -> None:
    qemu = Lock.read(one.results / "lock.yaml").entries["qemus.debian-13"]
    assert qemu.pinned == "1:10.0.0-1"
    assert qemu.used.version != qemu.pinned
    assert {"libc6", "libglib2.0-0t64"} <= {tool.name for tool in qemu.tools}
    metadata = read_metadata(one.results / "tables/runs.parquet")
    assert f"qemus.debian-13: 1:10.0.0-1 -> {qemu.used.version}" in metadata["moved_from_pins"]


def test_the_runs_hold_the_version_of_the_qemu(one: Run) -> None:
    (version,) = one.table("runs")["qemu_version"].unique()
    assert int(version.split(".")[0]) >= 10
    description = json.loads((one.results / "qemu.json").read_text())
    assert version == description["version"]
    assert str(Path.home()) not in json.dumps(description)


def guests_of(runner: psutil.Process) -> list[psutil.Process]:
    """The runner's QEMU with its guest: setpriv and the wrapper have become the suite's loader."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            child
            for child in runner.children(recursive=True)
            if "ld-linux" in child.name() and "-kernel" in child.cmdline()
        ]
    return []


def test_a_killed_runner_leaves_no_process(one: Run, tmp_path: Path) -> None:
    qemu = str(one.results / "qemu.json")
    runner = Runner(one, tmp_path, load="unmovable_pages", qemu=qemu, engine="cold").start()
    guests = wait_until(lambda: guests_of(psutil.Process(runner.pid)))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_until(lambda: not any(guest.is_running() for guest in guests), limit_s=5)
