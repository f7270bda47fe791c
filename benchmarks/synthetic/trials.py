# SPDX-License-Identifier: GPL-2.0-only
"""Made-up trials for the tests of tables, statistics, figures and report: never measured."""

import json
from functools import cache

import numpy as np
import pandas as pd

from benchmarks.synthetic import records as made_records
from benchmarks.synthetic.variants import (
    DEFAULT_CMA_BYTES,
    LENDABLE_BLOCKS,
    LENDABLE_BYTES,
    LOADS,
    MAX_PAGE_ORDER,
    PAGEBLOCK_ORDER,
    PAGEBLOCKS,
    RAM_BYTES,
    REQUESTS_BYTES,
    VARIANTS,
    MadeVariant,
)
from carveout.collection.members import VM_COLUMNS
from carveout.common.sizes import GIB, MIB
from carveout.records.outcomes import CYCLE_PHASES
from carveout.tables.accounts import GROUPS, column
from carveout.tables.definitions import NOT_ASKED, ORDERS, ZONES
from carveout.tables.rules import OWNER_COLUMNS


@cache
def made_trials(seeds: int = 5) -> pd.DataFrame:
    """Return trials of all variants under all loads, with successes and each kind of failure."""
    random = np.random.default_rng(1)
    rows = [
        _trial(random, variant, load, seed, cycle)
        for variant in VARIANTS
        for load in LOADS
        for seed in range(1, seeds + 1)
        for cycle in (1, 2)
    ]
    return pd.DataFrame(rows)


@cache
def made_phases(load: str = "anonymous_memory", seed: int = 1) -> pd.DataFrame:
    """Return the censuses of one trial of each variant."""
    random = np.random.default_rng(2)
    return pd.concat(
        [_censuses(random, variant, load, seed) for variant in VARIANTS], ignore_index=True
    )


@cache
def made_runs(seeds: int = 5) -> pd.DataFrame:
    """Return what the runner's machine spent on the made-up trials."""
    trials = made_trials(seeds).drop_duplicates("trial_id")
    names = [name for name in _key(VARIANTS[0], "idle", 1) if name != "granule"]
    return trials[names].assign(
        process="trial",
        wall_ns=5_000_000_000,
        ready_wall_ns=200_000_000,
        qemu_user_ns=4_100_000_000,
        qemu_system_ns=400_000_000,
        qemu_peak_rss_bytes=900 * MIB,
        qemu_version="7.2.15",
        guest_exit="shutdown",
    )


def made_metadata() -> dict[str, str]:
    """Return the provenance that the trials' file carries."""
    return {"kernel.debian-6.12-arm64.version": "6.12.107-1", "module_sha256": "4f" * 32}


def _scenario(load: str) -> str:
    return f"{load}.quarter_then_whole.page"


def _key(variant: MadeVariant, load: str, seed: int) -> dict[str, object]:
    names = (variant.strategy, variant.variant, _scenario(load))
    return {
        "trial_id": "-".join((*names, str(seed))),
        "kernel": "debian-6.12-arm64",
        "kernel_version": "6.12.107-1",
        "kernel_pinned": "6.12.107-1",
        "ram_bytes": RAM_BYTES,
        "granule": "page",
        "strategy": variant.strategy,
        "variant": variant.variant,
        "scenario": _scenario(load),
        "dose_target": float(LOADS[load][0]),
        "seed": seed,
    }


def _trial(
    random: np.random.Generator, variant: MadeVariant, load: str, seed: int, cycle: int
) -> dict[str, object]:
    dose = LOADS[load][0]
    request_bytes = REQUESTS_BYTES[cycle - 1]
    memmap_bytes = (48 if variant.idle == "A" else 64) * MIB
    row: dict[str, object] = _key(variant, load, seed) | {
        "kernel_release": "6.12.107+deb13-arm64",
        "page_bytes": 4096,
        "lendable_bytes": LENDABLE_BYTES,
        "cpus": 2,
        "load": load,
        "dose_achieved": None if load == "idle" else round(dose - random.uniform(0, 0.6), 1),
        "physical_bytes": RAM_BYTES * dose // 100,
        "requests": "quarter_then_whole",
        "question": "capacity",
        **dict.fromkeys(("load_alone_steps", "load_alone_ns", "load_steps", "load_ns")),
        **dict.fromkeys(("pressure_filled_bytes", "pressure_left_bytes", "pressure_killed")),
        "revocable_bytes": 0,
        **dict.fromkeys(OWNER_COLUMNS),
        "refusals": None,
        **dict.fromkeys(VM_COLUMNS) | {"vm_outcome": NOT_ASKED},
        "trials_asked": 5,
        "replication": None,
        "ladder": None,
        "layout": 0,
        "cycle": cycle,
        "request_bytes": request_bytes,
        "reserve_bytes": 32 * MIB,
        "asked_bytes": request_bytes,
        "stage": None,
        "cause": None,
        "refused_by": None,
        "reason": None,
        "errno": None,
        "kernel_log": None,
        "attempts": None,
        "message": None,
        "memmap_idle_bytes": memmap_bytes,
        **_paid("memmap_idle", memmap_bytes),
        "linear_map_table_idle_bytes": 8 * MIB,
        **_set_aside(variant),
        "give_back_refused_by": None,
        "give_back_reason": None,
        "give_back_errno": None,
        "blocker": None,
    }
    chance = variant.chance[list(LOADS).index(load)] ** cycle
    return row | (
        _granted(random, variant, request_bytes, memmap_bytes)
        if random.random() < chance
        else _failed(random, variant, load, request_bytes)
    )


def _paid(memmap: str, memmap_bytes: int) -> dict[str, int]:
    nobody_bytes = 64 * MIB - memmap_bytes
    payers = {"host": memmap_bytes, "self": 0, "nobody": nobody_bytes}
    return {f"{memmap}_{payer}_bytes": size_bytes for payer, size_bytes in payers.items()}


def _set_aside(variant: MadeVariant) -> dict[str, int]:
    area = LENDABLE_BYTES if variant.aside == "cma_idle" else DEFAULT_CMA_BYTES
    zone = LENDABLE_BYTES if variant.aside == "movable_zone_free" else 0
    return {
        "stranded_bytes": LENDABLE_BYTES if variant.stranded else 3 * MIB,
        "movable_only_bytes": area + zone,
        "cma_area_bytes": area,
        "movable_zone_bytes": zone,
        "cma_used_bytes": area // 32,
        "blocked_pageblocks": 60,
        "free_scattered_bytes": 20 * MIB,
        **{f"huge_pages_{phase}": 32 for phase in CYCLE_PHASES},
    }


def _spent(lend_ns: int) -> dict[str, int]:
    parts = made_records.costs(lend_ns)
    return {"lend_ns": lend_ns} | {f"lend_{name}": part_ns for name, part_ns in parts.items()}


def _granted(
    random: np.random.Generator, variant: MadeVariant, request_bytes: int, memmap_bytes: int
) -> dict[str, object]:
    memmap_lent_bytes = 0 if variant.memmap_hidden else request_bytes // 64
    lend_ns = variant.lend_ns * (request_bytes / REQUESTS_BYTES[0]) * random.lognormal(0, 0.5)
    planted = random.random() < 0.004
    reachable_bytes = 0 if variant.strategy == "virtio-mem" else request_bytes
    regained_bytes = int(request_bytes * variant.regained)
    unmovable_bytes = 0 if variant.movable_only else regained_bytes
    saved_bytes = request_bytes // 64 if variant.strategy == "virtio-mem" else 0
    return {
        "outcome": "granted",
        "explained": None,
        "lent_bytes": request_bytes,
        "granted_bytes": request_bytes,
        "exhausted": False,
        "extents": request_bytes // 16_384 if variant.strategy == "baseline" else 1,
        "largest_extent_bytes": request_bytes,
        **_spent(int(lend_ns)),
        "content_ns": reachable_bytes // 4096 * 90 if variant.strategy == "cma" else 0,
        "zero_ns": reachable_bytes // 4096 * made_records.ZERO_NS_A_PAGE or None,
        "zero_pages": reachable_bytes // 4096,
        "give_back_ns": int(lend_ns * random.uniform(0.05, 0.3)),
        "memmap_bytes": memmap_bytes,
        **_paid("memmap", memmap_bytes),
        "linear_map_table_bytes": 8 * MIB,
        "memmap_lent_bytes": memmap_lent_bytes,
        "verify": "not_checked" if variant.strategy == "virtio-mem" else "failed" * planted or "ok",
        "verify_pages_checked": request_bytes // 4096,
        "verify_pages_bad": int(planted),
        "scribbled_bytes": 2 * GIB,
        "returned_bytes": request_bytes,
        "regained_bytes": regained_bytes - saved_bytes,
        "kept_back_bytes": 0,
        "reuse_movable_bytes": regained_bytes * 7 // 8,
        "reuse_movable_address_bytes": regained_bytes - regained_bytes * 7 // 8,
        "reuse_movable_untried_bytes": 0,
        "reuse_unmovable_bytes": unmovable_bytes // 2,
        "reuse_unmovable_address_bytes": unmovable_bytes // 4,
        "reuse_unmovable_untried_bytes": unmovable_bytes // 4,
        "pages_migrated": int(random.integers(0, 60_000)),
        "huge_pages_migrated": int(random.integers(0, 100)),
        "huge_pages_split": int(random.integers(0, 100)),
        "pages_reclaimed": 0,
        "pages_written": 0,
        "oom_kills": 0,
    }


def _failed(
    random: np.random.Generator, variant: MadeVariant, load: str, request_bytes: int
) -> dict[str, object]:
    owner = "alloc_inode,new_inode"
    blocker = json.dumps({"flags": "slab", "owner": owner, "pfn": 300_000, "type": "slab"})
    failure: dict[str, object] = {
        "outcome": "refused",
        "stage": "alloc",
        **_refusal(variant, load),
        "blocker": blocker if variant.strategy == "alloc_contig_range" else None,
        "explained": variant.strategy == "alloc_contig_range",
        "lent_bytes": 0,
        "granted_bytes": 0,
        "exhausted": True,
        "extents": 0,
        "largest_extent_bytes": 0,
        **_spent(int(variant.lend_ns * random.uniform(1, 3))),
        "content_ns": 0,
        "verify": "not_checked",
    }
    if variant.strategy == "virtio-mem":
        half_bytes = request_bytes // 2
        return failure | {
            "outcome": "partial",
            "lent_bytes": half_bytes,
            "granted_bytes": half_bytes,
            "extents": 4,
            "largest_extent_bytes": half_bytes // 2,
            "memmap_lent_bytes": 0,
            "regained_bytes": half_bytes,
            "kept_back_bytes": 0,
            "returned_bytes": half_bytes,
        }
    if variant.strategy == "baseline":
        crash = {
            "outcome": "load_killed",
            "stage": "lend",
            "refused_by": None,
            "errno": None,
            "kernel_log": None,
            "cause": "oom",
            "message": "killed",
        }
        return failure | crash | dict.fromkeys((*_spent(0), "content_ns"))
    return failure


def _refusal(variant: MadeVariant, load: str) -> dict[str, object]:
    """Return who refuses: carveout finds nothing under page cache, else the kernel says no."""
    if variant.strategy == "alloc_contig_range" and load == "page_cache":
        return {"refused_by": "carveout", "reason": "no_candidate", "attempts": 0}
    if variant.strategy == "virtio-mem":
        return {"refused_by": "driver", "reason": "not_reached"}
    return {
        "refused_by": "kernel",
        "errno": "EBUSY" if load != "page_cache" else "ENOMEM",
        "kernel_log": "cma: cma_alloc: reserved: alloc failed, req-size: 8192 pages, ret: -16"
        if variant.strategy == "cma"
        else None,
    }


def books(
    variant: MadeVariant, load: str, lent_bytes: int, ram_bytes: int = RAM_BYTES
) -> dict[str, int]:
    """Return the accounts of a host that lends so much."""
    dose = LOADS[load][0]
    lent = "machine" if variant.strategy == "virtio-mem" else "lent"
    aside = {} if variant.aside == "free" else {variant.aside: LENDABLE_BYTES - lent_bytes}
    held = {
        "movable": 128 * MIB + (0 if load == "unmovable_pages" else RAM_BYTES * dose // 200),
        "unmovable": 96 * MIB + (RAM_BYTES * dose // 100 if load == "unmovable_pages" else 0),
        "page_tables": 2 * MIB,
        "memmap_host": (48 if variant.idle == "A" else 64) * MIB,
        "cma_used": DEFAULT_CMA_BYTES // 32,
        "cma_idle": DEFAULT_CMA_BYTES - DEFAULT_CMA_BYTES // 32,
        **aside,
        lent: lent_bytes,
    }
    return made_records.accounts(ram_bytes, **held)


def pageblock_maps(
    random: np.random.Generator, variant: MadeVariant, load: str
) -> dict[str, "np.ndarray[tuple[int], np.dtype[np.str_]]"]:
    """Return the classes of all pageblocks at each census of a lend of 256 MiB."""
    before = np.full(PAGEBLOCKS, "F")
    _, movable, unmovable = LOADS[load]
    places = random.permutation(PAGEBLOCKS - LENDABLE_BLOCKS)
    before[places[:movable]] = "M"
    before[places[movable : movable + unmovable + 60]] = "U"
    before[places[movable + unmovable + 60 : movable + unmovable + 80]] = "R"
    before[:40] = "X"
    before[1000:1032] = "C"
    if variant.idle:
        before[-LENDABLE_BLOCKS:] = variant.idle
    lent = before.copy()
    lent[-LENDABLE_BLOCKS : -LENDABLE_BLOCKS * 3 // 4] = "L"
    return {"before": before, "lent": lent, "after": before}


def _censuses(
    random: np.random.Generator, variant: MadeVariant, load: str, seed: int
) -> pd.DataFrame:
    maps = pageblock_maps(random, variant, load)
    zones: dict[str, object] = {
        f"{zone}_{what}_pages": 524_288 if zone in {"dma", "normal"} else 0
        for zone in ZONES
        for what in ("managed", "present", "spanned")
    }
    rows = []
    for phase in CYCLE_PHASES:
        held = books(variant, load, REQUESTS_BYTES[0] if phase == "lent" else 0)
        memmap_bytes = held["memmap_host"]
        rows.append(
            _key(variant, load, seed)
            | {"cycle": 1, "phase": phase, "request_bytes": REQUESTS_BYTES[0], "census_tries": 1}
            | {"pageblocks": "".join(maps[phase])}
            | {column(account): size_bytes for account, size_bytes in held.items()}
            | {
                f"{name}_bytes": sum(held[account] for account in GROUPS[name])
                for name in ("stranded", "movable_only", "serving")
            }
            | dict.fromkeys(_CENSUS_BYTES, 64 * MIB)
            | dict.fromkeys(("memmap_bytes", "memmap_counter_bytes"), memmap_bytes)
            | {"memmap_lent_bytes": held["lent"] // 64}
            | zones
            | {f"free_order_{order}_blocks": 1 for order in ORDERS if order <= MAX_PAGE_ORDER}
            | {f"free_order_{order}_blocks": None for order in ORDERS if order > MAX_PAGE_ORDER}
            | {"struct_page_bytes": 64, "anonymous_huge_pages": 32, "blocked_pageblocks": 60}
            | {"free_scattered_bytes": 4096 * (2**PAGEBLOCK_ORDER - 1)}
            | {"first_pfn": 0x40000, "page_bytes": 4096, "pageblock_bytes": 2 * MIB}
        )
    return pd.DataFrame(rows)


_CENSUS_BYTES = (
    "linear_map_table_bytes",
    "page_table_bytes",
    "mem_total_bytes",
    "mem_free_bytes",
    "mem_available_bytes",
)
