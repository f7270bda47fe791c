# SPDX-License-Identifier: GPL-2.0-only
"""The made-up machine, its loads, and how each made-up variant behaves."""

from collections.abc import Sequence
from dataclasses import dataclass

from carveout.common.sizes import GIB, MIB

RAM_BYTES = 4 * GIB
LENDABLE_BYTES = GIB
REQUESTS_BYTES = (256 * MIB, GIB)
PAGEBLOCK_ORDER, MAX_PAGE_ORDER = 9, 10
PAGEBLOCKS = RAM_BYTES // (2 * MIB)
LENDABLE_BLOCKS = LENDABLE_BYTES // (2 * MIB)
# Load: dose, and how many pageblocks it makes movable and unmovable.
LOADS = {
    "idle": (0, 0, 0),
    "anonymous_memory": (50, 1024, 4),
    "page_cache": (50, 900, 12),
    "unmovable_pages": (10, 40, 200),
}


@dataclass(frozen=True)
class MadeVariant:
    """How a made-up variant behaves.

    Attributes:
        chance: of success with the first request, one per load in the order of `LOADS`; the chance
            of the second request is its square.
        lend_ns: what a lend of 256 MiB typically takes.
        idle: the class of the pageblocks that it sets aside, "" when it sets none aside.
    """

    strategy: str
    variant: str
    chance: Sequence[float]
    lend_ns: float
    idle: str = ""
    memmap_hidden: bool = False
    stranded: bool = False
    movable_only: bool = False
    regained: float = 1.0

    @property
    def aside(self) -> str:
        """The account of what it sets aside, "free" when it sets nothing aside."""
        if self.stranded:
            return "pool_idle" if self.strategy == "hugetlbfs" else "hidden"
        if self.movable_only:
            return "cma_idle" if self.strategy == "cma" else "movable_zone_free"
        return "free"


# What the kernel's own default makes a CMA area of.
DEFAULT_CMA_BYTES = 64 * MIB
VARIANTS = (
    MadeVariant("baseline", "ordinary_pages", (1, 1, 0.9, 0.8), 40e6),
    MadeVariant("mem", "carveout", (1, 1, 1, 1), 2e4, "A", True, True, False, 0.0),
    MadeVariant("cma", "area", (0.95, 0.9, 0.9, 0.8), 3e6, "C", movable_only=True),
    MadeVariant("alloc_contig_range", "whole_memory", (1, 0.7, 0.4, 0.02), 2e7),
    MadeVariant("alloc_contig_range", "zone_movable", (1, 0.9, 0.9, 0.9), 9e6, movable_only=True),
    MadeVariant("hugetlbfs", "2M_boot", (1, 1, 1, 1), 6e5, "U", stranded=True, regained=0.0),
    MadeVariant("hugetlbfs", "1G_boot", (1, 1, 1, 1), 3e4, "U", stranded=True, regained=0.0),
    MadeVariant("hugetlbfs", "2M_run_time", (1, 0.9, 0.9, 0.5), 5e7),
    MadeVariant("hugetlbfs", "1G_run_time", (0.8, 0.2, 0.1, 0.0), 9e7),
    MadeVariant("virtio-mem", "online_movable", (1, 0.95, 0.9, 1), 6e7, "", True),
    MadeVariant("virtio-mem", "online_kernel", (1, 0.6, 0.4, 0.1), 7e7, "", True),
)
