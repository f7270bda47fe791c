# SPDX-License-Identifier: GPL-2.0-only
"""The tables of statistics: per cell, per variant, of what failed, of whole curves."""

import pandera.pandas as pa

from carveout.records.outcomes import OUTCOMES
from carveout.study.requests import QUESTIONS
from carveout.tables.accounts import MEMMAP_PAYERS
from carveout.tables.rules import LEND_PARTS, REUSE_COLUMNS
from carveout.tables.schema import (
    CELL,
    CELL_COLUMNS,
    COMPARABLE,
    CURVE,
    GRANULE,
    KERNEL_COLUMNS,
    Table,
    boolean,
    integer,
    number,
    rule,
    text,
)

QUANTILES = (5, 25, 50, 75, 95)


def _quantiles(prefix: str) -> dict[str, pa.Column]:
    return {f"{prefix}_p{q:02d}": number(null=True) for q in QUANTILES}


# A cell may have fewer trials than were asked for: its seeds may end early. Those that were not
# available were not run, and are no trials.
_COUNTS = {"trials": integer(), "trials_asked": integer(least=1)} | {
    outcome: integer() for outcome in OUTCOMES
}
_SUCCESSES = {"verify_failed": integer(), "successes": integer()}
_SUCCESS = {
    **_SUCCESSES,
    # Null where nothing was run. Of deterministic cells there is no interval.
    "success_rate": number(most=1, null=True),
    "success_low": number(most=1, null=True),
    "success_high": number(most=1, null=True),
    # On how many hosts of other histories they ran: where there are several, these are what counts.
    "hosts": integer(),
    # How many different results the trials have, to the bit, in all that was measured; whether
    # several trials have one and the same.
    "distinct_results": integer(),
    "deterministic": boolean(),
}
# Over loads and doses: where the fewest and the most of a cell's trials succeeded. Null where
# nothing was run.
_SUCCESS_RANGE = {
    **_SUCCESSES,
    "success_least_rate": number(most=1, null=True),
    "success_least_load": text(null=True),
    "success_least_dose": number(most=100, null=True),
    "success_most_rate": number(most=1, null=True),
}
_SHARES = {
    # Medians over the trials that were granted anything at all.
    "extents_p50": number(null=True),
    "memmap_per_lent_gib_bytes": number(null=True),
    "regained_share": number(least=None, null=True),
    "kept_back_share": number(least=None, null=True),
    # What the machine's owner regained, of what was lent.
    "owner_discarded_share": number(null=True),
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
# Medians over lends that got anything, while they had it: who pays for the memmap of all RAM, and
# what maps it.
_LENT = {
    "memmap_bytes": number(null=True),
    **{f"memmap_{payer}_bytes": number(null=True) for payer in MEMMAP_PAYERS},
    "linear_map_table_bytes": number(null=True),
}
_IDLE = {
    # Medians of the census before the lend; in `variants`, before the trials' first lend.
    "memmap_idle_bytes": number(null=True),
    **{f"memmap_idle_{payer}_bytes": number(null=True) for payer in MEMMAP_PAYERS},
    "linear_map_table_idle_bytes": number(null=True),
    "stranded_bytes": number(null=True),
    "movable_only_bytes": number(null=True),
    "cma_area_bytes": number(null=True),
    "movable_zone_bytes": number(null=True),
    "cma_used_bytes": number(null=True),
    "blocked_pageblocks": number(null=True),
    "free_scattered_bytes": number(null=True),
}
# How the leaves of stage 2 map what is lent; as what memory.
VM_SHARES = tuple(
    f"vm_{name}_share" for name in ("page", "block", "gigantic", "device", "uncached")
)
_VMS = {
    # Lends for which a VM was asked; of these, those in which VMs ran, and whose host survived that
    # they were killed. What became of the others, and in which way the kernel took the memory: the
    # most frequent.
    "vm_asked": integer(),
    "vm_ran": integer(),
    "vm_survived": integer(),
    "vm_not_ran": text(null=True),
    "vm_way": text(null=True),
    # Medians over lends in which VMs ran.
    "vm_first_instruction_ns_p50": number(null=True),
    "vm_run_ns_per_gib_p50": number(null=True),
    "vm_stage2_faults_per_gib": number(null=True),
    "vm_stage2_table_per_gib_bytes": number(null=True),
    **{name: number(most=1, null=True) for name in VM_SHARES},
}
# Medians over all lends that got anything: what a GiB of it took.
_PER_GIB = {
    f"{name}_per_gib_p50": number(null=True)
    for name in (
        "lend_ns",
        *(f"lend_{part}_ns" for part in LEND_PARTS),
        "content_ns",
        "zero_ns",
        "give_back_ns",
    )
}
_SUCCESS_RULE = rule(
    "outcomes of what was run add up to trials",
    lambda t: t[list(OUTCOMES)].sum(axis=1) == t["trials"] + t["not_available"],
)

SUMMARY = Table(
    columns={
        **CELL_COLUMNS,
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
        # Of the mean, over seeds or hosts; null where these are too few, or all have the same.
        "granted_low_bytes": number(null=True),
        "granted_high_bytes": number(null=True),
        **_IDLE,
        **_LENT,
        **_SHARES,
        **_quantiles("lend_ns"),
        # Of median and 99th percentile; null where the trials are too few for one, or all have the
        # same. Of hosts that have several trials it is that of their medians.
        "lend_ns_p50_low": number(null=True),
        "lend_ns_p50_high": number(null=True),
        "lend_ns_p99": number(null=True),
        "lend_ns_p99_low": number(null=True),
        "lend_ns_p99_high": number(null=True),
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
        "why_not_available": text(null=True),
    },
    key=CELL,
    order=CELL,
    rules=(_SUCCESS_RULE,),
    csv=True,
)

VARIANTS = Table(
    columns={
        **KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **GRANULE,
        "strategy": text(),
        "variant": text(),
        "request_bytes": integer(least=1),
        **_COUNTS,
        **_SUCCESS_RANGE,
        **_IDLE,
        **_LENT,
        **_SHARES,
        "lend_ns_p50": number(null=True),
        **_PARTS,
        **_PER_GIB,
        "give_back_ns_p50": number(null=True),
        "short": integer(),
        "explained": integer(),
        "load_progress_share": number(null=True),
        **_VMS,
        # Of the first trial for which nothing was run, if there is one.
        "why_not_available": text(null=True),
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
        **KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **GRANULE,
        "strategy": text(),
        "variant": text(),
        "outcome": text(values=(*OUTCOMES, "verify failed")),
        "cause": text(null=True),
        "stage": text(null=True),
        "refused_by": text(null=True),
        "reason": text(null=True),
        "errno": text(null=True),
        "blocker_type": text(null=True),
        # The most frequent of those that are known: who allocated the blocking page, what the
        # kernel logged, and how many memory blocks it refused with which errno.
        "blocker_owner": text(null=True),
        "kernel_log": text(null=True),
        "refusals": text(null=True),
        "loads": text(),
        "count": integer(least=1),
    },
    key=_FAILURE,
    order=_FAILURE,
    csv=True,
)

FALLS = ("lends_less", "load_refused")

CURVES = Table(
    columns={
        **{name: column for name, column in CELL_COLUMNS.items() if name in CURVE},
        # What the curve is made of: doses that the load came to, or at which it was refused.
        "trials": integer(least=1),
        "doses": integer(least=1),
        # Seeds that ran every dose, and hosts of other histories on which they did.
        "seeds": integer(),
        "hosts": integer(),
        "ladder": text(null=True),
        "least_dose": number(most=100),
        "most_dose": number(most=100),
        # The largest mean of what was granted, and the highest dose that still has half of it.
        "granted_most_bytes": number(),
        "half_until_dose": number(most=100, null=True),
        # The next dose, which has less, and why: less is lent, or hosts do not carry the load; and
        # where the line between the two has half, which of a refusal is the dose before it, for
        # between two doses nothing is known. Null where every dose has half, and where nothing was
        # ever granted.
        "less_from_dose": number(most=100, null=True),
        "fall": text(values=FALLS, null=True),
        "turning_point": number(most=100, null=True),
        # Over each such seed's own curve, of several hosts over each host's: the least, the most,
        # and the interval of the median. Null where it lies above every dose, or the curves are too
        # few for an interval.
        "turning_point_least": number(most=100, null=True),
        "turning_point_most": number(most=100, null=True),
        "turning_point_low": number(most=100, null=True),
        "turning_point_high": number(most=100, null=True),
        # What the host carries while nothing is lent, beside what is set aside: the highest dose
        # up to which every load came to its dose, and the next, at which one was refused or did
        # not; null where none is.
        "carries_until_dose": number(most=100, null=True),
        "refused_from_dose": number(most=100, null=True),
    },
    key=CURVE,
    order=CURVE,
    csv=True,
)
