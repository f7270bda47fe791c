# SPDX-License-Identifier: GPL-2.0-only
"""The tables of what is said and of what is needed: verdicts on statements, and who qualifies."""

from carveout.tables.schema import (
    COMPARABLE,
    GRANULE,
    KERNEL_COLUMNS,
    Table,
    boolean,
    integer,
    number,
    rule,
    text,
)

CONFIRMED, CONTRADICTED, NOT_TESTED = "confirmed", "contradicted", "not_tested"

CLAIMS = Table(
    columns={
        # A strategy's name, or that of a file of statements; and the place on the page, from 1.
        "page": text(),
        "number": integer(least=1),
        # Of whose rows it is; null on pages of no strategy.
        "strategy": text(null=True),
        "says": text(),
        "source": text(),
        "verdict": text(values=(CONFIRMED, CONTRADICTED, NOT_TESTED)),
        "why_not_tested": text(null=True),
        # Rows of a table of which it can be told whether it holds, and those in which it does.
        "rows": integer(),
        "rows_held": integer(),
        # What was found there, with units; of what is contradicted, in the worst row against it.
        "numbers": text(null=True),
    },
    key=("page", "number"),
    order=("page", "number"),
    rules=(
        rule("what holds is among what can be told", lambda t: t["rows_held"] <= t["rows"]),
        rule(
            "what is not tested, and no other, says why",
            lambda t: (t["verdict"] == NOT_TESTED) == t["why_not_tested"].notna(),
        ),
        rule(
            "a verdict has rows, and no verdict has none",
            lambda t: (t["verdict"] == NOT_TESTED) == (t["rows"] == 0),
        ),
    ),
    csv=True,
)

_NEED = (*COMPARABLE, "need", "strategy", "variant")
# What is said to be broken of a variant that the kernel or the granule rules out.
NOT_AVAILABLE = "not available"
# Where trials run on hosts of several histories these are what counts.
HOST, SEED = "host", "seed"

NEEDS = Table(
    columns={
        **KERNEL_COLUMNS,
        "ram_bytes": integer(),
        **GRANULE,
        "need": text(),
        # Among the needs, in the order in which they are told of; from 1.
        "place": integer(least=1),
        "strategy": text(),
        "variant": text(),
        # Null where a condition cannot be told and none that can be is broken.
        "qualifies": boolean(null=True),
        # The conditions that are broken, in a few words each; null of others.
        "broken": text(null=True),
        # What is broken, in the worst row against it and in how many of how many rows, or what is
        # not known; null of what qualifies.
        "why_not": text(null=True),
        # By what those that qualify are ranked: its name, which ends in its unit; null of variants
        # that have none.
        "measure_name": text(),
        # By which it is told who is best: each counts once.
        "unit": text(values=(HOST, SEED)),
        "more_is_better": boolean(),
        "measure": number(least=None, null=True),
        # From 1, the best; of those that qualify and have the measure. Those that the best is not
        # told apart from are first too.
        "rank": integer(least=1, null=True),
        "best": boolean(),
        # Whether the best is told apart from it; null of the best itself, of what has no rank, and
        # where there are too few seeds to tell anything.
        "tells_apart": boolean(null=True),
    },
    key=_NEED,
    order=(*COMPARABLE, "place", "strategy", "variant"),
    rules=(
        rule(
            "what is broken, and no other, is said not to qualify",
            lambda t: (~t["qualifies"].fillna(value=True)) == t["broken"].notna(),
        ),
        rule(
            "what qualifies, and no other, has no reason against it",
            lambda t: (t["qualifies"].fillna(value=False)) == t["why_not"].isna(),
        ),
        rule("only what qualifies has a rank", lambda t: t["rank"].isna() | t["qualifies"]),
        rule("the best are first", lambda t: t["best"] == (t["rank"].fillna(0) == 1)),
    ),
    csv=True,
)
