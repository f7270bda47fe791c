# SPDX-License-Identifier: GPL-2.0-only
"""A made-up cell, for tests of which trials it has."""

from dataclasses import replace
from typing import Any

from carveout.common.sizes import GIB, MIB
from carveout.study.cell import Cell, Variant

_CELL = Cell(
    kernel="debian-6.12",
    pageblock_bytes=2 * MIB,
    section_bytes=128 * MIB,
    ram_bytes=GIB,
    cpus=1,
    cpu_model="neoverse-n1",
    lendable_bytes=256 * MIB,
    reserve_bytes=32 * MIB,
    variant=Variant("mem", "carve_out", {}, GIB, "", (), None, (), ("page", "2M"), "it is made up"),
    load="idle",
    doses_permille=(0,),
    ladder=None,
    requests="one",
    requests_bytes=(64 * MIB,),
    question="capacity",
    load_works=False,
    churn_steps=0,
    granule="page",
    seeds=1,
    layouts=1,
    replication=None,
    guest_limit_s=300,
    runs_vm=False,
)


def made_cell(**members: Any) -> Cell:
    """Return a cell of one request, with some members changed."""
    return replace(_CELL, **members)
