# SPDX-License-Identifier: GPL-2.0-only
"""What a patch changes: of one that breaks something it is found, of one in a comment nothing is.

Both are kernels of the user's own: the source of `lab` with a patch of the folder ``patches``.
"""

import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import CHECKOUT, Checkout, Run
from tests.guest.test_built_kernels import lab

PATCHES = CHECKOUT / "tests/guest/patches"
PATCHED = ("comment", "gives_up")
CONFIG: dict[str, Any] = {
    "kernels": ["lab", *PATCHED],
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"whole": ["256MiB"]},
    "granules": ["2M"],
    "strategies": {"alloc_contig_range": ["whole_memory_lowest_first"]},
    # Anonymous memory leaves enough whole pageblocks free that no page has to move; page cache of
    # that dose does not.
    "loads": {"anonymous_memory": [20, 40], "page_cache": [75, 80]},
    "seeds": 10,
}

pytestmark = pytest.mark.long


def patched_tree(folder: Path, name: str) -> Path:
    """The source of `lab` with its own patches and one more."""
    tree = folder / name
    tree.mkdir()
    lab().unpack(tree)
    for path in (CHECKOUT / "config/kernels/hvo.patch", PATCHES / f"{name}.patch"):
        with path.open() as patch:
            subprocess.run(["patch", "-p1", "--quiet"], cwd=tree, stdin=patch, check=True)
    return tree


@pytest.fixture(scope="module")
def changes(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What changed from `lab` to each patched kernel."""
    folder = tmp_path_factory.mktemp("trees")
    own = {
        name: {
            "page_bytes": 4096,
            "tree": str(patched_tree(folder, name)),
            "config": ["base", "lab"],
        }
        for name in PATCHED
    }
    content = CONFIG | {"results": str(folder / "results"), "own_kernels": own}
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    checkout.snakemake("pair_trials", "--configfile", str(folder / "mine.yaml"))
    return Run(checkout, folder / "results").table("changes")


def of(changes: pd.DataFrame, kernel: str, load: str, quantity: str) -> dict[str, Any]:
    """One row of the table."""
    row = (changes["kernel"] == kernel) & (changes["load"] == load)
    (found,) = changes[row & (changes["quantity"] == quantity)].to_dict("records")
    return {str(name): value for name, value in found.items()}


def test_a_patch_in_a_comment_changes_nothing(changes: pd.DataFrame) -> None:
    """Not one byte of the kernel, so its trials are the same ones."""
    of_comment = changes[changes["kernel"] == "comment"]
    assert (of_comment["pairs"] > 0).any()
    assert not of_comment["significant"].any()
    assert (of_comment["pairs_up"] + of_comment["pairs_down"]).sum() == 0


def test_a_patch_that_breaks_something_is_found(changes: pd.DataFrame) -> None:
    success = of(changes, "gives_up", "page_cache", "success")
    assert success["significant"]
    assert (success["before"], success["after"]) == (1, 0)
    assert success["pairs_down"] == success["pairs"] == 20


def test_what_it_does_where_lends_succeed_is_found_too(changes: pd.DataFrame) -> None:
    load = "anonymous_memory"
    assert not of(changes, "gives_up", load, "success")["significant"]
    moved = of(changes, "gives_up", load, "pages_migrated")
    assert moved["significant"]
    assert moved["before"] > moved["after"] == 0
