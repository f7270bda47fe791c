# SPDX-License-Identifier: GPL-2.0-only
"""What a variant costs: memmap and who pays for it, memory set aside, time, what stays away."""

from collections.abc import Callable, Mapping, Sequence

from carveout.findings.lending import carried, trials_of, turning_point
from carveout.findings.machines import Machine, Variant
from carveout.wording.grids import Column, Grid, grid
from carveout.wording.labels import load_label
from carveout.wording.marks import Name, Part
from carveout.wording.quantities import NOTHING, bytes_label
from carveout.wording.rows import Row

_PAYERS: Mapping[str, str] = {
    "host": "the host",
    "self": "the memory itself",
    "nobody": "nobody",
}


def memmap_grids(machine: Machine) -> list[Grid]:
    """Return the memmap, who pays for it, and what maps the RAM beside it."""
    columns = [
        *_paid("all RAM, idle, paid by", "memmap_idle", lambda variant: variant.idle),
        *_paid("while lent, paid by", "memmap", lambda variant: variant.lent),
        *(
            _of_size("per GiB lent", size, lambda row: row.bytes("memmap_per_lent_gib_bytes"))
            for size in machine.sizes
        ),
        Column[Variant](
            "tables of the linear map", "idle", _idle(_bytes("linear_map_table_idle_bytes"))
        ),
        Column[Variant](
            "tables of the linear map", "while lent", _lent(_bytes("linear_map_table_bytes"))
        ),
    ]
    return [_of_variants(machine, columns)]


def aside_grids(machine: Machine) -> list[Grid]:
    """Return what is set aside while nothing is lent, and how fragmented the rest is."""
    aside = "set aside, idle"
    columns = [
        Column[Variant](aside, "stranded", _idle(_bytes("stranded_bytes"))),
        Column[Variant](aside, "CMA area", _idle(_bytes("cma_area_bytes"))),
        Column[Variant](aside, "CMA area in use", _idle(_bytes("cma_used_bytes"))),
        Column[Variant](aside, "ZONE_MOVABLE", _idle(_bytes("movable_zone_bytes"))),
        Column[Variant](
            "of the rest", "blocked pageblocks", _idle(lambda row: row.count("blocked_pageblocks"))
        ),
        Column[Variant]("of the rest", "free in pieces", _idle(_bytes("free_scattered_bytes"))),
    ]
    return [_of_variants(machine, columns)]


def return_grids(machine: Machine) -> list[Grid]:
    """Return what comes back after a give back, and to what use Linux can put it."""
    columns = [
        Column[Variant]("after give back", "regained", _lent(_share("regained_share"))),
        Column[Variant]("after give back", "kept back", _lent(_share("kept_back_share"))),
        *_reuse("movable"),
        *_reuse("unmovable"),
        Column[Variant]("the owner", "regained", _lent(_share("owner_discarded_share"))),
    ]
    return [_of_variants(machine, columns)]


def time_grids(machine: Machine) -> list[Grid]:
    """Return how long lends take, and what goes into it."""
    lend = "median lend"
    columns = [
        *(_of_size(lend, size, lambda row: row.ns("lend_ns_p50")) for size in machine.sizes),
        Column[Variant](lend, "per GiB, short ones too", _lent(_ns("lend_ns_per_gib_p50"))),
        Column[Variant](
            "per GiB", "clearing, apart", lambda own: own.cleared.ns("zero_ns_per_gib_p50")
        ),
        Column[Variant]("per GiB", "give back", _lent(_ns("give_back_ns_per_gib_p50"))),
        Column[Variant]("", "extents", _lent(lambda row: row.count("extents_p50"))),
    ]
    parts = [
        Column[Variant]("per GiB, median", words_of, _lent(_ns(f"lend_{part}_ns_per_gib_p50")))
        for part, words_of in {
            "search": "search",
            "migrate": "isolate, migrate",
            "reclaim": "reclaim",
            "map": "map",
            "rest": "rest",
        }.items()
    ] + [
        Column[Variant](
            "per GiB, median", "cleared by the kernel", _lent(_ns("content_ns_per_gib_p50"))
        )
    ]
    return [_of_variants(machine, columns), _of_variants(machine, parts)]


def own_grid(machine: Machine, variants: Sequence[Variant]) -> Grid:
    """Return all of some variants' numbers, a column each: what a strategy's own page shows."""
    lines: list[tuple[str, Callable[[Variant], Part]]] = [
        *(
            (f"{load_label(load, 0)}: {name}", _of_curve(load, cell))
            for load in machine.loads
            for name, cell in (
                ("lent at best", lambda curve: curve.bytes("granted_most_bytes")),
                ("half of it up to", turning_point),
                ("carried up to", carried),
            )
        ),
        ("memmap of all RAM, idle", _idle(_bytes("memmap_idle_bytes"))),
        ("while lent, paid by the host", _lent(_bytes("memmap_host_bytes"))),
        ("by the memory itself", _lent(_bytes("memmap_self_bytes"))),
        ("by nobody", _lent(_bytes("memmap_nobody_bytes"))),
        ("per lent GiB", _lent(_bytes("memmap_per_lent_gib_bytes"))),
        ("stranded while idle", _idle(_bytes("stranded_bytes"))),
        ("for movable pages alone while idle", _idle(_bytes("movable_only_bytes"))),
        ("lend per GiB, median", _lent(_ns("lend_ns_per_gib_p50"))),
        ("give back per GiB, median", _lent(_ns("give_back_ns_per_gib_p50"))),
        ("extents", _lent(lambda row: row.count("extents_p50"))),
        ("regained", _lent(_share("regained_share"))),
        ("kept back", _lent(_share("kept_back_share"))),
        ("lends that ended short", _lent(lambda row: row.count("short"))),
    ]
    columns = [
        Column[tuple[str, Callable[[Variant], Part]]]("", str(variant.title), _told_of(variant))
        for variant in variants
    ]
    return grid("variants", "measured", lines, columns, title=lambda line: Name(line[0]))


def _told_of(
    variant: Variant,
) -> Callable[[tuple[str, Callable[[Variant], Part]]], Part]:
    return lambda line: line[1](variant)


def _of_curve(load: str, cell: Callable[[Row], Part]) -> Callable[[Variant], Part]:
    def told(variant: Variant) -> Part:
        curve = variant.curve(load)
        return NOTHING if curve is None else cell(curve)

    return told


def _of_variants(machine: Machine, columns: list[Column[Variant]]) -> Grid:
    return grid(
        "variants",
        "strategy",
        machine.variants,
        columns,
        title=lambda variant: variant.title,
        trials=trials_of,
    )


def _paid(group: str, memmap: str, row_of: Callable[[Variant], Row]) -> list[Column[Variant]]:
    def cell(column: str) -> Callable[[Variant], Part]:
        return lambda variant: row_of(variant).bytes(column)

    return [
        Column(group, words_of, cell(f"{memmap}_{payer}_bytes"))
        for payer, words_of in _PAYERS.items()
    ]


def _of_size(group: str, size_bytes: int, cell: Callable[[Row], Part]) -> Column[Variant]:
    def told(variant: Variant) -> Part:
        row = variant.of_size(size_bytes)
        return NOTHING if row is None else cell(row)

    return Column(group, bytes_label(size_bytes), told)


def _reuse(kind: str) -> list[Column[Variant]]:
    return [
        Column(f"reuse, {kind}", name, _lent(_share(f"reuse_{kind}{how}_share")))
        for name, how in (("allocated", ""), ("by address", "_address"), ("untried", "_untried"))
    ]


def _idle(cell: Callable[[Row], Part]) -> Callable[[Variant], Part]:
    return lambda variant: cell(variant.idle)


def _lent(cell: Callable[[Row], Part]) -> Callable[[Variant], Part]:
    return lambda variant: cell(variant.lent)


def _bytes(column: str) -> Callable[[Row], Part]:
    return lambda row: row.bytes(column)


def _ns(column: str) -> Callable[[Row], Part]:
    return lambda row: row.ns(column)


def _share(column: str) -> Callable[[Row], Part]:
    return lambda row: row.share(column)
