# SPDX-License-Identifier: GPL-2.0-only
"""The small job on every kernel: what runs balances, what does not says why, nothing is missing."""

from typing import Any

import pandas as pd
import pytest

from carveout.common.schemas import load_yaml
from carveout.common.sizes import GIB
from carveout.study.matrix import read_matrix
from tests.conftest import CHECKOUT, Checkout
from tests.guest.tables import run_config

pytestmark = pytest.mark.long

STRUCT_PAGE_BYTES = 64
SMOKE = load_yaml(CHECKOUT / "config/smoke.yaml")
# With 64K pages a pageblock has 512 MiB, and so has a section: less is no question for them.
LARGER: dict[str, Any] = {
    "ram": ["4GiB"],
    "lendable": "1GiB",
    "requests": {"half_then_whole": ["512MiB", "1GiB"]},
    "loads": {"idle": [0], "anonymous_memory": [50], "unmovable_pages": [25]},
}
KERNELS: dict[str, dict[str, Any]] = {
    "debian-6.1": {},
    "debian-6.12-16k": {},
    "debian-7.3": {},
    "lab": {},
    "lab-16k": {},
    "lab-64k": LARGER,
    "lab-nonotifier": {},
}


def config_of(kernel: str, results: str, **changes: object) -> dict[str, Any]:
    """The small job, one seed, on one kernel."""
    config: dict[str, Any] = {**SMOKE, "kernels": [kernel], "seeds": 1, "results": results}
    del config["figures"]
    return {**config, **KERNELS[kernel], **changes}


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    """Each kernel but the one on which all other tests run, and those with sanitizers."""
    return str(request.param)


@pytest.fixture(scope="module")
def trials(kernel: str, checkout: Checkout) -> pd.DataFrame:
    """The small job's trials on one kernel."""
    return run_config(checkout, config_of(kernel, f"on-{kernel}")).table("trials")


def waits_for_itself(trials: pd.DataFrame) -> "pd.Series[bool]":
    """The lends from a CMA area that never end with pages of 16K: docs/measuring.md, "Kernels"."""
    of_cma = (trials["strategy"] == "cma") & (trials["page_bytes"] == 2**14)
    return of_cma & (trials["cause"] == "hang") & (trials["stage"] == "lend")


def test_no_host_dies_and_every_book_balances(trials: pd.DataFrame) -> None:
    told = {"granted", "partial", "refused", "not_available"}
    ended = trials["outcome"].isin(told) | waits_for_itself(trials)
    others = trials.loc[~ended, ["strategy", "load", "message"]]
    assert others.to_dict("records") == []
    assert set(trials["verify"]) <= {"ok", "not_checked"}


def test_nothing_is_missing(kernel: str, trials: pd.DataFrame) -> None:
    cells = read_matrix(config_of(kernel, "any"), "smoke", CHECKOUT / "workflow").cells
    wanted = {(c.variant.strategy, c.variant.name, c.load) for c in cells}
    found = trials[["strategy", "variant", "load"]].itertuples(index=False, name=None)
    assert set(found) == wanted


def test_what_cannot_be_had_says_why(trials: pd.DataFrame) -> None:
    missing = trials[trials["outcome"] == "not_available"]
    assert missing["message"].str.len().gt(0).all()
    assert len(missing) < len(trials)


def test_the_memmap_is_what_the_geometry_says(trials: pd.DataFrame) -> None:
    idle = trials[(trials["strategy"] == "baseline") & (trials["memmap_idle_bytes"].notna())]
    wanted = idle["ram_bytes"] // idle["page_bytes"] * STRUCT_PAGE_BYTES
    assert len(idle) > 0
    assert (idle["memmap_idle_bytes"] == wanted).all()
    assert (wanted * GIB // idle["ram_bytes"]).nunique() == 1


def test_forks_and_cold_boots_give_the_same_bytes(kernel: str, checkout: Checkout) -> None:
    load = "unmovable_pages"
    part = {
        "strategies": {"alloc_contig_range": ["zone_movable"]},
        "loads": {load: config_of(kernel, "any")["loads"][load]},
        "seeds": 2,
    }
    made = [
        run_config(checkout, config_of(kernel, f"{boot}-{kernel}", boot=boot, **part))
        for boot in ("fork", "cold")
    ]
    forked, cold = ((of.results / "tables/trials.parquet").read_bytes() for of in made)
    assert forked == cold
