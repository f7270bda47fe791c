# SPDX-License-Identifier: GPL-2.0-only
"""The tables that hold one thing against another: strategies, kernels, and what is in the way."""

from carveout.tables.schema import (
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

# What is compared from kernel to kernel, and from run to run. Success is a share of 1; costs are of
# one lend, or of a GiB of it.
QUANTITIES = (
    *("success", "granted_bytes", "lend_ns_per_gib", "give_back_ns_per_gib"),
    *("memmap_bytes_per_gib", "pages_migrated", "regained_bytes"),
)
# What the columns of the kernel that others are compared with begin with.
BEFORE = "before_"
# What is said of a change. `worse`, `better` and `changed` (to no better or worse side) are clear;
# `small` is less than what matters, and `equal` is so to the bit in every pair.
CHANGE_VERDICTS = ("worse", "better", "changed", "cannot_tell", "small", "equal", "no_pairs")
_CHANGE = (*(f"{BEFORE}{name}" for name in KERNEL_COLUMNS), *CURVE, "quantity")

CHANGES = Table(
    columns={
        **{f"{BEFORE}{name}": text() for name in KERNEL_COLUMNS},
        # `kernel` is that after the change.
        **{name: column for name, column in CELL_COLUMNS.items() if name in CURVE},
        "quantity": text(values=QUANTITIES),
        # Trials of the curve that the other side did not run, at other doses or seeds.
        "unpaired_before": integer(),
        "unpaired_after": integer(),
        # Pairs that have the quantity, and of them those that differ; the others are equal to the
        # bit.
        "pairs": integer(),
        "pairs_up": integer(),
        "pairs_down": integer(),
        # Seeds that the pairs are of, and of them those whose pairs' mean differs.
        "seeds": integer(),
        "seeds_differing": integer(),
        # Neither side varies with the seed at any dose, of which there are at least two: then the
        # difference is what it is, and has no p-value.
        "exact": boolean(),
        # Means and standard deviations over the pairs; null where there are none, or one.
        "before": number(least=None, null=True),
        "before_std": number(null=True),
        "after": number(least=None, null=True),
        "after_std": number(null=True),
        "difference": number(least=None, null=True),
        # Over the seeds, of each the mean of its pairs: the standard deviation, and the 95 %
        # interval of the mean, null where there are too few seeds or none varies.
        "difference_std": number(null=True),
        "difference_low": number(least=None, null=True),
        "difference_high": number(least=None, null=True),
        # A share of `before`; null where that is 0 and `after` is not.
        "relative_change": number(least=None, null=True),
        # Its 95 % interval, and the least and the most of the seeds' own; null where one of them
        # had nothing before.
        "relative_low": number(least=None, null=True),
        "relative_high": number(least=None, null=True),
        "relative_least": number(least=None, null=True),
        "relative_most": number(least=None, null=True),
        # Of the seeds that differ; null where none does, and where the difference is exact.
        "p_value": number(most=1, null=True),
        # Over all rows of the table that could be significant; null of the others.
        "p_corrected": number(most=1, null=True),
        "significant": boolean(),
        "verdict": text(values=CHANGE_VERDICTS),
        # Where it cannot be told: with how many seeds it could, if they were as these are.
        "seeds_needed": integer(null=True),
    },
    key=_CHANGE,
    order=_CHANGE,
    rules=(
        rule(
            "no more pairs differ than there are",
            lambda t: t["pairs_up"] + t["pairs_down"] <= t["pairs"],
        ),
    ),
    csv=True,
)

# What is compared from strategy to strategy, in the same words.
COMPARED = ("granted_bytes", "success", "lend_ns_per_gib", "give_back_ns_per_gib")
# What the columns of the variant that others are compared with begin with.
AGAINST = "against_"
VERDICTS = ("equal", "exact", "clear", "differs", "equal_within", "cannot_tell")
METHODS = ("sign_flips", "mcnemar", "boschloo", "brunner_munzel")
INTERVALS = ("range", "bootstrap", "newcombe")
_COMPARISON = (
    *(*COMPARABLE, "strategy", "variant", f"{AGAINST}strategy", f"{AGAINST}variant"),
    *("load", "requests", "cycle", "request_bytes", "quantity"),
)

COMPARISONS = Table(
    columns={
        **KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **GRANULE,
        "strategy": text(),
        "variant": text(),
        f"{AGAINST}strategy": text(),
        f"{AGAINST}variant": text(),
        "load": text(),
        "requests": text(),
        "cycle": integer(least=1),
        "request_bytes": integer(least=1),
        "quantity": text(values=COMPARED),
        # Doses at which both have the quantity and the load was there or refused, the lowest and
        # the highest of them, seeds that both ran there, on how many hosts of
        # other histories, and the pairs of trials of one dose, seed and host; none where they have
        # no seed in common. Where there are several hosts these are what counts, else seeds.
        "doses": integer(least=1),
        "least_dose": number(most=100),
        "most_dose": number(most=100),
        "seeds": integer(),
        "hosts": integer(),
        "pairs": integer(),
        "pairs_up": integer(),
        "pairs_down": integer(),
        # Means over hosts or seeds of the means over doses, of what was granted over the range of
        # doses, by the trapezoidal rule; `value` less `against_value`.
        "value": number(),
        f"{AGAINST}value": number(),
        "difference": number(least=None),
        "difference_low": number(least=None, null=True),
        "difference_high": number(least=None, null=True),
        # What low and high are: the range over hosts or seeds, or a 95 % interval.
        "interval": text(values=INTERVALS, null=True),
        # Cliff's delta, of costs: how much more often a trial costs more than less.
        "effect": number(least=-1, most=1, null=True),
        # Null where nothing varies, and where no test keeps its level.
        "method": text(values=METHODS, null=True),
        "p_value": number(most=1, null=True),
        # Over the rows of one machine, granule and quantity.
        "p_corrected": number(most=1, null=True),
        # What counts as equal.
        "margin": number(),
        # Seeds of each dose with which it could be told, each on a host of its own where there are
        # several; null where it can be.
        "trials_needed": integer(least=2, null=True),
        # equal: to the bit in each pair. exact: the seed changes neither side at any dose (then low
        # and high are null). clear: too few seeds for a test, which change too little of the
        # difference to matter. differs: by the test.
        # equal_within: the interval is inside the margin.
        "verdict": text(values=VERDICTS),
    },
    key=_COMPARISON,
    order=_COMPARISON,
    rules=(
        rule(
            "no more pairs differ than there are",
            lambda t: t["pairs_up"] + t["pairs_down"] <= t["pairs"],
        ),
        rule(
            "what is exact, equal or clear has no p-value",
            lambda t: ~t["verdict"].isin(["equal", "exact", "clear"]) | t["p_value"].isna(),
        ),
        rule(
            "what cannot be told says what would tell it",
            lambda t: (t["verdict"] == "cannot_tell") == t["trials_needed"].notna(),
        ),
    ),
    csv=True,
)

_BLOCKER = (*COMPARABLE, "strategy", "variant", "load", "in_the_way", "owner")

BLOCKERS = Table(
    columns={
        **KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **GRANULE,
        "strategy": text(),
        "variant": text(),
        "load": text(),
        # The type of the page, or in a word what else: see docs/statistics.md.
        "in_the_way": text(),
        # Who allocated the page, where that is known.
        "owner": text(null=True),
        # Trials, and their lends that ended short there. Each such lend is in one row.
        "count": integer(least=1),
        "shorts": integer(least=1),
        # The first of them; the page frame is null where no page is named.
        "example_trial_id": text(),
        "example_dose": number(most=100),
        "example_pfn": integer(null=True),
    },
    key=_BLOCKER,
    order=_BLOCKER,
    rules=(rule("no more trials than lends of theirs", lambda t: t["count"] <= t["shorts"]),),
    csv=True,
)

_KERNEL = (*KERNEL_COLUMNS, "ram_bytes", "granule", "strategy", "variant")

KERNELS = Table(
    columns={
        **KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **GRANULE,
        "strategy": text(),
        "variant": text(),
        # Whether anything was run at all, and if not, why.
        "available": boolean(),
        "why_not_available": text(null=True),
        "page_bytes": integer(least=1, null=True),
        # Medians; while lent of all lends that got anything.
        "memmap_idle_bytes": number(null=True),
        "memmap_per_lent_gib_bytes": number(null=True),
        "memmap_host_bytes": number(null=True),
        # Of the largest request: the largest mean of what was granted, over loads and doses; and of
        # the loads the one under which half of a curve's most is lost at the lowest dose. Null
        # where none loses half.
        "granted_most_bytes": number(null=True),
        "half_dose_least": number(most=100, null=True),
        "half_dose_least_load": text(null=True),
        # Median over all lends that got anything.
        "lend_ns_per_gib_p50": number(null=True),
    },
    key=_KERNEL,
    order=_KERNEL,
    csv=True,
)
