# SPDX-License-Identifier: GPL-2.0-only
"""A study that is really run in parts, on real hosts, merges to the bytes of one run."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Checkout

pytestmark = pytest.mark.long

STUDY = ("--configfile", "tests/study.yaml", "--config")
PARTS = {
    "by_strategy": "{strategies: [mem]}",
    "by_seed": "{strategies: [hugetlbfs], seeds: 1}",
    "by_dose": "{strategies: [mem, hugetlbfs], loads: [anonymous_memory], doses: [50], seeds: 2}",
    "the rest": "{strategies: [hugetlbfs/2M_run_time], seeds: 2-2}",
    "counted": "{strategies: [baseline]}",
}


def digests(checkout: Checkout, results: str) -> list[str]:
    tables = [checkout.path / results / f"tables/{name}.parquet" for name in ("trials", "phases")]
    return [hashlib.sha256(table.read_bytes()).hexdigest() for table in tables]


@pytest.fixture(scope="module")
def parts(checkout: Checkout) -> Checkout:
    """The study in one run and in parts, each with the packages of the one run."""
    checkout.snakemake("tables", *STUDY, "results=whole")
    for name, part in PARTS.items():
        (checkout.path / name).mkdir()
        shutil.copy(checkout.path / "whole/lock.yaml", checkout.path / name)
        checkout.snakemake("tables", *STUDY, f"results={name}", f"part={part}")
    return checkout


def merge(checkout: Checkout, names: list[str], results: str, *, fails: bool = False) -> str:
    command = ["tables", *STUDY, f"from={names}", f"results={results}"]
    return checkout.snakemake(*command, fails=fails).stderr


def test_all_parts_are_the_whole(parts: Checkout) -> None:
    said = merge(parts, list(PARTS), "merged")
    first_in = "6 of by_strategy, 3 of by_seed, 1 of by_dose, 2 of the rest, 9 of counted"
    assert f"merged 21 trials: {first_in}" in said
    assert said.count("; 2 more were the same in several") == 1
    assert digests(parts, "merged") == digests(parts, "whole")
    print(f"trials.parquet has sha256 {digests(parts, 'whole')[0]}")


def test_what_is_missing_is_made_and_nothing_else(parts: Checkout) -> None:
    said = merge(parts, ["by_strategy", "by_seed"], "begun", fails=True)
    assert re.search(r"carveout: wanted all trials .* found that 12 are in no folder", said)
    parts.snakemake("tables", *STUDY, "results=begun")
    assert digests(parts, "begun") == digests(parts, "whole")
    progress = Path(parts.path / "begun/progress").read_text()
    assert progress.count("trial ") == 12
