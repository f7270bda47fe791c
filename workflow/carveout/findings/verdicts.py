# SPDX-License-Identifier: GPL-2.0-only
"""What a strategy is good for and what speaks against it, over its variants, in one sentence each.

What every strategy of a machine suffers from speaks against none: a host that is full lends
nothing, whoever asks.
"""

from collections.abc import Callable, Mapping, Sequence

from carveout.findings.machines import Machine, Variant
from carveout.wording.labels import load_label
from carveout.wording.marks import Name, Part, Words, joined, listed, words
from carveout.wording.rows import Row

# So many points of a dose less than the best of the machine has speak against a strategy.
_POINTS = 5
# Less than this share of what was lent is not all of it.
_NEARLY_ALL = 0.9
_NOTHING_AGAINST = (
    "Of loads carried, lends halved, memory stranded and what comes back nothing speaks against it."
)

_Found = tuple[Variant, Row]


def verdict(machine: Machine, variants: Sequence[Variant], needs: Mapping[str, str]) -> list[Words]:
    """Return what a strategy is good for, and what speaks against it.

    Args:
        machine: where.
        variants: the strategy's, on that machine.
        needs: the titles of the needs, in their order.
    """
    return [said for said in (good_for(variants, needs), against(machine, variants)) if said]


def good_for(variants: Sequence[Variant], needs: Mapping[str, str]) -> Words:
    """Return for which needs a variant is among the best, for which one is fit, and why not."""
    best, fit, unfit = [], [], []
    for need, title in needs.items():
        rows = [
            (variant, row)
            for variant in variants
            for row in variant.rows["needs"]
            if row["need"] == need
        ]
        first, able = _who(rows, "best"), _who(rows, "qualifies")
        if first:
            best.append(words("{}{}", Name(title), _of_some(first, variants)))
        elif able:
            fit.append(words("{}{}", Name(title), _of_some(able, variants)))
        elif any(row.knows("qualifies") for _, row in rows):
            unfit.append(words("{} ({})", Name(title), listed(_why_not(rows))))
    told = [
        words("among the best for {}", listed(best)) if best else "",
        words("fit for {}", listed(fit)) if fit else "",
        words("not fit for {}", listed(unfit)) if unfit else "",
    ]
    return words("By need: {}.", joined(told)) if any(told) else Words()


def against(machine: Machine, variants: Sequence[Variant]) -> Words:
    """Return what speaks against a strategy, each with the variants of which it is worst."""
    said = [
        *_lends_nothing(variants),
        *_refused(machine, variants),
        *_halved(machine, variants),
        *_stranded(machine, variants),
        *_stays_away(variants),
    ]
    if not said:
        return Words((_NOTHING_AGAINST,))
    return words("Against it: {}.", joined(said))


def _who(rows: Sequence[_Found], column: str) -> list[Part]:
    """Return the variants of which something is known and so."""
    return [variant.title for variant, row in rows if row.knows(column) and row[column]]


def _of_some(titles: Sequence[Part], variants: Sequence[Variant]) -> Words:
    """Return which variants it is, where it is not all of them."""
    return words(" ({})", listed(titles)) if len(titles) < len(variants) else Words()


def _why_not(rows: Sequence[_Found]) -> list[Name]:
    """Return in a few words why variants are not fit, each reason once."""
    reasons = [reason for _, row in rows for reason in str(row["broken"]).split("; ")]
    return [Name(reason) for reason in dict.fromkeys(reasons)]


def _lends_nothing(variants: Sequence[Variant]) -> list[Words]:
    """Return which variants lend nothing under a load, or under none."""
    said = []
    for variant in variants:
        loads = [row["load"] for row in variant.curves if not row["granted_most_bytes"]]
        if len(loads) == len(variant.curves):
            said.append(words("{} lends nothing under any load", variant.title))
        elif loads:
            names = listed(Name(load_label(load, 0)) for load in loads)
            said.append(words("{} lends nothing under {}", variant.title, names))
    return said


def _refused(machine: Machine, variants: Sequence[Variant]) -> list[Words]:
    """Return of which loads the host carries less beside it than beside others, nothing lent."""
    said = []
    for load in machine.loads:
        most = max((_carried(row) for _, row in _curves(machine.variants, load)), default=0)
        # Where none was refused, no higher dose was tried.
        refused = [
            found for found in _curves(variants, load) if found[1].knows("refused_from_dose")
        ]
        worst = _worst(refused, _carried)
        if worst and _carried(worst[0][1]) < most - _POINTS:
            curve, who = worst[0][1], _whose(worst, variants)
            name = Name(load_label(load, 0))
            if curve.knows("carries_until_dose"):
                dose = curve.dose("carries_until_dose")
                said.append(words("the host carries {} up to {} ({})", name, dose, who))
            else:
                said.append(words("the host carries no {} ({})", name, who))
    return said


def _halved(machine: Machine, variants: Sequence[Variant]) -> list[Words]:
    """Return under which loads half is lost at a lower dose than of others."""
    said = []
    for load in machine.loads:
        most = max((_half(row) for _, row in _curves(machine.variants, load)), default=0)
        lending = [
            (variant, row)
            for variant, row in _curves(variants, load)
            if row["fall"] == "lends_less"
        ]
        worst = _worst(lending, _half)
        if worst and _half(worst[0][1]) < most - _POINTS:
            dose, name = worst[0][1].dose("turning_point"), Name(load_label(load, 0))
            who = _whose(worst, variants)
            said.append(words("it lends half up to {} of {} ({})", dose, name, who))
    return said


def _stranded(machine: Machine, variants: Sequence[Variant]) -> list[Words]:
    """Return how much is of no use to Linux while nothing is lent, where others strand less."""
    of_all, rows = (
        [(own, own.idle) for own in some if own.idle.knows("stranded_bytes")]
        for some in (machine.variants, variants)
    )
    least = min((row["stranded_bytes"] for _, row in of_all), default=0)
    worst = _worst(rows, lambda row: -float(row["stranded_bytes"]))
    if not worst or worst[0][1]["stranded_bytes"] <= least:
        return []
    stranded, who = worst[0][1].bytes("stranded_bytes"), _whose(worst, variants)
    return [words("strands {} while idle ({})", stranded, who)]


def _stays_away(variants: Sequence[Variant]) -> list[Words]:
    """Return how little of what was lent serves Linux again."""
    rows = [(own, own.lent) for own in variants if own.lent.knows("regained_share")]
    worst = _worst(rows, lambda row: float(row["regained_share"]))
    if not worst or worst[0][1]["regained_share"] >= _NEARLY_ALL:
        return []
    share, who = worst[0][1].share("regained_share"), _whose(worst, variants)
    return [words("{} of what was lent comes back ({})", share, who)]


def _curves(variants: Sequence[Variant], load: str) -> list[_Found]:
    found = ((variant, variant.curve(load)) for variant in variants)
    return [(variant, curve) for variant, curve in found if curve is not None]


def _worst(found: Sequence[_Found], value: Callable[[Row], float]) -> list[_Found]:
    """Return every variant that has the least value of all."""
    least = min((value(row) for _, row in found), default=None)
    return [pair for pair in found if value(pair[1]) == least]


def _whose(worst: Sequence[_Found], variants: Sequence[Variant]) -> Part:
    """Return of which variants of a strategy something is worst."""
    if len(worst) == len(variants) > 1:
        return "all variants"
    return listed(variant.title for variant, _ in worst)


def _carried(curve: Row) -> float:
    """Return the highest dose that the host carries, of those that were tried."""
    if not curve.knows("refused_from_dose"):
        return float(curve["most_dose"])
    return float(curve["carries_until_dose"]) if curve.knows("carries_until_dose") else -1.0


def _half(curve: Row) -> float:
    """Return the dose up to which half is lent, of those that were tried."""
    if curve.knows("turning_point"):
        return float(curve["turning_point"])
    return float(curve["most_dose"]) if curve.knows("half_until_dose") else 0.0
