# SPDX-License-Identifier: GPL-2.0-only
"""The conclusion: true for the tables, and the opposite for tables that say the opposite."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from carveout.common.sizes import GIB, MIB
from carveout.findings.machines import Variant
from carveout.findings.needs import also, best, not_told, sentences, unfit
from carveout.findings.sentences import (
    aside,
    carries,
    comes_back,
    conclusions,
    cost_sentence,
    fails,
    lending_sentence,
    lends,
    memmap,
)
from carveout.wording.marks import Name, Words
from carveout.wording.rows import Row

CURVE = {
    "load": "page_cache",
    "requests": "half",
    "cycle": 1,
    "request_bytes": 512 * MIB,
    "trials": 6,
    "doses": 2,
    "seeds": 3,
    "least_dose": 10.0,
    "most_dose": 70.0,
    "granted_most_bytes": 512.0 * MIB,
    "half_until_dose": 70.0,
    "less_from_dose": None,
    "fall": None,
    **dict.fromkeys(f"turning_point{part}" for part in ("", "_least", "_most", "_low", "_high")),
    "carries_until_dose": 70.0,
    "refused_from_dose": None,
}
CELL = {
    "load": "page_cache",
    "requests": "half",
    "cycle": 1,
    "request_bytes": 512 * MIB,
    "trials": 3,
    "successes": 3,
    "success_rate": 1.0,
    "success_low": 0.44,
    "success_high": 1.0,
    "deterministic": False,
    "granted_mean_bytes": 512.0 * MIB,
}
REQUEST = {
    "request_bytes": 512 * MIB,
    "stranded_bytes": 0.0,
    "cma_area_bytes": 0.0,
    "movable_zone_bytes": 0.0,
    "memmap_idle_host_bytes": 16.0 * MIB,
    "memmap_host_bytes": 16.0 * MIB,
    "memmap_self_bytes": 0.0,
    "memmap_nobody_bytes": 0.0,
    "memmap_per_lent_gib_bytes": 16.0 * MIB,
    "regained_share": 1.0,
    "kept_back_share": 0.0,
}
FAILURE = {
    "outcome": "partial",
    "cause": None,
    "stage": "isolate",
    "refused_by": "kernel",
    "errno": "EBUSY",
    "reason": None,
    "blocker_type": "slab",
    "loads": "page_cache",
    "count": 4,
}


def variant(
    *,
    curve: Mapping[str, Any] | None = None,
    cells: tuple[Mapping[str, Any], ...] = ({}, {}),
    request: Mapping[str, Any] | None = None,
    failures: tuple[Mapping[str, Any], ...] = (),
    name: str = "area",
) -> Variant:
    """A variant that lends all under page cache at 10 and 70 %, but for what is said."""
    doses = (10.0, 70.0)
    return Variant(
        "cma",
        name,
        Name(f"CMA {name}"),
        [Row("variants", 1, REQUEST | dict(request or {}))],
        [Row("curves", 1, CURVE | dict(curve or {}))],
        [
            Row("summary", place + 1, CELL | {"dose_target": dose} | dict(cell))
            for place, (dose, cell) in enumerate(zip(doses, cells, strict=True))
        ],
        {
            "failures": [Row("failures", 1, FAILURE | dict(own)) for own in failures],
            "needs": [],
        },
    )


LESS = {"successes": 1, "success_rate": 1 / 3, "success_low": 0.06, "success_high": 0.79}
NONE = {"successes": 0, "success_rate": 0.0, "granted_mean_bytes": 0.0}
TURNS = {
    "turning_point": 56.2,
    "turning_point_least": 55.0,
    "turning_point_most": 57.0,
    "fall": "lends_less",
}
REFUSED = {
    "half_until_dose": 10.0,
    "less_from_dose": 70.0,
    "fall": "load_refused",
    "turning_point": 10.0,
    "carries_until_dose": 10.0,
    "refused_from_dose": 70.0,
}


@pytest.mark.parametrize(
    ("say", "made", "wanted"),
    [
        (
            lends,
            variant(),
            "Lends all of 512 MiB in every trial under page cache up to 70 % "
            "(3/3 a dose: at least 44 %)",
        ),
        (
            lends,
            variant(cells=({"deterministic": True}, {"deterministic": True})),
            "Lends all of 512 MiB in every trial under page cache up to 70 % (the same in each)",
        ),
        (
            lends,
            variant(cells=({}, LESS | {"granted_mean_bytes": 400.0 * MIB})),
            "Lends all of 512 MiB at best: 400 MiB to 512 MiB under page cache up to 70 % "
            "(whole in 1/3 at 70 %: 6 % to 79 %)",
        ),
        (
            lends,
            variant(curve=TURNS, cells=({}, LESS)),
            "Lends all of 512 MiB at best: half of that up to 56.2 % of page cache "
            "(55 % to 57 % over 3 seeds)",
        ),
        (
            lends,
            variant(
                curve=TURNS | {"turning_point_low": 54.0, "turning_point_high": 58.0},
                cells=({}, LESS),
            ),
            "Lends all of 512 MiB at best: half of that up to 56.2 % of page cache "
            "(95 % interval 54 % to 58 %)",
        ),
        (
            lends,
            variant(curve=REFUSED, cells=({}, NONE)),
            "Lends all of 512 MiB at best: all of it up to 10 % of page cache; "
            "at 70 % the host does not carry the load",
        ),
        (
            lends,
            variant(curve=REFUSED, cells=(LESS, NONE)),
            "Lends all of 512 MiB at best: half of that or more up to 10 % of page cache; "
            "at 70 % the host does not carry the load",
        ),
        (carries, variant(curve=REFUSED, cells=({}, NONE)), ""),
        (
            lends,
            variant(curve={"granted_most_bytes": 0.0}, cells=(NONE, NONE)),
            "Lends nothing of 512 MiB under any load",
        ),
        (
            lends,
            variant(
                curve={"granted_most_bytes": 511.9 * MIB},
                cells=(NONE | {"granted_mean_bytes": 511.9 * MIB},) * 2,
            ),
            "Lends a little less than 512 MiB at best: 512 MiB under page cache up to 70 % "
            "(whole in 0/3 at 10 %: 44 % to 100 %)",
        ),
        (carries, variant(), ""),
        (
            carries,
            variant(curve={"carries_until_dose": 37.5, "refused_from_dose": 40.0}),
            "before any lend the host carries page cache up to 37.5 %, not 40 %",
        ),
        (
            carries,
            variant(curve={"carries_until_dose": None, "refused_from_dose": 10.0}),
            "before any lend the host carries no dose of page cache",
        ),
        (fails, variant(), "no lend failed"),
        (
            fails,
            variant(failures=({},)),
            "fails in 4 trials, under page cache: partial at isolate, by kernel EBUSY, "
            "in the way: slab",
        ),
        (
            fails,
            variant(failures=({"count": 2}, {"errno": None, "reason": "no_candidate"})),
            "fails most often, in 4 trials, under page cache: partial at isolate, "
            "by kernel no candidate, in the way: slab",
        ),
        (aside, variant(), "Strands nothing while idle"),
        (
            aside,
            variant(request={"stranded_bytes": 512.0 * MIB}),
            "Strands 512 MiB while idle",
        ),
        (
            aside,
            variant(request={"cma_area_bytes": 512.0 * MIB}),
            "Strands nothing while idle, keeps 512 MiB in a CMA area for movable pages",
        ),
        (aside, variant(request={"stranded_bytes": None}), "While idle it was never measured"),
        (
            memmap,
            variant(),
            "while it lends, the host pays 16 MiB of memmap, as idle: 16 MiB",
        ),
        (
            memmap,
            variant(request={"memmap_host_bytes": 8.0 * MIB, "memmap_nobody_bytes": 8.0 * MIB}),
            "while it lends, the host pays 8 MiB of memmap, less than 16 MiB, nobody 8 MiB",
        ),
        (
            memmap,
            variant(request={"memmap_host_bytes": 18.0 * MIB}),
            "while it lends, the host pays 18 MiB of memmap, more than 16 MiB",
        ),
        (comes_back, variant(), "given back, 100 % of it serve Linux again"),
        (
            comes_back,
            variant(request={"regained_share": 0.0}),
            "given back, nothing of it serves Linux",
        ),
        (
            comes_back,
            variant(request={"regained_share": 0.9, "kept_back_share": 0.1}),
            "given back, 90 % of it serve Linux again, 10 % kept back",
        ),
    ],
)
def test_each_clause_says_what_the_rows_say(
    say: Callable[[Variant], Words], made: Variant, wanted: str
) -> None:
    assert str(say(made)) == wanted


def test_a_variant_is_said_in_two_sentences() -> None:
    lending, cost = lending_sentence(variant()), cost_sentence(variant())
    assert str(lending).endswith("; no lend failed.")
    assert str(cost).startswith("Strands nothing while idle; while it lends")
    assert str(lending).count(".") == str(cost).count(".") == 1


def test_variants_of_which_the_same_is_said_are_said_together() -> None:
    alike, other = variant(name="own"), variant(name="third", request={"stranded_bytes": 1.0 * GIB})
    found = conclusions([variant(), alike, other])
    assert [[own.name for own in one.variants] for one in found] == [["area", "own"], ["third"]]


NEED = {
    "need": "static_vms",
    "qualifies": True,
    "broken": None,
    "why_not": None,
    "measure_name": "host_pays_bytes",
    "unit": "seed",
    "measure": 8.0 * MIB,
    "rank": 1,
    "best": True,
    "tells_apart": None,
    "kernel": "k",
    "kernel_version": "1",
    "kernel_pinned": "1",
    "ram_bytes": GIB,
    "granule": "2M",
}
OTHER = {"measure": 16.0 * MIB, "rank": 2, "best": False}
# As good as the best to the bit.
SAME = {"tells_apart": False}
UNFIT = {
    "qualifies": False,
    "broken": "strands too much",
    "why_not": "strands 1 GiB",
    "rank": None,
    "best": False,
}


def pairs(*rows: Mapping[str, Any]) -> list[tuple[Variant, Row]]:
    """Variants named A, B and so on, each with its row of a need."""
    made = [replace(variant(), title=Name(letter)) for letter in "ABCDEFGH"]
    return [
        (own, Row("needs", place + 1, NEED | dict(row)))
        for place, (own, row) in enumerate(zip(made, rows, strict=False))
    ]


@pytest.mark.parametrize(
    ("say", "rows", "wanted"),
    [
        (best, [{}, OTHER], "Best (host pays 8 MiB): A."),
        (best, [OTHER | {"tells_apart": True}, {}], "Best (host pays 8 MiB): B."),
        (best, [{}, {}], "Best, alike (host pays 8 MiB): A; B."),
        (best, [UNFIT, UNFIT], "No variant qualifies."),
        (
            best,
            [{"measure": None, "rank": None, "best": False}],
            "Qualify, and no measure ranks them: A.",
        ),
        (
            best,
            [SAME, UNFIT, {}, OTHER | {"rank": 1, "best": True, "tells_apart": False}],
            "Best, alike (host pays 8 MiB): A; C.",
        ),
        (
            also,
            [SAME, {}, OTHER | {"rank": 1, "best": True, "tells_apart": False}],
            "As good, within 5 %: C (16 MiB).",
        ),
        (also, [SAME, {}], ""),
        (also, [{}, OTHER | {"tells_apart": True}], "Qualify too, and do worse: B (16 MiB)."),
        (
            also,
            [{}, OTHER | {"rank": 1, "best": True, "tells_apart": False}],
            "As good, within 5 %: B (16 MiB).",
        ),
        (
            also,
            [{}, OTHER],
            "Qualify too; to tell them from the best takes 6 seeds or more: B (16 MiB).",
        ),
        (
            also,
            [{}, OTHER | {"unit": "host"}],
            "Qualify too; to tell them from the best takes 6 hosts or more: B (16 MiB).",
        ),
        (also, [{}, UNFIT], ""),
        (unfit, [{}, UNFIT, UNFIT], "Not fit (strands 1 GiB): B; C."),
        (
            unfit,
            [UNFIT, UNFIT | {"why_not": "keeps 2 MiB"}],
            "Not fit, strands too much: A; B. Of the first: strands 1 GiB.",
        ),
        (
            unfit,
            [UNFIT, UNFIT | {"broken": "keeps some", "why_not": "keeps 2 MiB"}],
            "Not fit (strands 1 GiB): A. Not fit (keeps 2 MiB): B.",
        ),
        (
            unfit,
            [UNFIT | {"broken": "not available", "why_not": "not available: no HVO"}],
            "Not here (not available: no HVO): A.",
        ),
        (unfit, [{}], ""),
        (
            not_told,
            [UNFIT | {"qualifies": None, "broken": None, "why_not": "never lent"}],
            "Not told here (never lent): A.",
        ),
        (not_told, [UNFIT], ""),
    ],
)
def test_each_sentence_on_a_need_says_what_the_rows_say(
    say: Callable[[Any], Any], rows: list[Mapping[str, Any]], wanted: str
) -> None:
    said = say(pairs(*rows))
    texts = [said] if isinstance(said, Words) else [one for one in said if one]
    assert " ".join(map(str, texts)) == wanted


def test_a_long_list_is_shortened_and_the_best_comes_first() -> None:
    told = OTHER | {"tells_apart": True}
    said = [str(one) for one in sentences(pairs({}, *[told] * 7))]
    assert said[0] == "Best (host pays 8 MiB): A."
    assert said[1].endswith("G (16 MiB); and others.")
