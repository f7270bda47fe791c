# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU says it discarded becomes what the owner regained: each page once, by its address."""

import pytest

from carveout.common.errors import CarveoutError
from carveout.guests.discards import Discards, parse_discards, unite

PAGE = 4096
END = "qmp_enter_query_status {}\n"


def line(page: int, pages: int = 1, block: str = "ram", result: int = 0) -> str:
    """What QEMU 7.2 says of some pages of a block of RAM."""
    address = 0x7F0000000000 + page * PAGE
    return (
        f"ram_block_discard_range {block}@{address:#x} + {pages * PAGE:#x}: "
        f"madvise: 1 fallocate: 0 ret: {result}\n"
    )


def count(*lines: str) -> Discards:
    """What the lines come to."""
    return unite(parse_discards("".join(lines) + END))


def test_nothing_is_nothing() -> None:
    assert count() == Discards(0, 0, 0)


def test_a_page_that_was_discarded_twice_counts_once() -> None:
    assert count(line(7), line(7)) == Discards(PAGE, 1, PAGE)
    assert count(line(0, 4), line(1), line(3, 2)) == Discards(5 * PAGE, 1, 5 * PAGE)


def test_neighbours_are_one_extent_in_whatever_order() -> None:
    said = count(line(9), line(2), line(8), line(1), line(4))
    assert said == Discards(5 * PAGE, 3, 2 * PAGE)


def test_blocks_of_ram_are_never_one_extent() -> None:
    said = count(line(0, 2), line(2, block="lendable memory"))
    assert said == Discards(3 * PAGE, 2, 2 * PAGE)


@pytest.mark.parametrize(
    "said",
    [
        "",
        line(0),
        line(0) + END[:-1],
        line(0)[:-20],
        line(0)[:-20] + "\n" + END,
        line(0, result=-22) + END,
        "virtio_mem_unplug_request addr: 0x0 blocks: 1\n" + END,
    ],
)
def test_what_is_not_whole_or_says_something_else_is_refused(said: str) -> None:
    with pytest.raises(CarveoutError, match="wanted"):
        parse_discards(said)
