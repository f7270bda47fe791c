# SPDX-License-Identifier: GPL-2.0-only
"""What was in the way of a lend that ended short: by the guest's word, or by its censuses."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from carveout.tables.accounts import GROUPS

Object = Mapping[str, Any]

_to_json = json.JSONEncoder(sort_keys=True).encode
# Why a lend ended short with no page in its way: the host needs the rest, a device has no more,
# all is lent but not in whole granules, or all that is free and can be reported is lent.
_REASONS_ENOUGH = (
    *("host_needs_the_rest", "device_is_full", "not_in_granules"),
    "no_more_reported",
)
# A range that is larger than the largest would hold what is lent, which so is not in its way; and
# of what the machine took Linux knows no page any more.
_LENT_ITSELF = ("lent", "absent")
ZONE_IS_ALL_LENT = "zone_is_all_lent"
# What cannot move in a pageblock, by its letter in the map.
_CANNOT_MOVE = {"U": "unmovable", "R": "slab", "X": "reserved"}
_LENT = "L"


def blocker_columns(
    lend: Object, granule: str, page_bytes: int, censuses: Sequence[Object]
) -> Object:
    """Return `blocker` and `explained` of a lend; both are null where it did not end short.

    Args:
        lend: its record.
        granule: in pieces of which size it was asked for.
        page_bytes: of the running kernel.
        censuses: those of the trial.
    """
    if lend["granted_bytes"] >= lend["request_bytes"]:
        return {"blocker": _text(lend["blocker"]), "explained": None}
    blocker = lend["blocker"]
    # A veto of the kernel's is of no page.
    is_told = lend["reason"] in _REASONS_ENOUGH or lend["errno"] == "EPERM"
    names_itself = blocker is not None and blocker["type"] in _LENT_ITSELF
    if granule == "single" and (names_itself or (blocker is None and not is_told)):
        seen = {c["phase"]: c for c in censuses if c["cycle"] == lend["cycle"]}
        if {"before", "lent"} <= set(seen):
            blocker = _beside(lend, page_bytes, seen["before"], seen["lent"]) or blocker
    return {"blocker": _text(blocker), "explained": is_told or blocker is not None}


def _beside(lend: Object, page_bytes: int, before: Object, lent: Object) -> Object | None:
    """Return what ends the largest range, None where the map of pageblocks does not tell.

    The page frame is the first of the pageblock, and null where a zone has no more.
    """
    named = {"flags": "", "owner": ""}
    is_one = lend["granted_bytes"] == lend["lent_bytes"]
    if is_one and _zone_bytes(before) and not _zone_bytes(lent):
        return {**named, "pfn": None, "type": ZONE_IS_ALL_LENT}
    letters = lent["pageblocks"]
    runs = [match.span() for match in re.finditer(f"{_LENT}+", letters)]
    if not runs:
        return None
    start, end = max(runs, key=lambda run: run[1] - run[0])
    for place in (start - 1, end):
        word = _CANNOT_MOVE.get(letters[place : place + 1]) if place >= 0 else None
        if word is not None:
            pages = lent["pageblock_bytes"] // page_bytes
            return {**named, "pfn": lent["first_pfn"] + place * pages, "type": word}
    return None


def _zone_bytes(census: Object) -> int:
    """Return what a census finds in ZONE_MOVABLE, not lent."""
    return sum(census["accounts"][name] for name in GROUPS["movable_zone"])


def _text(blocker: Object | None) -> str | None:
    return None if blocker is None else _to_json(blocker)
