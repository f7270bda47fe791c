# SPDX-License-Identifier: GPL-2.0-only
"""What the tables say of a variant in two sentences: what it lends, and what it costs.

Each function says one thing, from the rows alone, and its opposite where the rows say the opposite.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from carveout.findings.failing import outcome, refusal
from carveout.findings.lending import least_whole, whole_until
from carveout.findings.machines import Variant
from carveout.wording.labels import load_label
from carveout.wording.marks import Name, Part, Words, joined, listed, words
from carveout.wording.quantities import NOTHING
from carveout.wording.rows import Row


@dataclass(frozen=True)
class Conclusion:
    """What is said of variants that do not differ in it.

    Attributes:
        variants: they.
        sentences: what is said.
    """

    variants: Sequence[Variant]
    sentences: Sequence[Words]


def conclusions(variants: Sequence[Variant]) -> list[Conclusion]:
    """Return what is said of a strategy's variants: those of which the same is said together."""
    found: dict[str, tuple[list[Variant], list[Words]]] = {}
    for variant in variants:
        sentences = [lending_sentence(variant), cost_sentence(variant)]
        alike, _ = found.setdefault(" ".join(map(str, sentences)), ([], sentences))
        alike.append(variant)
    return [Conclusion(alike, sentences) for alike, sentences in found.values()]


def lending_sentence(variant: Variant) -> Words:
    """Return what it lends under which loads up to which dose, and when it fails and why."""
    said = [lends(variant), carries(variant), fails(variant)]
    return words("{}.", joined(said))


def cost_sentence(variant: Variant) -> Words:
    """Return what it costs while idle and while lent, and what comes back."""
    said = [aside(variant), memmap(variant), comes_back(variant)]
    return words("{}.", joined(said))


def lends(variant: Variant) -> Words:
    """Return what is lent at best, and under which loads how much of it."""
    best = max(variant.curves, key=lambda curve: curve["granted_most_bytes"], default=None)
    if best is None:
        return Words(("Nothing was asked of it",))
    if not best["granted_most_bytes"]:
        return words("Lends nothing of {} under any load", best.bytes("request_bytes"))
    whole = [curve for curve in variant.curves if _is_whole(variant.cells_of(curve["load"]))]
    if len(whole) == len(variant.curves):
        every = _named(whole, variant)
        return words("Lends all of {} in every trial under {}", best.bytes("request_bytes"), every)
    always = [words("all of it in every trial under {}", _named(whole, variant))] if whole else []
    part = _in_part([curve for curve in variant.curves if curve not in whole], variant)
    said = joined([*always, *part], ", ")
    return words("Lends {} at best: {}", _most_of(best), said)


def _most_of(best: Row) -> Words:
    """Return how much of a request is lent."""
    most, asked = best.bytes("granted_most_bytes"), best.bytes("request_bytes")
    if best["granted_most_bytes"] == best["request_bytes"]:
        return words("all of {}", asked)
    if str(most) == str(asked):
        return words("a little less than {}", asked)
    return words("{} of {}", most, asked)


def carries(variant: Variant) -> Words:
    """Return which loads the host cannot carry beside what is set aside."""
    refused = [
        curve
        for curve in variant.curves
        if curve.knows("refused_from_dose") and not _falls_by_refusal(curve)
    ]
    if not refused:
        return Words()
    return words(
        "before any lend the host carries {}", listed(_carried(curve) for curve in refused)
    )


def fails(variant: Variant) -> Words:
    """Return how many trials failed, and the most frequent way with what stood in it."""
    rows = sorted(variant.rows["failures"], key=lambda row: -row["count"])
    if not rows:
        return Words(("no lend failed",))
    worst = rows[0]
    said = [worst.label("stage")] if worst.knows("stage") else []
    who, blocker = refusal(worst), worst.label("blocker_type")
    why = joined(
        [
            words("{} at {}", outcome(worst), said[0]) if said else outcome(worst),
            "" if who == NOTHING else words("by {}", who),
            "" if blocker == NOTHING else words("in the way: {}", blocker),
        ],
        ", ",
    )
    often = "fails in {} trials" if len(rows) == 1 else "fails most often, in {} trials"
    return words(f"{often}, under {{}}: {{}}", worst.count("count"), worst.label("loads"), why)


def aside(variant: Variant) -> Words:
    """Return what cannot be used while nothing is lent."""
    idle = variant.idle
    if not idle.knows("stranded_bytes"):
        return Words(("While idle it was never measured",))
    areas = {"cma_area_bytes": "a CMA area", "movable_zone_bytes": "ZONE_MOVABLE"}
    movable = [
        words("{} in {}", idle.bytes(column), name)
        for column, name in areas.items()
        if idle.more_than_nothing(column)
    ]
    stranded = (
        words("Strands {} while idle", idle.bytes("stranded_bytes"))
        if idle.more_than_nothing("stranded_bytes")
        else Words(("Strands nothing while idle",))
    )
    if not movable:
        return stranded
    return words("{}, keeps {} for movable pages", stranded, listed(movable))


def memmap(variant: Variant) -> Words:
    """Return who pays for the memmap while memory is lent, and whether the host pays less then."""
    idle, lent = variant.idle, variant.lent
    if not lent.knows("memmap_host_bytes"):
        if not idle.knows("memmap_idle_host_bytes"):
            return Words()
        return words("the host pays {} of memmap", idle.bytes("memmap_idle_host_bytes"))
    saved = lent["memmap_host_bytes"] < idle["memmap_idle_host_bytes"]
    more = lent["memmap_host_bytes"] > idle["memmap_idle_host_bytes"]
    change = "less than" if saved else "more than" if more else "as idle:"
    host = words(
        "while it lends, the host pays {} of memmap, " + change + " {}",
        lent.bytes("memmap_host_bytes"),
        idle.bytes("memmap_idle_host_bytes"),
    )
    others = [
        words("{} {}", who, lent.bytes(column))
        for column, who in (
            ("memmap_self_bytes", "the lent memory itself"),
            ("memmap_nobody_bytes", "nobody"),
        )
        if lent.more_than_nothing(column)
    ]
    return joined([host, *others], ", ")


def comes_back(variant: Variant) -> Words:
    """Return how much of what was lent serves Linux again, and what is kept back."""
    lent = variant.lent
    if not lent.knows("regained_share"):
        return Words()
    if not lent["regained_share"]:
        back: Part = "given back, nothing of it serves Linux"
    else:
        back = words("given back, {} of it serve Linux again", lent.share("regained_share"))
    kept = lent.more_than_nothing("kept_back_share") and lent["kept_back_share"] > 0
    return joined(
        [back, words("{} kept back", lent.share("kept_back_share")) if kept else ""], ", "
    )


def _in_part(curves: Sequence[Row], variant: Variant) -> list[Words]:
    """Return what is lent under loads under which not every lend was whole."""
    said: list[Words] = []
    amounts: dict[str, tuple[Part, list[Words]]] = {}
    for curve in curves:
        if not curve["granted_most_bytes"]:
            said.append(words("nothing under {}", _up_to(curve)))
        elif curve.knows("turning_point"):
            said.append(_turns(curve, variant))
        else:
            cells = variant.cells_of(curve["load"])
            lent, fewest = _least_to_most(curve, cells), least_whole(cells)
            rates = words(" (whole in {})", _fewest(fewest)) if fewest is not None else ""
            _, loads = amounts.setdefault(str(lent), (lent, []))
            loads.append(words("{}{}", _up_to(curve), rates))
    return [*(words("{} under {}", lent, listed(loads)) for lent, loads in amounts.values()), *said]


def _least_to_most(curve: Row, cells: Sequence[Row]) -> Part:
    """Return the least and the most that is lent at any dose, in the mean."""
    most = curve.bytes("granted_most_bytes")
    if not cells:
        return most
    least = min(cells, key=lambda cell: cell["granted_mean_bytes"])
    lent = least.bytes("granted_mean_bytes")
    return lent if str(lent) == str(most) else words("{} to {}", lent, most)


def _turns(curve: Row, variant: Variant) -> Words:
    """Return up to which dose half is lent, with the interval or the range over seeds.

    Where the host does not carry the next dose, half is not what was lost.
    """
    if _falls_by_refusal(curve):
        last = whole_until(variant.cells_of(curve["load"]))
        is_all = last is not None and last["dose_target"] >= curve["half_until_dose"]
        told = words(
            ("all of it" if is_all else "half of that or more") + " up to {} of {}{}",
            curve.dose("half_until_dose"),
            _load(curve),
            words("; at {} the host does not carry the load", curve.dose("less_from_dose")),
        )
    else:
        told = words("half of that up to {} of {}", curve.dose("turning_point"), _load(curve))
    if interval := curve.between("turning_point_low", "turning_point_high", Row.dose):
        return words("{} (95 % interval {})", told, interval)
    if not curve.knows("turning_point_least"):
        return told
    if not curve.knows("turning_point_most"):
        least = curve.dose("turning_point_least")
        return words("{} (from {} on, over {} seeds)", told, least, curve.count("seeds"))
    if curve["turning_point_least"] == curve["turning_point_most"]:
        return words("{} (with each of {} seeds)", told, curve.count("seeds"))
    spread = curve.between("turning_point_least", "turning_point_most", Row.dose)
    return words("{} ({} over {} seeds)", told, spread, curve.count("seeds"))


def _falls_by_refusal(curve: Row) -> bool:
    """Return whether less is lent from a dose on because the host does not carry the load."""
    return bool(curve["fall"] == "load_refused")


def _is_whole(cells: Sequence[Row]) -> bool:
    """Return whether every trial of every dose lent all."""
    last = whole_until(cells)
    return last is not None and last is cells[-1]


def _named(curves: Sequence[Row], variant: Variant) -> Words:
    """Return loads with the dose up to which they were tried, and how well the rates are known."""
    cells = [cell for curve in curves for cell in variant.cells_of(curve["load"])]
    loads = listed(_up_to(curve) for curve in curves)
    if all(cell["deterministic"] for cell in cells):
        return words("{} (the same in each)", loads)
    least = min(
        (cell for cell in cells if cell.knows("success_low")), key=lambda cell: cell["success_low"]
    )
    trials = least.of("successes", "trials")
    return words("{} ({} a dose: at least {})", loads, trials, least.share("success_low"))


def _fewest(cell: Row) -> Words:
    """Return how many lends of a cell were whole, and how well that rate is known."""
    counts = cell.of("successes", "trials")
    at = words(" at {}", cell.dose("dose_target")) if cell["dose_target"] else ""
    if cell["deterministic"]:
        return words("{}{}, all alike", counts, at)
    return words("{}{}: {}", counts, at, cell.between("success_low", "success_high", Row.share))


def _up_to(curve: Row) -> Words:
    if not curve["most_dose"]:
        return Words((_load(curve),))
    return words("{} up to {}", _load(curve), curve.dose("most_dose"))


def _carried(curve: Row) -> Words:
    if not curve.knows("carries_until_dose"):
        return words("no dose of {}", _load(curve))
    until, refused = curve.dose("carries_until_dose"), curve.dose("refused_from_dose")
    return words("{} up to {}, not {}", _load(curve), until, refused)


def _load(curve: Row) -> Name:
    return Name(load_label(curve["load"], 0))
