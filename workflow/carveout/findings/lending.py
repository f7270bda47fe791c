# SPDX-License-Identifier: GPL-2.0-only
"""How much is lent, how often, while how much is carried; and whether a VM runs in it."""

from collections.abc import Callable, Iterator, Sequence

from carveout.findings.machines import Machine, Variant
from carveout.wording.grids import Column, Grid, grid
from carveout.wording.labels import load_label
from carveout.wording.marks import Name, Part, Words, joined, words
from carveout.wording.quantities import NOTHING
from carveout.wording.rows import Row

# As many loads stand in a table beside each other; more would be wider than a printed page.
LOADS_A_TABLE = 3
# How the kernel took the memory of a VM, for people.
_WAYS = {
    "cacheable": "cached",
    "cacheable_code_beside": "cached, code beside",
    "uncached": "write-combined",
    "uncached_code_beside": "write-combined, code beside",
}


def trials_of(variant: Variant) -> dict[str, str]:
    """Return by which columns the trials of a variant are found."""
    return {"strategy": variant.strategy, "variant": variant.name}


def capacity_grids(machine: Machine) -> list[Grid]:
    """Return how much each variant lends under growing doses: some loads a grid."""
    return [
        grid(
            "curves",
            "strategy",
            machine.variants,
            [column for load in loads for column in _capacity_columns(machine, load)],
            title=lambda variant: variant.title,
            trials=trials_of,
        )
        for loads in _chunks(machine.loads)
    ]


def success_grids(machine: Machine) -> list[Grid]:
    """Return how often each variant lends all that was asked for: some loads a grid."""
    return [
        grid(
            "summary",
            "strategy",
            machine.variants,
            [column for load in loads for column in _success_columns(machine, load)],
            title=lambda variant: variant.title,
            trials=trials_of,
        )
        for loads in _chunks(machine.loads)
    ]


def vm_grids(machine: Machine) -> list[Grid]:
    """Return what VMs made of lent memory; nothing where none was asked for."""
    shown = [row for variant in machine.variants if (row := _with_vm(variant)) is not None]
    if not shown:
        return []
    titles = {(own.strategy, own.name): own for own in machine.variants}

    def variant(row: Row) -> Variant:
        return titles[row["strategy"], row["variant"]]

    columns = [
        Column[Row]("VM", "ran", lambda row: row.of("vm_ran", "vm_asked")),
        Column[Row]("VM", "else", lambda row: row.label("vm_not_ran"), is_number=False),
        Column[Row]("VM", "killed, host well", lambda row: row.of("vm_survived", "vm_ran")),
        Column[Row]("VM", "first instruction", lambda row: row.ns("vm_first_instruction_ns_p50")),
        Column[Row]("VM", "all pages, per GiB", _run_ns),
        Column[Row]("VM", "monitor maps it", _way, is_number=False),
        Column[Row]("stage 2", "faults per GiB", lambda row: row.count("vm_stage2_faults_per_gib")),
        Column[Row](
            "stage 2", "tables per GiB", lambda row: row.bytes("vm_stage2_table_per_gib_bytes")
        ),
        Column[Row]("stage 2", "by pages", lambda row: row.share("vm_page_share")),
        Column[Row]("stage 2", "by blocks", lambda row: row.share("vm_block_share")),
        Column[Row]("stage 2", "of 1 GiB", lambda row: row.share("vm_gigantic_share")),
        Column[Row]("stage 2", "as a device's", lambda row: row.share("vm_device_share")),
    ]
    return [
        grid(
            "variants",
            "strategy",
            shown,
            columns,
            title=lambda row: variant(row).title,
            trials=lambda row: trials_of(variant(row)),
        )
    ]


def turning_point(curve: Row) -> Words:
    """Return the dose up to which half of the most is lent, with its range over seeds.

    Where the host does not carry the next dose, that is said.
    """
    if curve.knows("turning_point"):
        spread = curve.between("turning_point_least", "turning_point_most", Row.dose)
        if spread and curve["turning_point_least"] == curve["turning_point_most"]:
            spread = Words()
        is_refusal = curve["fall"] == "load_refused"
        said = joined([spread, "then load refused" if is_refusal else ""], ", ")
        return words("{}" + (" ({})" if said else ""), curve.dose("turning_point"), said)
    if curve.knows("half_until_dose"):
        is_refused = curve.knows("refused_from_dose")
        return words(
            "≥ {}" + (" (then load not carried)" if is_refused else ""), curve.dose("most_dose")
        )
    return Words((NOTHING,))


def carried(curve: Row) -> Part:
    """Return the highest dose that the host carries while nothing is lent."""
    if not curve.knows("refused_from_dose"):
        return words("≥ {}", curve.dose("most_dose"))
    return curve.dose("carries_until_dose")


def whole_until(cells: Sequence[Row]) -> Row | None:
    """Return the cell of the highest dose up to which every lend was whole."""
    last = None
    for cell in cells:
        if not cell["trials"] or cell["successes"] < cell["trials"]:
            break
        last = cell
    return last


def least_whole(cells: Sequence[Row]) -> Row | None:
    """Return the cell in which the fewest lends were whole, of several that of the lowest dose."""
    tried = [cell for cell in cells if cell["trials"]]
    return min(tried, key=lambda cell: cell["success_rate"], default=None)


def rate(cell: Row) -> Words:
    """Return how often a lend was whole, with its interval or that nothing varies."""
    counts = cell.of("successes", "trials")
    if cell["deterministic"]:
        return words("{} alike", counts)
    spread = cell.between("success_low", "success_high", Row.share)
    return words("{} ({})", counts, spread) if spread else counts


def granted_mean(cell: Row) -> Words:
    """Return what a cell was granted in the mean, with its interval or its range."""
    spread = cell.between("granted_low_bytes", "granted_high_bytes", Row.bytes)
    if not spread and cell["granted_least_bytes"] != cell["granted_most_bytes"]:
        spread = cell.between("granted_least_bytes", "granted_most_bytes", Row.bytes)
    mean = cell.bytes("granted_mean_bytes")
    return words("{} ({})", mean, spread) if spread else Words((mean,))


def _chunks(loads: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(loads), LOADS_A_TABLE):
        yield loads[start : start + LOADS_A_TABLE]


def _capacity_columns(machine: Machine, load: str) -> list[Column[Variant]]:
    def of_curve(cell: Callable[[Row], Part]) -> Callable[[Variant], Part]:
        def told(variant: Variant) -> Part:
            curve = variant.curve(load)
            return NOTHING if curve is None else cell(curve)

        return told

    name = load_label(load, 0)
    best = Column(name, "at best", of_curve(lambda curve: curve.bytes("granted_most_bytes")))
    if not has_doses(machine, load):
        return [Column(name, "lent", best.cell)]
    return [
        best,
        Column(name, "half of it up to", of_curve(turning_point)),
        Column(name, "carried up to", of_curve(carried)),
    ]


def _success_columns(machine: Machine, load: str) -> list[Column[Variant]]:
    def of_cells(
        found: Callable[[Sequence[Row]], Row | None], cell: Callable[[Row], Part]
    ) -> Callable[[Variant], Part]:
        def told(variant: Variant) -> Part:
            row = found(variant.cells_of(load))
            return NOTHING if row is None else cell(row)

        return told

    name = load_label(load, 0)
    fewest = of_cells(least_whole, rate)
    if not has_doses(machine, load):
        return [Column(name, "whole", fewest)]
    return [
        Column(name, "whole up to", of_cells(whole_until, lambda row: row.dose("dose_target"))),
        Column(name, "the fewest", fewest),
        Column(name, "at", of_cells(least_whole, lambda row: row.dose("dose_target"))),
    ]


def has_doses(machine: Machine, load: str) -> bool:
    """Return whether a load has a dose at all: of a host that idles there is none."""
    curves = [variant.curve(load) for variant in machine.variants]
    return any(curve["most_dose"] for curve in curves if curve is not None)


def _with_vm(variant: Variant) -> Row | None:
    """Return the largest request in which a VM ran, else the largest for which one was asked."""
    asked = [row for row in variant.requests if row["vm_asked"] > 0]
    ran = [row for row in asked if row["vm_ran"] > 0]
    return next(reversed(ran or asked), None)


def _run_ns(row: Row) -> Part:
    # KVM cleans no caches for a device's memory, and what bypasses them costs nothing here: such a
    # time is no less than another on any hardware.
    return NOTHING if row.more_than_nothing("vm_device_share") else row.ns("vm_run_ns_per_gib_p50")


def _way(row: Row) -> Part:
    return Name(_WAYS.get(str(row["vm_way"]), NOTHING))
