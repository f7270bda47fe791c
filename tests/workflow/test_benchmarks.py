# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark as a program, with its smallest sizes; no time is asserted."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from tests.conftest import Checkout

# One with guests, and those that lean on the main job's config without any.
MEASURES = ["fork", "cells", "rows"]


@pytest.mark.long
def test_quick_benchmark_writes_table_and_figure(checkout: Checkout) -> None:
    only = [word for name in MEASURES for word in ("--only", name)]
    command = [sys.executable, "-m", "benchmarks", "--quick", *only, "--output", "bench"]
    done = subprocess.run(
        command,
        cwd=checkout.path,
        env={**os.environ, "PYTHONPATH": "workflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = checkout.path / "bench"
    assert {path.name for path in made.iterdir()} == {
        f"bench.{kind}" for kind in ("csv", "txt", "svg", "png")
    }
    table = pd.read_csv(made / "bench.csv", comment="#")
    assert list(table["measure"].unique()) == MEASURES
    assert (table["value"] > 0).all()
    forks = table[table["measure"] == "fork"]
    assert forks["ratio"].notna().sum() == 2 * 3, "first and further forks, of each quantity"
