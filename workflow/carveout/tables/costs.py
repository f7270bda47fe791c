# SPDX-License-Identifier: GPL-2.0-only
"""The time of a lend without the clearing in it, so that no order hangs on who clears when."""

from collections.abc import Mapping

import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

Columns = Mapping[str, pyarrow.Array]


def with_clearing_apart(lend: Columns, verify: Columns) -> Columns:
    """Return lends and the zero pass after each, with the clearing of single pages moved.

    The page allocator clears single pages where nothing can watch it, within `lend_map_ns`. Each is
    taken for as long as a page of the zero pass took, and moved to `content_ns`; never more than
    there is in `lend_map_ns`, and nothing where no page was cleared to compare with.
    """
    some = pc.greater(verify["zero_pages"], 0)
    zero_ns, zero_pages = (
        pc.if_else(some, verify[name], None) for name in ("zero_ns", "zero_pages")
    )
    cleared_ns = _rounded(pc.multiply(lend["cleared_pages"], zero_ns), zero_pages)
    moved_ns = pc.min_element_wise(pc.fill_null(cleared_ns, 0), lend["lend_map_ns"])
    moved_ns = pc.if_else(pc.is_valid(lend["lend_map_ns"]), moved_ns, None)
    return {
        **lend,
        "lend_ns": pc.subtract(lend["lend_ns"], moved_ns),
        "lend_map_ns": pc.subtract(lend["lend_map_ns"], moved_ns),
        "content_ns": pc.add(lend["content_ns"], moved_ns),
        "zero_ns": zero_ns,
        "zero_pages": verify["zero_pages"],
    }


def _rounded(dividend: pyarrow.Array, divisor: pyarrow.Array) -> pyarrow.Array:
    """Return quotients of whole numbers that are not negative, to the nearest whole number."""
    return pc.divide(pc.add(pc.multiply(dividend, 2), divisor), pc.multiply(divisor, 2))
