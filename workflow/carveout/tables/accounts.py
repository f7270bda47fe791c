# SPDX-License-Identifier: GPL-2.0-only
"""The books of a census: what each account holds, and which sums of accounts have a name.

Every frame of the RAM that the runner gave is in exactly one account, so they sum to the RAM, and
two censuses differ by transfers that sum to zero. Where several accounts could hold a frame, the
first of these does: lent or machine, hidden, no_map, memmap, page_tables, device, offline; and a
CMA area goes before its zone.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TypeVar

Amount = TypeVar("Amount")

ACCOUNTS: Mapping[str, str] = {
    "free": "free, for any allocation",
    "movable_zone_free": "free in ZONE_MOVABLE",
    "cma_idle": "free in a CMA area",
    "pool_idle": "a huge page of a pool that nobody uses, or the rest of one that is lent in part",
    "movable": "in use by pages that can move",
    "movable_zone_used": "the same in ZONE_MOVABLE",
    "cma_used": "the same in a CMA area",
    "reclaimable": "slab in pageblocks of the reclaimable type",
    "unmovable": "all else that is allocated",
    "page_tables": "page tables",
    "memmap_host": "memmap that the host pays",
    "memmap_self": "memmap that lies on the memory which it describes",
    "reserved": "kernel image and what was reserved at boot, memmap apart",
    "no_map": "reserved, with a memmap, and not in the linear map",
    "hidden": "without a memmap",
    "offline": "with a memmap, withheld by a driver or not online, and not lent",
    "machine": "lent, and given to the machine: the host has no hold on it",
    "device": "device memory (ZONE_DEVICE)",
    "lent": "lent, and the host has a hold on it",
}

GROUPS: Mapping[str, tuple[str, ...]] = {
    # Set aside, not lent, and of no use to Linux.
    "stranded": ("hidden", "no_map", "pool_idle", "offline", "device"),
    # Of use to Linux for movable pages alone: the sum of the two that follow.
    "movable_only": ("cma_idle", "cma_used", "movable_zone_free", "movable_zone_used"),
    "cma_area": ("cma_idle", "cma_used"),
    "movable_zone": ("movable_zone_free", "movable_zone_used"),
    # What serves Linux and its programs, in use or free to be used.
    "serving": (
        *("free", "movable_zone_free", "cma_idle", "movable", "movable_zone_used", "cma_used"),
        *("reclaimable", "unmovable", "page_tables"),
    ),
    "memmap": ("memmap_host", "memmap_self"),
    "lent_out": ("lent", "machine"),
}

# Who pays for the memmap of the RAM; nobody does for page frames that have none, or share it.
MEMMAP_PAYERS = ("host", "self", "nobody")

# What a figure tells apart: every account is in one of these.
DRAWN: Mapping[str, tuple[str, ...]] = {
    "free": ("free",),
    "free, for movable pages only": ("movable_zone_free", "cma_idle"),
    "in use, movable": ("movable", "movable_zone_used", "cma_used"),
    "in use, cannot move": ("reclaimable", "unmovable", "page_tables"),
    "kernel image, reserved": ("reserved",),
    "memmap": GROUPS["memmap"],
    "stranded": GROUPS["stranded"],
    "lent": GROUPS["lent_out"],
}


def column(account: str) -> str:
    """Return the name of an account's column in the table ``phases``."""
    return f"account_{account}_bytes"


def total(
    columns: Mapping[str, Amount],
    accounts: Iterable[str],
    add: Callable[[Amount, Amount], Amount],
) -> Amount:
    """Return the sum of accounts of one census, or of many as columns."""
    return reduce(add, [columns[column(account)] for account in accounts])


def transfers(earlier: Mapping[str, int], later: Mapping[str, int]) -> dict[str, int]:
    """Return by how much each account grew between two censuses; those that did not are left out.

    Raises:
        ValueError: the transfers do not sum to zero, so at least one of the two does not balance.
    """
    grown = {name: later[name] - earlier[name] for name in ACCOUNTS}
    if sum(grown.values()):
        raise ValueError(
            f"wanted transfers between accounts that sum to zero, found {sum(grown.values())} bytes"
        )
    return {name: bytes_more for name, bytes_more in grown.items() if bytes_more}
