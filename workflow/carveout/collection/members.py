# SPDX-License-Identifier: GPL-2.0-only
"""What members of records become which columns of a row: one by one, or a column at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from carveout.study.cell import scenario_name
from carveout.tables.accounts import ACCOUNTS, column
from carveout.tables.definitions import NOT_ASKED, ORDERS, TRIALS, ZONES
from carveout.tables.rules import LEND_PARTS, OWNER_COLUMNS, REUSE_COLUMNS, REUSE_KINDS

Object = Mapping[str, Any]
Columns = Mapping[str, pyarrow.Array]

_to_json = json.JSONEncoder(sort_keys=True).encode
# What a load that goes on does, and what a give back meets where no memory is free.
WORK_COLUMNS = tuple(f"load_{name}" for name in ("alone_steps", "alone_ns", "steps", "ns"))
PRESSURE_COLUMNS = ("pressure_filled_bytes", "pressure_left_bytes", "pressure_killed")
VM_COLUMNS = tuple(name for name in TRIALS.columns if name.startswith("vm_"))
# Members of what VMs did that are columns as they are.
_VM_MEMBERS = ("way", "first_instruction_ns", "run_ns", "device_bytes", "uncached_bytes")


def account_columns(accounts: Object) -> Object:
    """Return the accounts of a census."""
    return {column(name): accounts[name] for name in ACCOUNTS}


def memmap_payer_columns(prefix: str, requests: Columns, census: Columns) -> Columns:
    """Return who pays for the memmap of all RAM, with one `struct page` for each page frame."""
    paid = {payer: census[column(f"memmap_{payer}")] for payer in ("host", "self")}
    frames = pc.divide(requests["ram_bytes"], requests["page_bytes"])
    nobody = pc.multiply(frames, census["struct_page_bytes"])
    for of_payer in paid.values():
        nobody = pc.subtract(nobody, of_payer)
    return {f"{prefix}_{payer}_bytes": of for payer, of in {**paid, "nobody": nobody}.items()}


def free_columns(census: Object, page_bytes: int) -> Object:
    """Return the free blocks of each order, and what lies in those smaller than a pageblock."""
    blocks = dict.fromkeys(ORDERS) | dict(enumerate(census["free_blocks"]))
    scattered_bytes = sum(
        size_bytes * count
        for order, count in enumerate(census["free_blocks"])
        if (size_bytes := page_bytes << order) < census["pageblock_bytes"]
    )
    return {
        **{f"free_order_{order}_blocks": count for order, count in blocks.items()},
        "free_scattered_bytes": scattered_bytes,
    }


def part_columns(costs: Object) -> Object:
    """Return the parts of the time of a lend."""
    return {f"lend_{part}_ns": costs[f"{part}_ns"] for part in LEND_PARTS}


def work_columns(work: Object | None) -> Object:
    """Return what a load that goes on did, null of one that rests."""
    return {name: work and work[name.removeprefix("load_")] for name in WORK_COLUMNS}


def pressure_columns(pressure: Object | None) -> Object:
    """Return what a give back met in a host without free memory, null in another."""
    values = pressure and (
        *(pressure["filled_bytes"], pressure["left_bytes"]),
        pressure["filler_killed"],
    )
    return dict(zip(PRESSURE_COLUMNS, values or (None, None, None), strict=True))


def owner_columns(discards: Object) -> Object:
    """Return what the machine's owner regained in a cycle."""
    values = (discards[name] for name in ("discarded_bytes", "extents", "largest_extent_bytes"))
    return {"cycle": discards["cycle"], **dict(zip(OWNER_COLUMNS, values, strict=True))}


def vm_columns(vm: Object) -> Object:
    """Return what VMs in lent memory came to, null where none ran."""
    run = vm["run"]
    told = {f"vm_{name}": vm[name] for name in ("outcome", "count", "refusals")}
    if run is None:
        return {**dict.fromkeys(VM_COLUMNS), **told, "cycle": vm["cycle"]}
    gigantic, block, page = (leaf["bytes"] * leaf["count"] for leaf in run["leaves"])
    return {
        "cycle": vm["cycle"],
        **told,
        **{f"vm_{name}": run[name] for name in _VM_MEMBERS},
        "vm_stage2_faults": run["faults"],
        "vm_page_bytes": page,
        "vm_block_bytes": block,
        "vm_gigantic_bytes": gigantic,
        "vm_stage2_table_bytes": run["table_bytes"],
        "vm_pages_checked": run["pages_checked"],
        "vm_pages_bad": run["pages_bad"] + run["pages_unseen"],
        "vm_survived": run["killed"] == vm["count"]
        and not run["table_left_bytes"]
        and not run["tainted"],
    }


def with_outcome(vm: Columns, requests: Columns, died: pyarrow.Array) -> Columns:
    """Return what VMs came to, also where none was asked for, and where the host died of it."""
    died_of_it = pc.and_(died, pc.equal(requests["last_stage"], "vm"))
    host_died = pc.if_else(died_of_it, "host_died", None)
    outcomes = pc.coalesce(vm["vm_outcome"], requests["vm_not_asked"], host_died)
    return {**{name: vm[name] for name in VM_COLUMNS}, "vm_outcome": outcomes}


def reuse_columns(reuse: Object) -> Object:
    """Return what came back of each kind by whom, in the order of `REUSE_COLUMNS`."""
    came_back = [
        reuse[kind][f"{how}_bytes"]
        for kind in REUSE_KINDS
        for how in ("allocator", "address", "untried")
    ]
    return {"cycle": reuse["cycle"], **dict(zip(REUSE_COLUMNS, came_back, strict=True))}


def cell_columns(cell: Object) -> Object:
    """Return what a cell says of each of its trials."""
    rule = cell["replication"]
    return {
        "kernel": cell["kernel"],
        "ram_bytes": cell["ram_bytes"],
        "strategy": cell["variant"]["strategy"],
        "variant": cell["variant"]["name"],
        "scenario": scenario_name(cell["load"], cell["requests"], cell["granule"]),
        "lendable_bytes": cell["lendable_bytes"],
        "reserve_bytes": cell["reserve_bytes"],
        "cpus": cell["cpus"],
        "load": cell["load"],
        "requests": cell["requests"],
        "question": cell["question"],
        "trials_asked": cell["seeds"],
        "replication": rule and _to_json(rule),
        "ladder": cell["ladder"] and _to_json(cell["ladder"]),
        "granule": cell["granule"],
        "vm_not_asked": None if cell["runs_vm"] else NOT_ASKED,
    }


def refusals_text(lend: Object) -> str | None:
    """Return how many memory blocks were refused with which errno as text, or None."""
    refusals = lend["refusals"]
    return refusals and _to_json(refusals)


_ZONE_PAGES = ("managed_pages", "present_pages", "spanned_pages")
_ZONE_NAMES = dict(zip(("DMA", "DMA32", "Normal", "Movable"), ZONES, strict=True))
ZONE_COLUMNS = tuple(f"{zone}_{pages}" for zone in ZONES for pages in _ZONE_PAGES)


def zone_columns(zones: Sequence[Object]) -> Object:
    """Return the pages of a host's zones, but for those that the table does not know."""
    return {
        f"{_ZONE_NAMES[zone['name']]}_{pages}": zone[pages]
        for zone in zones
        if zone["name"] in _ZONE_NAMES
        for pages in _ZONE_PAGES
    }


def with_clearing_apart(lend: Columns, verify: Columns) -> Columns:
    """Return lends and the zero pass after each, with the clearing of single pages moved.

    The page allocator clears single pages where nothing can watch it, within `lend_map_ns`. Each is
    taken for as long as a page of the zero pass took, and moved to `content_ns`; never more than
    there is in `lend_map_ns`, and nothing where no page was cleared to compare with.
    """
    some = pc.greater(verify["zero_pages"], 0)
    zero_ns, zero_pages = (
        pc.if_else(some, verify[name], None) for name in ("zero_ns", "zero_pages")
    )
    cleared_ns = _rounded(pc.multiply(lend["cleared_pages"], zero_ns), zero_pages)
    moved_ns = pc.min_element_wise(pc.fill_null(cleared_ns, 0), lend["lend_map_ns"])
    moved_ns = pc.if_else(pc.is_valid(lend["lend_map_ns"]), moved_ns, None)
    return {
        **lend,
        "lend_ns": pc.subtract(lend["lend_ns"], moved_ns),
        "lend_map_ns": pc.subtract(lend["lend_map_ns"], moved_ns),
        "content_ns": pc.add(lend["content_ns"], moved_ns),
        "zero_ns": zero_ns,
        "zero_pages": verify["zero_pages"],
    }


def _rounded(dividend: pyarrow.Array, divisor: pyarrow.Array) -> pyarrow.Array:
    """Return quotients of whole numbers that are not negative, to the nearest whole number."""
    return pc.divide(pc.add(pc.multiply(dividend, 2), divisor), pc.multiply(divisor, 2))
