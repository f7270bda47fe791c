# SPDX-License-Identifier: GPL-2.0-only
"""What the module counts of the kernel's work, held against /proc/vmstat at the same instant."""

import re

import pytest

from tests.conftest import Checkout

# Where newer kernels count what in other units or places, /proc/vmstat still has it by name.
IN_VMSTAT = {
    "pages_cached": ("nr_file_pages",),
    "pages_migrated": ("pgmigrate_success",),
    "huge_pages_migrated": ("thp_migration_success",),
    "huge_pages_split": ("thp_migration_split",),
    "pages_reclaimed": ("pgsteal_anon", "pgsteal_file"),
    "pages_written": ("nr_written",),
    "oom_kills": ("oom_kill",),
}
PHASES = ["before", "lent", "after"]


@pytest.fixture(scope="module", params=["anonymous_memory", "page_cache"])
def told(request: pytest.FixtureRequest, checkout: Checkout) -> dict[str, list[dict[str, int]]]:
    """What both counted at each census of a host, by `snapshot` and `vmstat`."""
    config = ("--configfile", "tests/guest/counters.yaml", "--config", "results=counters")
    checkout.snakemake("collect_trials", *config)
    (log,) = (checkout.path / "counters/logs/boots").glob(f"**/{request.param}*.log")
    lines = re.findall(
        r"counters: phase=(\w+) snapshot (.*) vmstat (.*)", log.read_text(errors="replace")
    )
    assert [phase for phase, _, _ in lines] == PHASES
    return {
        name: [
            {key: int(count) for key, count in re.findall(r"(\w+)=(\d+)", line[place])}
            for line in lines
        ]
        for place, name in ((1, "snapshot"), (2, "vmstat"))
    }


@pytest.mark.parametrize("name", IN_VMSTAT)
def test_each_counter_is_the_kernels_own(name: str, told: dict[str, list[dict[str, int]]]) -> None:
    counted = [snapshot[name] for snapshot in told["snapshot"]]
    assert counted == [sum(vmstat[of] for of in IN_VMSTAT[name]) for vmstat in told["vmstat"]]


def test_there_was_something_to_count(told: dict[str, list[dict[str, int]]]) -> None:
    before, lent, _ = told["snapshot"]
    grown = {name for name in before if lent[name] > before[name]}
    assert grown & {"pages_migrated", "pages_reclaimed"}
