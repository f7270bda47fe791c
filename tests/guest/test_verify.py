# SPDX-License-Identifier: GPL-2.0-only
"""Verification can fail: frames lent twice, frames that the host has too; and nothing else does."""

import re

import pytest

from carveout.records.outcomes import bad_pages
from tests.conftest import Checkout
from tests.guest.records import Cells, Trial

REQUESTS = 2
PAGE_BYTES = 4096
MEMORY_BLOCK_BYTES = 2**27
LOADS = ("idle", "anonymous_memory", "page_cache", "unmovable_pages")


@pytest.fixture(scope="module")
def cells(checkout: Checkout) -> Cells:
    """The hosts of verify.yaml."""
    made = Cells(checkout, "tests/guest/verify.yaml")
    made.make(
        *(
            f"{strategy}/only/idle.twice.page"
            for strategy in (
                *("lends_twice", "taken_back", "loses_pages", "holder_dies", "refuses_later"),
            )
        ),
        *(f"as_found/only/{load}.twice.page" for load in LOADS),
    )
    return made


def strategy(cells: Cells, name: str) -> Trial:
    """The trial of a strategy without a load, which came to its end."""
    trial = cells.trial(f"{name}/only/idle.twice.page")
    assert trial.content["ending"]["cause"] is None, trial.content["ending"]
    return trial


def test_an_overlap_is_a_failed_verification_and_no_refusal(cells: Cells) -> None:
    trial = strategy(cells, "lends_twice")
    assert {outcome.outcome for outcome in trial.outcomes} == {"granted"}
    assert {outcome.verify for outcome in trial.outcomes} == {"failed"}
    for cycle, lend in trial.records("lend").items():
        overlap_bytes = lend["request_bytes"] // 2
        assert lend["granted_bytes"] == 2 * lend["request_bytes"] - overlap_bytes
        found = trial.records("verify")[cycle]
        assert found["pages_overlapping"] == overlap_bytes // PAGE_BYTES


def test_what_the_machine_has_is_not_linuxs(cells: Cells) -> None:
    trial = strategy(cells, "taken_back")
    assert {outcome.verify for outcome in trial.outcomes} == {"failed"}
    assert all(
        lend["granted_bytes"] == MEMORY_BLOCK_BYTES for lend in trial.records("lend").values()
    )
    lent = [
        record["accounts"]
        for record in trial.content["records"]
        if record["record"] == "census" and record["phase"] == "lent"
    ]
    assert len(lent) == REQUESTS
    for accounts in lent:
        assert accounts["machine"] == 0
        assert accounts["movable_zone_free"] >= MEMORY_BLOCK_BYTES


def test_the_host_at_work_writes_to_what_it_believes_to_be_free(cells: Cells) -> None:
    trial = strategy(cells, "loses_pages")
    assert {outcome.verify for outcome in trial.outcomes} == {"failed"}
    for found in trial.records("verify").values():
        # All were written over, and none counts twice.
        assert found["pages_bad"] == 1024 == bad_pages(found)
    # What was lost is not freed a second time.
    assert len(trial.records("reuse")) == REQUESTS


def test_nearly_all_free_memory_is_scribbled_over(cells: Cells) -> None:
    for name in ("as_found", "holder_dies"):
        trial = strategy(cells, name)
        assert {outcome.verify for outcome in trial.outcomes} == {"ok"}
        lent = {
            record["cycle"]: record["mem_free_bytes"]
            for record in trial.content["records"]
            if record["record"] == "census" and record["phase"] == "lent"
        }
        for cycle, found in trial.records("verify").items():
            assert found["scribbled_bytes"] >= 0.98 * lent[cycle]


def test_the_host_is_changed_for_good_after_the_last_request_alone(cells: Cells) -> None:
    trial = cells.trial("as_found/only/page_cache.twice.page")
    first, last = trial.records("verify").values()
    assert (first["compacted"], first["pages_reclaimed"]) == (False, 0)
    assert last["compacted"]
    assert 0 < last["pages_reclaimed"] <= 2 * 8192


def blocks_that_differ(text: str, other: str) -> int:
    """How many pageblocks have another type, by the last line of /proc/pagetypeinfo."""
    one, two = ([int(word) for word in said.split(" DMA ")[-1].split()] for said in (text, other))
    assert len(one) >= 5
    return sum(abs(count - two[column]) for column, count in enumerate(one)) // 2


# The host's own work between the two readings: a process, a batch of reclaimed page cache.
MOVED_FRAMES = 64


def frames_that_differ(text: str, other: str) -> int:
    """How many free frames lie in another zone or pageblock type, by /proc/pagetypeinfo."""
    one, two = (free_frames(said) for said in (text, other))
    assert set(one) == set(two)
    assert sum(one.values()) > 0
    return max(abs(count - two[place]) for place, count in one.items())


def free_frames(text: str) -> dict[str, int]:
    """Free frames by zone and pageblock type: blocks by order, lowest first."""
    lines = re.findall(r"zone +(\w+), type +(\w+) +([0-9 ]+)", text)
    return {
        f"{zone} {kind}": sum(int(n) << order for order, n in enumerate(blocks.split()))
        for zone, kind, blocks in lines
    }


@pytest.mark.parametrize("load", LOADS)
def test_scribbling_and_probing_leave_the_allocator_as_they_found_it(
    cells: Cells, load: str
) -> None:
    said = cells.trial(f"as_found/only/{load}.twice.page").console
    texts = re.findall(r"as_found: (\w+) (\w+)\n(.*?)as_found: end\n", said, re.DOTALL)
    by_request = [texts[i : i + 3] for i in range(0, len(texts), 3)]
    assert [first[0] for first, _, _ in by_request] == [
        *("scribble", "movable", "unmovable") * REQUESTS
    ]
    for (_, _, first), (_, _, before), (_, _, after) in by_request:
        assert frames_that_differ(before, after) <= MOVED_FRAMES
        # The very first request empties per-CPU lists while it works. One pageblock may change.
        assert blocks_that_differ(first, before) <= 1


def test_every_lent_page_is_cleared_once_at_the_same_price(cells: Cells) -> None:
    prices = set()
    for name in ("lends_twice", "as_found", "holder_dies"):
        for found in strategy(cells, name).records("verify").values():
            assert found["zero_pages"] == found["pages_checked"] > 0
            prices.add(found["zero_ns"] / found["zero_pages"])
    assert max(prices) < 1.02 * min(prices)


def test_a_dead_holder_keeps_nobody_waiting(cells: Cells) -> None:
    trial = strategy(cells, "holder_dies")
    assert {outcome.outcome for outcome in trial.outcomes} == {"granted"}
    for cycle, record in trial.records("give_back").items():
        assert record["returned_bytes"] == trial.records("lend")[cycle]["granted_bytes"]


def test_what_came_back_in_an_earlier_cycle_is_not_said_again(cells: Cells) -> None:
    trial = strategy(cells, "refuses_later")
    assert [outcome.outcome for outcome in trial.outcomes] == ["granted", "refused"]
    assert list(trial.records("reuse")) == [1]


def test_a_carve_out_leaves_alone_what_the_firmware_reserves(checkout: Checkout) -> None:
    made = Cells(checkout, "tests/guest/verify.yaml")
    made.make("takes_reserved/only/idle.twice.page")
    trial = made.trial("takes_reserved/only/idle.twice.page")
    assert [outcome.outcome for outcome in trial.outcomes] == ["granted", "refused"]
    assert "reason=reserved_memory" in trial.console
