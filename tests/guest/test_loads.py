# SPDX-License-Identifier: GPL-2.0-only
"""What loads really do to a host: they take what they hold, and reach what they are to reach."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import Checkout, Run

MIB = 2**20
ANONYMOUS = ("anonymous_memory", "anonymous_pages")
DOSES = (5, 25, 65)
CONFIG = {
    "results": "loads",
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "128MiB",
    "requests": {"once": ["32MiB"]},
    # The host with the least memory for the load: 128 MiB are hidden.
    "strategies": {"mem": ["carve_out"]},
    "loads": {load: list(DOSES) for load in ANONYMOUS},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def trials(checkout: Checkout) -> list[dict[str, Any]]:
    """What the runner wrote of the trials of both anonymous loads."""
    (checkout.path / "loads.yaml").write_text(yaml.safe_dump(CONFIG))
    folder = "loads/trials/debian-6.12/1GiB/mem/carve_out"
    files = [f"{folder}/{load}.once.page.jsonl" for load in ANONYMOUS]
    checkout.snakemake(*files, "--configfile", "loads.yaml")
    return [
        json.loads(line)
        for name in files
        for line in (checkout.path / name).read_text().splitlines()
    ]


def records(trial: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    return (record for record in trial["records"] if record["record"] == kind)


def asked_bytes(trial: dict[str, Any]) -> int:
    return int(trial["cell"]["ram_bytes"] * trial["dose_permille"] // 1000)


def test_an_anonymous_load_takes_what_it_holds(trials: list[dict[str, Any]]) -> None:
    assert len(trials) == len(ANONYMOUS) * len(DOSES) * 2
    for trial in trials:
        (load,) = records(trial, "load")
        assert load["dose_achieved_percent"] == trial["dose_permille"] / 10
        taken = load["physical_bytes"] / asked_bytes(trial)
        assert taken == pytest.approx(1, abs=0.01), trial["cell"]


def test_what_a_load_takes_is_gone_from_free_memory(trials: list[dict[str, Any]]) -> None:
    free = [next(records(trial, "census"))["mem_free_bytes"] for trial in trials]
    taken = [next(records(trial, "load"))["physical_bytes"] for trial in trials]
    # Before the load all these hosts are alike but for the image that holds the load's program.
    together = [sum(pair) / MIB for pair in zip(free, taken, strict=True)]
    assert max(together) - min(together) < 1


def first_cycles(smoke: Run, strategy: str, load: str) -> pd.DataFrame:
    table = smoke.table("trials")
    chosen = table[
        (table["strategy"] == strategy) & (table["load"] == load) & (table["cycle"] == 1)
    ]
    assert len(chosen) > 0
    return chosen


def test_linux_uses_the_cma_area_under_the_smoke_jobs_dose(smoke: Run) -> None:
    loaded = first_cycles(smoke, "cma", "anonymous_memory")
    assert (loaded["pages_migrated"] > 0).all()
    assert (first_cycles(smoke, "cma", "idle")["pages_migrated"] == 0).all()


def test_ordinary_pages_are_single_pages(smoke: Run) -> None:
    times = first_cycles(smoke, "baseline", "idle").groupby("variant")["lend_ns"].median()
    assert times["ordinary_pages"] > 2 * times["transparent_huge_pages"]
