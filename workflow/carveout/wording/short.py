# SPDX-License-Identifier: GPL-2.0-only
"""Short forms of the field's long words, for tables that are no wider than a mail."""

from collections.abc import Iterable

_SHORT = {
    "transparent huge pages": "THP",
    "alloc_contig_range()": "contig",
    "init_on_alloc=1": "init",
    "hot-added while idle": "kmem",
    "memmap on itself": "on itself",
    "memmap in RAM": "in RAM",
    "device DAX": "DAX",
    "reserved memory": "reserved",
    "boot memory offlined": "offlined",
    "ZONE_MOVABLE": "MOVABLE",
    "ZONE_NORMAL": "NORMAL",
    "all memory": "all",
    "lowest first": "lowest",
    "auto-movable": "auto",
    "run time": "run",
    "hugetlbfs": "hugetlb",
}


def shortened(title: str) -> str:
    """Return a title with short forms."""
    for long, short in _SHORT.items():
        title = title.replace(long, short)
    return title


def short_forms(titles: Iterable[str]) -> dict[str, str]:
    """Return the short forms that titles have, with what each stands for."""
    every = list(titles)
    return {short: long for long, short in _SHORT.items() if any(long in title for title in every)}
