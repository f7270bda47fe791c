# SPDX-License-Identifier: GPL-2.0-only
"""What the machine below holds of a guest's RAM, by its kernel's word and by nobody else's.

A cell that was made is run once more, in this process; whenever the guest's discards are marked and
counted, the kernel is asked which pages of QEMU's memory are there (/proc/PID/pagemap).
"""

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from carveout.boots import trial
from carveout.boots.cell_run import cell_machine, guest_parameters
from carveout.guests import discards
from carveout.guests.command_line import GuestFiles
from carveout.guests.engines import Boot, open_cold
from carveout.guests.guest import Guest
from carveout.kernels.kernel import unpacked_kernel
from carveout.study.cell import Cell, Point

PAGE_BYTES = 4096
LEAST_BLOCK_BYTES = 2**28
PRESENT = 1 << 63


@dataclass
class Seen:
    """Page numbers in QEMU's address space, of one cycle."""

    before: set[int]
    after: set[int] = field(default_factory=set)
    discarded: set[int] = field(default_factory=set)


def pages_there(pid: int) -> set[int]:
    """The pages of the large private mappings of a process, which are its guest's RAM."""
    there: set[int] = set()
    with Path(f"/proc/{pid}/pagemap").open("rb") as pagemap:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            if line.split()[1] != "rw-p" or end - start < LEAST_BLOCK_BYTES:
                continue
            pagemap.seek(start // PAGE_BYTES * 8)
            entries = np.frombuffer(pagemap.read((end - start) // PAGE_BYTES * 8), dtype=np.uint64)
            (present,) = np.nonzero(entries & np.uint64(PRESENT))
            there.update((present + start // PAGE_BYTES).tolist())
    return there


def run_and_look(results: Path, cell_path: str, monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """Run a cell's first trial again, and return what was seen in each cycle."""
    seen: list[Seen] = []

    async def mark(guest: Guest, files: GuestFiles) -> None:
        await discards.mark_discards(guest, files)
        seen.append(Seen(pages_there(guest._process.pid)))

    async def count(guest: Guest, files: GuestFiles) -> discards.Discards:
        for line in files.discards.read_text().splitlines():
            words = re.search(r"@0x([0-9a-f]+) \+ 0x([0-9a-f]+)", line)
            assert words, line
            first, pages = (int(word, 16) // PAGE_BYTES for word in words.groups())
            seen[-1].discarded.update(range(first, first + pages))
        seen[-1].after = pages_there(guest._process.pid)
        return await discards.count_discards(guest, files)

    monkeypatch.setattr(trial, "mark_discards", mark)
    monkeypatch.setattr(trial, "count_discards", count)
    made = results / "trials" / f"{cell_path}.jsonl"
    cell = Cell.from_json(json.dumps(json.loads(made.read_text().splitlines()[0])["cell"]))
    asyncio.run(_run(results, cell, results / "looked_at"))
    return seen


async def _run(results: Path, cell: Cell, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    guest_folder = results / "guest" / cell.kernel
    images = ("base", f"strategies/{cell.variant.strategy}", f"loads/{cell.load}")
    initrd = folder / "initrd"
    initrd.write_bytes(b"".join((guest_folder / f"{name}.cpio").read_bytes() for name in images))
    boot = Boot(
        machine=cell_machine(cell, "qemu-system-aarch64"),
        kernel=unpacked_kernel(results / "kernels" / cell.kernel / "kernel.json").image,
        initrd=initrd,
        device_tree=None,
        parameters=guest_parameters(cell, layout=0),
        digests={},
        state_limit_bytes=2**30,
    )
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_cold(boot, folder, 300))
        guest, files = await stack.enter_async_context(engine.guest())
        point = Point(cell.doses_permille[0], 1)
        ending = await trial.run_trial(guest, files, point, wall_limit_s=300)
        assert ending.cause is None, ending.message
