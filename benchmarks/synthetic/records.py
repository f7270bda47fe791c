# SPDX-License-Identifier: GPL-2.0-only
"""Made-up trials as the runner writes them: a cell, an ending, and the guest's records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from carveout.common.schemas import write_sealed
from carveout.common.sizes import GIB, MIB
from carveout.records.channel import RECORDS_VERSION
from carveout.tables.accounts import ACCOUNTS

RAM_BYTES = 4 * GIB
KERNEL_SHA256 = "4f" * 32
ZERO_NS_A_PAGE = 400
# What the collection adds to a trial.
KERNEL_FACTS = {"kernel_version": "6.12.107-1", "kernel_pinned": "6.12.107-1"}


def accounts(ram_bytes: int = RAM_BYTES, **held: int) -> dict[str, int]:
    """Return the books of a host: what the accounts hold, and the rest of the RAM free."""
    usual = {
        **dict.fromkeys(ACCOUNTS, 0),
        "movable": 512 * MIB,
        "unmovable": 64 * MIB,
        "page_tables": MIB,
        "memmap_host": 64 * MIB,
        "reserved": 48 * MIB,
        **held,
    }
    return usual | {"free": ram_bytes - sum(usual.values())}


def census(cycle: int, phase: str, **members: Any) -> dict[str, Any]:
    """Return a census of a host on which nothing is set aside."""
    return {
        "record": "census",
        "cycle": cycle,
        "phase": phase,
        "tries": 1,
        "accounts": accounts(),
        "memmap_bytes": 64 * MIB,
        "memmap_lent_bytes": 0,
        "memmap_counter_bytes": 64 * MIB,
        "struct_page_bytes": 64,
        "linear_map_table_bytes": MIB,
        "page_table_bytes": MIB,
        "anonymous_huge_pages": 7,
        "mem_total_bytes": 3900 * MIB,
        "mem_free_bytes": 3000 * MIB,
        "mem_available_bytes": 3000 * MIB,
        "zones": [
            {"name": "DMA", "managed_pages": 9, "present_pages": 10, "spanned_pages": 11},
            {"name": "Normal", "managed_pages": 5, "present_pages": 6, "spanned_pages": 7},
        ],
        "free_blocks": [3, 2, 1, 0, 0, 0, 0, 0, 0, 4, 700],
        "blocked_pageblocks": 40,
        "pageblock_bytes": 2 * MIB,
        "first_pfn": 262144,
        "pageblocks": "FM" * 1024,
        **members,
    }


def costs(lend_ns: int) -> dict[str, int]:
    """Return the parts of the time that a lend took."""
    parts = {"search_ns": lend_ns // 8, "migrate_ns": lend_ns // 2, "reclaim_ns": lend_ns // 16}
    map_ns = (lend_ns - sum(parts.values())) // 2
    return {**parts, "map_ns": map_ns, "rest_ns": lend_ns - sum(parts.values()) - map_ns}


def lend(cycle: int, granted_bytes: int, lend_ns: int = 1000, **members: Any) -> dict[str, Any]:
    """Return the record of a request of 256 MiB, with what was granted of it."""
    refused = granted_bytes == 0
    return {
        "record": "lend",
        "cycle": cycle,
        "request_bytes": 256 * MIB,
        "asked_bytes": 256 * MIB,
        "stage": "alloc" if refused else None,
        "refused_by": "kernel" if refused else None,
        "reason": None,
        "errno": "EBUSY" if refused else None,
        "kernel_log": None,
        "lent_bytes": granted_bytes,
        "granted_bytes": granted_bytes,
        "exhausted": refused,
        "revocable_bytes": 0,
        "extents": 1 if granted_bytes else 0,
        "largest_extent_bytes": granted_bytes,
        "lend_ns": lend_ns,
        "costs": costs(lend_ns),
        "content_ns": 0,
        "cleared_pages": 0,
        "attempts": None,
        "refusals": None,
        "pages_migrated": 3,
        "huge_pages_migrated": 0,
        "huge_pages_split": 0,
        "pages_reclaimed": 0,
        "pages_written": 0,
        "oom_kills": 0,
        "work": None,
        "blocker": None,
        **members,
    }


def whole_cycle(
    cycle: int,
    granted_bytes: int,
    lent: Mapping[str, Any] | None = None,
    censuses: Mapping[str, Mapping[str, Any]] | None = None,
    returned: Mapping[str, Any] | None = None,
    *,
    ram_bytes: int = RAM_BYTES,
) -> list[dict[str, Any]]:
    """Return all records of one cycle.

    Args:
        cycle: its number, from 1.
        granted_bytes: what was lent, checked, given back and used again; without any, nothing
            says what comes back.
        lent: members of the lend record that differ from the usual ones.
        censuses: likewise of the census record, by phase.
        returned: likewise of the give_back record.
        ram_bytes: what the accounts sum to.
    """
    idle: dict[str, Any] = {"accounts": accounts(ram_bytes)}
    seen: Mapping[str, Mapping[str, Any]] = {
        "before": idle,
        "after": idle,
        "lent": {
            "accounts": accounts(ram_bytes, lent=granted_bytes),
            "mem_available_bytes": 3000 * MIB - granted_bytes,
            "memmap_lent_bytes": granted_bytes // 64,
        },
    } | dict(censuses or {})

    def stage(name: str) -> dict[str, Any]:
        return {"record": "stage", "stage": name, "cycle": cycle}

    return [
        stage("census"),
        census(cycle, "before", **seen["before"]),
        stage("lend"),
        lend(cycle, granted_bytes, **(lent or {})),
        stage("census"),
        census(cycle, "lent", **seen["lent"]),
        stage("verify"),
        {
            "record": "verify",
            "cycle": cycle,
            "zero_ns": granted_bytes // 4096 * ZERO_NS_A_PAGE,
            "zero_pages": granted_bytes // 4096,
            "pages_checked": granted_bytes // 4096,
            "pages_bad": 0,
            "pages_overlapping": 0,
            "pages_free": 0,
            "scribbled_bytes": 3000 * MIB - granted_bytes,
            "pages_reclaimed": 0,
            "compacted": False,
        },
        stage("give_back"),
        {
            "record": "give_back",
            "cycle": cycle,
            "stage": None,
            "refused_by": None,
            "reason": None,
            "errno": None,
            "kernel_log": None,
            "returned_bytes": granted_bytes,
            "pressure": None,
            "give_back_ns": 500,
            **(returned or {}),
        },
        stage("census"),
        census(cycle, "after", **seen["after"]),
        stage("reuse"),
        *([_reuse(cycle, granted_bytes)] if granted_bytes else []),
    ]


def _reuse(cycle: int, granted_bytes: int) -> dict[str, Any]:
    return {
        "record": "reuse",
        "cycle": cycle,
        "movable": {
            "allocator_bytes": granted_bytes * 3 // 4,
            "address_bytes": granted_bytes // 8,
            "untried_bytes": granted_bytes - granted_bytes * 3 // 4 - granted_bytes // 8,
        },
        "unmovable": {"allocator_bytes": 0, "address_bytes": 0, "untried_bytes": 0},
    }


def cell(**members: Any) -> dict[str, Any]:
    """Return a cell of the load idle that makes two requests of 256 MiB of a CMA area."""
    return {
        "kernel": "debian-6.12",
        "ram_bytes": RAM_BYTES,
        "cpus": 1,
        "cpu_model": "neoverse-n1",
        "lendable_bytes": GIB,
        "reserve_bytes": 32 * MIB,
        "load": "idle",
        "doses_permille": [100],
        "ladder": None,
        "requests": "twice",
        "requests_bytes": [256 * MIB, 256 * MIB],
        "question": "capacity",
        "load_works": False,
        "churn_steps": 0,
        "granule": "page",
        "seeds": 5,
        "layouts": 1,
        "replication": None,
        "guest_limit_s": 300,
        "runs_vm": False,
        "variant": {
            "strategy": "cma",
            "name": "area",
            "parameters": {},
            "boot_ram_bytes": RAM_BYTES,
            "kernel_args": "cma=1G",
            "qemu_args": [],
            "granules": ["page", "2M", "single"],
            "why_no_other": "it is made up",
        },
        **members,
    }


def trial(
    records: Sequence[Mapping[str, Any]], cause: str | None = None, **members: Any
) -> dict[str, Any]:
    """Return a trial whose guest booted, was loaded, and then wrote `records`."""
    boot: list[dict[str, Any]] = [
        {"record": "stage", "stage": "boot", "cycle": 0},
        {
            "record": "hello",
            "kernel_release": "6.12.107+deb13-arm64",
            "page_bytes": 4096,
            "module_version": "1",
        },
        {"record": "stage", "stage": "load", "cycle": 0},
        {
            "record": "load",
            "dose_achieved_percent": 10.0,
            "physical_bytes": 410 * MIB,
            "oom_kills": 0,
        },
    ]
    return {
        "records_version": RECORDS_VERSION,
        "trial_id": "aa",
        "digests": {"kernel": KERNEL_SHA256, "initrd": "5e" * 32, "qemu": "7.2.22 (Debian)"},
        "cell": cell(),
        "dose_permille": 100,
        "seed": 1,
        "layout": 0,
        "ending": {"cause": cause, "message": cause and f"it was a {cause}"},
        "records": [{"seq": seq, **record} for seq, record in enumerate([*boot, *records])],
        **members,
    }


def write_kernel(results: Path, name: str) -> None:
    """Write the description of the made-up trials' kernel, as the rule that takes a kernel does."""
    kernel = {
        "version": KERNEL_FACTS["kernel_version"],
        "pinned": KERNEL_FACTS["kernel_pinned"],
        "image_sha256": KERNEL_SHA256,
    }
    write_sealed(results / "kernels" / name / "kernel.json", kernel)


def run(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return what QEMU spent on a made-up trial."""
    cell = made["cell"]
    return {
        "process": "trial",
        "trial_id": made["trial_id"],
        "strategy": cell["variant"]["strategy"],
        "variant": cell["variant"]["name"],
        "scenario": f"{cell['load']}.{cell['requests']}.{cell['granule']}",
        "dose_target": made["dose_permille"] / 10,
        "seed": made["seed"],
        "guest_exit": made["ending"]["cause"] or "completed",
        "qemu_version": made["digests"]["qemu"],
        "wall_ns": 5_000_000_000,
        "ready_wall_ns": 200_000_000,
        "qemu_user_ns": 4_100_000_000,
        "qemu_system_ns": 400_000_000,
        "qemu_peak_rss_bytes": 900 * MIB,
    }
