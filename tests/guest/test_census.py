# SPDX-License-Identifier: GPL-2.0-only
"""Hosts that are only counted: the largest has far more RAM than this machine has memory."""

import pandas as pd
import pytest

from carveout.common.schemas import load_yaml
from carveout.common.sizes import GIB, MIB
from carveout.study.matrix import read_matrix
from tests.conftest import CHECKOUT, Checkout, Run

CONFIG = CHECKOUT / "tests/guest/census.yaml"
STRUCT_PAGE_BYTES = 64
RAM_GIB = [1, 64]


@pytest.fixture(scope="module")
def counted(checkout: Checkout) -> Run:
    """A run in which hosts are counted beside one that lends."""
    checkout.snakemake("all", "--configfile", str(CONFIG))
    return Run(checkout, checkout.path / "results/census")


@pytest.fixture(scope="module")
def hosts(counted: Run) -> pd.DataFrame:
    """The censuses of the hosts that were only counted, by their RAM."""
    phases = counted.table("phases")
    return phases[phases["request_bytes"].isna()].set_index("ram_bytes").sort_index()


def test_each_has_one_census(hosts: pd.DataFrame) -> None:
    assert list(hosts.index) == [gib * GIB for gib in RAM_GIB]
    assert set(hosts["phase"]) == {"before"}


def test_the_memmap_is_a_struct_page_for_each_page(hosts: pd.DataFrame) -> None:
    for _, host in hosts.reset_index().iterrows():
        assert host["memmap_bytes"] == host["ram_bytes"] // host["page_bytes"] * STRUCT_PAGE_BYTES
        assert host["memmap_bytes"] == host["memmap_counter_bytes"]


def test_the_kernels_own_counters_agree(hosts: pd.DataFrame) -> None:
    """Of all RAM, /proc/zoneinfo has as present what the census has in its accounts."""
    zones = [name for name in hosts.columns if name.endswith("_present_pages")]
    present = hosts[zones].fillna(0).sum(axis="columns") * hosts["page_bytes"]
    assert list(present) == list(hosts.index)


def test_no_more_is_touched_than_a_job_is_given(counted: Run) -> None:
    runs = counted.table("runs")
    cells = read_matrix(load_yaml(CONFIG), str(CONFIG), CHECKOUT / "workflow").cells
    for cell in (cell for cell in cells if not cell.lends):
        of_cell = (runs["scenario"] == cell.scenario) & (runs["ram_bytes"] == cell.ram_bytes)
        (taken_bytes,) = runs.loc[of_cell, "qemu_peak_rss_bytes"]
        assert taken_bytes < cell.touched_bytes + 384 * MIB
        assert taken_bytes > cell.touched_bytes / 4, "the bound is far too large"


def test_they_are_in_the_figure_and_in_no_statistics(counted: Run) -> None:
    assert "computed" in (counted.results / "report.html").read_text()
    assert (counted.results / "figures/memmap_by_ram.svg").exists()
    assert set(counted.table("summary")["requests"]) == {"some"}
