# SPDX-License-Identifier: GPL-2.0-only
"""A VM runs in the memory of every strategy that can lend at all, and stage 2 maps what it can."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from carveout.common.schemas import load_yaml
from carveout.common.sizes import GIB, MIB
from tests.conftest import CHECKOUT, Checkout, Run

CONFIG = load_yaml(CHECKOUT / "tests/guest/vm.yaml")
PAGE_BYTES = 4096
BLOCK_BYTES = 2 * MIB
STRATEGIES = {
    path.parent.name for path in (CHECKOUT / "workflow/strategies").glob("*/strategy.yaml")
}
# Memory that the kernel does not know to be memory; memory that the host has no hold on; and what
# this kernel refuses to lend.
NO_MEMORY = {"mem", "nomap", "device-dax"}
NO_HOLD = {"virtio-mem", "virtio-balloon"}
NOTHING_LENT = {"bootmem-offline"}
TICK_NS = 4_000_000
# From the first instruction to the monitor, by way of the kernel; and before, to make the CPU.
EXIT_NS = 50_000
# To read one clock and then the other.
CLOCKS_NS = 2_000


@pytest.fixture(scope="module")
def run(checkout: Checkout) -> Run:
    """The run of vm.yaml."""
    checkout.snakemake(
        "collect_trials", "--configfile", "tests/guest/vm.yaml", "--config", "results=with_vms"
    )
    return Run(checkout, checkout.path / "with_vms")


@pytest.fixture(scope="module")
def trials(run: Run) -> pd.DataFrame:
    """The rows of all lends that a VM could run in, and of those in which none can."""
    trials = run.table("trials")
    return trials[trials["outcome"] != "not_available"]


@pytest.fixture(scope="module")
def ran(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of lends in which a VM ran."""
    return trials[trials["vm_outcome"] == "ran"]


def vms_of(results: Path) -> list[dict[str, Any]]:
    """What was recorded of the VMs that ran, of each lend."""
    lines = [
        line
        for path in sorted((results / "trials").rglob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    vms = [
        record["run"]
        for line in lines
        for record in json.loads(line)["records"]
        if record["record"] == "vm" and record["run"] is not None
    ]
    assert vms
    return vms


@pytest.fixture(scope="module")
def records(run: Run) -> list[dict[str, Any]]:
    """What was recorded of the VMs that ran, of each lend."""
    return vms_of(run.results)


def of(trials: pd.DataFrame, strategy: str, *variants: str) -> pd.DataFrame:
    """The rows of some variants, of which there are some."""
    found = trials[trials["strategy"] == strategy]
    if variants:
        found = found[found["variant"].isin(variants)]
    assert len(found) > 0
    return found


def test_a_vm_runs_in_what_every_strategy_lends(trials: pd.DataFrame) -> None:
    assert set(trials["strategy"]) == STRATEGIES
    held = trials[~trials["strategy"].isin(NO_HOLD | NOTHING_LENT)]
    assert set(held["vm_outcome"]) == {"ran"}
    assert (held["vm_pages_checked"] * PAGE_BYTES == held["lent_bytes"]).all()
    assert (held["vm_pages_bad"] == 0).all()


def test_where_nobody_here_has_a_hold_no_vm_runs_and_the_row_says_so(trials: pd.DataFrame) -> None:
    given = trials[trials["strategy"].isin(NO_HOLD)]
    assert set(given["strategy"]) == NO_HOLD
    assert set(given["vm_outcome"]) == {"no_hold"}
    for column in ("vm_pages_checked", "vm_first_instruction_ns", "vm_survived"):
        assert given[column].isna().all()
    assert (given["verify"] == "ok").all()


def test_where_nothing_is_lent_no_vm_runs_and_the_row_says_so(trials: pd.DataFrame) -> None:
    refused = trials[trials["strategy"].isin(NOTHING_LENT)]
    assert set(refused["strategy"]) == NOTHING_LENT
    assert (refused["lent_bytes"] == 0).all()
    assert set(refused["vm_outcome"]) == {"nothing_lent"}


def test_the_host_survives_a_vm_that_is_killed(ran: pd.DataFrame) -> None:
    assert ran["vm_survived"].all()
    assert set(ran["verify"]) == {"ok"}
    assert (ran["returned_bytes"] == ran["lent_bytes"]).all()


def test_in_blocks_the_whole_grant_is_mapped_by_blocks(ran: pd.DataFrame) -> None:
    asked = ran[(ran["granule"] != "page") & (ran["strategy"] != "baseline")]
    assert set(asked["granule"]) == {"2M", "1G"}
    blocks = asked["vm_block_bytes"] + asked["vm_gigantic_bytes"]
    assert (blocks == asked["granted_bytes"]).all()


def test_what_comes_in_pages_is_mapped_by_pages(ran: pd.DataFrame) -> None:
    ordinary = of(ran, "baseline", "ordinary_pages")
    assert (ordinary["vm_page_bytes"] == ordinary["lent_bytes"]).all()


def test_huge_pages_of_a_process_are_blocks_of_its_vm(ran: pd.DataFrame) -> None:
    huge = of(ran, "baseline", "transparent_huge_pages")
    # The kernel's own count of them.
    counted = (huge["huge_pages_lent"] - huge["huge_pages_before"]) * BLOCK_BYTES
    assert (counted > 0).all()
    assert (huge["vm_block_bytes"] == counted).all()


def test_only_a_huge_page_of_that_size_is_mapped_by_one_gib(ran: pd.DataFrame) -> None:
    large = ran[ran["ram_bytes"] == 4 * GIB]
    assert (of(large, "hugetlbfs")["vm_gigantic_bytes"] == GIB).all()
    # KVM maps no more at once of other mappings, however they lie.
    assert (of(large, "mem")["vm_block_bytes"] == GIB).all()


def test_memory_that_linux_never_knew_is_a_device_and_holds_no_code(ran: pd.DataFrame) -> None:
    hidden = ran["strategy"].isin(NO_MEMORY)
    assert set(ran.loc[hidden, "strategy"]) == NO_MEMORY
    assert (ran["vm_device_bytes"] == ran["lent_bytes"].where(hidden, 0)).all()
    assert (ran["vm_uncached_bytes"] == 0).all()
    assert set(ran.loc[hidden, "vm_way"]) == {"cacheable_code_beside"}
    assert set(ran.loc[hidden, "vm_refusals"]) == {"cacheable:run:ENOEXEC"}
    assert set(ran.loc[~hidden, "vm_way"]) == {"cacheable"}
    assert ran.loc[~hidden, "vm_refusals"].isna().all()


def test_every_leaf_takes_one_fault(ran: pd.DataFrame) -> None:
    leaves = (
        ran["vm_page_bytes"] // PAGE_BYTES
        + ran["vm_block_bytes"] // BLOCK_BYTES
        + ran["vm_gigantic_bytes"] // GIB
    )
    assert (ran["vm_stage2_faults"] == leaves).all()


def test_kvm_counts_no_more_exits_than_faults_words_and_ticks(
    records: list[dict[str, Any]],
) -> None:
    for vm in records:
        others = vm["exits"] - vm["faults"] - vm["exits_told"]
        # One more is the fault of a page beside what is lent.
        assert 0 <= others <= 4 + 2 * vm["run_ns"] // TICK_NS, vm


def test_the_kernel_counts_as_many_tables_as_there_are(records: list[dict[str, Any]]) -> None:
    for vm in records:
        assert vm["table_bytes"] == vm["table_counter_bytes"] > 0


def check_clocks(vms: list[dict[str, Any]]) -> None:
    """Hold the time until the first instruction against the VM's counter, and the CPU's."""
    for vm in vms:
        since_made_ns = vm["first_instruction_ns"] - vm["made_ns"]
        assert 0 < since_made_ns - vm["counter_ns"] < EXIT_NS, vm
        # The same from its beginning to its end, by another clock.
        assert abs(vm["first_instruction_ns"] - vm["first_counter_ns"]) < CLOCKS_NS, vm


def test_the_vms_own_counter_says_when_it_began(records: list[dict[str, Any]]) -> None:
    check_clocks(records)


def run_made(checkout: Checkout, name: str) -> Run:
    """A run of a strategy that was made for tests, once."""
    config = {
        **{key: CONFIG[key] for key in ("kernels", "ram", "lendable", "loads", "seeds", "vm")},
        "requests": {"once": ["64MiB"]},
        "strategies": {name: "all"},
        "strategy_folders": ["tests/guest/strategies"],
        "results": name,
    }
    (checkout.path / f"{name}.yaml").write_text(yaml.safe_dump(config))
    checkout.snakemake("collect_trials", "--configfile", f"{name}.yaml")
    return Run(checkout, checkout.path / name)


def test_a_vm_and_its_monitor_find_pages_that_were_changed(checkout: Checkout) -> None:
    run = run_made(checkout, "poked_vm")
    (trial,) = run.table("trials").to_dict("records")
    assert (trial["vm_outcome"], trial["vm_count"], trial["vm_pages_bad"]) == ("ran", 2, 0)
    assert trial["vm_survived"]
    # Of two VMs the times are those of one.
    check_clocks(vms_of(run.results))
    (log,) = (run.results / "logs/boots").rglob("*.log")
    said = log.read_text()
    # Three pages of each VM.
    assert "vm_pages_bad=6\n" in said
    assert "vm_pages_unseen=6\n" in said


def test_a_monitor_that_dies_says_nothing_of_its_vm(checkout: Checkout) -> None:
    died = run_made(checkout, "monitor_dies").table("trials").set_index("variant")
    assert set(died.index) == {"held", "unheld"}
    for trial in died.to_dict("records"):
        assert (trial["outcome"], trial["stage"], trial["cause"]) == ("crashed", "vm", "error")
        assert trial["vm_outcome"] == "host_died"


@pytest.mark.long
def test_without_a_wish_no_vm_runs_and_forks_are_cold_boots(checkout: Checkout) -> None:
    part = {
        "strategies": {
            "baseline": ["transparent_huge_pages"],
            "hugetlbfs": ["2M_boot"],
            "mem": ["carve_out"],
        },
        "granules": ["page"],
        "seeds": 2,
        "also": [
            {"vm": False, "strategies": {"baseline": ["ordinary_pages"]}, "loads": {"idle": [0]}}
        ],
    }
    tables = []
    for boot in ("fork", "cold"):
        config = checkout.path / f"vms_{boot}.yaml"
        text = yaml.safe_dump({**CONFIG, **part, "boot": boot, "results": f"vms_{boot}"})
        config.write_text(text)
        checkout.snakemake("collect_trials", "--configfile", config.name)
        tables.append(checkout.path / f"vms_{boot}/tables/trials.parquet")
    assert tables[0].read_bytes() == tables[1].read_bytes()
    trials = Run(checkout, checkout.path / "vms_fork").table("trials")
    outcomes = trials.groupby("variant")["vm_outcome"].unique().map(set).to_dict()
    assert outcomes.pop("ordinary_pages") == {"not_asked"}
    assert all(outcome == {"ran"} for outcome in outcomes.values())
