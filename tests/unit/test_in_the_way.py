# SPDX-License-Identifier: GPL-2.0-only
"""Lends that ended short: which page, pageblock or reason was in the way."""

import json
from typing import Any

import pytest
from benchmarks.synthetic import records as made

from carveout.collection.in_the_way import blocker_columns
from carveout.common.sizes import MIB

PAGE = {"pfn": 1, "type": "slab", "flags": "", "owner": ""}
ITSELF = PAGE | {"type": "lent"}
GONE = PAGE | {"type": "absent"}
NOT_REACHED = {"errno": None, "reason": "not_reached"}


def columns(
    granted_bytes: int,
    members: dict[str, Any],
    granule: str = "2M",
    pageblocks: str = "F",
    zone_bytes: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """The columns of a lend, between two censuses: the map of the second, and ZONE_MOVABLE."""
    censuses = [
        made.census(1, phase, pageblocks=pageblocks, accounts=made.accounts(movable_zone_free=size))
        for phase, size in zip(("before", "lent"), zone_bytes, strict=True)
    ]
    lend = made.lend(1, granted_bytes, **members)
    return dict(blocker_columns(lend, granule, 4096, censuses))


@pytest.mark.parametrize(
    ("granted_bytes", "members", "wanted"),
    [
        (256 * MIB, {}, None),
        (0, {}, False),
        (0, {"blocker": PAGE}, True),
        (64 * MIB, {"errno": None, "reason": "host_needs_the_rest"}, True),
        (64 * MIB, {"errno": None, "reason": "device_is_full"}, True),
        (64 * MIB, {"errno": None, "reason": "not_in_granules"}, True),
        (64 * MIB, {"errno": None, "reason": "no_more_reported"}, True),
        (64 * MIB, NOT_REACHED, False),
        (0, {"errno": "EPERM"}, True),
    ],
)
def test_a_short_lend_is_explained_by_a_page_a_reason_or_a_veto(
    granted_bytes: int, members: dict[str, Any], wanted: bool | None
) -> None:
    found = columns(granted_bytes, members)
    assert found["explained"] is wanted
    assert found["blocker"] == (json.dumps(PAGE, sort_keys=True) if "blocker" in members else None)


@pytest.mark.parametrize("named", [None, ITSELF, GONE])
@pytest.mark.parametrize(
    ("pageblocks", "kind", "place"),
    [
        ("FLLUFLLLLLLU", "unmovable", 11),
        ("ULFRLLLLLLFF", "slab", 3),
        ("FFFFFXLLLLLL", "reserved", 5),
    ],
)
def test_of_one_range_the_map_tells_what_ends_it(
    named: dict[str, Any] | None, pageblocks: str, kind: str, place: int
) -> None:
    found = columns(12 * MIB, {**NOT_REACHED, "blocker": named}, "single", pageblocks)
    page = {"flags": "", "owner": "", "pfn": 262144 + place * 512, "type": kind}
    assert json.loads(found["blocker"]) == page
    assert found["explained"]


@pytest.mark.parametrize("pageblocks", ["FFLLLLMM", "LLLL", "FFFF"])
def test_where_the_map_does_not_tell_the_guests_word_stays(pageblocks: str) -> None:
    assert columns(8 * MIB, NOT_REACHED, "single", pageblocks)["explained"] is False
    named = columns(8 * MIB, {**NOT_REACHED, "blocker": GONE}, "single", pageblocks)
    assert json.loads(named["blocker"]) == GONE


def test_a_zone_of_which_all_is_lent_has_no_page_in_the_way() -> None:
    members = {"errno": "EBUSY", "blocker": ITSELF}
    found = columns(8 * MIB, members, "single", "UULLLLUU", (8 * MIB, 0))
    assert json.loads(found["blocker"])["type"] == "zone_is_all_lent"
    assert json.loads(found["blocker"])["pfn"] is None
    found = columns(8 * MIB, members, "single", "UULLLLUU", (16 * MIB, 8 * MIB))
    assert json.loads(found["blocker"])["type"] == "unmovable"


@pytest.mark.parametrize(
    ("members", "granule"),
    [
        ({"blocker": PAGE}, "single"),
        ({"errno": None, "reason": "device_is_full"}, "single"),
        ({"errno": "EPERM"}, "single"),
        ({"blocker": ITSELF}, "2M"),
    ],
)
def test_what_the_guest_tells_is_left_as_it_is(members: dict[str, Any], granule: str) -> None:
    found = columns(8 * MIB, members, granule, "UULLLLUU", (8 * MIB, 0))
    blocker = members.get("blocker")
    assert found["blocker"] == (blocker and json.dumps(blocker, sort_keys=True))


def test_a_host_that_died_before_its_census_keeps_the_guests_word() -> None:
    members: dict[str, Any] = {**NOT_REACHED, "blocker": GONE}
    lend = made.lend(1, 8 * MIB, **members)
    assert json.loads(blocker_columns(lend, "single", 4096, [])["blocker"]) == GONE
