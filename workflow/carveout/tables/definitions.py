# SPDX-License-Identifier: GPL-2.0-only
"""The tables: one schema each, checked when a table is written and when it is read."""

from collections.abc import Mapping

import pandera.pandas as pa

from carveout.records.outcomes import CAUSES, OUTCOMES, PHASES, VERDICTS
from carveout.study.granules import GRANULES
from carveout.study.requests import QUESTIONS
from carveout.tables import rules
from carveout.tables.accounts import ACCOUNTS, column
from carveout.tables.rules import LEND_PARTS, REUSE_COLUMNS
from carveout.tables.schema import Table, boolean, integer, letters, measured, number, rule, text

PAGEBLOCK_LETTERS = "FMURCXLPDA"
ZONES = ("dma", "dma32", "normal", "movable")
# Of blocks of the page allocator; a kernel with 64 KiB pages has the most.
ORDERS = range(14)

# Goes up when a column comes, goes or means something else: CHANGELOG.md says what changed.
TABLES_VERSION = "6"

_KERNEL_COLUMNS = {
    # As the config names it.
    "kernel": text(),
    # The version that ran, and the one that was pinned: the archive drops a version when a newer
    # one lands, which then takes its place.
    "kernel_version": text(),
    "kernel_pinned": text(),
}
# What trials must have in common to be compared: the machine, and in pieces of which size is lent.
COMPARABLE = (*_KERNEL_COLUMNS, "ram_bytes", "granule")

_GRANULE = {"granule": text(values=tuple(GRANULES))}
_CELL_COLUMNS = {
    **_KERNEL_COLUMNS,
    "ram_bytes": integer(),
    **_GRANULE,
    "strategy": text(),
    "variant": text(),
    "load": text(),
    "dose_target": number(most=100),
    "requests": text(),
    "cycle": integer(least=1),
    "request_bytes": integer(least=1),
}
CELL = tuple(_CELL_COLUMNS)
REFUSED_BY = ("kernel", "driver", "carveout", "shell")
_ORDER = ("kernel", "ram_bytes", "strategy", "variant", "scenario", "dose_target", "seed")

TRIALS = Table(
    columns={
        "trial_id": text(),
        **_KERNEL_COLUMNS,
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
        **_GRANULE,
        # How many seeds the config gives the cell's dose, which may end earlier.
        "trials_asked": integer(least=1),
        # The rule that may end it, as the config has it; null where every seed is run.
        "replication": text(null=True),
        # The rule that may add doses; null where the config lists them.
        "ladder": text(null=True),
        "seed": integer(),
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
        # Whether a lend that ended short says why: the page in its way, or that the host needs the
        # rest. Null where none did.
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
    },
    key=("trial_id", "cycle"),
    order=(*_ORDER, "cycle", "trial_id"),
    rules=rules.OF_TRIALS,
)

PHASES_TABLE = Table(
    columns={
        "trial_id": text(),
        **_KERNEL_COLUMNS,
        "ram_bytes": integer(least=1),
        **_GRANULE,
        "strategy": text(),
        "variant": text(),
        "scenario": text(),
        "dose_target": number(most=100),
        "seed": integer(),
        "cycle": integer(least=1),
        "phase": text(values=PHASES),
        "request_bytes": integer(least=1),
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
        "pageblock_bytes": integer(least=1),
        "pageblocks": letters(PAGEBLOCK_LETTERS),
    },
    key=("trial_id", "cycle", "phase"),
    order=(*_ORDER, "cycle", "phase", "trial_id"),
    rules=rules.OF_PHASES,
    # Small groups: the pageblock map finds its three rows without reading all maps.
    rows_per_group=4096,
)

RUNS = Table(
    columns={
        "process": text(values=("boot", "trial")),
        "trial_id": text(),
        **_KERNEL_COLUMNS,
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
    key=("trial_id",),
    order=(*_ORDER, "trial_id"),
)

QUANTILES = (5, 25, 50, 75, 95)


def _quantiles(prefix: str) -> dict[str, pa.Column]:
    return {f"{prefix}_p{q:02d}": number(null=True) for q in QUANTILES}


# A cell may have fewer trials than were asked for: its seeds may end early.
_COUNTS = {"trials": integer(least=1), "trials_asked": integer(least=1)} | {
    outcome: integer() for outcome in OUTCOMES
}
_SUCCESS = {
    "verify_failed": integer(),
    "successes": integer(),
    "success_rate": number(most=1),
    "success_low": number(most=1),
    "success_high": number(most=1),
}
_SHARES = {
    # Medians over the trials that were granted anything at all.
    "extents_p50": number(null=True),
    "memmap_per_lent_gib_bytes": number(null=True),
    "regained_share": number(least=None, null=True),
    "kept_back_share": number(least=None, null=True),
    **{f"{name.removesuffix('_bytes')}_share": number(null=True) for name in REUSE_COLUMNS},
}
# Medians over successful lends: the parts of a lend's time, and what went into clearing.
_PARTS = {
    name: number(null=True)
    for name in (
        *(f"lend_{part}_ns_p50" for part in LEND_PARTS),
        *("content_ns_p50", "zero_ns_p50"),
    )
}
_IDLE = {
    # Medians of the census before the lend; in `comparison`, before the trials' first lend.
    "memmap_idle_bytes": number(null=True),
    "stranded_bytes": number(null=True),
    "movable_only_bytes": number(null=True),
    "cma_area_bytes": number(null=True),
    "movable_zone_bytes": number(null=True),
    "cma_used_bytes": number(null=True),
    "blocked_pageblocks": number(null=True),
    "free_scattered_bytes": number(null=True),
}
# Medians over all lends that got anything: what a GiB of it took.
_PER_GIB = {
    f"{name}_per_gib_p50": number(null=True)
    for name in ("lend_ns", *(f"lend_{part}_ns" for part in LEND_PARTS), "content_ns", "zero_ns")
}
_SUCCESS_RULE = rule(
    "outcomes add up to trials",
    lambda t: t[list(OUTCOMES)].sum(axis=1) == t["trials"],
)

SUMMARY = Table(
    columns={
        **_CELL_COLUMNS,
        **_COUNTS,
        "replication": text(null=True),
        "ladder": text(null=True),
        **_SUCCESS,
        "dose_achieved": number(null=True),
        "physical_bytes": number(least=None, null=True),
        # Of all trials, whatever became of them.
        "granted_mean_bytes": number(),
        "granted_least_bytes": integer(),
        "granted_most_bytes": integer(),
        **_IDLE,
        "memmap_bytes": number(null=True),
        **_SHARES,
        **_quantiles("lend_ns"),
        **_PARTS,
        **_PER_GIB,
        **_quantiles("give_back_ns"),
        "refusal_ns_p50": number(null=True),
        "pages_migrated_p50": number(null=True),
        "pages_reclaimed_p50": number(null=True),
        # Lends that ended short, and of them those that say why.
        "short": integer(),
        "explained": integer(),
        # What a load that goes on did beside the lend, of what it did alone in as much time.
        "load_progress_share": number(null=True),
        "question": text(values=QUESTIONS),
    },
    key=CELL,
    order=CELL,
    rules=(_SUCCESS_RULE,),
    csv=True,
)

COMPARISON = Table(
    columns={
        **_KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **_GRANULE,
        "strategy": text(),
        "variant": text(),
        "request_bytes": integer(least=1),
        **_COUNTS,
        **_SUCCESS,
        **_IDLE,
        "memmap_bytes": number(null=True),
        **_SHARES,
        "lend_ns_p50": number(null=True),
        **_PARTS,
        **_PER_GIB,
        "give_back_ns_p50": number(null=True),
        "short": integer(),
        "explained": integer(),
        "load_progress_share": number(null=True),
    },
    key=(*COMPARABLE, "strategy", "variant", "request_bytes"),
    order=(*COMPARABLE, "strategy", "variant", "request_bytes"),
    rules=(_SUCCESS_RULE,),
    csv=True,
)

_FAILURE = (
    *(*COMPARABLE, "strategy", "variant"),
    *("outcome", "cause", "stage"),
    *("refused_by", "reason", "errno", "blocker_type"),
)

FAILURES = Table(
    columns={
        **_KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **_GRANULE,
        "strategy": text(),
        "variant": text(),
        "outcome": text(values=(*OUTCOMES, "verify failed")),
        "cause": text(null=True),
        "stage": text(null=True),
        "refused_by": text(null=True),
        "reason": text(null=True),
        "errno": text(null=True),
        "blocker_type": text(null=True),
        # The most frequent of those that are known: who allocated the blocking page, and what the
        # kernel logged.
        "blocker_owner": text(null=True),
        "kernel_log": text(null=True),
        "loads": text(),
        "count": integer(least=1),
    },
    key=_FAILURE,
    order=_FAILURE,
    csv=True,
)

# One curve: what a variant lends at growing doses of a load.
CURVE = tuple(name for name in CELL if name != "dose_target")

TURNING_POINTS = Table(
    columns={
        **{name: column for name, column in _CELL_COLUMNS.items() if name in CURVE},
        # What the curve is made of.
        "trials": integer(least=1),
        "doses": integer(least=1),
        "ladder": text(null=True),
        "least_dose": number(most=100),
        "most_dose": number(most=100),
        # The largest mean of what was granted, and the highest dose that still has half of it.
        "granted_most_bytes": number(),
        "half_until_dose": number(most=100, null=True),
        # The next dose, which has less; and where the line between the two has half. Null where
        # every dose has half, and where nothing was ever granted.
        "less_from_dose": number(most=100, null=True),
        "turning_point": number(most=100, null=True),
        # What the host carries while nothing is lent, beside what is set aside: the highest dose
        # up to which no load was refused, and the next, at which one was; null where none is.
        "carries_until_dose": number(most=100, null=True),
        "refused_from_dose": number(most=100, null=True),
    },
    key=CURVE,
    order=CURVE,
    csv=True,
)

TABLES: Mapping[str, Table] = {
    "trials": TRIALS,
    "phases": PHASES_TABLE,
    "runs": RUNS,
    "summary": SUMMARY,
    "comparison": COMPARISON,
    "failures": FAILURES,
    "turning_points": TURNING_POINTS,
}
