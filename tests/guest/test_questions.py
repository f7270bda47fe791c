# SPDX-License-Identifier: GPL-2.0-only
"""What hosts answer to other questions than how much is to be had, and loads that go on."""

import pandas as pd
import pytest

from tests.conftest import Checkout, Run

MIB = 2**20
CYCLES = 3
# The lend and the load share one CPU, and the load alone has all of it.
MOST_PROGRESS, LEAST_PROGRESS = 0.9, 0.2


@pytest.fixture(scope="module")
def questions(checkout: Checkout) -> Run:
    config = ("--configfile", "tests/guest/questions.yaml", "--config", "results=questions")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "questions")


@pytest.fixture(scope="module")
def trials(questions: Run) -> pd.DataFrame:
    trials = questions.table("trials")
    assert set(trials["verify"]) == {"ok"} | {"not_checked"} & set(trials["verify"])
    assert trials["cause"].isna().all(), trials["message"].dropna().tolist()
    return trials


def asked(trials: pd.DataFrame, requests: str, strategy: str | None = None) -> pd.DataFrame:
    rows = trials[trials["requests"] == requests]
    if strategy:
        rows = rows[rows["strategy"] == strategy]
    assert len(rows) > 0
    return rows


def test_a_request_is_asked_for_once_and_is_no_capacity(trials: pd.DataFrame) -> None:
    direct, half = (
        asked(trials, name, "alloc_contig_range").set_index("seed") for name in ("direct", "half")
    )
    assert (direct["question"] == "request").all()
    assert not direct["exhausted"].any()
    assert half["exhausted"].all()
    assert (direct["granted_bytes"] <= half["granted_bytes"]).all()
    assert (direct["granted_bytes"] > 0).all()


def test_a_load_goes_on_beside_a_lend_and_each_slows_the_other(trials: pd.DataFrame) -> None:
    for strategy in ("alloc_contig_range", "virtio-mem"):
        busy = asked(trials, "busy", strategy)
        progress = (busy["load_steps"] / busy["load_ns"]) / (
            busy["load_alone_steps"] / busy["load_alone_ns"]
        )
        assert progress.between(LEAST_PROGRESS, MOST_PROGRESS).all(), progress.tolist()
        # The first of three lends of the same size, of the same hosts, had nobody beside it.
        alone = asked(trials, "three", strategy).query("cycle == 1").set_index("seed")["lend_ns"]
        assert (busy.set_index("seed")["lend_ns"] > alone).all()
    assert trials.loc[trials["requests"] != "busy", "load_steps"].isna().all()


def test_what_goes_on_changes_where_the_load_lies_and_not_how_much_it_is(questions: Run) -> None:
    phases = questions.table("phases")
    before = phases[(phases["phase"] == "before") & phases["scenario"].str.contains(".three.")]
    for _, cycles in before.groupby("trial_id"):
        assert len(cycles) == CYCLES
        assert cycles["pageblocks"].nunique() == CYCLES
        used = cycles["account_movable_bytes"] + cycles["account_movable_zone_used_bytes"]
        assert used.max() - used.min() < 4 * MIB


def test_memory_comes_back_to_a_host_that_has_none_free(trials: pd.DataFrame) -> None:
    tight = asked(trials, "tight")
    assert (tight["pressure_left_bytes"] < 8 * MIB).all()
    assert (tight["pressure_filled_bytes"] > 32 * MIB).all()
    assert tight["pressure_killed"].notna().all()
    kept = tight[tight["give_back_refused_by"].isna()]
    assert (kept["returned_bytes"] == kept["lent_bytes"]).all()
    assert trials.loc[trials["requests"] != "tight", "pressure_filled_bytes"].isna().all()
