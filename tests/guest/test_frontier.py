# SPDX-License-Identifier: GPL-2.0-only
"""What real hosts lend while they carry much: lends end short, loads that do not fit say so."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import Checkout, Run

MIB = 2**20
RESERVE_BYTES = 32 * MIB
# Two steps of the ladder: between 35, 55 and 75 %.
DOSES = {35, 45, 55, 65, 75}

LADDER = {
    "results": "ladder",
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"whole": ["256MiB"]},
    "granules": ["32M"],
    "strategies": {"alloc_contig_range": ["whole_memory"]},
    "loads": {"unmovable_pages": {"from": 0, "to": 12, "step": 4, "finest": 1}},
    "seeds": 2,
}
CELL = "debian-6.12/1GiB/alloc_contig_range/whole_memory/unmovable_pages.whole.32M"


@pytest.fixture(scope="module")
def frontier(checkout: Checkout) -> Run:
    """Hosts that carry much and are asked for half of their RAM."""
    config = ("--configfile", "tests/guest/frontier.yaml", "--config", "results=frontier")
    checkout.snakemake("tables", *config)
    return Run(checkout, checkout.path / "frontier")


@pytest.fixture(scope="module")
def trials(frontier: Run) -> pd.DataFrame:
    return frontier.table("trials")


def test_no_lend_kills_the_load_that_the_host_carries(trials: pd.DataFrame) -> None:
    carried = trials[trials["outcome"] != "load_refused"]
    assert len(carried) > 10
    assert set(carried["outcome"]) <= {"granted", "partial", "refused"}
    assert (carried["oom_kills"] == 0).all()
    assert set(carried["verify"]) <= {"ok", "not_checked"}


def test_every_host_gives_its_load_huge_pages(frontier: Run) -> None:
    # Debian's kernel of itself gives none where it has less than 512 MiB.
    phases = frontier.table("phases")
    before = phases[phases["phase"] == "before"]
    assert set(before["strategy"]) >= {"mem", "virtio-mem", "alloc_contig_range"}
    assert (before["anonymous_huge_pages"] > 0).all()


def test_a_lend_ends_where_the_host_needs_the_rest(trials: pd.DataFrame) -> None:
    short = trials[trials["reason"] == "host_needs_the_rest"]
    assert set(short["strategy"]) >= {"baseline", "cma", "alloc_contig_range"}
    assert set(short["refused_by"]) == {"carveout"}
    assert (short["granted_bytes"] <= short["asked_bytes"]).all()
    assert (short["asked_bytes"] < short["request_bytes"]).all()
    assert "mem" not in set(short["strategy"]), "what is set aside is asked for in full"
    assert set(trials["reserve_bytes"]) == {RESERVE_BYTES}


def test_what_is_left_of_the_host_is_about_the_reserve(frontier: Run) -> None:
    trials = frontier.table("trials")
    short = trials[(trials["strategy"] == "baseline") & (trials["asked_bytes"] > 0)]
    short = short[short["reason"] == "host_needs_the_rest"]
    assert len(short) > 0
    lent = frontier.table("phases").query("phase == 'lent'")
    left_bytes = lent.loc[lent["trial_id"].isin(set(short["trial_id"])), "mem_available_bytes"]
    assert len(left_bytes) == len(short)
    # MemAvailable does not count what waits on per-CPU lists; the census does.
    assert left_bytes.between(RESERVE_BYTES, 4 * RESERVE_BYTES).all()


def test_what_set_aside_costs_is_the_load_that_does_not_fit(trials: pd.DataFrame) -> None:
    refused = trials[trials["outcome"] == "load_refused"]
    assert set(refused.loc[refused["strategy"] == "mem", "dose_target"]) >= {55, 75}
    assert set(refused["cause"]) == {"oom"}
    for row in refused.to_dict("records"):
        assert 20 < row["dose_achieved"] < row["dose_target"] * 1.25
        assert row["granted_bytes"] == 0
        assert pd.isna(row["physical_bytes"]), "what the load held is gone"


def test_trials_go_where_the_answer_changes(frontier: Run) -> None:
    points = {row["strategy"]: row for row in frontier.table("curves").to_dict("records")}
    trials = frontier.table("trials")
    for strategy, point in points.items():
        doses = set(trials.loc[trials["strategy"] == strategy, "dose_target"])
        assert {35, 55, 75} <= doses <= DOSES
        assert point["doses"] == len(doses)
    mem = points["mem"]
    assert (mem["half_until_dose"], mem["less_from_dose"]) in {(35, 45), (45, 55)}
    assert json.loads(mem["ladder"]) == {"finest_permille": 100, "resolution": 0.25}


def ladder_trials(checkout: Checkout, results: str, *args: str, **changes: object) -> bytes:
    """The trials of the one cell with a ladder, made in a way of its own."""
    config = checkout.path / f"{results}.yaml"
    config.write_text(yaml.safe_dump(LADDER | {"results": results} | changes))
    target = f"{results}/trials/{CELL}.jsonl"
    checkout.snakemake(target, "--configfile", config.name, *args)
    return Path(checkout.path / target).read_bytes()


@pytest.mark.long
def test_a_ladder_is_the_same_in_any_order(checkout: Checkout) -> None:
    forked = ladder_trials(checkout, "ladder")
    points = [(t["dose_permille"], t["seed"]) for t in map(json.loads, forked.splitlines())]
    assert points == sorted(points)
    assert len(points) > 2 * len({0, 4, 8, 12}), "it was climbed"
    two_at_once = ("--set-threads", "boot_alloc_contig_range=2")
    assert ladder_trials(checkout, "ladder_two_at_once", *two_at_once) == forked


@pytest.mark.long
def test_a_ladder_is_the_same_cold(checkout: Checkout) -> None:
    forked = ladder_trials(checkout, "ladder_forked")
    assert ladder_trials(checkout, "ladder_cold", boot="cold") == forked


def test_a_ladder_goes_on_from_where_it_was_left(checkout: Checkout) -> None:
    whole = ladder_trials(checkout, "ladder_whole", seeds=1)
    journal = checkout.path / f"ladder_whole/journals/{CELL}.jsonl"
    lines = gzip.decompress(journal.with_suffix(".jsonl.gz").read_bytes()).splitlines(True)
    journal.with_suffix(".jsonl.gz").unlink()
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    (checkout.path / f"ladder_whole/trials/{CELL}.jsonl").unlink()
    assert ladder_trials(checkout, "ladder_whole", seeds=1) == whole
