# SPDX-License-Identifier: GPL-2.0-only
"""What the machine's owner regains is what the guest says it gave, to the page."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import USUAL_KERNEL, Checkout, Run
from tests.guest.owners_side import run_and_look
from tests.guest.tables import censuses

MIB = 2**20
PAGE_BYTES = 4096
RAM_BYTES, LENDABLE_BYTES = 1024 * MIB, 512 * MIB
PAGEBLOCK_ORDER, LARGEST_ORDER = 9, 10
# In auto_movable of strategy.yaml: so many percent of the boot's memory may be movable.
RATIO = 50
VARIANTS = (
    ("virtio-balloon", "plain"),
    ("virtio-balloon", "free_page_reporting"),
    ("virtio-mem", "online_movable"),
    ("virtio-mem", "auto_movable"),
)
KEPT = [variant for variant in VARIANTS if variant[1] != "free_page_reporting"]


@pytest.fixture(scope="module")
def run(checkout: Checkout) -> Run:
    config = ("--configfile", "tests/guest/balloon.yaml", "--config", "results=balloon")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "balloon")


def rows(run: Run, variant: tuple[str, str]) -> pd.DataFrame:
    """A variant's rows, of hosts that all came to their end."""
    table = run.table("trials")
    found = table[(table["strategy"] == variant[0]) & (table["variant"] == variant[1])]
    assert len(found) > 0
    assert found["cause"].isna().all(), found["message"].dropna().tolist()
    return found


@pytest.mark.parametrize("variant", KEPT, ids="/".join)
def test_the_owner_regains_what_is_lent_to_the_page_and_piece_by_piece(
    run: Run, variant: tuple[str, str]
) -> None:
    table = rows(run, variant)
    assert (table["lent_bytes"] > 0).all()
    assert (table["owner_discarded_bytes"] == table["lent_bytes"]).all()
    assert (table["revocable_bytes"] == 0).all()
    assert set(table["verify"]) == {"ok"}
    # What is lent in one cycle alone lies in QEMU's memory as it does in the guest's.
    whole = table[table["granule"] == "page"]
    assert (whole["owner_discarded_extents"] == whole["extents"]).all()
    assert (whole["owner_largest_extent_bytes"] == whole["largest_extent_bytes"]).all()


def test_a_balloon_is_single_pages_and_2m_pieces_are_what_they_come_to(run: Run) -> None:
    table = rows(run, ("virtio-balloon", "plain"))
    page, huge = (table[table["granule"] == name] for name in ("page", "2M"))
    assert set(page["outcome"]) == {"granted"}
    assert set(huge["outcome"]) == {"partial", "refused"}
    assert set(huge["reason"]) == {"not_in_granules"}
    assert (huge["granted_bytes"] % (2 * MIB) == 0).all()
    assert (huge["lent_bytes"] == huge["request_bytes"]).all()
    # Clean page cache is taken as what is free is.
    cache = page[(page["load"] == "page_cache") & (page["request_bytes"] == LENDABLE_BYTES)]
    assert (cache["pages_reclaimed"] > 0).all()
    assert (page[page["load"] != "page_cache"]["pages_reclaimed"] == 0).all()


def test_what_is_reported_is_the_free_memory_in_whole_pageblocks(run: Run) -> None:
    variant = ("virtio-balloon", "free_page_reporting")
    table = rows(run, variant).set_index(["trial_id", "cycle"])
    census = censuses(run, variant[0], variant=variant[1], phase="lent")
    census = census.set_index(["trial_id", "cycle"])
    free_bytes = sum(
        census[f"free_order_{order}_blocks"] * (PAGE_BYTES << order)
        for order in range(PAGEBLOCK_ORDER, LARGEST_ORDER + 1)
    )
    unreported = free_bytes - table["owner_discarded_bytes"]
    # The host lives on: it takes and frees a block or two, which is reported 2 s later.
    assert (unreported.abs() <= 16 * MIB).all(), unreported
    assert (table["owner_discarded_bytes"] >= table["lent_bytes"]).all()
    assert (table["lent_bytes"] <= table["request_bytes"]).all()
    pieces = table[table["granule"] == "2M"]
    assert len(pieces) > 0
    assert (pieces["granted_bytes"] == pieces["lent_bytes"]).all()
    # For Linux it is free memory, as before.
    assert (table["revocable_bytes"] == table["lent_bytes"]).all()
    assert (census["account_machine_bytes"] == 0).all()
    assert (census["account_lent_bytes"] == 0).all()


def test_what_was_reported_is_gone_as_soon_as_the_host_works(run: Run) -> None:
    table = rows(run, ("virtio-balloon", "free_page_reporting"))
    assert set(table["outcome"]) <= {"granted", "partial"}
    assert set(table["verify"]) == {"failed"}
    lent_pages = table["lent_bytes"] // PAGE_BYTES
    assert (table["verify_pages_checked"] == lent_pages).all()
    assert (table["verify_pages_bad"] > 0.9 * lent_pages).all()
    # Nothing had to be done to take it back.
    assert (table["give_back_ns"] == 0).all()
    assert (table["returned_bytes"] == table["lent_bytes"]).all()


def test_auto_movable_splits_what_is_plugged_by_its_ratio(run: Run) -> None:
    boot_pages = (RAM_BYTES - LENDABLE_BYTES) // PAGE_BYTES
    plugged_pages = LENDABLE_BYTES // PAGE_BYTES
    for name, movable in (
        ("online_movable", plugged_pages),
        ("auto_movable", boot_pages * RATIO // 100),
    ):
        table = censuses(run, "virtio-mem", variant=name, phase="before")
        assert set(table["movable_present_pages"]) == {movable}, name
        kernel = table["dma_present_pages"] + table["normal_present_pages"]
        assert set(kernel) == {boot_pages + plugged_pages - movable}, name


@pytest.mark.parametrize("variant", VARIANTS, ids="/".join)
def test_the_machine_below_has_just_those_pages_no_more(
    run: Run, variant: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second cycle, before which the host has written to all of its free memory."""
    cell = f"{USUAL_KERNEL}/1GiB/{'/'.join(variant)}/anonymous_memory.twice.page"
    first, last = run_and_look(run.results, cell, monkeypatch)
    said = rows(run, variant)
    said = said[(said["scenario"] == "anonymous_memory.twice.page") & (said["cycle"] == 2)]
    assert len(last.discarded) * PAGE_BYTES == said["owner_discarded_bytes"].item()
    assert last.discarded.isdisjoint(last.after)
    assert last.before - last.after == last.before & last.discarded
    # All but what was lent before, which nobody has touched since.
    touched = last.discarded - first.discarded
    assert touched
    assert touched <= last.before


def trials_of(checkout: Checkout, boot: str) -> dict[str, str]:
    """The trials of the new variants, forked or cold."""
    config = yaml.safe_load((checkout.path / "tests/guest/balloon.yaml").read_text())
    config |= {"boot": boot, "results": f"balloon_{boot}", "granules": ["page"], "seeds": 2}
    config["loads"] = {"anonymous_memory": [30]}
    config["strategies"] = {"virtio-balloon": "all", "virtio-mem": ["auto_movable"]}
    (checkout.path / f"balloon_{boot}.yaml").write_text(yaml.safe_dump(config))
    checkout.snakemake("collect_trials", "--configfile", f"balloon_{boot}.yaml")
    made = checkout.path / f"balloon_{boot}" / "trials"
    return {str(path.relative_to(made)): path.read_text() for path in made.glob("**/*.jsonl")}


@pytest.mark.long
def test_forks_and_cold_boots_give_the_same_bytes(checkout: Checkout) -> None:
    forked, cold = (trials_of(checkout, boot) for boot in ("fork", "cold"))
    assert len(forked) == 3
    assert forked == cold


@pytest.fixture(scope="module")
def exhausted(checkout: Checkout) -> Run:
    config = ("--configfile", "tests/guest/balloon_exhausted.yaml")
    checkout.snakemake("collect_trials", *config, "--config", "results=balloon_exhausted")
    return Run(checkout, checkout.path / "balloon_exhausted")


def records(path: Path, kind: str) -> list[dict[str, Any]]:
    (line,) = path.read_text().splitlines()
    return [record for record in json.loads(line)["records"] if record["record"] == kind]


def test_a_driver_that_gets_no_page_is_told_to_stop_and_its_sleep_is_no_cost(
    exhausted: Run, run: Run
) -> None:
    table = exhausted.table("trials").set_index("requests")
    assert set(table["reason"]) == {"no_progress"}
    assert set(table["refused_by"]) == {"driver"}
    assert dict(table["exhausted"]) == {"all": True, "once": False}
    assert (table["granted_bytes"] < table["request_bytes"]).all()
    assert (table["owner_discarded_bytes"] == table["lent_bytes"]).all()
    assert (table["returned_bytes"] == table["lent_bytes"]).all()
    for name, lent_bytes in table["lent_bytes"].items():
        (path,) = (exhausted.results / "trials").glob(f"**/unprotected.{name}.page.jsonl")
        told = [asked["arguments"] for asked in records(path, "host") if asked["arguments"]]
        sizes = [arguments["value"] for arguments in told if "value" in arguments]
        assert sizes == [128 * MIB, RAM_BYTES - lent_bytes, RAM_BYTES]
    # Per page it costs what it costs elsewhere, though it slept for 200 ms at least twice.
    usual = rows(run, ("virtio-balloon", "plain"))
    usual = usual[(usual["load"] == "idle") & (usual["request_bytes"] == LENDABLE_BYTES)]
    cost = table["lend_ns"] / table["lent_bytes"]
    assert (cost < 1.1 * (usual["lend_ns"] / usual["lent_bytes"]).max()).all()
