# SPDX-License-Identifier: GPL-2.0-only
"""What is said to be in the way of a lend, held against the kernel's own flags of that frame.

``loads/in_the_way`` plants pages of every kind, asks the tool about each pageblock, and reads
/proc/kpageflags by a program of its own.
"""

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.conftest import Checkout

# Documentation/admin-guide/mm/pagemap.rst
FLAGS = {
    "lru": 5,
    "slab": 7,
    "buddy": 10,
    "anon": 12,
    "huge": 17,
    "unevictable": 18,
    "nopage": 20,
    "pgtable": 26,
    "reserved": 32,
}
LEAST_OF_EACH = 3


@dataclass(frozen=True)
class Named:
    """What the tool says of one pageblock, and the kernel of the frame that it names.

    Attributes:
        words: the tool's flags.
        flags: the kernel's, of `FLAGS`.
        owner: functions, who asked for the frame first.
        certain: the first frame that cannot move by the kernel's flags alone, or 0.
    """

    type: str
    pfn: int
    words: frozenset[str]
    flags: frozenset[str]
    owner: str
    certain: int


@pytest.fixture(scope="module")
def named(checkout: Checkout) -> list[Named]:
    """Every pageblock of a host."""
    config = ("--configfile", "tests/guest/in_the_way.yaml", "--config", "results=in_the_way")
    checkout.snakemake("collect_trials", *config)
    (log,) = (checkout.path / "in_the_way" / "logs" / "boots").glob("**/in_the_way*.log")
    lines = re.findall(
        r"in the way of \d+: (\w+) (\d+) ([0-9a-f]+) (\S+) (\S+); (\d+)",
        log.read_text(errors="replace"),
    )
    assert len(lines) == 2**30 // 2**21
    return [
        Named(
            type=kind,
            pfn=int(pfn),
            words=frozenset(words.split(",")),
            flags=frozenset(name for name, bit in FLAGS.items() if int(flags, 16) >> bit & 1),
            owner=owner,
            certain=int(certain),
        )
        for kind, pfn, flags, words, owner, certain in lines
    ]


# What the kernel's flags of a frame are, by what the tool says is in the way.
WANTED = {
    "slab": ({"slab"}, set()),
    "pgtable": ({"pgtable"}, set()),
    "reserved": ({"reserved"}, set()),
    "hugetlb": ({"huge"}, set()),
    "pinned": ({"anon"}, {"slab", "pgtable", "buddy", "huge"}),
    "kernel": (set(), {"slab", "pgtable", "buddy", "reserved", "lru", "anon", "huge"}),
}


# A part of the name of a function that asked for such a page.
ASKED_BY = {"slab": "inode", "pgtable": "p", "kernel": "place"}


def is_gone(one: Named) -> bool:
    """Whether the frame was free again when its flags were read: it was the tool's own."""
    return (one.type == "pgtable" and not one.flags) or "buddy" in one.flags


@pytest.mark.parametrize("kind", WANTED)
def test_what_is_in_the_way_is_what_the_kernel_says(kind: str, named: list[Named]) -> None:
    has, has_not = WANTED[kind]
    found = [one for one in named if one.type == kind and not is_gone(one)]
    assert len(found) >= LEAST_OF_EACH, Counter(one.type for one in named)
    for one in found:
        assert has <= one.flags, one
        assert not has_not & one.flags, one


@pytest.mark.parametrize("kind", ASKED_BY)
def test_who_allocated_what_is_in_the_way_is_known(kind: str, named: list[Named]) -> None:
    owners = Counter(one.owner for one in named if one.type == kind)
    assert any(ASKED_BY[kind] in owner for owner in owners), owners


def test_nothing_else_is_ever_in_the_way(named: list[Named]) -> None:
    assert {one.type for one in named} <= {*WANTED, "nothing", "cma"}


def test_nothing_that_cannot_move_is_overlooked(named: list[Named]) -> None:
    for one in named:
        if one.certain:
            assert 0 < one.pfn <= one.certain, one


def test_a_locked_page_is_in_the_way_only_while_it_is_pinned(named: list[Named]) -> None:
    locked = [one for one in named if "unevictable" in one.flags]
    assert len(locked) >= LEAST_OF_EACH
    assert {one.type for one in locked} == {"pinned"}
    assert all("mlocked" in one.words for one in locked)
