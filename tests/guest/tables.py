# SPDX-License-Identifier: GPL-2.0-only
"""Runs of configs that tests make, and rows of their tables, as several guest tests want them."""

from collections.abc import Mapping

import pandas as pd
import yaml

from tests.conftest import Checkout, Run


def run_config(checkout: Checkout, config: Mapping[str, object]) -> Run:
    """A run of a config, with the tables of its trials, in the folder that the config names."""
    results = str(config["results"])
    (checkout.path / f"{results}.yaml").write_text(yaml.safe_dump(dict(config)))
    checkout.snakemake("collect_trials", "--configfile", f"{results}.yaml")
    return Run(checkout, checkout.path / results)


def censuses(run: Run, strategy: str, **columns: object) -> pd.DataFrame:
    """The censuses of a strategy in a run; no row fails the test."""
    phases = run.table("phases")
    chosen = phases[phases["strategy"] == strategy]
    for name, value in columns.items():
        chosen = chosen[chosen[name] == value]
    assert len(chosen) > 0
    return chosen
