# SPDX-License-Identifier: GPL-2.0-only
"""config/review.yaml with one dose and one seed: every variant on every kernel, none missing."""

from typing import Any

import pandas as pd
import pytest
import yaml

from carveout.common.schemas import load_yaml
from carveout.study.cell import Cell
from carveout.study.matrix import read_matrix
from tests.conftest import CHECKOUT, Checkout, Run

pytestmark = pytest.mark.long

STRUCT_PAGE_BYTES = 64


def review() -> dict[str, Any]:
    """The config, with one dose of one load in the parts that lend."""
    config: dict[str, Any] = load_yaml(CHECKOUT / "config/review.yaml")
    del config["figures"]
    config |= {"seeds": 1, "results": "review"}
    for part in (config, *config["also"]):
        if "unmovable_pages" in part.get("loads", {}):
            part["loads"] = {"unmovable_pages": part["loads"]["unmovable_pages"][:1]}
    return config


@pytest.fixture(scope="module")
def run(checkout: Checkout) -> Run:
    """A run of it, report and all."""
    (checkout.path / "review.yaml").write_text(yaml.safe_dump(review()))
    checkout.snakemake("--configfile", "review.yaml")
    return Run(checkout, checkout.path / "review")


@pytest.fixture(scope="module")
def trials(run: Run) -> pd.DataFrame:
    """Its trials."""
    return run.table("trials")


def cells(*, lend: bool) -> list[Cell]:
    """Its cells that lend, or those that only count."""
    matrix = read_matrix(review(), "review.yaml", CHECKOUT / "workflow")
    return [cell for cell in matrix.cells if cell.lends == lend]


def test_every_variant_is_tried_on_every_kernel(trials: pd.DataFrame) -> None:
    wanted = [
        (cell.kernel, cell.ram_bytes, cell.variant.strategy, cell.variant.name, cell.load)
        for cell in cells(lend=True)
    ]
    names = ["kernel", "ram_bytes", "strategy", "variant", "load"]
    found = [tuple(row) for row in trials[names].itertuples(index=False, name=None)]
    assert sorted(found) == sorted(wanted)


def test_each_is_measured_or_says_why_it_is_not_available(trials: pd.DataFrame) -> None:
    told = {"granted", "partial", "refused", "not_available"}
    others = trials.loc[~trials["outcome"].isin(told), ["kernel", "strategy", "message"]]
    assert others.to_dict("records") == []
    missing = trials["outcome"] == "not_available"
    assert trials.loc[missing, "message"].str.len().gt(0).all()
    assert trials.loc[~missing, "memmap_idle_bytes"].notna().all()
    assert set(trials["verify"]) <= {"ok", "not_checked"}


def test_the_report_has_them_all(run: Run, trials: pd.DataFrame) -> None:
    text = " ".join((run.results / "summary.txt").read_text().split())
    for reason in trials.loc[trials["outcome"] == "not_available", "message"].unique():
        assert " ".join(reason.split()) in text
    for version in trials["kernel_version"].unique():
        assert version in text


def test_the_memmap_of_every_kernel_and_ram_is_what_the_geometry_says(run: Run) -> None:
    phases = run.table("phases")
    counted = phases[phases["request_bytes"].isna()]
    wanted = {(cell.kernel, cell.ram_bytes) for cell in cells(lend=False)}
    hosts = counted[["kernel", "ram_bytes"]].itertuples(index=False, name=None)
    assert {tuple(host) for host in hosts} == wanted
    assert len(counted) == len(wanted)
    computed = counted["ram_bytes"] // counted["page_bytes"] * STRUCT_PAGE_BYTES
    assert (counted["memmap_bytes"] == computed).all()
    assert counted["page_bytes"].nunique() == 3
