# SPDX-License-Identifier: GPL-2.0-only
"""What guest tests and workflow tests share: a copy of the checkout, and runs of it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
import yaml
from filelock import FileLock

from carveout.tables.parquet import read_table

T = TypeVar("T")
CHECKOUT = Path(__file__).parent.parent
USUAL_KERNEL = "debian-6.12"
# Those of the smoke config that tests run.
SMOKE_VARIANTS = {
    "baseline": ["ordinary_pages", "transparent_huge_pages"],
    "mem": ["carve_out"],
    "cma": ["area", "own_area"],
    "alloc_contig_range": ["whole_memory", "zone_movable"],
    "hugetlbfs": ["2M_boot"],
    "virtio-mem": ["online_movable", "online_kernel"],
    "virtio-balloon": ["plain"],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options by which a test is run with more seeds, or on another kernel."""
    parser.addoption(
        "--seeds", type=int, default=1, help="seeds of each load and dose in test_doses.py"
    )
    parser.addoption(
        "--artefacts",
        type=Path,
        default=CHECKOUT / "results/test-artefacts",
        help="the folder for screenshots and PDFs of pages, to be looked at",
    )
    parser.addoption(
        "--kernel", default=USUAL_KERNEL, help="run the configs tests/guest/*.yaml on this kernel"
    )


def snakemake_command(*args: str, cores: int = 2) -> list[str]:
    """The command line of a run with the Snakemake of this environment, which says all it does."""
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    return [snakemake, "--workflow-profile", "none", "--cores", str(cores), *args]


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout in which runs can be made and files be changed."""

    path: Path

    def snakemake(
        self, *args: str, cores: int = 2, fails: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Runs Snakemake in the copy; a run that ends otherwise than expected fails the test."""
        command = snakemake_command(*args, cores=cores)
        done = subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done

    def clone(self, path: Path) -> "Checkout":
        """Another copy, results and all, in which every file has a new time stamp."""
        shutil.copytree(self.path, path, copy_function=shutil.copyfile, symlinks=True)
        return Checkout(path)


@dataclass(frozen=True)
class Run:
    """The tables of one run."""

    checkout: Checkout
    results: Path

    def table(self, name: str) -> pd.DataFrame:
        """One of the run's tables, checked against its schema."""
        return read_table(name, self.results / "tables" / f"{name}.parquet")


def copy_checkout(path: Path) -> Checkout:
    """Copies what git knows or would add, without results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0")[:-1]:
        source, target = CHECKOUT / name, path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            shutil.copy(source, target)
        elif source.is_symlink():  # to a folder
            target.symlink_to(source.readlink())
    return Checkout(path)


def wait_until(holds: Callable[[], T | None], limit_s: float = 120) -> T:
    """Waits until a function gives something true, and returns it."""
    end_s = time.monotonic() + limit_s
    while not (held := holds()):
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)
    return held


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Checkout:
    """The copy in which all runs of this session are made."""
    made = copy_checkout(tmp_path_factory.mktemp("checkout"))
    for config in (made.path / "tests/guest").glob("*.yaml"):
        usual, wanted = f"[{USUAL_KERNEL}]", f"[{request.config.getoption('--kernel')}]"
        config.write_text(config.read_text().replace(usual, wanted))
    return made


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the smoke config, in a copy of its own: the first worker who asks makes it.

    Some of its variants are left to `make kernels`, which runs all of them on all kernels.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers
    run = Run(Checkout(folder / "smoke"), folder / "smoke/first")
    with FileLock(folder / "smoke.lock"):
        if not (run.results / "report.html").exists():
            config = copy_checkout(run.checkout.path).path / "config/smoke.yaml"
            content = yaml.safe_load(config.read_text())
            content["strategies"] = SMOKE_VARIANTS
            config.write_text(yaml.safe_dump(content, sort_keys=False))
            run.checkout.snakemake("--configfile", "config/smoke.yaml", "--config", "results=first")
    return run
