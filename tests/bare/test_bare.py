# SPDX-License-Identifier: GPL-2.0-only
"""A bare machine without root: with a network, or with a bundle and no network, the same trials."""

import shutil
import subprocess
from pathlib import Path

import pytest

from carveout.common.files import sha256_of
from tests.bare.machine import BareMachine, make_bare_machine
from tests.conftest import Checkout, copy_checkout

JOB = "tests/study.yaml"
TRIALS = "results/study/tables/trials.parquet"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout of one revision, with the results of the job."""
    made = copy_checkout(tmp_path_factory.mktemp("here") / "carveout")
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init"], ["add", "--all"], [*name, "commit", "--message=all"]):
        subprocess.run(["git", *words], cwd=made.path, check=True, capture_output=True)
    made.snakemake("tables", "--configfile", JOB)
    print(f"trials.parquet has sha256 {sha256_of(made.path / TRIALS)}")
    return made


@pytest.fixture(scope="module")
def bundle(checkout: Checkout) -> Path:
    """The bundle of that job."""
    checkout.snakemake("bundle", "--configfile", JOB)
    return checkout.path / "results/study/bundle.tar"


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    """A machine on which nobody has ever run anything."""
    return make_bare_machine(tmp_path / "root")


def test_the_machine_is_bare(machine: BareMachine) -> None:
    programs = "qemu-system-aarch64 aarch64-linux-gnu-gcc python3 git gcc dtc sudo"
    script = f"id -u; ls -A; for p in {programs}; do command -v $p || :; done; cat /proc/net/dev"
    done = machine.run(script, network=False)
    assert done.returncode == 0, done.stderr
    user, *heads, loopback = done.stdout.splitlines()
    assert user == "1000"
    assert len(heads) == 2, "nothing of the home, no program, the two heads of a table"
    assert loopback.split()[0] == "lo:"


def test_without_root_the_tools_are_unpacked_and_trials_are_the_same(
    machine: BareMachine, checkout: Checkout
) -> None:
    machine.give(checkout.path, "carveout")
    shutil.rmtree(machine.home / "carveout/results/study")
    script = (
        "cd carveout && make install && make install"
        f" && .venv/bin/snakemake tables --configfile {JOB}"
    )
    done = machine.run(script, network=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("fetching tools into") == 1
    assert sha256_of(machine.home / "carveout" / TRIALS) == sha256_of(checkout.path / TRIALS)


def test_from_a_bundle_without_network_trials_are_the_same(
    machine: BareMachine, checkout: Checkout, bundle: Path
) -> None:
    machine.give(bundle, "bundle.tar")
    script = "tar -xf bundle.tar carveout && make -C carveout BUNDLE=../bundle.tar"
    done = machine.run(script, network=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "may make other trials" not in done.stderr
    assert sha256_of(machine.home / "carveout" / TRIALS) == sha256_of(checkout.path / TRIALS)
    again = machine.run("make -C carveout BUNDLE=../bundle.tar", network=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "carveout: 0/0 trials" in again.stderr or "Nothing to be done" in again.stderr


def test_a_truncated_bundle_makes_nothing(machine: BareMachine, bundle: Path) -> None:
    machine.give(bundle, "bundle.tar")
    script = (
        "tar -xf bundle.tar carveout; truncate --size=-1000 bundle.tar;"
        " make -C carveout BUNDLE=../bundle.tar"
    )
    done = machine.run(script, network=False)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("carveout: ")]
    assert "does not end as one: it was cut off" in line
    assert not (machine.home / ".cache/carveout/bundles").exists()


def test_without_network_and_without_a_bundle_one_line_says_so(
    machine: BareMachine, checkout: Checkout
) -> None:
    machine.give(checkout.path, "carveout")
    done = machine.run("make -C carveout install", network=False)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("carveout: wanted")]
    assert len(lines) == 1
    assert lines[0].endswith("or name a bundle: make BUNDLE=FILE")
