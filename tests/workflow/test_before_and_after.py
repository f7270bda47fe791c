# SPDX-License-Identifier: GPL-2.0-only
"""A config of two kernels ends with what changed; made tables are enough, nothing is booted."""

import pandas as pd
import yaml
from benchmarks.synthetic.trials import made_metadata, made_phases, made_runs, made_trials

from carveout.tables.parquet import read_table, write_table
from carveout.tables.rules import LEND_PARTS
from tests.conftest import Checkout

BEFORE, AFTER = "debian-6.12", "debian-6.1"


def of_kernels(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of both kernels, of two strategies; a trial's digest is of its kernel, too."""
    few = table[table["strategy"].isin(["mem", "cma"])]
    return pd.concat(
        few.assign(kernel=name, trial_id=few["trial_id"] + name) for name in (BEFORE, AFTER)
    )


def write_config(checkout: Checkout, kernels: list[str]) -> None:
    config = yaml.safe_load((checkout.path / "config/smoke.yaml").read_text())
    del config["figures"]
    config |= {"kernels": kernels, "results": "paired"}
    (checkout.path / "paired.yaml").write_text(yaml.safe_dump(config))


def test_two_kernels_end_with_what_changed(checkout: Checkout) -> None:
    results = checkout.path / "paired"
    trials = of_kernels(made_trials(8))
    slower = (trials["kernel"] == AFTER) & (trials["strategy"] == "mem")
    parts = ["lend_ns", *(f"lend_{part}_ns" for part in LEND_PARTS)]
    trials[parts] = trials[parts].mask(slower, trials[parts] * 2)
    write_table("trials", trials, results / "tables/trials.parquet", made_metadata())
    write_table("phases", of_kernels(made_phases()), results / "tables/phases.parquet")
    write_table("runs", of_kernels(made_runs(8)), results / "tables/runs.parquet")

    write_config(checkout, [BEFORE, AFTER])
    checkout.snakemake("report", "--configfile", "paired.yaml")
    changes = read_table("changes", results / "tables/changes.parquet")
    found = changes[changes["significant"]]
    assert set(found["strategy"]) == {"mem"}
    assert set(found["quantity"]) == {"lend_ns_per_gib"}
    assert (found["before_kernel"] == BEFORE).all()
    assert (found["relative_change"] == 1).all()
    text = (results / "summary.txt").read_text()
    # Of each a change, and the least and the most of a seed.
    assert text.count("+100.0%") == 3 * len(found) > 0
    assert f"{len(found)} of {len(changes)} comparisons changed" in text
    page = (results / "report.html").read_text()
    assert "what changed" in page
    assert page.count("+100.0 %") == 3 * len(found)

    write_config(checkout, [AFTER, BEFORE])
    checkout.snakemake("report", "--configfile", "paired.yaml")
    assert (results / "summary.txt").read_text().count("-50.0%") == 3 * len(found)
