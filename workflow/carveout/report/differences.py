# SPDX-License-Identifier: GPL-2.0-only
"""How strategies differ from a reference under each load, and whether that can be told."""

from collections.abc import Callable, Mapping

from carveout.findings.lending import trials_of
from carveout.findings.machines import Machine, Variant
from carveout.wording.grids import Column, Grid, grid
from carveout.wording.labels import load_label
from carveout.wording.marks import Name, Part, Words, words
from carveout.wording.rows import Row, rows_of

# What is compared, in the order in which it is shown: its name, and the unit of its numbers.
_QUANTITIES: Mapping[str, tuple[str, Callable[[Row, str], Part]]] = {
    "granted_bytes": ("what is lent", Row.bytes),
    "success": ("how often all is lent", Row.share),
    "lend_ns_per_gib": ("time to lend a GiB", Row.ns),
    "give_back_ns_per_gib": ("time to give a GiB back", Row.ns),
}
_INTERVALS = {"range": "all seeds", "bootstrap": "95 %", "newcombe": "95 %"}


def reference_of(machine: Machine) -> Variant | None:
    """Return what the others are held against, where there is any of them."""
    for row in rows_of("comparisons", machine.tables["comparisons"][:1]):
        pair = (row["against_strategy"], row["against_variant"])
        for variant in machine.variants:
            if (variant.strategy, variant.name) == pair:
                return variant
    return None


def compared(machine: Machine, load: str, quantity: str) -> dict[tuple[str, str], Row]:
    """Return by variant what was compared under a load: of the largest request, the last lend."""
    own = machine.tables["comparisons"]
    own = own[(own["quantity"] == quantity) & (own["load"] == load)]
    return {
        (row["strategy"], row["variant"]): row
        for row in rows_of("comparisons", own.sort_values("request_bytes", kind="stable"))
    }


def difference_grids(machine: Machine) -> list[Grid]:
    """Return how each variant differs from the reference: a grid for each quantity and load."""
    reference = reference_of(machine)
    if reference is None:
        return []
    found = []
    for quantity, (what, unit) in _QUANTITIES.items():
        for load in machine.loads:
            rows = compared(machine, load, quantity)
            shown = [own for own in machine.variants if (own.strategy, own.name) in rows]
            if shown:
                title = words(
                    "{} under {}, against {}",
                    what[0].upper() + what[1:],
                    Name(load_label(load, 0)),
                    reference.title,
                )
                found.append(_grid(title, shown, rows, unit))
    return found


def _grid(
    title: Words,
    shown: list[Variant],
    rows: Mapping[tuple[str, str], Row],
    unit: Callable[[Row, str], Part],
) -> Grid:
    def of_row(cell: Callable[[Row], Part]) -> Callable[[Variant], Part]:
        return lambda variant: cell(rows[variant.strategy, variant.name])

    columns = [
        Column("mean", "its own", of_row(lambda row: unit(row, "value"))),
        Column("mean", "the other's", of_row(lambda row: unit(row, "against_value"))),
        Column("", "difference", of_row(lambda row: unit(row, "difference"))),
        Column(
            "seeds or interval",
            "from",
            of_row(lambda row: unit(row, "difference_low")),
        ),
        Column("seeds or interval", "to", of_row(lambda row: unit(row, "difference_high"))),
        Column("seeds or interval", "of", of_row(_interval), is_number=False),
        Column("", "verdict", of_row(lambda row: row.label("verdict")), is_number=False),
        Column("", "seeds needed", of_row(lambda row: row.count("trials_needed"))),
        Column("doses", "from", of_row(lambda row: row.dose("least_dose"))),
        Column("doses", "to", of_row(lambda row: row.dose("most_dose"))),
        Column("", "seeds", of_row(lambda row: row.count("seeds"))),
        Column("", "hosts", of_row(lambda row: row.count("hosts"))),
    ]
    own = grid(
        "comparisons",
        "strategy",
        shown,
        columns,
        title=lambda variant: variant.title,
        trials=trials_of,
    )
    return Grid(own.table, own.stub, own.heads, own.lines, title)


def _interval(row: Row) -> Part:
    return Name(_INTERVALS[row["interval"]]) if row.knows("interval") else ""
