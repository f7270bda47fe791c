# SPDX-License-Identifier: GPL-2.0-only
"""The granules: in pieces of which size a VM needs what is lent."""

from collections.abc import Mapping

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


def granule_label(granule: str) -> str:
    """Return a granule for people: in pieces of which size."""
    words = {"page": "in any pages", "single": "as one single range"}
    return words.get(granule) or f"in pieces of {granule}"
