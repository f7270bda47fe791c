# SPDX-License-Identifier: GPL-2.0-only
"""The tables: one schema each, checked when a table is written and when it is read."""

from collections.abc import Mapping

from carveout.records.outcomes import CAUSES, OUTCOMES, PHASES, VERDICTS
from carveout.study.requests import QUESTIONS
from carveout.tables import rules
from carveout.tables.accounts import ACCOUNTS, MEMMAP_PAYERS, column
from carveout.tables.claims_tables import CLAIMS, NEEDS
from carveout.tables.comparison_tables import BLOCKERS, CHANGES, COMPARISONS, KERNELS
from carveout.tables.rules import LEND_PARTS, REUSE_COLUMNS
from carveout.tables.schema import (
    GRANULE,
    KERNEL_COLUMNS,
    Table,
    boolean,
    integer,
    letters,
    measured,
    number,
    text,
)
from carveout.tables.statistics_tables import CURVES, FAILURES, SUMMARY, VARIANTS

PAGEBLOCK_LETTERS = "FMURCXLPDA"
ZONES = ("dma", "dma32", "normal", "movable")
# Of blocks of the page allocator; a kernel with 64 KiB pages has the most.
ORDERS = range(14)

# Goes up when a column comes, goes or means something else: CHANGELOG.md says what changed.
TABLES_VERSION = "12"

REFUSED_BY = ("kernel", "driver", "carveout", "shell")
NOT_ASKED = "not_asked"
VM_OUTCOMES = (NOT_ASKED, "ran", "refused", "no_kvm", "no_hold", "nothing_lent", "host_died")
VM_WAYS = ("cacheable", "cacheable_code_beside", "uncached", "uncached_code_beside")
_ORDER = ("kernel", "ram_bytes", "strategy", "variant", "scenario", "dose_target", "seed")

TRIALS = Table(
    columns={
        "trial_id": text(),
        **KERNEL_COLUMNS,
        "kernel_release": text(null=True),
        "page_bytes": integer(least=1, null=True),
        "ram_bytes": integer(least=1),
        "lendable_bytes": integer(),
        "cpus": integer(least=1),
        "strategy": text(),
        "variant": text(),
        "scenario": text(),
        "load": text(),
        # In percent of what the load says its dose is of.
        "dose_target": number(most=100),
        "dose_achieved": number(null=True),
        # Free memory that the load took.
        "physical_bytes": integer(least=None, null=True),
        "requests": text(),
        # What they are to answer.
        "question": text(values=QUESTIONS),
        # In pieces of which size the VM needs what is lent.
        **GRANULE,
        # How many seeds the config gives the cell's dose, which may end earlier.
        "trials_asked": integer(least=1),
        # The rule that may end it, as the config has it; null where every seed is run.
        "replication": text(null=True),
        # The rule that may add doses; null where the config lists them.
        "ladder": text(null=True),
        "seed": integer(),
        # Which of the cell's hosts the trial ran on, each with another history; 0 is one without.
        "layout": integer(),
        "cycle": integer(least=1),
        "request_bytes": integer(least=1),
        # What a careful monitor leaves the host, and what it asked of the strategy therefore.
        "reserve_bytes": integer(),
        "asked_bytes": measured(),
        "outcome": text(values=OUTCOMES),
        "stage": text(null=True),
        "cause": text(values=CAUSES, null=True),
        # What ended a trial that crashed, or why there is none, in one line for a person.
        "message": text(null=True),
        # Whose word a refusal is. The errno is the kernel's own, null where it gave none.
        "refused_by": text(values=REFUSED_BY, null=True),
        "reason": text(null=True),
        "errno": text(null=True),
        # What the kernel logged last during the lend, at warning or worse.
        "kernel_log": text(null=True),
        # Candidates that were asked of alloc_contig_range(), where there is such a search.
        "attempts": measured(),
        # What was taken, and of it what lies in whole aligned granules: all that a VM can use. What
        # was granted is the capacity where the lend is exhausted: another attempt added nothing.
        "lent_bytes": integer(),
        "granted_bytes": integer(),
        "exhausted": boolean(null=True),
        "extents": integer(),
        "largest_extent_bytes": integer(),
        # The sum of its parts. What went into clearing is none of them.
        "lend_ns": measured(),
        **{f"lend_{part}_ns": measured() for part in LEND_PARTS},
        # Clearing and cache cleaning that the kernel did by itself during the lend.
        "content_ns": measured(),
        # One pass that clears every lent page, the same work for all; null where it had no page.
        "zero_ns": measured(),
        "zero_pages": measured(),
        "give_back_ns": measured(),
        # memmap of the whole host: census "before" (idle) and census "lent".
        "memmap_idle_bytes": measured(),
        "memmap_bytes": measured(),
        # memmap of the lent frames alone: census "lent".
        "memmap_lent_bytes": measured(),
        # Who pays for the memmap: the host, the memory that it describes, or nobody, since it has
        # none or was freed.
        **{
            f"memmap_{time}{payer}_bytes": measured()
            for time in ("idle_", "")
            for payer in MEMMAP_PAYERS
        },
        # Page tables that map the RAM for the kernel, of both censuses.
        "linear_map_table_idle_bytes": measured(),
        "linear_map_table_bytes": measured(),
        # What is set aside while nothing is lent: census "before". Movable only is the sum of CMA
        # areas and ZONE_MOVABLE; `cma_used_bytes` is what is in use of the former.
        "stranded_bytes": measured(),
        "movable_only_bytes": measured(),
        "cma_area_bytes": measured(),
        "movable_zone_bytes": measured(),
        "cma_used_bytes": measured(),
        # How fragmented the host is: census "before". Pageblocks with a frame that cannot move, and
        # free memory in blocks smaller than a pageblock.
        "blocked_pageblocks": measured(),
        "free_scattered_bytes": measured(),
        # Transparent huge pages that are mapped as a whole, of each census.
        "huge_pages_before": measured(),
        "huge_pages_lent": measured(),
        "huge_pages_after": measured(),
        "verify": text(values=VERDICTS),
        "verify_pages_checked": measured(),
        "verify_pages_bad": measured(),
        # What the host wrote over between the writing and the reading of the pattern.
        "scribbled_bytes": measured(),
        # What its holder let go of. Whether Linux has it is regained_bytes: huge pages that the
        # pool keeps (pages_kept) are in this one alone.
        "returned_bytes": measured(),
        "give_back_refused_by": text(values=REFUSED_BY, null=True),
        "give_back_reason": text(null=True),
        "give_back_errno": text(null=True),
        # What serves Linux: census "after" less census "lent", and census "before" less census
        # "after". The load lives on, so either may be negative.
        "regained_bytes": integer(least=None, null=True),
        "kept_back_bytes": integer(least=None, null=True),
        # What the page allocator handed out, what only a search by address got, what nobody tried;
        # null where nothing was granted.
        **{name: measured() for name in REUSE_COLUMNS},
        "pages_migrated": measured(),
        # Huge pages among them: migrated whole, which costs less than as many pages one by one, and
        # split first, which costs more.
        "huge_pages_migrated": measured(),
        "huge_pages_split": measured(),
        "pages_reclaimed": measured(),
        "pages_written": measured(),
        "oom_kills": measured(),
        "blocker": text(null=True),
        # Whether a lend that ended short says why: the page or pageblock in its way, a veto, or one
        # of the reasons that collection/in_the_way.py names. Null where none did.
        "explained": boolean(null=True),
        # Of a load that goes on: what it did in how much guest time just before, alone, and beside
        # the lend.
        "load_alone_steps": measured(),
        "load_alone_ns": measured(),
        "load_steps": measured(),
        "load_ns": measured(),
        # Of a host that had no free memory when it came back: what was taken to make it so, what
        # was available then, and whether the kernel had to kill who held it.
        "pressure_filled_bytes": measured(),
        "pressure_left_bytes": measured(),
        "pressure_killed": boolean(null=True),
        # Of what is lent, what Linux may take back at any moment, without asking.
        "revocable_bytes": measured(),
        # What whoever owns the machine regained between asking for the lend and its end, as QEMU
        # says; null where that is not how it lends. How it lies in the RAM.
        **{name: measured() for name in rules.OWNER_COLUMNS},
        # How many memory blocks the kernel refused with which errno: an object of JSON, or null.
        "refusals": text(null=True),
        # Of VMs that ran in what was lent, where the config asks for them: why none did, on how
        # many, how the kernel took the memory, and each way that it did not take.
        "vm_outcome": text(values=VM_OUTCOMES, null=True),
        "vm_count": measured(),
        "vm_way": text(values=VM_WAYS, null=True),
        "vm_refusals": text(null=True),
        # From opening /dev/kvm until the first instruction had taken effect, of several VMs the
        # slowest one's; and in KVM_RUN in all, of all VMs.
        "vm_first_instruction_ns": measured(),
        "vm_run_ns": measured(),
        "vm_stage2_faults": measured(),
        # By the leaves of stage 2 that map it: pages, blocks of one page of table (2, 32 or
        # 512 MiB), blocks of 1 GiB.
        "vm_page_bytes": measured(),
        "vm_block_bytes": measured(),
        "vm_gigantic_bytes": measured(),
        # Of these, mapped as a device's, and as memory that is not cached.
        "vm_device_bytes": measured(),
        "vm_uncached_bytes": measured(),
        "vm_stage2_table_bytes": measured(),
        # By the VM's word; bad are also those in which its monitor sees something else.
        "vm_pages_checked": measured(),
        "vm_pages_bad": measured(),
        # Whether nothing was left of VMs that were killed while they ran, and nothing went wrong.
        "vm_survived": boolean(null=True),
    },
    # Of two kernels that are the same to the bit, as one with a comment more, trials are the same.
    key=("kernel", "trial_id", "cycle"),
    order=(*_ORDER, "cycle", "trial_id"),
    rules=rules.OF_TRIALS,
)

PHASES_TABLE = Table(
    columns={
        "trial_id": text(),
        **KERNEL_COLUMNS,
        "ram_bytes": integer(least=1),
        **GRANULE,
        "strategy": text(),
        "variant": text(),
        "scenario": text(),
        "dose_target": number(most=100),
        "seed": integer(),
        "cycle": integer(least=1),
        "phase": text(values=PHASES),
        # Null of a host that was only counted.
        "request_bytes": integer(least=1, null=True),
        # More than once where a driver moved memory under it.
        "census_tries": integer(least=1),
        # The books: they sum to ram_bytes. carveout.tables.accounts says what each holds.
        **{column(account): integer() for account in ACCOUNTS},
        "stranded_bytes": integer(),
        "movable_only_bytes": integer(),
        "serving_bytes": integer(),
        "memmap_bytes": integer(),
        "memmap_lent_bytes": integer(),
        "memmap_counter_bytes": measured(),
        "struct_page_bytes": integer(least=1),
        "linear_map_table_bytes": integer(),
        "page_table_bytes": integer(),
        "anonymous_huge_pages": integer(),
        "mem_total_bytes": integer(),
        "mem_free_bytes": integer(),
        "mem_available_bytes": integer(),
        **{
            f"{zone}_{what}_pages": measured()
            for zone in ZONES
            for what in ("managed", "present", "spanned")
        },
        # Free blocks of the page allocator by their order, null of orders that it does not have.
        **{f"free_order_{order}_blocks": measured() for order in ORDERS},
        "free_scattered_bytes": integer(),
        "blocked_pageblocks": integer(),
        "first_pfn": integer(),
        "page_bytes": integer(least=1),
        "pageblock_bytes": integer(least=1),
        "pageblocks": letters(PAGEBLOCK_LETTERS),
    },
    key=("kernel", "trial_id", "cycle", "phase"),
    order=(*_ORDER, "cycle", "phase", "trial_id"),
    rules=rules.OF_PHASES,
    # Small groups: the pageblock map finds its three rows without reading all maps.
    rows_per_group=4096,
)

RUNS = Table(
    columns={
        "process": text(values=("boot", "trial")),
        "trial_id": text(),
        **KERNEL_COLUMNS,
        "ram_bytes": integer(least=1),
        "strategy": text(),
        "variant": text(),
        "scenario": text(),
        # Neither is known of a boot, which serves all doses.
        "dose_target": number(most=100, null=True),
        "seed": integer(null=True),
        "wall_ns": integer(),
        "ready_wall_ns": integer(null=True),
        "qemu_user_ns": measured(),
        "qemu_system_ns": measured(),
        "qemu_peak_rss_bytes": measured(),
        "qemu_version": text(null=True),
        "guest_exit": text(null=True),
    },
    key=("kernel", "trial_id"),
    order=(*_ORDER, "trial_id"),
)

TABLES: Mapping[str, Table] = {
    "trials": TRIALS,
    "phases": PHASES_TABLE,
    "runs": RUNS,
    "summary": SUMMARY,
    "variants": VARIANTS,
    "failures": FAILURES,
    "curves": CURVES,
    "changes": CHANGES,
    "comparisons": COMPARISONS,
    "blockers": BLOCKERS,
    "kernels": KERNELS,
    "claims": CLAIMS,
    "needs": NEEDS,
}
