# SPDX-License-Identifier: GPL-2.0-only
"""The sizes in which memory comes: what a kernel's page size decides, and what a VM needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB, MIB

# Any page, a block of stage-2 translation (arm64 with 4K pages: a level-2 block, 16 of them with
# the contiguous bit, a level-1 block), or one single range, as a device without an IOMMU needs.
# Where there is no size, the host's page size decides, or the request.
GRANULES: Mapping[str, int | None] = {
    "page": None,
    "2M": 2 * MIB,
    "32M": 32 * MIB,
    "1G": GIB,
    "single": None,
}

# In a list of granules: all blocks up to the kernel's transparent huge page.
HUGE_PAGE = "huge_page"

# Where the RAM of QEMU's machine `virt` begins (VIRT_MEM in hw/arm/virt.c); the guest must agree.
RAM_START_BYTES = GIB

_PAGE_TABLE_ENTRY_BYTES = 8
# Of 64-bit kernels without what only debugging adds (include/linux/mm_types.h); one that has it
# shows as a memmap that is not what is computed.
_STRUCT_PAGE_BYTES = 64


@dataclass(frozen=True)
class Geometry:
    """The sizes in which a kernel handles memory.

    Attributes:
        kernel: its name.
        page_bytes: its base page.
        pageblock_bytes: the piece that has a migratetype; CMA areas consist of whole ones.
        section_bytes: the piece that has a memmap; hot-plugged memory comes in whole ones.
        huge_page_bytes: a transparent huge page.
    """

    kernel: str
    page_bytes: int
    pageblock_bytes: int
    section_bytes: int
    huge_page_bytes: int

    def granules_of(self, stated: Sequence[str]) -> tuple[str, ...]:
        """Return granules of which `HUGE_PAGE` stands for all that a huge page is made of."""
        return tuple(
            name
            for name, size_bytes in GRANULES.items()
            if name in stated
            or (HUGE_PAGE in stated and size_bytes and size_bytes <= self.huge_page_bytes)
        )


def geometry_of(name: str, entry: Mapping[str, Any], source: str) -> Geometry:
    """Return the geometry of a kernel, by the entry that names it: the running kernel must agree.

    A huge page is what one page of last-level page table maps, and so is a pageblock
    (include/linux/pageblock-flags.h), but for an entry that states another. A section has 27 bits,
    with 64K pages 29 (arch/arm64/include/asm/sparsemem.h).

    Args:
        name: the kernel's.
        entry: has `page_bytes`, and may have `pageblock_bytes`.
        source: the file that has the entry, for errors.

    Raises:
        CarveoutError: no kernel has such pageblocks.
    """
    page_bytes = entry["page_bytes"]
    huge_page_bytes = huge_page_bytes_of(page_bytes)
    pageblock_bytes = entry.get("pageblock_bytes", huge_page_bytes)
    section_bytes = section_bytes_of(page_bytes)
    if pageblock_bytes.bit_count() != 1 or pageblock_bytes > section_bytes:
        raise CarveoutError(
            f"{source}: kernel {name}: wanted as pageblock_bytes a power of two, at most a section "
            f"of {section_bytes} bytes, found {pageblock_bytes}; say what the kernel has as pages "
            "per block in /proc/pagetypeinfo, in bytes"
        )
    return Geometry(
        kernel=name,
        page_bytes=page_bytes,
        pageblock_bytes=pageblock_bytes,
        section_bytes=section_bytes,
        huge_page_bytes=huge_page_bytes,
    )


def huge_page_bytes_of(page_bytes: int) -> int:
    """Return the size of a transparent huge page: what one page of page table maps."""
    return page_bytes * page_bytes // _PAGE_TABLE_ENTRY_BYTES


def section_bytes_of(page_bytes: int) -> int:
    """Return the size of a section of memory by that of the pages."""
    return 2**29 if page_bytes == 2**16 else 2**27


def memmap_of(ram_bytes: int, page_bytes: int) -> int:
    """Return the bytes of `struct page` for RAM of whole sections: one for each page."""
    return ram_bytes // page_bytes * _STRUCT_PAGE_BYTES


def granule_label(granule: str) -> str:
    """Return a granule for people: in pieces of which size."""
    words = {"page": "in any pages", "single": "as one single range"}
    return words.get(granule) or f"in pieces of {granule}"
