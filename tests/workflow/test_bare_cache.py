# SPDX-License-Identifier: GPL-2.0-only
"""What a new user meets: a cache with nothing in it, and pins that the archive has dropped."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from carveout.archive.lockfile import Lock
from tests.conftest import Run, copy_checkout, snakemake_command

JOB = {
    "results": "bare",
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"once": ["64MiB"]},
    "strategies": {"mem": ["carve_out"]},
    "loads": {"idle": [0]},
    "seeds": 1,
}


def set_pins_back(path: Path) -> None:
    """Pin every package to a version that the archive no longer has."""
    content = yaml.safe_load(path.read_text())
    kernel = content["kernels"]["debian-6.12"]
    release, _ = kernel["packages"]["image"]["version"].rsplit("-", 1)
    for package in kernel["packages"].values():
        package["name"] = package["name"].replace(release, "6.12.1")
        package |= {"version": "6.12.1-1", "sha256": "ab" * 32}
    content["guest"]["packages"]["busybox"] |= {"version": "1:1.30.0-1", "sha256": "cd" * 32}
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run from an empty cache with all pins gone, and what it said."""
    folder = tmp_path_factory.mktemp("bare")
    checkout = copy_checkout(folder / "checkout")
    set_pins_back(checkout.path / "config/kernels.yaml")
    (checkout.path / "job.yaml").write_text(yaml.safe_dump(JOB))
    done = subprocess.run(
        snakemake_command("--configfile", "job.yaml"),
        cwd=checkout.path,
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Run(checkout, checkout.path / "bare"), done.stderr


def test_what_was_taken_in_place_of_pins_is_said_in_one_line_each(bare: tuple[Run, str]) -> None:
    _, said = bare
    lines = [line for line in said.splitlines() if "in its place" in line]
    assert [line.split(": ")[1] for line in lines] == ["guest", "kernels.debian-6.12"]
    for line in lines:
        assert "is gone from suite trixie; took " in line


def test_the_lock_has_what_was_really_used(bare: tuple[Run, str]) -> None:
    run, _ = bare
    lock = Lock.read(run.results / "lock.yaml")
    kernel = lock.entries["kernels.debian-6.12"]
    assert kernel.pinned == "6.12.1-1"
    assert {package.version for package in kernel.used.packages.values()} == {kernel.used.version}
    assert kernel.used.packages["image"].name.startswith("linux-image-6.12.")
    assert [tool.name for tool in kernel.tools] == ["libc6"]


def test_tables_and_report_say_which_kernel_ran_and_which_was_pinned(
    bare: tuple[Run, str],
) -> None:
    run, _ = bare
    used = Lock.read(run.results / "lock.yaml").entries["kernels.debian-6.12"].used.version
    for name in ("trials", "phases", "runs", "summary", "variants"):
        table = run.table(name)
        assert set(table["kernel_version"]) == {used}
        assert set(table["kernel_pinned"]) == {"6.12.1-1"}
    (release,) = set(run.table("trials")["kernel_release"])
    assert release.split("+")[0] == used.rsplit("-", 1)[0]
    moved = f"{used} in place of the pinned 6.12.1-1"
    summary = " ".join((run.results / "summary.txt").read_text().split())
    assert f"debian-6.12 ({moved}), 1 GiB RAM" in summary
    report = (run.results / "report.html").read_text()
    assert f"{release} ({moved})" in report
    assert f"kernels.debian-6.12: 6.12.1-1 -&gt; {used}" in report


def test_another_run_stays_with_the_lock_when_the_pins_move(bare: tuple[Run, str]) -> None:
    run, _ = bare
    pins = run.checkout.path / "config/kernels.yaml"
    before = (run.results / "tables/runs.parquet").read_bytes()
    pins.write_text(pins.read_text().replace("6.12.1-1", "6.12.2-1"))
    done = run.checkout.snakemake("--configfile", "job.yaml")
    used = Lock.read(run.results / "lock.yaml").entries["kernels.debian-6.12"].used.version
    assert f"kernels.debian-6.12: stays with {used}" in done.stderr
    assert "carveout: 0/0 trials, 1/1 cells" in done.stderr, "no trial was made anew"
    assert set(run.table("trials")["kernel_pinned"]) == {"6.12.2-1"}
    assert (run.results / "tables/runs.parquet").read_bytes() != before
