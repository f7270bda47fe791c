# SPDX-License-Identifier: GPL-2.0-only
"""What is said of a strategy: for what it is good, and what speaks against it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from carveout.common.sizes import MIB
from carveout.findings.failing import most_frequent
from carveout.findings.machines import Machine, Variant
from carveout.findings.verdicts import against, good_for, verdict
from carveout.wording.marks import Name
from carveout.wording.rows import Row
from tests.unit.test_sentences import NEED, OTHER, REFUSED, TURNS, UNFIT, variant

NOTHING_AGAINST = (
    "Of loads carried, lends halved, memory stranded and what comes back nothing speaks against it."
)
NEEDS = {"static_vms": "A few static VMs", "comes_back": "Memory must come back"}


def named(title: str, own: Variant, *needs: Mapping[str, Any]) -> Variant:
    """A variant under a title, with rows of the table `needs`."""
    rows = [Row("needs", place + 1, NEED | dict(row)) for place, row in enumerate(needs)]
    return replace(own, title=Name(title), rows={**own.rows, "needs": rows})


def machine(*variants: Variant) -> Machine:
    """A machine on which these were run, and another that lends all and strands nothing."""
    return Machine("", "m0", [*variants, named("other", variant())], "", [], {})


def test_for_which_needs_it_is_best_fit_and_not_fit() -> None:
    one = named("A", variant(), {}, UNFIT | {"need": "comes_back"})
    other = named("B", variant(), OTHER, UNFIT | {"need": "comes_back", "broken": "slow; small"})
    assert str(good_for([one, other], NEEDS)) == (
        "By need: among the best for A few static VMs (A); "
        "not fit for Memory must come back (strands too much, slow and small)."
    )
    assert str(good_for([other], NEEDS)) == (
        "By need: fit for A few static VMs; not fit for Memory must come back (slow and small)."
    )
    assert not good_for([named("C", variant())], NEEDS)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (variant(), NOTHING_AGAINST),
        (
            variant(request={"stranded_bytes": 512.0 * MIB}),
            "Against it: strands 512 MiB while idle (A).",
        ),
        (
            variant(request={"regained_share": 0.75}),
            "Against it: 75 % of what was lent comes back (A).",
        ),
        (
            variant(curve={"granted_most_bytes": 0.0, "half_until_dose": None}),
            "Against it: A lends nothing under any load.",
        ),
        (variant(curve=TURNS), "Against it: it lends half up to 56.2 % of page cache (A)."),
        (variant(curve=REFUSED), "Against it: the host carries page cache up to 10 % (A)."),
        (
            variant(curve=REFUSED | {"carries_until_dose": None, "half_until_dose": None}),
            "Against it: the host carries no page cache (A).",
        ),
    ],
)
def test_what_speaks_against_it(made: Variant, wanted: str) -> None:
    own = named("A", made)
    assert str(against(machine(own), [own])) == wanted


def test_what_all_suffer_from_speaks_against_none() -> None:
    own = named("A", variant(curve=TURNS | REFUSED | {"fall": "lends_less"}))
    alike = replace(machine(own), variants=[own, own])
    assert str(against(alike, [own])) == NOTHING_AGAINST


def test_of_several_variants_the_worst_is_named() -> None:
    some = [
        named(title, variant(request={"stranded_bytes": size * MIB}), {})
        for title, size in (("A", 1.0), ("B", 2.0))
    ]
    assert [str(said) for said in verdict(machine(*some), some, NEEDS)] == [
        "By need: among the best for A few static VMs.",
        "Against it: strands 2 MiB while idle (B).",
    ]


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ((2.0, 2.0, 1.0), "Against it: strands 2 MiB while idle (A and B)."),
        ((2.0, 2.0, 2.0), "Against it: strands 2 MiB while idle (all variants)."),
    ],
)
def test_all_variants_that_share_the_worst_are_named(sizes: tuple[float, ...], wanted: str) -> None:
    some = [
        named(title, variant(request={"stranded_bytes": size * MIB}))
        for title, size in zip("ABC", sizes, strict=True)
    ]
    assert str(against(machine(*some), some)) == wanted


def test_what_the_monitor_itself_capped_counts_where_there_is_nothing_else() -> None:
    capped = {"reason": "host_needs_the_rest", "count": 9}
    rows: list[Mapping[str, Any]] = [capped, {"count": 3}, {"count": 5}]
    some = [variant(failures=(own,)) for own in rows]
    assert [row["count"] for _, row in most_frequent(some)] == [5]
    assert [row["count"] for _, row in most_frequent(some[:1])] == [9]
    others = [replace(own, strategy="mem") for own in some[:1]]
    assert [(own.strategy, row["count"]) for own, row in most_frequent([*some, *others])] == [
        ("cma", 5),
        ("mem", 9),
    ]
