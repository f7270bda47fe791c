# SPDX-License-Identifier: GPL-2.0-only
"""Which figures there are, of which tables each is made, and which a config has data for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carveout.study.cell import Cell


def _always(_: Sequence[Cell]) -> bool:
    return True


def _counted_alone(cells: Sequence[Cell]) -> bool:
    return not all(cell.lends for cell in cells)


@dataclass(frozen=True)
class Entry:
    """What is known of a figure without drawing it.

    Attributes:
        room: of its module.
        tables: what its `draw` is given, in this order.
        title: what it shows, in a list of figures.
        has_data: whether cells have what it shows.
        key: the key below `figures` of a config that wants it, where it is drawn for no other.
    """

    room: str
    tables: tuple[str, ...]
    title: str
    has_data: Callable[[Sequence[Cell]], bool] = _always
    key: str | None = None


# In the order of the report.
CATALOGUE: Mapping[str, Entry] = {
    "frontier": Entry("figures", ("summary",), "the frontier: what is lent under which load"),
    "memmap_overhead": Entry("books", ("variants",), "memmap and memory set aside"),
    "accounts": Entry("books", ("phases",), "the books: where the RAM stands"),
    "success": Entry("figures", ("summary",), "success under each load"),
    "cost": Entry("times", ("trials",), "cost of lending and giving back"),
    "memmap_by_ram": Entry(
        "books", ("phases",), "memmap against RAM and page size", _counted_alone
    ),
    "pageblock_map": Entry("books", ("phases",), "pageblocks of one trial", key="pageblock_map"),
}


def module_of(name: str) -> str:
    """Return the module that draws a figure."""
    return f"carveout.{CATALOGUE[name].room}.{name}"


def drawn(cells: Sequence[Cell], keys: Mapping[str, Any]) -> list[str]:
    """Return the figures that a config has data for, in order.

    Args:
        cells: the config's.
        keys: what its key `figures` says.
    """
    return [
        name
        for name, entry in CATALOGUE.items()
        if entry.has_data(cells) and (entry.key is None or entry.key in keys)
    ]
