# SPDX-License-Identifier: GPL-2.0-only
"""Seeds on hosts of several layouts: another history, nothing else, and all of it repeats."""

import pandas as pd
import pytest

from tests.conftest import Checkout, Run
from tests.guest.tables import run_config

CONFIG = {
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"some": ["256MiB"]},
    "granules": ["single"],
    "strategies": {"alloc_contig_range": ["whole_memory"]},
    "loads": {"unmovable_pages": [3]},
    "seeds": 4,
    "layouts": 2,
}


@pytest.fixture(scope="module")
def forked(checkout: Checkout) -> Run:
    return run_config(checkout, CONFIG | {"results": "layouts"})


def maps(run: Run, phase: str) -> "pd.Series[str]":
    """The pageblocks of a phase by seed."""
    phases = run.table("phases")
    return phases[phases["phase"] == phase].set_index("seed")["pageblocks"].sort_index()


def test_seeds_run_on_the_layouts_in_turn(forked: Run) -> None:
    trials = forked.table("trials").sort_values("seed")
    assert trials["layout"].tolist() == [1, 2, 1, 2]
    runs = forked.table("runs")
    assert (runs["process"] == "boot").sum() == 2


def test_before_the_load_a_host_is_as_its_layout_is(forked: Run) -> None:
    unloaded = maps(forked, "unloaded")
    assert unloaded[1] == unloaded[3]
    assert unloaded[2] == unloaded[4]
    assert unloaded[1] != unloaded[2]


def test_the_history_has_left_nothing_but_its_traces(forked: Run) -> None:
    phases = forked.table("phases").query("phase == 'unloaded'")
    free_bytes = phases.groupby("seed")["mem_free_bytes"].first()
    assert free_bytes.max() - free_bytes.min() < 2**20
    assert phases["blocked_pageblocks"].nunique() == 1


def test_the_load_comes_after_the_first_census(forked: Run) -> None:
    phases = forked.table("phases").set_index(["seed", "phase"])
    blocked = phases["blocked_pageblocks"].unstack()
    assert (blocked["before"] > blocked["unloaded"] + 10).all()
    assert (phases["cycle"] == 1).all()


@pytest.mark.long
def test_cold_boots_give_the_same_trials(forked: Run, checkout: Checkout) -> None:
    cold = run_config(checkout, CONFIG | {"results": "layouts_cold", "boot": "cold"})
    for name in ("trials", "phases"):
        pd.testing.assert_frame_equal(cold.table(name), forked.table(name))
