# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that are built: the same bytes each time, and hosts that boot them."""

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from carveout.archive.pins import Pins
from carveout.common.files import sha256_of
from carveout.kernels.built import BuiltKernel
from carveout.kernels.kernel import unpacked_kernel
from tests.conftest import CHECKOUT, Checkout, Run

CONFIG = CHECKOUT / "tests/guest/lab.yaml"

pytestmark = pytest.mark.long


def lab() -> BuiltKernel:
    """The pinned kernel `lab`."""
    pins = Pins.read(CHECKOUT / "config/kernels.yaml", CHECKOUT / "config/qemus.yaml")
    (source,) = pins.kernel("lab").packages.values()
    return BuiltKernel(source, pins.built_with("lab") or "", pins.patched_with("lab"))


def built_from_nothing(folder: Path) -> dict[str, str]:
    """Builds `lab`, prints what that took, and returns the digest of every file."""
    folder.mkdir()
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    load = os.getloadavg()[0]
    lab().build(folder)
    wall_s, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"\nlab from nothing: {wall_s:.0f} s on {len(os.sched_getaffinity(0))} CPUs, "
        f"{busy_s:.0f} s of processor time; load average {load:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after"
    )
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_inputs_give_the_same_kernel_to_the_bit(tmp_path: Path) -> None:
    first = built_from_nothing(tmp_path / "first")
    again = built_from_nothing(tmp_path / "again")
    assert "Image" in first
    assert any(name.endswith("modules.builtin") for name in first)
    assert {name for name in {*first, *again} if first.get(name) != again.get(name)} == set()


@pytest.fixture(scope="module")
def on_lab(checkout: Checkout) -> Run:
    """A run on `lab`."""
    checkout.snakemake("tables", "--configfile", str(CONFIG))
    return Run(checkout, checkout.path / "results/lab")


def run_on(on_lab: Run, folder: Path, entry: dict[str, Any]) -> Run:
    """A run of the same on a kernel of the user's own, whose config lies outside the checkout."""
    content = yaml.safe_load(CONFIG.read_text())
    content |= {"results": str(folder / "results"), "kernels": ["mine"]}
    content["own_kernels"] = {"mine": {"page_bytes": 4096, **entry}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    on_lab.checkout.snakemake("tables", "--configfile", str(folder / "mine.yaml"))
    return Run(on_lab.checkout, folder / "results")


def lent(run: Run) -> list[tuple[str, str, int]]:
    """What became of each request."""
    trials = run.table("trials")
    columns = (trials["outcome"], trials["verify"], trials["granted_bytes"])
    return list(zip(*columns, strict=True))


def described(run: Run, name: str) -> Path:
    """The file that describes a run's kernel."""
    return run.results / f"kernels/{name}/kernel.json"


def test_lab_boots_and_lends(on_lab: Run) -> None:
    trials = lent(on_lab)
    assert len(trials) == 3
    assert {outcome for outcome, _, _ in trials} == {"granted"}


def test_a_built_kernel_of_the_users_own_gives_the_same_trials(on_lab: Run, tmp_path: Path) -> None:
    kernel = unpacked_kernel(described(on_lab, "lab"))
    paths = {"image": kernel.image, "modules": kernel.modules, "headers": kernel.headers}
    own = run_on(on_lab, tmp_path, {key: str(path) for key, path in paths.items()})
    content = json.loads(described(own, "mine").read_text())
    assert content["image_sha256"] == sha256_of(kernel.image)
    assert content["packages"] == []
    assert str(Path.home()) not in described(own, "mine").read_text()
    assert lent(own) == lent(on_lab)
    assert set(own.table("trials")["kernel_version"]) == {content["version"]}


def test_a_source_tree_of_the_users_own_is_built_and_lends(on_lab: Run, tmp_path: Path) -> None:
    tree = tmp_path / "linux"
    tree.mkdir()
    lab().unpack(tree)
    own = run_on(on_lab, tmp_path, {"tree": str(tree), "config": ["base"]})
    assert {outcome for outcome, _, _ in lent(own)} == {"granted"}
    assert not (tree / ".config").exists()
