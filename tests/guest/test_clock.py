# SPDX-License-Identifier: GPL-2.0-only
"""What a lend costs is measured alike for all, split, and repeats; whose word a refusal is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.conftest import Checkout

PAGE_BYTES = 4096
MIB = 2**20
REQUEST_BYTES = 32 * MIB
GRANULE_BYTES = 32 * MIB  # of driver.yaml
REQUEST_PAGES = REQUEST_BYTES // PAGE_BYTES
HUGE_PAGE_PAGES = 512
COSTS = {"search_ns", "migrate_ns", "reclaim_ns", "map_ns", "rest_ns"}

Lend = dict[str, Any]


def boot(checkout: Checkout, config: str) -> list[Lend]:
    """Boots the cells of a config; their lends, each with `variant`, `load` and `seed`."""
    strategies = yaml.safe_load((checkout.path / config).read_text())["strategies"]
    rules = [f"boot_{strategy.replace('-', '_')}" for strategy in strategies]
    results = checkout.path / "results" / Path(config).stem
    checkout.snakemake(
        *("--configfile", config, "--config", f"results={results}", "--until", *rules)
    )
    found = [lend for path in sorted(results.glob("trials/**/*.jsonl")) for lend in lends_in(path)]
    assert found
    return found


def lends_in(path: Path) -> Iterator[Lend]:
    """The lend records of a cell. A trial that did not come to its end fails the test."""
    for line in path.read_text().splitlines():
        trial = json.loads(line)
        assert trial["ending"]["cause"] is None, trial["ending"]
        variant = trial["cell"]["variant"]
        about = {
            "strategy": variant["strategy"],
            "variant": variant["name"],
            "load": trial["cell"]["load"],
            "seed": trial["seed"],
        }
        zeroed = {
            r["cycle"]: {"zero_ns": r["zero_ns"], "zero_pages": r["zero_pages"]}
            for r in trial["records"]
            if r["record"] == "verify"
        }
        for record in trial["records"]:
            if record["record"] == "lend":
                yield record | about | zeroed[record["cycle"]]


@pytest.fixture(scope="module")
def clock(checkout: Checkout) -> list[Lend]:
    """Lends in ways of which it is known what they cost."""
    return boot(checkout, "tests/guest/clock.yaml")


@pytest.fixture(scope="module")
def driver(checkout: Checkout) -> list[Lend]:
    """Lends by a driver of a device, by ranges, by CMA and by a pool."""
    return boot(checkout, "tests/guest/driver.yaml")


def chosen(lends: list[Lend], **columns: object) -> list[Lend]:
    """Those that are like that; none fails the test."""
    found = [lend for lend in lends if columns.items() <= lend.items()]
    assert found
    return found


def test_the_cost_is_the_sum_of_its_parts(clock: list[Lend], driver: list[Lend]) -> None:
    for lend in clock + driver:
        assert set(lend["costs"]) == COSTS
        assert lend["lend_ns"] == sum(lend["costs"].values())


def test_each_part_goes_to_whoever_took_it(clock: list[Lend], driver: list[Lend]) -> None:
    for lend in chosen(clock, variant="range"):
        assert lend["costs"]["search_ns"] > 0
        assert lend["costs"]["migrate_ns"] > 0
        assert lend["costs"]["map_ns"] == 0
    for lend in chosen(clock, variant="pages") + chosen(clock, variant="huge_pages"):
        assert lend["costs"]["map_ns"] > 0
        assert lend["costs"]["search_ns"] == 0
    for lend in chosen(driver, strategy="virtio-mem"):
        # Isolating ranges takes the driver far longer than all that it does beside it.
        assert lend["costs"]["migrate_ns"] > 0
        assert lend["costs"]["search_ns"] == lend["costs"]["map_ns"] == 0
    for lend in chosen(driver, strategy="cma"):
        assert lend["costs"]["migrate_ns"] > lend["costs"]["rest_ns"]


def test_nothing_goes_to_a_part_that_has_no_part_in_it(clock: list[Lend]) -> None:
    for lend in chosen(clock, variant="range"):
        # Finding a range of free frames takes longer than taking it. What the module notes for
        # itself is nobody's.
        assert lend["costs"]["search_ns"] > lend["costs"]["migrate_ns"]
        assert lend["costs"]["rest_ns"] == lend["costs"]["reclaim_ns"] == 0
    for lend in chosen(clock, variant="huge_pages"):
        # No page fault can be had for less.
        assert lend["costs"]["map_ns"] > 1000 * REQUEST_BYTES // (2 * MIB)
        assert lend["lend_ns"] == lend["costs"]["map_ns"]


def test_every_candidate_that_was_asked_for_is_an_attempt(driver: list[Lend]) -> None:
    # Each piece of 32 MiB that was granted is one, and so is each that was refused: with a page
    # that cannot move in each tenth pageblock, most are.
    for lend in chosen(driver, strategy="alloc_contig_range"):
        assert lend["attempts"] >= lend["granted_bytes"] // GRANULE_BYTES
    lowest_first = chosen(driver, variant="whole_memory_lowest_first", load="unmovable_pages")
    assert len(lowest_first) == 4
    for lend in lowest_first:
        assert lend["attempts"] > lend["granted_bytes"] // GRANULE_BYTES


def test_the_costs_of_a_steps_operations_add_up(driver: list[Lend]) -> None:
    # One operation fills the pool, which migrates; the next maps it.
    like: dict[str, object] = {"variant": "32M_run_time", "load": "anonymous_memory", "cycle": 1}
    for lend in chosen(driver, **like):
        assert min(lend["costs"]["migrate_ns"], lend["costs"]["map_ns"]) > 0


def test_isolating_free_ranges_is_most_of_what_a_driver_does(driver: list[Lend]) -> None:
    # Larger requests take memory blocks offline, which is neither isolating nor migrating.
    first = chosen(driver, strategy="virtio-mem", load="unmovable_pages", cycle=1)
    for lend in first:
        assert lend["pages_migrated"] < 100
        assert lend["costs"]["migrate_ns"] > lend["costs"]["rest_ns"] > 0


def test_clearing_is_beside_the_cost_where_it_can_be_seen(clock: list[Lend]) -> None:
    for lend in chosen(clock, variant="huge_pages"):
        assert lend["content_ns"] > 10 * lend["lend_ns"]
        assert lend["cleared_pages"] == 0
    for lend in chosen(clock, variant="range"):
        assert (lend["content_ns"], lend["cleared_pages"]) == (0, 0)


def page_clearing_ns(clock: list[Lend]) -> float:
    """What clearing a page takes, where it can be seen."""
    seen = chosen(clock, variant="huge_pages")
    return float(sum(lend["content_ns"] for lend in seen)) / (len(seen) * REQUEST_PAGES)


def test_the_zero_pass_clears_each_page_as_the_kernel_does(clock: list[Lend]) -> None:
    for lend in chosen(clock, variant="range") + chosen(clock, variant="huge_pages"):
        assert lend["zero_pages"] == REQUEST_PAGES
        # Clearing a huge page for a user takes some care beside the clearing itself.
        assert lend["zero_ns"] / REQUEST_PAGES == pytest.approx(page_clearing_ns(clock), rel=0.15)


def test_single_pages_that_the_page_allocator_cleared_are_counted(clock: list[Lend]) -> None:
    for lend in chosen(clock, variant="pages"):
        assert lend["cleared_pages"] == REQUEST_PAGES
        assert lend["costs"]["map_ns"] > REQUEST_PAGES * page_clearing_ns(clock)


def test_clearing_by_the_page_allocator_costs_as_much_as_by_anyone(clock: list[Lend]) -> None:
    for cycle in (1, 2):
        (plain,) = chosen(clock, variant="range", cycle=cycle)
        (cleared,) = chosen(clock, variant="range_init_on_alloc", cycle=cycle)
        more_ns = cleared["costs"]["migrate_ns"] - plain["costs"]["migrate_ns"]
        assert more_ns == pytest.approx(plain["zero_ns"], rel=0.05)
        assert cleared["content_ns"] == 0


def test_what_was_granted_before_is_not_granted_again(clock: list[Lend]) -> None:
    for lend in chosen(clock, variant="kept"):
        granted = (lend["granted_bytes"], lend["extents"], lend["largest_extent_bytes"])
        assert granted == (REQUEST_BYTES, 1, REQUEST_BYTES)


def word(lend: Lend) -> tuple[object, ...]:
    """Whose word a refusal is."""
    return tuple(lend[name] for name in ("stage", "refused_by", "reason", "errno"))


def test_the_kernels_warning_since_the_lend_began_is_kept_with_a_refusal(clock: list[Lend]) -> None:
    for lend in chosen(clock, variant="warns"):
        assert word(lend) == ("look", "shell", "on_purpose", None)
        # /dev/kmsg shows a backslash as \\x5c.
        assert lend["kernel_log"] == "carveout test: ?quoted? ?x5cbackslash?"
    # What was logged before the lend is no word on it.
    for lend in chosen(clock, stage=None) + chosen(clock, variant="waits"):
        assert lend["kernel_log"] is None


def test_a_driver_that_does_nothing_is_waited_for_no_longer_than_asked(clock: list[Lend]) -> None:
    for lend in chosen(clock, variant="waits"):
        assert word(lend) == ("machine", "driver", "not_begun", None)
        assert lend["lend_ns"] == 0


def test_an_errno_is_the_kernels_own(driver: list[Lend]) -> None:
    for lend in driver:
        assert (lend["refused_by"] is None) == (lend["stage"] is None)
        assert lend["errno"] is None or lend["refused_by"] == "kernel"
    refused = [lend for lend in driver if lend["stage"]]
    words = {(lend["strategy"], lend["variant"], *word(lend)[1:]) for lend in refused}
    assert ("cma", "area", "kernel", None, "ENOMEM") in words
    assert ("alloc_contig_range", "zone_movable", "carveout", "no_candidate", None) in words
    assert ("alloc_contig_range", "whole_memory", "kernel", None, "EBUSY") in words
    assert ("hugetlbfs", "32M_run_time", "shell", "pool_short", None) in words
    assert {by for strategy, _, by, *_ in words if strategy == "virtio-mem"} <= {"driver"}


def test_free_ranges_first_migrates_less_than_lowest_first(driver: list[Lend]) -> None:
    for seed in (1, 2):
        like: dict[str, object] = {"load": "anonymous_memory", "seed": seed, "cycle": 1}
        (free_first,) = chosen(driver, variant="whole_memory", **like)
        (lowest_first,) = chosen(driver, variant="whole_memory_lowest_first", **like)
        assert free_first["granted_bytes"] == lowest_first["granted_bytes"] == REQUEST_BYTES
        assert free_first["pages_migrated"] <= lowest_first["pages_migrated"] // 10
        assert lowest_first["pages_migrated"] > 0
        assert free_first["attempts"] == 1
    assert {lend["attempts"] for lend in chosen(driver, strategy="cma")} == {None}


def alike(one: Lend, other: Lend) -> bool:
    """Whether two lends did the same work: their pages migrated differ by 2 % at most.

    Huge pages that are migrated whole are less work than as many pages one by one, and those that
    must be split are more.
    """
    same = ("load", "cycle", "granted_bytes", "huge_pages_migrated", "huge_pages_split")
    if any(one[name] != other[name] for name in same):
        return False
    fewer, more = sorted((one["pages_migrated"], other["pages_migrated"]))
    return bool(fewer >= 0.98 * more)


def test_a_driver_takes_the_same_time_for_the_same_work(driver: list[Lend]) -> None:
    lends = chosen(driver, strategy="virtio-mem")
    pairs = [(one, other) for one in lends for other in lends if one["seed"] < other["seed"]]
    pairs = [(one, other) for one, other in pairs if alike(one, other)]
    assert {(one["load"], one["cycle"]) for one, _ in pairs} >= {
        ("anonymous_pages", 1),
        ("anonymous_pages", 2),
        ("unmovable_pages", 1),
    }
    for one, other in pairs:
        assert one["lend_ns"] == pytest.approx(other["lend_ns"], rel=0.05)


def test_a_drivers_time_is_the_sum_of_its_work(driver: list[Lend]) -> None:
    """One price of a page, one of a huge page and one of a request explain all trials."""
    lends = chosen(driver, strategy="virtio-mem")
    assert not any(lend["huge_pages_split"] or lend["pages_reclaimed"] for lend in lends)
    work = np.array(
        [
            (
                lend["pages_migrated"] - lend["huge_pages_migrated"] * HUGE_PAGE_PAGES,
                lend["huge_pages_migrated"],
                lend["cycle"] == 1,
                lend["cycle"] == 2,
            )
            for lend in lends
        ],
        dtype=float,
    )
    spent_ns = np.array([lend["lend_ns"] for lend in lends], dtype=float)
    prices_ns, *_ = np.linalg.lstsq(work / spent_ns[:, None], np.ones(len(lends)), rcond=None)
    assert work @ prices_ns == pytest.approx(spent_ns, rel=0.05)
    assert 0 < prices_ns[1] < HUGE_PAGE_PAGES * prices_ns[0]
