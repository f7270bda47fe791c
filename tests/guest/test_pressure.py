# SPDX-License-Identifier: GPL-2.0-only
"""A lend for which the kernel has to reclaim says so, in pages and in time."""

from typing import Any

import pytest

from tests.conftest import Checkout, Run

PAGE_BYTES = 4096
PARTS = ("search", "migrate", "reclaim", "map", "rest")


@pytest.fixture(scope="module")
def lends(checkout: Checkout) -> list[dict[str, Any]]:
    """The lends of hosts that are full."""
    config = ("--configfile", "tests/guest/pressure.yaml", "--config", "results=pressure")
    checkout.snakemake("collect_trials", *config)
    rows = Run(checkout, checkout.path / "pressure").table("trials").to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def test_reclaiming_is_a_part_of_the_cost(lends: list[dict[str, Any]]) -> None:
    assert {lend["outcome"] for lend in lends} == {"granted"}
    for lend in lends:
        assert lend["pages_reclaimed"] > 0
        assert lend["lend_ns"] == sum(lend[f"lend_{part}_ns"] for part in PARTS)
    # kswapd does most of it for who maps, as the kernel's own task, and takes its time from the
    # mapping. Who fills a pool reclaims by itself, and maps next to nothing.
    mapped = [lend for lend in lends if lend["strategy"] == "baseline"]
    assert any(lend["lend_reclaim_ns"] > 0 for lend in mapped)
    assert all(lend["lend_reclaim_ns"] < lend["lend_map_ns"] / 10 for lend in mapped)
    filled = [lend for lend in lends if lend["strategy"] == "hugetlbfs"]
    assert len(filled) > 0
    assert all(lend["lend_reclaim_ns"] > 10 * lend["lend_map_ns"] for lend in filled)


def test_the_load_took_what_it_says(lends: list[dict[str, Any]]) -> None:
    for lend in lends:
        wanted_bytes = lend["dose_achieved"] / 100 * 2**30
        assert lend["physical_bytes"] == pytest.approx(wanted_bytes, rel=0.02)
