# SPDX-License-Identifier: GPL-2.0-only
"""The tables: one schema each, checked when a table is written and when it is read."""

from collections.abc import Mapping

import pandera.pandas as pa

from carveout.records.outcomes import CAUSES, OUTCOMES, PHASES, VERDICTS
from carveout.tables.schema import Table, integer, letters, measured, number, rule, text

PAGEBLOCK_LETTERS = "FMURCXLA"
ZONES = ("dma", "dma32", "normal", "movable")

# Goes up when a column comes, goes or means something else: CHANGELOG.md says what changed.
TABLES_VERSION = "2"

_KERNEL_COLUMNS = {
    # As the config names it.
    "kernel": text(),
    # The version that ran, and the one that was pinned: the archive drops a version when a newer
    # one lands, which then takes its place.
    "kernel_version": text(),
    "kernel_pinned": text(),
}
# What trials must have in common to be compared.
MACHINE = (*_KERNEL_COLUMNS, "ram_bytes")

_CELL_COLUMNS = {
    **_KERNEL_COLUMNS,
    "ram_bytes": integer(),
    "strategy": text(),
    "variant": text(),
    "load": text(),
    "dose_target": integer(most=100),
    "requests": text(),
    "cycle": integer(least=1),
    "request_bytes": integer(least=1),
}
CELL = tuple(_CELL_COLUMNS)
_ORDER = ("kernel", "ram_bytes", "strategy", "variant", "scenario", "seed")

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
        "dose_target": integer(most=100),
        "dose_achieved": number(null=True),
        "requests": text(),
        # How many seeds the config gives the cell, which may end earlier.
        "trials_asked": integer(least=1),
        # The rule that may end it, as the config has it; null where every seed is run.
        "replication": text(null=True),
        "seed": integer(),
        "cycle": integer(least=1),
        "request_bytes": integer(least=1),
        "align_bytes": integer(least=1),
        "outcome": text(values=OUTCOMES),
        "stage": text(null=True),
        "cause": text(values=CAUSES, null=True),
        # What ended a trial that crashed, in one line for a person.
        "message": text(null=True),
        "errno": text(null=True),
        "granted_bytes": integer(),
        "extents": integer(),
        "largest_extent_bytes": integer(),
        "lend_ns": measured(),
        "give_back_ns": measured(),
        # memmap of the whole host: census "before" (idle) and census "lent".
        "memmap_idle_bytes": measured(),
        "memmap_bytes": measured(),
        # memmap of the lent frames alone: census "lent".
        "memmap_lent_bytes": measured(),
        # What is set aside while nothing is lent: census "before".
        "stranded_bytes": measured(),
        "movable_only_bytes": measured(),
        "verify": text(values=VERDICTS),
        "verify_pages_checked": measured(),
        "verify_pages_bad": measured(),
        "returned_bytes": measured(),
        "give_back_errno": text(null=True),
        # MemAvailable: census "after" less census "lent". The load lives on, so it may be negative.
        "regained_bytes": integer(least=None, null=True),
        "reuse_movable_bytes": measured(),
        "reuse_unmovable_bytes": measured(),
        "pages_migrated": measured(),
        "pages_reclaimed": measured(),
        "oom_kills": measured(),
        "blocker": text(null=True),
    },
    key=("trial_id", "cycle"),
    order=(*_ORDER, "cycle", "trial_id"),
    rules=(
        rule(
            "a granted row has granted_bytes >= request_bytes",
            lambda t: (t["outcome"] != "granted") | (t["granted_bytes"] >= t["request_bytes"]),
        ),
        rule(
            "a partial row has 0 < granted_bytes < request_bytes",
            lambda t: (
                (t["outcome"] != "partial")
                | ((t["granted_bytes"] > 0) & (t["granted_bytes"] < t["request_bytes"]))
            ),
        ),
        rule(
            "a refused row has granted_bytes = 0",
            lambda t: (t["outcome"] != "refused") | (t["granted_bytes"] == 0),
        ),
        rule(
            "a crashed row has a cause",
            lambda t: (t["outcome"] != "crashed") | t["cause"].notna(),
        ),
    ),
)

PHASES_TABLE = Table(
    columns={
        "trial_id": text(),
        **_KERNEL_COLUMNS,
        "ram_bytes": integer(least=1),
        "strategy": text(),
        "variant": text(),
        "scenario": text(),
        "seed": integer(),
        "cycle": integer(least=1),
        "phase": text(values=PHASES),
        "memmap_bytes": integer(),
        "memmap_lent_bytes": integer(),
        "memmap_counter_bytes": measured(),
        "page_table_bytes": integer(),
        "mem_total_bytes": integer(),
        "mem_free_bytes": integer(),
        "mem_available_bytes": integer(),
        "present_bytes": integer(),
        "lent_absent_bytes": integer(),
        "stranded_bytes": integer(),
        "movable_only_bytes": integer(),
        **{
            f"{zone}_{what}_pages": measured()
            for zone in ZONES
            for what in ("managed", "present", "spanned")
        },
        "first_pfn": integer(),
        "pageblock_bytes": integer(least=1),
        "pageblocks": letters(PAGEBLOCK_LETTERS),
    },
    key=("trial_id", "cycle", "phase"),
    order=(*_ORDER, "cycle", "phase", "trial_id"),
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
    "reuse_movable_share": number(null=True),
    "reuse_unmovable_share": number(null=True),
}
_IDLE = {
    # Medians of the census before the lend; in `comparison`, before the trials' first lend.
    "memmap_idle_bytes": number(null=True),
    "stranded_bytes": number(null=True),
    "movable_only_bytes": number(null=True),
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
        **_SUCCESS,
        "dose_achieved": number(null=True),
        **_IDLE,
        "memmap_bytes": number(null=True),
        **_SHARES,
        **_quantiles("lend_ns"),
        **_quantiles("give_back_ns"),
        "refusal_ns_p50": number(null=True),
        "pages_migrated_p50": number(null=True),
        "pages_reclaimed_p50": number(null=True),
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
        "strategy": text(),
        "variant": text(),
        "request_bytes": integer(least=1),
        **_COUNTS,
        **_SUCCESS,
        **_IDLE,
        "memmap_bytes": number(null=True),
        **_SHARES,
        "lend_ns_p50": number(null=True),
        "give_back_ns_p50": number(null=True),
    },
    key=(*MACHINE, "strategy", "variant", "request_bytes"),
    order=(*MACHINE, "strategy", "variant", "request_bytes"),
    rules=(_SUCCESS_RULE,),
    csv=True,
)

_FAILURE = (
    *(*MACHINE, "strategy", "variant"),
    *("outcome", "cause", "stage", "errno", "blocker_type"),
)

FAILURES = Table(
    columns={
        **_KERNEL_COLUMNS,
        "ram_bytes": integer(),
        "strategy": text(),
        "variant": text(),
        "outcome": text(values=(*OUTCOMES, "verify failed")),
        "cause": text(null=True),
        "stage": text(null=True),
        "errno": text(null=True),
        "blocker_type": text(null=True),
        "loads": text(),
        "count": integer(least=1),
    },
    key=_FAILURE,
    order=_FAILURE,
    csv=True,
)

TABLES: Mapping[str, Table] = {
    "trials": TRIALS,
    "phases": PHASES_TABLE,
    "runs": RUNS,
    "summary": SUMMARY,
    "comparison": COMPARISON,
    "failures": FAILURES,
}
