# SPDX-License-Identifier: GPL-2.0-only
"""What differs between kernels: side by side, and what changed from one to another."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from carveout.study.geometry import granule_label
from carveout.tables.schema import KERNEL_COLUMNS
from carveout.wording.grids import Column, Grid, grid
from carveout.wording.labels import VARIANT, Labels, comparable_parts, load_label, version_label
from carveout.wording.marks import Name, Part, Words, joined, tally, words
from carveout.wording.quantities import NOTHING, bytes_label
from carveout.wording.rows import Row, rows_of


def _half_dose(row: Row) -> Part:
    if not row.knows("half_dose_least"):
        return NOTHING
    return words("{} ({})", row.dose("half_dose_least"), row.label("half_dose_least_load"))


# What is put side by side of kernels, with how it is written.
_OF_KERNELS: Mapping[str, Callable[[Row], Part]] = {
    "memmap of the host, idle": lambda row: row.bytes("memmap_idle_bytes"),
    "memmap per lent GiB": lambda row: row.bytes("memmap_per_lent_gib_bytes"),
    "lent at best": lambda row: row.bytes("granted_most_bytes"),
    "the lowest dose of half capacity": _half_dose,
    "median lend per GiB": lambda row: row.ns("lend_ns_per_gib_p50"),
}


# What may change from kernel to kernel, with how it is called and written.
_QUANTITIES: Mapping[str, tuple[str, Callable[[Row, str], Part]]] = {
    "success": ("success", Row.share),
    "granted_bytes": ("granted", Row.bytes),
    "lend_ns_per_gib": ("lend, per GiB", Row.ns),
    "give_back_ns_per_gib": ("give back, per GiB", Row.ns),
    "memmap_bytes_per_gib": ("memmap, per GiB lent", Row.bytes),
    "pages_migrated": ("pages migrated", Row.count),
    "regained_bytes": ("regained", Row.bytes),
}


@dataclass(frozen=True)
class Change:
    """What changed from one kernel to another, on one machine in one granule.

    Attributes:
        label: both kernels, the machine and the granule.
        before: the kernel before.
        after: the kernel after.
        told: how much of it changed.
        grid: what changed; no lines where nothing did.
    """

    label: str
    before: str
    after: str
    told: Words
    grid: Grid


def kernel_grids(kernels: pd.DataFrame, labels: Labels) -> list[tuple[str, list[Grid]]]:
    """Return kernels side by side by RAM and granule, a grid for each quantity, with a label."""
    found = []
    for (_, granule), rows in kernels.groupby(["ram_bytes", "granule"]):
        size = bytes_label(rows["ram_bytes"].iloc[0])
        by_place = {
            (row["strategy"], row["variant"], row["kernel"]): row
            for row in rows_of("kernels", rows)
            if row["available"]
        }
        shown = rows[rows["available"].fillna(False).astype(bool)]
        names = list(dict.fromkeys(shown["kernel"]))
        pairs = labels.variants(shown)
        if len(names) > 1:
            label = f"{size} RAM, {granule_label(str(granule))}"
            found.append(
                (
                    label,
                    [_side_by_side(what, pairs, names, by_place, labels) for what in _OF_KERNELS],
                )
            )
    return found


def changes_of(changes: pd.DataFrame, labels: Labels) -> list[Change]:
    """Return what changed from kernel to kernel: nothing where there is one kernel."""
    found = []
    for (before, version, pinned), rows in changes.groupby([f"before_{n}" for n in KERNEL_COLUMNS]):
        old = f"{before} ({version_label(str(version), str(pinned))})"
        for new, part in comparable_parts(rows):
            first = part.iloc[0]
            pair = {name: str(first[name]) for name in ("before_kernel", "kernel", "granule")}
            where: dict[str, str | float] = {**pair, "ram_bytes": float(first["ram_bytes"])}
            told = joined([_told(part, where), *_flipped(part, labels)], " ")
            after = str(first["kernel"])
            significant = part[part["significant"]]
            grid_of = _changed(significant, str(before), after, labels)
            found.append(Change(f"{old} → {new}", str(before), after, told, grid_of))
    return found


def _told(part: pd.DataFrame, where: Mapping[str, str | float]) -> Words:
    """Return how much changed, what became of the rest, and what has no partner."""

    def of_verdict(verdict: str) -> Part:
        return tally("changes", part, where={**where, "verdict": verdict})

    def without_partner(side: str) -> Part:
        of_success = {**where, "quantity": "success"}
        return tally("changes", part, "sum", f"unpaired_{side}", label=_whole, where=of_success)

    return words(
        "{} of {} comparisons changed by 1 % or more and are told; {} cannot be told with "
        "these seeds, and changes.csv has how many would. {} changed by less, {} are equal to the "
        "bit in every pair, and {} have no pair in which both lent anything. Without a partner are "
        "{} lends before and {} after.",
        tally("changes", part, where={**where, "significant": "True"}),
        tally("changes", part, where=where),
        of_verdict("cannot_tell"),
        of_verdict("small"),
        of_verdict("equal"),
        of_verdict("no_pairs"),
        without_partner("before"),
        without_partner("after"),
    )


def _flipped(part: pd.DataFrame, labels: Labels) -> Iterator[Words]:
    """Yield a sentence on lends that succeed with one kernel alone, too few to be told."""
    untold = part[(part["verdict"] == "cannot_tell") & (part["quantity"] == "success")]
    if len(untold):
        lends = [
            words(
                "{} of pairs before and {} after, of {}, {}, {}",
                *(row.share(side) for side in ("before", "after")),
                Name(labels.short(row["strategy"], row["variant"])),
                Name(load_label(row["load"], 0)),
                row.bytes("request_bytes"),
            )
            for row in rows_of("changes", untold)
        ]
        yield words("Too few to tell, of lends that were whole: {}.", joined(lends))


def _whole(count: float) -> str:
    return f"{count:.0f}"


def _changed(changes: pd.DataFrame, before: str, after: str, labels: Labels) -> Grid:
    places = {pair: place for place, pair in enumerate(labels.variants(changes))}
    rows = sorted(
        rows_of("changes", changes), key=lambda row: places[row["strategy"], row["variant"]]
    )

    def value(which: str) -> Callable[[Row], Part]:
        return lambda row: _QUANTITIES[row["quantity"]][1](row, which)

    ways = changes[["requests", "cycle", "request_bytes"]].drop_duplicates()["request_bytes"]
    asked_in_several_ways = set(ways[ways.duplicated()])

    def asked(row: Row) -> Part:
        size = row.bytes("request_bytes")
        if row["request_bytes"] not in asked_in_several_ways:
            return size
        return words("{} ({}, cycle {})", size, row.label("requests"), row.count("cycle"))

    columns = [
        Column[Row]("", "load", lambda row: Name(load_label(row["load"], 0)), is_number=False),
        Column[Row]("", "asked", asked),
        Column[Row]("", "what", lambda row: _QUANTITIES[row["quantity"]][0], is_number=False),
        Column[Row]("", before, value("before")),
        Column[Row]("", "change", _relative_change),
        Column[Row]("over seeds", "least", lambda row: row.change("relative_least")),
        Column[Row]("over seeds", "most", lambda row: row.change("relative_most")),
        Column[Row]("", after, value("after")),
        Column[Row]("pairs", "up", lambda row: row.count("pairs_up")),
        Column[Row]("pairs", "down", lambda row: row.count("pairs_down")),
        Column[Row]("pairs", "of", lambda row: row.count("pairs")),
        Column[Row]("", "p, corrected", lambda row: row.plain("p_corrected")),
    ]
    return grid(
        "changes",
        "strategy",
        rows,
        columns,
        title=lambda row: Name(labels.short(row["strategy"], row["variant"])),
        trials=lambda row: {name: str(row[name]) for name in (*VARIANT, "load")},
    )


def _relative_change(row: Row) -> Part:
    return row.change("relative_change") if row.knows("relative_change") else "from 0"


def _side_by_side(
    what: str,
    pairs: list[tuple[str, str]],
    kernels: list[str],
    by_place: Mapping[tuple[str, str, str], Row],
    labels: Labels,
) -> Grid:
    def of_kernel(kernel: str) -> Column[tuple[str, str]]:
        def told(pair: tuple[str, str]) -> Part:
            row = by_place.get((*pair, kernel))
            return NOTHING if row is None else _OF_KERNELS[what](row)

        return Column(what, kernel, told)

    return grid(
        "kernels",
        "strategy",
        pairs,
        [of_kernel(kernel) for kernel in kernels],
        title=lambda pair: Name(labels.short(*pair)),
        trials=lambda pair: dict(zip(VARIANT, pair, strict=True)),
    )
