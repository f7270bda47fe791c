# SPDX-License-Identifier: GPL-2.0-only
"""What failed, and what stood in the way."""

from collections.abc import Callable, Sequence

from carveout.findings.lending import trials_of
from carveout.findings.machines import Machine, Variant
from carveout.wording.grids import Column, Grid, grid
from carveout.wording.marks import Name, Part, Words, joined
from carveout.wording.quantities import NOTHING
from carveout.wording.rows import Row


def failure_grids(machine: Machine) -> list[Grid]:
    """Return every kind of failure, of each variant the most frequent first."""
    columns = [
        Column[Row]("", "trials", lambda row: row.count("count")),
        Column[Row]("", "outcome", outcome, is_number=False),
        Column[Row]("", "step", lambda row: row.label("stage"), is_number=False),
        Column[Row]("", "refused by", refusal, is_number=False),
        Column[Row]("", "in the way", in_the_way, is_number=False),
        Column[Row]("", "under", lambda row: row.label("loads"), is_number=False),
        Column[Row]("", "the kernel's log, for example", _log, is_number=False),
    ]
    return _of_rows(machine, "failures", "count", columns)


def most_frequent(variants: Sequence[Variant]) -> list[tuple[Variant, Row]]:
    """Return of each strategy the kind of failure that most trials had.

    What the careful monitor's own cap ended counts where a strategy has nothing else.
    """
    found: dict[str, tuple[Variant, Row]] = {}
    for variant in variants:
        for row in variant.rows["failures"]:
            most = found.get(variant.strategy)
            if most is None or _weight(row) > _weight(most[1]):
                found[variant.strategy] = (variant, row)
    return list(found.values())


def _weight(row: Row) -> tuple[bool, int]:
    return row["reason"] != "host_needs_the_rest", row["count"]


def blocker_grids(machine: Machine) -> list[Grid]:
    """Return what stood in the way of lends that ended short, of each variant the most first."""
    columns = [
        Column[Row]("", "under", lambda row: row.label("load"), is_number=False),
        Column[Row]("", "in the way", lambda row: row.label("in_the_way"), is_number=False),
        Column[Row]("", "allocated by", lambda row: _chain(row, "owner"), is_number=False),
        Column[Row]("ended so", "lends", lambda row: row.count("shorts")),
        Column[Row]("ended so", "trials", lambda row: row.count("count")),
        Column[Row](
            "for example", "trial", lambda row: row.name("example_trial_id"), is_number=False
        ),
        Column[Row]("for example", "page frame", lambda row: row.count("example_pfn")),
        Column[Row]("for example", "dose", lambda row: row.dose("example_dose")),
    ]
    return _of_rows(machine, "blockers", "shorts", columns)


def outcome(row: Row) -> Words:
    """Return what became of a request, and of what it died."""
    return joined([row.label("outcome"), row.label("cause") if row.knows("cause") else ""], ": ")


def refusal(row: Row) -> Part:
    """Return who refused, with the errno of the kernel's or the reason."""
    why = [row.label(name) for name in ("errno", "reason") if row.knows(name)]
    who = [row.label("refused_by")] if row.knows("refused_by") else []
    return joined([*who, *why], " ") or NOTHING


def in_the_way(row: Row) -> Part:
    """Return what page stood in the way, and who allocated it."""
    if not row.knows("blocker_type"):
        return NOTHING
    owner = _chain(row, "blocker_owner") if row.knows("blocker_owner") else ""
    return joined([row.label("blocker_type"), owner], " < ")


def _of_rows(machine: Machine, table: str, by: str, columns: list[Column[Row]]) -> list[Grid]:
    shown = [
        (variant, row)
        for variant in machine.variants
        for row in sorted(variant.rows[table], key=lambda row: -row[by])
    ]
    if not shown:
        return []

    def of_row(cell: Callable[[Row], Part]) -> Callable[[tuple[Variant, Row]], Part]:
        return lambda item: cell(item[1])

    wide = [Column(c.group, c.title, of_row(c.cell), c.is_number) for c in columns]
    return [
        grid(
            table,
            "strategy",
            shown,
            wide,
            title=lambda item: item[0].title,
            trials=lambda item: trials_of(item[0]) | _of_its_outcome(item[1]),
        )
    ]


def _of_its_outcome(row: Row) -> dict[str, str]:
    """Return by what else the trials of a row are found."""
    return {name: str(row[name]) for name in ("outcome", "load") if name in row.values}


def _chain(row: Row, column: str) -> Part:
    return Name(str(row[column]).replace(",", " < ")) if row.knows(column) else NOTHING


def _log(row: Row) -> Part:
    return (
        joined([row.name(name) for name in ("kernel_log", "refusals") if row.knows(name)], "; ")
        or NOTHING
    )
