# SPDX-License-Identifier: GPL-2.0-only
"""Which figures there are, of which tables each is made, and which a config has data for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carveout.study.cell import Cell


def _lend(cells: Sequence[Cell]) -> bool:
    return any(cell.lends for cell in cells)


def _are_counted_alone(cells: Sequence[Cell]) -> bool:
    return not all(cell.lends for cell in cells)


def _have_doses(cells: Sequence[Cell]) -> bool:
    return any(
        cell.lends and (cell.ladder is not None or len(cell.doses_permille) > 1) for cell in cells
    )


def _repeat(cells: Sequence[Cell]) -> bool:
    return any(cell.question == "cycles" for cell in cells)


def _have_kernels(cells: Sequence[Cell]) -> bool:
    return len({cell.kernel for cell in cells if cell.lends}) > 1


@dataclass(frozen=True)
class Entry:
    """What is known of a figure without drawing it.

    Attributes:
        room: of its module.
        tables: what its `draw` is given, in this order.
        title: what it shows, in a list of figures.
        has_data: whether cells have what it shows.
        key: the key below `figures` of a config that wants it, where it is drawn for no other.
        marks: the unit of what others published and is marked in it, if anything is.
    """

    room: str
    tables: tuple[str, ...]
    title: str
    has_data: Callable[[Sequence[Cell]], bool] = _lend
    key: str | None = None
    marks: str | None = None

    @property
    def category(self) -> str:
        """What a report calls the figures of its room."""
        return {
            "figures": "What is lent",
            "books": "Where memory stands",
            "times": "What it costs",
        }[self.room]


# In the order of the report.
CATALOGUE: Mapping[str, Entry] = {
    "decision": Entry("figures", ("needs",), "which strategy for which need"),
    "frontier": Entry(
        "figures", ("summary",), "the frontier: what is lent beside which load", marks="percent"
    ),
    "capacity": Entry(
        "figures", ("summary",), "what is lent under growing doses of a load", _have_doses
    ),
    "pareto": Entry("figures", ("summary",), "what is lent against what it takes from the host"),
    "success": Entry("figures", ("summary",), "what is lent, of what was asked for", marks="share"),
    "blockers": Entry("figures", ("blockers",), "what was in the way"),
    "kernels": Entry("figures", ("kernels",), "kernels side by side", _have_kernels),
    "memmap_overhead": Entry(
        "books",
        ("variants", "trials"),
        "memmap, who pays for it, and memory set aside",
        marks="bytes_saved_per_gib",
    ),
    "idle": Entry("books", ("variants",), "what memory is good for while nothing is lent"),
    "accounts": Entry("books", ("phases",), "the books: where the RAM stands"),
    "memmap_by_ram": Entry(
        "books", ("phases",), "memmap against RAM and page size", _are_counted_alone
    ),
    "pageblock_map": Entry("books", ("phases",), "pageblocks of one trial", key="pageblock_map"),
    "cost": Entry("times", ("trials",), "cost of lending and giving back", marks="ns_per_gib"),
    "cost_ecdf": Entry("times", ("trials",), "how the cost of a lend is spread"),
    "cycles": Entry("times", ("trials",), "from cycle to cycle", _repeat),
}


def module_of(name: str) -> str:
    """Return the module that draws a figure."""
    return f"carveout.{CATALOGUE[name].room}.{name}"


def by_room(names: Sequence[str]) -> dict[str, list[str]]:
    """Return figures by the room of their modules."""
    rooms = {CATALOGUE[name].room: list[str]() for name in names}
    for name in names:
        rooms[CATALOGUE[name].room].append(name)
    return rooms


def drawn(cells: Sequence[Cell], keys: Mapping[str, Any]) -> list[str]:
    """Return the figures that a config has data for, in order.

    Args:
        cells: the config's.
        keys: what its key `figures` says.
    """
    chosen = [cell for cell in cells if _is_chosen(cell, keys.get("only", {}))]
    return [
        name
        for name, entry in CATALOGUE.items()
        if entry.has_data(chosen) and (entry.key is None or entry.key in keys)
    ]


def _is_chosen(cell: Cell, only: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a cell is of what is to be drawn, of which a table may have only some."""
    strategy, variant = cell.variant.strategy, cell.variant.name
    names = {
        "strategies": {strategy, f"{strategy}/{variant}"},
        "kernels": {cell.kernel},
        "loads": {cell.load},
        "granules": {cell.granule},
    }
    return all(names[key] & set(wanted) for key, wanted in only.items())
