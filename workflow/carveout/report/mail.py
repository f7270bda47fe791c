# SPDX-License-Identifier: GPL-2.0-only
"""The summary as plain text, ready for a mail to a kernel list; what a run prints at its end.

In the forms that such readers know: of mmtests, a value and in brackets by how much it is better
(+) or worse (-) than the baseline, in stars where that is told; of the 0-day robot, what another
kernel changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from carveout.findings.costs import aside_grids, memmap_grids, return_grids
from carveout.findings.failing import in_the_way, outcome, refusal
from carveout.findings.kernels import changes_of
from carveout.findings.lending import carried, has_doses, least_whole, rate, vm_grids, whole_until
from carveout.findings.machines import Machine, Variant, machines_of
from carveout.findings.needs import answers
from carveout.report.facts import run_facts
from carveout.wording.columns import heading, paragraph, plain, text_tables
from carveout.wording.grids import Column, Grid, Head, Line, grid
from carveout.wording.labels import Labels, load_label, unavailable_labels
from carveout.wording.marks import Part, words
from carveout.wording.quantities import NOTHING, bytes_label
from carveout.wording.rows import Row, rows_of

# Verdicts on a difference that say that there is one.
_TOLD = ("differs", "exact")
_FACTS = ("Kernel", "Host", "Page", "Lendable", "QEMU", "Trials", "Outcomes", "Seeds")
_HOW_TO_READ = (
    "Bytes are exact. Times count instructions: they rank strategies, and predict no hardware. "
    "Seeds vary where a load's pages lie, and in a run with layouts the host's history; nothing "
    "else. Alike: all trials of the cell are the same to the bit. At best: the largest mean of "
    "what was lent; half to: the dose up to which half of that is; carried to: the highest dose "
    "that the host carries before any lend. In brackets: better (+) or worse (-) than the "
    "baseline, as mmtests has it, of means over the doses that both have run; in stars where seeds "
    "vary less than a tenth of it, or a test tells it."
)
# What of the page's grids a mail has room for, under short names.
_PAID = {
    f"{time}, paid by, {who}": f"{word}, by {short}"
    for time, word in (("all RAM, idle", "idle"), ("while lent", "lent"))
    for who, short in (("the host", "host"), ("the memory itself", "itself"), ("nobody", "nobody"))
}
_ASIDE = {
    "set aside, idle, stranded": "stranded",
    "set aside, idle, CMA area": "CMA area",
    "set aside, idle, CMA area in use": "of it in use",
    "set aside, idle, ZONE_MOVABLE": "ZONE_MOVABLE",
}
_BACK = {
    "after give back, regained": "regained",
    "after give back, kept back": "kept back",
    "reuse, movable, allocated": "for movable",
    "reuse, unmovable, allocated": "for unmovable",
    "the owner, regained": "the owner's",
}
_OF_VMS = {
    "VM, ran": "ran",
    "VM, killed, host well": "host well",
    "VM, first instruction": "first ins.",
    "VM, all pages, per GiB": "per GiB",
    "stage 2, by blocks": "by blocks",
}


def summary_text(
    tables: Mapping[str, pd.DataFrame],
    labels: Labels,
    needs: Mapping[str, str],
    reproduce: Mapping[str, str],
) -> str:
    """Return the whole summary.

    Args:
        tables: all of them, by name.
        labels: the strategies' descriptions.
        needs: the titles of the needs, in their order.
        reproduce: how to do it again: commands and revisions, by what they are.
    """
    every = machines_of(tables, labels)
    machines = [machine for machine in every if machine.variants]
    parts = [_head(tables, reproduce)]
    for machine in machines:
        parts += [heading(machine.label), *map(paragraph, machine.caveats)]
        parts += _conclusions(machine, needs)
        parts += _tables(machine)
        parts += [text for text in (_failed(machine), _not_available(machine.unavailable)) if text]
    parts += _changed(tables["changes"], labels)
    missing = unavailable_labels(tables["summary"], labels)
    shown = {machine.label for machine in machines}
    for label, text in missing.items():
        if label not in shown:
            parts += [heading(label), _not_available(text)]
    return "\n\n".join(parts) + "\n"


def _head(tables: Mapping[str, pd.DataFrame], reproduce: Mapping[str, str]) -> str:
    facts = run_facts(tables)
    known: dict[str, Part] = {name: facts[name] for name in _FACTS} | dict(reproduce)
    lines = [paragraph(words("{}: {}", name, value)) for name, value in known.items()]
    title = "carveout: which way of setting memory aside for VMs costs least?"
    return "\n".join([title, "", *lines, "", paragraph(_HOW_TO_READ)])


def _conclusions(machine: Machine, needs: Mapping[str, str]) -> list[str]:
    """Return which variants are fit for which need."""
    found = answers(machine, needs)
    if not found:
        return []
    lines = ["By need"]
    for answer in found:
        lines += ["", paragraph(answer.title)]
        lines += [paragraph(sentence, "  ") for sentence in answer.sentences]
    return ["\n".join(lines)]


def _tables(machine: Machine) -> Iterator[str]:
    reference = _reference(machine)
    baseline = f"; baseline: {reference.title}" if reference else ""
    pairs = _pairs(machine)
    for load in machine.loads:
        words_of = load_label(load, 0)
        title = f"Lent under {words_of}, of {bytes_label(machine.sizes[-1])}{baseline}"
        yield from _titled(
            title, [_of_variants(machine, "curves", _capacity(machine, load, reference, pairs))]
        )
        title = f"How many lends under {words_of} were whole"
        yield from _titled(title, [_of_variants(machine, "summary", _whole(machine, load))])
    title = f"Median time of a lend, per GiB, and what stands beside it{baseline}"
    yield from _titled(title, [_of_variants(machine, "variants", _time(reference))])
    yield from _titled("memmap: who pays", _renamed(memmap_grids(machine), _PAID))
    yield from _titled("memmap that describes lent memory, per GiB of it", _per_gib(machine))
    yield from _titled("Set aside while idle", _renamed(aside_grids(machine), _ASIDE))
    yield from _titled("What comes back, of what was lent", _renamed(return_grids(machine), _BACK))
    yield from _titled("A VM in what is lent", _renamed(vm_grids(machine), _OF_VMS))


def _titled(title: str, grids: Sequence[Grid]) -> Iterator[str]:
    for own in grids:
        for text in text_tables(own):
            yield f"{paragraph(title)}\n\n{text}"


def _renamed(grids: Sequence[Grid], names: Mapping[str, str]) -> list[Grid]:
    """Return the first grid's columns that have names, which are short, in their order."""
    for own in grids[:1]:
        places = [place for place, head in enumerate(own.heads) if head.text in names]
        heads = [Head("", names[own.heads[place].text]) for place in places]
        lines = [
            Line(line.title, [line.cells[place] for place in places], line.trials)
            for line in own.lines
        ]
        return [Grid(own.table, own.stub, heads, lines)]
    return []


def _per_gib(machine: Machine) -> list[Grid]:
    sizes = {f"per GiB lent, {(size := bytes_label(own))}": f"of {size}" for own in machine.sizes}
    return _renamed(memmap_grids(machine), sizes)


def _of_variants(machine: Machine, table: str, columns: Sequence[Column[Variant]]) -> Grid:
    return grid(table, "strategy", machine.variants, columns, title=lambda own: own.title)


def _reference(machine: Machine) -> Variant | None:
    """Return what the others are held against, where there is any of them."""
    for row in rows_of("comparisons", machine.tables["comparisons"][:1]):
        pair = (row["against_strategy"], row["against_variant"])
        for variant in machine.variants:
            if (variant.strategy, variant.name) == pair:
                return variant
    return None


def _pairs(machine: Machine) -> dict[tuple[str, str, str], Row]:
    """Return what was compared of each variant under each load: what was granted of the largest."""
    own = machine.tables["comparisons"]
    of_granted = own[own["quantity"] == "granted_bytes"].sort_values("request_bytes", kind="stable")
    return {
        (row["strategy"], row["variant"], row["load"]): row
        for row in rows_of("comparisons", of_granted)
    }


def _capacity(
    machine: Machine,
    load: str,
    reference: Variant | None,
    pairs: Mapping[tuple[str, str, str], Row],
) -> list[Column[Variant]]:
    def of_curve(cell: Callable[[Row], Part]) -> Callable[[Variant], Part]:
        def told(variant: Variant) -> Part:
            curve = variant.curve(load)
            return NOTHING if curve is None else cell(curve)

        return told

    def against(variant: Variant) -> Part:
        pair = pairs.get((variant.strategy, variant.name, load))
        if variant is reference:
            return _gain(1, 1)
        if pair is None:
            return NOTHING
        return _gain(pair["value"], pair["against_value"], told=pair["verdict"] in _TOLD)

    curves = [curve for own in machine.variants if (curve := own.curve(load)) is not None]
    columns = [Column("", "at best", of_curve(lambda curve: curve.bytes("granted_most_bytes")))]
    if pairs:
        columns.append(Column("", "mean", against))
    if any(curve["doses"] > 1 for curve in curves):
        columns.append(Column("", "half to", of_curve(_half)))
        columns.append(Column("", "of seeds", of_curve(_spread)))
    if has_doses(machine, load):
        columns.append(Column("", "carried to", of_curve(carried)))
    return columns


def _whole(machine: Machine, load: str) -> list[Column[Variant]]:
    def of_cells(
        found: Callable[[Sequence[Row]], Row | None], cell: Callable[[Row], Part]
    ) -> Callable[[Variant], Part]:
        def told(variant: Variant) -> Part:
            row = found(variant.cells_of(load))
            return NOTHING if row is None else cell(row)

        return told

    fewest = Column("", "the fewest", of_cells(least_whole, rate))
    if not has_doses(machine, load):
        return [fewest]
    return [
        Column("", "all up to", of_cells(whole_until, lambda cell: cell.dose("dose_target"))),
        fewest,
        Column("", "at", of_cells(least_whole, lambda cell: cell.dose("dose_target"))),
    ]


def _time(reference: Variant | None) -> list[Column[Variant]]:
    def better(variant: Variant) -> Part:
        column = "lend_ns_per_gib_p50"
        if reference is None or not variant.lent.knows(column):
            return NOTHING
        return _gain(variant.lent[column], reference.lent[column], less_is_better=True)

    columns = [
        Column[Variant]("", "lend", lambda own: own.lent.ns("lend_ns_per_gib_p50")),
        Column[Variant]("", "better", better),
        Column[Variant]("", "give back", lambda own: own.lent.ns("give_back_ns_per_gib_p50")),
        Column[Variant]("", "clearing", lambda own: own.cleared.ns("zero_ns_per_gib_p50")),
        Column[Variant]("", "extents", lambda own: own.lent.count("extents_p50")),
    ]
    return [column for column in columns if reference or column.title != "better"]


def _gain(
    value: float, baseline: float, *, less_is_better: bool = False, told: bool = False
) -> str:
    """Return by how much a value is better than the baseline, as mmtests writes it."""
    if pd.isna(baseline) or not baseline:
        return NOTHING
    change = (value - baseline) / baseline * 100
    text = f"{-change if less_is_better and change else change:.2f}%"
    return f"*{text:>8}*" if told else f"({text:>8})"


def _half(curve: Row) -> Part:
    if curve.knows("turning_point"):
        return curve.dose("turning_point")
    return words("≥{}", curve.dose("most_dose")) if curve.knows("half_until_dose") else NOTHING


def _spread(curve: Row) -> Part:
    spread = curve.between("turning_point_least", "turning_point_most", Row.dose)
    return spread or NOTHING


def _failed(machine: Machine) -> str:
    """Return every kind of failure with how many trials it had."""
    lines = ["What failed, in how many trials"]
    for variant in machine.variants:
        for row in sorted(variant.rows["failures"], key=lambda row: -row["count"]):
            who, blocker = refusal(row), in_the_way(row)
            said = words(
                "{}  {}: {}{}{}{}; under {}",
                row.count("count"),
                variant.title,
                outcome(row),
                words(" at {}", row.label("stage")) if row.knows("stage") else "",
                "" if who == NOTHING else words(", by {}", who),
                "" if blocker == NOTHING else words(", in the way {}", blocker),
                row.label("loads"),
            )
            lines.append(paragraph(said, "  "))
    return "\n".join(lines) if len(lines) > 1 else "Every lend was granted."


def _not_available(text: str) -> str:
    return paragraph(f"Not available: {text}") if text else ""


def _changed(changes: pd.DataFrame, labels: Labels) -> Iterator[str]:
    """Return what another kernel changes, in the manner of the 0-day robot's mails."""
    for found in changes_of(changes, labels):
        yield heading(f"{found.label}; what changed")
        lines = [paragraph(found.told)]
        for line in found.grid.lines:
            load, asked, what, before, change, least, most, after, up, down, of, p_value = map(
                plain, line.cells
            )
            lines += [
                "",
                paragraph(f"{plain(line.title)}, {load}, {asked}: {what}"),
                f"  {before:>12}  {change:>12}  {after:>12}",
                f"  seeds {least} to {most}; pairs up {up}, down {down}, of {of}; p {p_value}",
            ]
        yield "\n".join(lines)
