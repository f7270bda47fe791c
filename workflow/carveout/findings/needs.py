# SPDX-License-Identifier: GPL-2.0-only
"""For each need: which variants qualify, which does best, and whether that can be told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from carveout.findings.lending import trials_of
from carveout.findings.machines import Machine, Variant
from carveout.statistics.differences import seeds_to_be_significant
from carveout.tables.claims_tables import NOT_AVAILABLE
from carveout.tables.schema import COMPARABLE
from carveout.wording.grids import Column, Grid, grid
from carveout.wording.marks import Name, Part, Tally, Words, joined, words
from carveout.wording.quantities import NOTHING
from carveout.wording.rows import Row

Pair = tuple[Variant, Row]
# So many variants a sentence names.
_SHOWN = 6


@dataclass(frozen=True)
class Answer:
    """What is said of a need on one machine.

    Attributes:
        need: its name.
        title: how people call it.
        rows: of the table `needs`, with their variants; none where it was not asked.
        sentences: which variants do best, which qualify too, which do not.
        grid: all of them, with the numbers.
    """

    need: str
    title: Name
    rows: Sequence[Pair]
    sentences: Sequence[Words]
    grid: Grid


def answers(machine: Machine, titles: Mapping[str, str]) -> list[Answer]:
    """Return the answers to all needs.

    Args:
        machine: where.
        titles: of each need, in the order in which they are answered.
    """
    if not any(variant.rows["needs"] for variant in machine.variants):
        return []
    found = []
    for need, title in titles.items():
        rows = [
            (variant, row)
            for variant in machine.variants
            for row in variant.rows["needs"]
            if row["need"] == need
        ]
        told = sentences(rows) if rows else [_not_asked()]
        found.append(Answer(need, Name(title), rows, told, _grid(rows)))
    return found


def _not_asked() -> Words:
    return Words(("Not asked here: it is about pieces of another size.",))


def sentences(rows: Sequence[Pair]) -> list[Words]:
    """Return which variants do best, which others qualify, and which do not and why."""
    return [said for said in (best(rows), *also(rows), *not_told(rows), *unfit(rows)) if said]


def winners(rows: Sequence[Pair]) -> list[Pair]:
    """Return the best variant, and every other whose measure is the very same."""
    first = [pair for pair in rows if _is(pair, "best") and not _is_not_told(pair)]
    measures = {row["measure"] for _, row in first if row.knows("measure")}
    return [
        pair
        for pair in rows
        if _is(pair, "best") and (not _is_not_told(pair) or pair[1]["measure"] in measures)
    ]


def best(rows: Sequence[Pair]) -> Words:
    """Return which variants do best and by what measure, or that none qualifies."""
    firsts = winners(rows)
    fit = [pair for pair in rows if _is(pair, "qualifies")]
    if not fit:
        return Words(("No variant qualifies.",))
    if not firsts:
        return words("Qualify, and no measure ranks them: {}.", _list(_names(fit)))
    one = firsts[0][1]
    measure: Part = ""
    if one.knows("measure"):
        measure = words(" ({} {})", measure_label(one), measured(one))
    how = "Best" if len(firsts) == 1 else "Best, alike"
    return words("{}{}: {}.", how, measure, _list(_names(firsts)))


def also(rows: Sequence[Pair]) -> list[Words]:
    """Return which others qualify, and whether the best is told apart from them."""
    fit = [pair for pair in rows if _is(pair, "qualifies")]
    others = sorted(fit, key=lambda pair: pair[1]["rank"] if pair[1].knows("rank") else len(rows))
    firsts = winners(rows)
    alike = [pair for pair in others if _is_not_told(pair) and pair not in firsts]
    worse = [pair for pair in others if not _is(pair, "best") and pair not in alike]
    told = [pair for pair in worse if _is(pair, "tells_apart")]
    unsure = [pair for pair in worse if pair not in told]
    enough = _units_to_tell(fit, unsure)
    return [
        words("{}: {}.", what, _shortened([_measured(pair) for pair in pairs]))
        for what, pairs in (
            (Words(("As good, within 5 %",)), alike),
            (Words(("Qualify too, and do worse",)), told),
            (
                words(
                    "Qualify too; to tell them from the best takes {} {}s or more",
                    enough,
                    unsure[0][1].name("unit") if unsure else "",
                ),
                unsure,
            ),
        )
        if pairs
    ]


def _units_to_tell(fit: Sequence[Pair], unsure: Sequence[Pair]) -> Part:
    """Return with how many seeds or hosts what all of them say would be significant."""
    if not unsure:
        return ""
    one = unsure[0][1]
    where = {name: one[name] for name in ("need", *COMPARABLE)} | {"qualifies": "True"}
    seeds = seeds_to_be_significant(max(len(fit) - 1, 1))
    return Tally(str(seeds), seeds, "needs", where, "seeds_to_tell")


def not_told(rows: Sequence[Pair]) -> list[Words]:
    """Return of which it cannot be told whether they qualify, a sentence for each reason."""
    return _by_reason("Not told here", [pair for pair in rows if not pair[1].knows("qualifies")])


def unfit(rows: Sequence[Pair]) -> list[Words]:
    """Return which do not qualify, a sentence for all that break the same.

    Why not is told of all, or where that differs of the first.
    """
    broken: dict[str, list[Pair]] = {}
    for pair in rows:
        if pair[1].knows("broken"):
            broken.setdefault(str(pair[1]["broken"]), []).append(pair)
    away = broken.pop(NOT_AVAILABLE, [])
    found = []
    for pairs in broken.values():
        if len({str(row["why_not"]) for _, row in pairs}) == 1:
            found += _by_reason("Not fit", pairs)
            continue
        first = pairs[0][1]
        found.append(
            words(
                "Not fit, {}: {}. Of the first: {}.",
                first.name("broken"),
                _list(_names(pairs)),
                first.name("why_not"),
            )
        )
    return [*found, *_by_reason("Not here", away)]


def measured(row: Row) -> Part:
    """Return a need's measure, in the unit that its name ends in."""
    name = str(row["measure_name"])
    units: Mapping[str, Callable[[str], Part]] = {
        "bytes": row.bytes,
        "ns": row.ns,
        "share": row.share,
        "rate": row.share,
        "dose": row.dose,
    }
    unit = next((unit for word, unit in units.items() if word in name.split("_")), row.plain)
    return unit("measure")


def measure_label(row: Row) -> Part:
    """Return what a need is measured by, without the unit, which the number has."""
    name = str(row["measure_name"])
    for unit in ("_bytes", "_ns", "_share"):
        name = name.replace(unit, "")
    return Name(name.replace("_", " ").replace("gib", "GiB"))


def _grid(rows: Sequence[Pair]) -> Grid:
    def of_row(cell: Callable[[Row], Part]) -> Callable[[Pair], Part]:
        return lambda pair: cell(pair[1])

    columns = [
        Column[Pair]("", "qualifies", of_row(_qualifies), is_number=False),
        Column[Pair]("", "rank", of_row(lambda row: row.count("rank"))),
        Column[Pair]("", "by", of_row(measure_label), is_number=False),
        Column[Pair](
            "", "measure", of_row(lambda row: measured(row) if row.knows("measure") else NOTHING)
        ),
        Column[Pair]("", "why not", of_row(lambda row: row.name("why_not")), is_number=False),
    ]
    return grid(
        "needs",
        "strategy",
        rows,
        columns,
        title=lambda pair: pair[0].title,
        trials=lambda pair: trials_of(pair[0]),
    )


def _qualifies(row: Row) -> Part:
    if not row.knows("qualifies"):
        return "not told"
    told = "yes" if row["qualifies"] else "no"
    return "best" if told == "yes" and row.knows("best") and row["best"] else told


def _by_reason(what: str, rows: Sequence[Pair]) -> list[Words]:
    """Return a sentence for each reason, with the variants that have it."""
    reasons: dict[str, list[Pair]] = {}
    for pair in rows:
        reasons.setdefault(str(pair[1].name("why_not")), []).append(pair)
    return [
        words("{} ({}): {}.", what, pairs[0][1].name("why_not"), _list(_names(pairs)))
        for pairs in reasons.values()
    ]


def _shortened(parts: Sequence[Part]) -> Words:
    """Return the first of a list; all are in the grid."""
    if len(parts) <= _SHOWN:
        return _list(parts)
    return words("{}; and others", _list(parts[:_SHOWN]))


def _list(parts: Iterable[Part]) -> Words:
    """Return a list; its parts have commas of their own."""
    return joined(parts, "; ")


def _measured(pair: Pair) -> Words:
    variant, row = pair
    if not row.knows("measure"):
        return Words((variant.title,))
    return words("{} ({})", variant.title, measured(row))


def _names(rows: Sequence[Pair]) -> list[Part]:
    return [variant.title for variant, _ in rows]


def _is_not_told(pair: Pair) -> bool:
    """Return whether it is tested and not told apart from the best."""
    return pair[1].knows("tells_apart") and not pair[1]["tells_apart"]


def _is(pair: Pair, column: str) -> bool:
    return pair[1].knows(column) and bool(pair[1][column])
