# SPDX-License-Identifier: GPL-2.0-only
"""Success at a size: read off trials that were asked for more, and of requests of that size."""

import pandas as pd
import pytest

from carveout.common.rates import Interval, wilson_interval
from tests.conftest import Checkout, Run

pytestmark = pytest.mark.long

CAPACITY = "half"
DIRECT = ("quarter", "eighth")
GRANULE_BYTES = 32 * 2**20
# The same host, of which more or less is asked for.
HOST = ["strategy", "variant", "granule", "dose_target", "seed"]


@pytest.fixture(scope="module")
def trials(checkout: Checkout) -> pd.DataFrame:
    """Hosts near the turning point of success, asked for half of their RAM or for less."""
    config = ("--configfile", "tests/guest/sizes.yaml", "--config", "results=sizes")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "sizes").table("trials")


@pytest.fixture(scope="module")
def pairs(trials: pd.DataFrame) -> pd.DataFrame:
    """Each direct request beside what its host granted when it was asked for half of its RAM."""
    capacity = trials[trials["requests"] == CAPACITY].set_index(HOST)["granted_bytes"]
    direct = trials[trials["requests"].isin(DIRECT)]
    beside = direct.join(capacity.rename("capacity_bytes"), on=HOST)
    assert beside["capacity_bytes"].notna().all()
    return beside.assign(
        read_off=beside["capacity_bytes"] >= beside["request_bytes"],
        granted=beside["outcome"] == "granted",
    )


def interval_of(outcomes: pd.Series) -> Interval:
    """The interval of the rate of those that are true."""
    return wilson_interval(int(outcomes.sum()), len(outcomes))


@pytest.mark.parametrize("strategy", ["alloc_contig_range", "hugetlbfs"])
def test_every_host_grants_directly_what_was_read_off(pairs: pd.DataFrame, strategy: str) -> None:
    chosen = pairs[pairs["strategy"] == strategy]
    assert chosen["granted"].tolist() == chosen["read_off"].tolist()
    rates = chosen.groupby("request_bytes")["granted"].mean()
    assert rates.between(0, 1, inclusive="neither").any(), "no size is near the turning point"


def test_one_range_of_an_area_is_off_the_grid_where_several_have_whole_granules(
    pairs: pd.DataFrame,
) -> None:
    """A direct request of a CMA area is one range, which begins behind the area's first pages."""
    chosen = pairs[pairs["strategy"] == "cma"]
    assert set(chosen["reason"]) == {"not_in_granules"}
    assert (chosen["lent_bytes"] == chosen["request_bytes"]).all()
    assert (chosen["granted_bytes"] == chosen["request_bytes"] - GRANULE_BYTES).all()
    for _, size in chosen.groupby("request_bytes"):
        assert interval_of(size["granted"]).high < interval_of(size["read_off"]).low
