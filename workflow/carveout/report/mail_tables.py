# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the mail's text: a line a variant, or one for several that say the same.

As mmtests has it, a cell is a value and in brackets by how much it is better (+) or worse (-) than
the baseline, in stars where that is told.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from carveout.findings.lending import has_doses, vm_grids, whole_until
from carveout.findings.machines import Machine, Variant
from carveout.report.differences import compared, reference_of
from carveout.wording.columns import paragraph, plain, text_tables
from carveout.wording.grids import (
    Column,
    Grid,
    Head,
    Line,
    grid,
    with_alike_joined,
    without_alike,
)
from carveout.wording.labels import load_label
from carveout.wording.marks import Part, Words, joined, words
from carveout.wording.quantities import NOTHING, bytes_label
from carveout.wording.rows import Row
from carveout.wording.short import shortened

# Verdicts on a difference that say that there is one.
TOLD = ("differs", "exact", "clear")
# From this factor on a difference is told as one.
_FACTOR = 10
_LARGE_PERCENT = 10
# Of what stands in brackets, so that it is beneath each other.
_LEAST_WIDTH = 5
_MEDIANS = "medians over all lends of all loads"
# What of the page's grid of VMs a mail has room for, under short names.
_OF_VMS = {
    "VM, ran": "ran",
    "VM, killed, host well": "host well",
    "VM, first instruction": "first ins.",
    "VM, all pages, per GiB": "per GiB",
    "stage 2, by blocks": "by blocks",
}


@dataclass(frozen=True)
class _Against:
    """What was compared of a quantity under a load.

    Attributes:
        reference: what the others are held against.
        rows: by variant.
        doses: the lowest and the highest dose of the widest range over which any was compared.
    """

    reference: Variant
    rows: Mapping[tuple[str, str], Row]
    doses: tuple[float, float]

    @property
    def usual(self) -> Row:
        """A row that was compared over that range, as is the reference's value that is shown."""
        return next(row for row in self.rows.values() if _doses_of(row) == self.doses)

    def row_of(self, variant: Variant) -> Row | None:
        """Return what was compared of a variant, if it was."""
        return self.rows.get((variant.strategy, variant.name))


def machine_tables(machine: Machine) -> Iterator[str]:
    """Yield every table of a machine that says anything, each under its title."""
    reference = reference_of(machine)
    if reference is None:
        yield from titled(f"Lent at best, of {bytes_label(machine.sizes[-1])}", _at_best(machine))
    else:
        lent = f"Lent of {bytes_label(machine.sizes[-1])}, mean over doses"
        yield from _compared(machine, reference, lent, "granted_bytes", Row.bytes)
        for quantity, title in (
            ("lend_ns_per_gib", "Time to lend 1 GiB, mean over doses"),
            ("give_back_ns_per_gib", "Time to give back 1 GiB, mean over doses"),
        ):
            yield from _compared(machine, reference, title, quantity, Row.ns)
    yield from titled(
        "Up to which dose, in percent: all is lent / half of the best is lent / the host carries "
        "the load before any lend",
        _until(machine),
    )
    yield from titled(f"memmap, and what is set aside while idle; {_MEDIANS}", _aside(machine))
    back = f"What comes back of what was lent, and how a lend looks; {_MEDIANS}"
    yield from titled(back, _back(machine))
    for found in vm_grids(machine):
        yield from titled("A VM in what is lent", _renamed(found, _OF_VMS))


def titled(title: Part, own: Grid) -> Iterator[str]:
    """Yield a grid as tables; what all lines say stands in the title."""
    shown, apart = without_alike(own)
    said = [words("{}: {}", head.text, cell) for head, cell in apart if str(cell) != NOTHING]
    if said:
        title = words("{}. In every line that has it: {}", title, joined(said, ", "))
    short = [Line(shortened(str(line.title)), line.cells) for line in shown.lines]
    if not shown.heads:
        if said:
            yield paragraph(words("{}.", title))
        return
    for text in text_tables(with_alike_joined(replace(shown, lines=short))):
        yield f"{paragraph(title)}\n\n{text}"


def _of_variants(machine: Machine, table: str, columns: Sequence[Column[Variant]]) -> Grid:
    return grid(table, "strategy", machine.variants, columns, title=lambda own: own.title)


def _compared(
    machine: Machine,
    reference: Variant,
    title: str,
    quantity: str,
    unit: Callable[[Row, str], Part],
) -> Iterator[str]:
    """Yield a table of a quantity: a column a load, each variant against the reference."""
    found = {load: _against(machine, reference, load, quantity) for load in machine.loads}
    known = {load: against for load, against in found.items() if against is not None}
    if not known:
        return
    columns = [
        Column("", load_label(load, 0), _cell_of(against, unit, machine.variants))
        for load, against in known.items()
    ]
    doses = [
        words("{} {}", load_label(load, 0), _range(against.usual))
        for load, against in known.items()
        if has_doses(machine, load)
    ]
    told = [words("{}; baseline: {}", title, reference.title)]
    told += [words("Doses: {}", joined(doses, ", "))] if doses else []
    yield from titled(joined(told, ". "), _of_variants(machine, "comparisons", columns))


def _against(machine: Machine, reference: Variant, load: str, quantity: str) -> _Against | None:
    """Return what was compared under a load, and the widest range of doses of any."""
    rows = compared(machine, load, quantity)
    if not rows:
        return None
    widest = max(map(_doses_of, rows.values()), key=lambda doses: (doses[1], -doses[0]))
    return _Against(reference, rows, widest)


def _doses_of(row: Row) -> tuple[float, float]:
    return row["least_dose"], row["most_dose"]


def _range(row: Row) -> Words:
    if row["least_dose"] == row["most_dose"]:
        return Words((row.dose("least_dose"),))
    return row.between("least_dose", "most_dose", Row.dose)


def _cell_of(
    against: _Against, unit: Callable[[Row, str], Part], variants: Sequence[Variant]
) -> Callable[[Variant], Part]:
    brackets = {str(variant.title): _in_brackets(against, variant) for variant in variants}
    width = max(_LEAST_WIDTH, *(len(text) for text, _ in brackets.values()))

    def told(variant: Variant) -> Part:
        row = against.row_of(variant)
        if variant is against.reference:
            value = unit(against.usual, "against_value")
        elif row is None:
            return NOTHING
        else:
            value = unit(row, "value")
        text, is_told = brackets[str(variant.title)]
        form = "{} *{}*" if is_told else "{} ({})"
        return words(form, value, f"{text:>{width}}")

    return told


def _in_brackets(against: _Against, variant: Variant) -> tuple[str, bool]:
    """Return how a variant compares, or up to which dose it was; and whether that is told."""
    row = against.row_of(variant)
    if row is None:
        return ("=" if variant is against.reference else ""), False
    if _doses_of(row) != against.doses:
        return plain(_other_range(row, against)), False
    return _difference(row)


def _other_range(row: Row, against: _Against) -> Words:
    """Return over which doses a row was compared that was not over the widest range."""
    if row["least_dose"] == row["most_dose"]:
        return words("at {}", row.dose("most_dose"))
    if row["least_dose"] == against.usual["least_dose"]:
        return words("to {}", row.dose("most_dose"))
    return _range(row)


def _difference(row: Row) -> tuple[str, bool]:
    """Return by how much a value is better than the baseline's, or how many times it is that.

    Returns:
        It, and whether it is told that there is a difference.
    """
    value, baseline = row["value"], row["against_value"]
    if row["verdict"] == "equal" or value == baseline:
        return "=", False
    if not baseline:
        return "-", False
    is_told = row["verdict"] in TOLD
    if value / baseline > _FACTOR:
        return f"x{value / baseline:.0f}", is_told
    if value and baseline / value > _FACTOR:
        return f"1/{baseline / value:.0f}", is_told
    change = (value - baseline) / baseline * 100
    if row["quantity"] != "granted_bytes":
        change = -change
    digits = 0 if round(abs(change), 1) >= _LARGE_PERCENT else 1
    return f"{change:+.{digits}f}%", is_told


def _of_curve(load: str, cell: Callable[[Row], Part]) -> Callable[[Variant], Part]:
    def told(variant: Variant) -> Part:
        curve = variant.curve(load)
        return NOTHING if curve is None else cell(curve)

    return told


def _at_best(machine: Machine) -> Grid:
    columns = [
        Column(
            "", load_label(load, 0), _of_curve(load, lambda row: row.bytes("granted_most_bytes"))
        )
        for load in machine.loads
    ]
    return _of_variants(machine, "curves", columns)


def _until(machine: Machine) -> Grid:
    """Return how far each variant goes under each load that has doses."""
    loads = [load for load in machine.loads if has_doses(machine, load)]
    columns = [Column("", load_label(load, 0), _ends_of(load)) for load in loads]
    return _of_variants(machine, "curves", columns)


def _ends_of(load: str) -> Callable[[Variant], Part]:
    def told(variant: Variant) -> Part:
        curve = variant.curve(load)
        if curve is None:
            return NOTHING
        ends = [
            _dose(whole_until(variant.cells_of(load)), "dose_target", curve),
            _half(curve),
            _number(curve, "carries_until_dose")
            if curve.knows("refused_from_dose")
            else _end(curve, "most_dose"),
        ]
        return "/".join(ends)

    return told


def _half(curve: Row) -> str:
    if not curve.knows("half_until_dose"):
        return "-"
    if not curve.knows("turning_point"):
        return _end(curve, "most_dose")
    if curve["fall"] == "load_refused":
        return f"{_number(curve, 'turning_point')}r"
    return _end(curve, "turning_point")


def _dose(row: Row | None, column: str, curve: Row) -> str:
    """Return a dose up to which something is so, and whether the curve goes on from there."""
    if row is None or not row.knows(column):
        return "-"
    if curve.knows("refused_from_dose"):
        return _number(row, column) + ("r" if row[column] == curve["carries_until_dose"] else "")
    return _number(row, column) + ("+" if row[column] == curve["most_dose"] else "")


def _end(curve: Row, column: str) -> str:
    return _dose(curve, column, curve)


def _number(row: Row, column: str) -> str:
    """Return a dose without its unit."""
    return plain(row.dose(column)).removesuffix("%") if row.knows(column) else "-"


def _aside(machine: Machine) -> Grid:
    columns = [
        Column[Variant]("idle", "by host", lambda own: own.idle.bytes("memmap_idle_host_bytes")),
        Column[Variant]("lent", "by host", lambda own: own.lent.bytes("memmap_host_bytes")),
        Column[Variant]("lent", "by itself", lambda own: own.lent.bytes("memmap_self_bytes")),
        Column[Variant](
            "", "per GiB lent", lambda own: own.lent.bytes("memmap_per_lent_gib_bytes")
        ),
        Column[Variant]("", "stranded", lambda own: own.idle.bytes("stranded_bytes")),
        Column[Variant]("", "movable alone", lambda own: own.idle.bytes("movable_only_bytes")),
    ]
    return _of_variants(machine, "variants", columns)


def _back(machine: Machine) -> Grid:
    columns = [
        Column[Variant]("", "regained", lambda own: own.lent.share("regained_share")),
        Column[Variant]("", "kept back", lambda own: own.lent.share("kept_back_share")),
        Column[Variant]("", "for movable", lambda own: own.lent.share("reuse_movable_share")),
        Column[Variant]("", "for unmovable", lambda own: own.lent.share("reuse_unmovable_share")),
        Column[Variant]("", "the owner's", lambda own: own.lent.share("owner_discarded_share")),
        Column[Variant]("", "extents", lambda own: own.lent.count("extents_p50")),
        Column[Variant]("", "clearing 1 GiB", lambda own: own.cleared.ns("zero_ns_per_gib_p50")),
    ]
    return _of_variants(machine, "variants", columns)


def _renamed(own: Grid, names: Mapping[str, str]) -> Grid:
    """Return a grid's columns that have names, which are short, in their order."""
    places = [place for place, head in enumerate(own.heads) if head.text in names]
    heads = [Head("", names[own.heads[place].text]) for place in places]
    lines = [Line(line.title, [line.cells[place] for place in places]) for line in own.lines]
    return Grid(own.table, own.stub, heads, lines)
