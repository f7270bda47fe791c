# SPDX-License-Identifier: GPL-2.0-only
"""Nothing that KASAN, lockdep or KCSAN report is done by the module and the tools.

The runs are made in the checkout itself: their consoles stay in results/sanitizers/logs/boots, and
a second run makes only what has changed.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Checkout
from tests.sanitizers.reports import reports_of, summary, unfinished_trials

FOLDER = "tests/sanitizers"


def run(config: str, results: str) -> Path:
    """Return the results of a config, all of whose hosts came to their end."""
    folder = CHECKOUT / results
    # A trial that is taken over from a journal has no console.
    shutil.rmtree(folder / "journals", ignore_errors=True)
    Checkout(CHECKOUT).snakemake("tables", "--configfile", f"{FOLDER}/{config}.yaml")
    trials = list(folder.glob("trials/**/*.jsonl"))
    assert len(trials) > 0
    assert len(reports_of(folder)) == len(trials)
    return folder


@pytest.mark.parametrize("kernel", ["kasan", "kcsan"])
def test_a_planted_error_is_found(kernel: str) -> None:
    results = run(f"planted_{kernel}", f"results/sanitizers_planted_{kernel}")
    (reports,) = reports_of(results).values()
    named = [report for report in reports if kernel.upper() in report.title]
    assert [report for report in named if report.counts] != []


@pytest.mark.parametrize(
    ("config", "folder"),
    [("sanitizers", "sanitizers"), ("single_range", "sanitizers_single_range")],
)
def test_nothing_is_reported_with_any_strategy_and_load(config: str, folder: str) -> None:
    results = run(config, f"results/{folder}")
    reports = reports_of(results)
    print("\nRaces between the kernel's own functions, which count against nobody here:")
    print(summary(reports, counting=False))
    found = summary(reports, counting=True)
    print(f"\nReports:\n{found or 'none'}")
    assert found == ""
    assert unfinished_trials(results) == []


def test_the_kernels_are_those_with_sanitizers() -> None:
    for kernel, option in (("kasan", "CONFIG_KASAN=y"), ("kcsan", "CONFIG_KCSAN=y")):
        path = CHECKOUT / f"results/sanitizers/kernels/{kernel}-6.12/kernel.json"
        description = json.loads(path.read_text(encoding="utf-8"))
        assert option in description["config"].splitlines()
        assert description["release"].endswith(f"-{kernel}")
