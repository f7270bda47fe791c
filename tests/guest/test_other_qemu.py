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
from tests.guest.test_runner import Runner


def run(checkout: Checkout, boot: str) -> Run:
    """One run of the config whose QEMU is another suite's."""
    results = f"other_qemu_{boot}"
    config = ("--config", f"results={results}", f"boot={boot}")
    checkout.snakemake("collect_trials", "--configfile", "tests/guest/other_qemu.yaml", *config)
    return Run(checkout, checkout.path / results)


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run whose trials are restored from a saved state; the archive has dropped its pin."""
    checkout = copy_checkout(tmp_path_factory.mktemp("other_qemu"))
    path = checkout.path / "config/qemus.yaml"
    pins = yaml.safe_load(path.read_text())
    pins["debian-13"]["packages"]["program"] |= {"version": "1:10.0.0-1", "sha256": "ef" * 32}
    path.write_text(yaml.safe_dump(pins, sort_keys=False))
    return run(checkout, "fork")


@pytest.mark.long
def test_trials_of_another_qemu_are_the_same_forked_or_cold(forked: Run) -> None:
    cold = run(forked.checkout, "cold")
    trials = [(made.results / "tables/trials.parquet").read_bytes() for made in (forked, cold)]
    assert trials[0] == trials[1]
    table = forked.table("trials")
    assert set(table["cause"].dropna()) == set()
    assert table["strategy"].nunique() >= 6
    granted = table["variant"].isin(["carve_out", "online_movable"])
    assert set(table.loc[granted, "outcome"]) == {"granted"}
    assert "failed" not in set(table["verify"])


def test_the_lock_has_what_took_the_place_of_the_pin(forked: Run) -> None:
    qemu = Lock.read(forked.results / "lock.yaml").entries["qemus.debian-13"]
    assert qemu.pinned == "1:10.0.0-1"
    assert qemu.used.version != qemu.pinned
    assert {"libc6", "libglib2.0-0t64"} <= {tool.name for tool in qemu.tools}
    metadata = read_metadata(forked.results / "tables/runs.parquet")
    assert f"qemus.debian-13: 1:10.0.0-1 -> {qemu.used.version}" in metadata["moved_from_pins"]


def test_the_runs_hold_the_version_of_the_qemu(forked: Run) -> None:
    (version,) = forked.table("runs")["qemu_version"].unique()
    assert int(version.split(".")[0]) >= 10
    description = json.loads((forked.results / "qemu.json").read_text())
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


def test_a_killed_runner_leaves_no_process(forked: Run, tmp_path: Path) -> None:
    qemu = str(forked.results / "qemu.json")
    runner = Runner(forked, tmp_path, load="unmovable_pages", qemu=qemu, engine="cold").start()
    guests = wait_until(lambda: guests_of(psutil.Process(runner.pid)))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_until(lambda: not any(guest.is_running() for guest in guests), limit_s=5)
