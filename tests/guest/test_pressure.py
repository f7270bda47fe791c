# SPDX-License-Identifier: GPL-2.0-only
"""A lend for which the kernel has to reclaim says so, in pages and in time."""

from typing import Any

import pytest

from tests.conftest import Checkout, Run

PAGE_BYTES = 4096
PARTS = ("search", "migrate", "reclaim", "map", "rest")


@pytest.fixture(scope="module")
def lend(checkout: Checkout) -> dict[str, Any]:
    """The one lend of a host that is full."""
    config = ("--configfile", "tests/guest/pressure.yaml", "--config", "results=pressure")
    checkout.snakemake("tables", *config)
    (row,) = Run(checkout, checkout.path / "pressure").table("trials").to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_reclaiming_is_a_part_of_the_cost(lend: dict[str, Any]) -> None:
    assert lend["outcome"] == "granted"
    assert lend["pages_reclaimed"] > 0
    # kswapd does the rest of it, as the kernel's own task. Who fills a pool maps next to nothing,
    # and to make huge pages is more work than to have free ones.
    assert 10 * lend["lend_map_ns"] < lend["lend_reclaim_ns"] < lend["lend_migrate_ns"]
    assert lend["lend_ns"] == sum(lend[f"lend_{part}_ns"] for part in PARTS)


def test_the_load_took_what_it_says(lend: dict[str, Any]) -> None:
    assert lend["physical_bytes"] == pytest.approx(lend["dose_achieved"] / 100 * 2**30, rel=0.02)
