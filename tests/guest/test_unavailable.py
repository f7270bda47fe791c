# SPDX-License-Identifier: GPL-2.0-only
"""What the running kernel cannot do ends as `not_available`, by its word, and not as a crash."""

from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import Checkout, Run

CONFIG: dict[str, Any] = {
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"twice": ["64MiB", "256MiB"]},
    "strategies": {"baseline": ["ordinary_pages"], "cannot": "all", "lacks_module": "all"},
    "strategy_folders": ["tests/guest/strategies"],
    "loads": {"idle": [0]},
    "seeds": 2,
}


@pytest.fixture(scope="module", params=["fork", "cold"])
def trials(request: pytest.FixtureRequest, checkout: Checkout) -> pd.DataFrame:
    """The trials of two strategies that this kernel cannot run, and of one that it can."""
    results = f"unavailable_{request.param}"
    config = checkout.path / f"{results}.yaml"
    config.write_text(yaml.safe_dump({**CONFIG, "results": results, "boot": request.param}))
    checkout.snakemake("collect_trials", "--configfile", config.name)
    return Run(checkout, checkout.path / results).table("trials")


def test_all_trials_of_the_cell_say_why(trials: pd.DataFrame) -> None:
    missing = trials[trials["strategy"] != "baseline"]
    assert len(missing) == 2 * 2 * 2
    assert set(missing["outcome"]) == {"not_available"}
    assert missing["cause"].isna().all()
    said = missing.groupby("strategy")["message"].unique().to_dict()
    assert list(said["cannot"]) == ["the running kernel has no telepathy"]
    (lacks,) = said["lacks_module"]
    assert "has no module telepathy_core, wanted by name" in lacks


def test_others_are_measured(trials: pd.DataFrame) -> None:
    assert set(trials.loc[trials["strategy"] == "baseline", "outcome"]) == {"granted"}
