# SPDX-License-Identifier: GPL-2.0-only
"""A host that stands while it lends, and the same machine after it has booted again with its RAM.

What is left of the pattern that verification wrote to the lent memory?
"""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from carveout.boots.cell_run import cell_machine, guest_parameters
from carveout.common.sizes import GIB
from carveout.guests.command_line import GuestFiles, file_args, machine_args
from carveout.guests.guest import Guest, Stop, start_guest
from carveout.kernels.kernel import unpacked_kernel
from carveout.records.channel import last_record
from carveout.study.cell import Cell

QEMU = "qemu-system-aarch64"
LIMIT_S = 120
PAGE_BYTES = 4096
LINE_BYTES = 64
WORD_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class SecondBoot:
    """Pages of the lent memory that hold the pattern, now and when the next host has its load."""

    lent_pages: int
    good_while_lent: int
    good_after: int


def lent_ranges(trial: dict[str, Any]) -> list[tuple[int, int]]:
    """The lent ranges by the map of the census, as first byte and bytes."""
    (census,) = (
        record
        for record in trial["records"]
        if record["record"] == "census" and record["phase"] == "lent"
    )
    at_bytes, ranges = census["first_pfn"] * PAGE_BYTES, []
    for letter, run in groupby(census["pageblocks"]):
        run_bytes = len(list(run)) * census["pageblock_bytes"]
        if letter == "L":
            ranges.append((at_bytes, run_bytes))
        at_bytes += run_bytes
    return ranges


def seeded(seed: int, pfns: np.ndarray) -> np.ndarray:
    """What follows from a seed and a frame's number: a step of splitmix64."""
    with np.errstate(over="ignore"):
        x = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + (pfns + np.uint64(1)) * WORD_STEP
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def good_pages(content: bytes, start_bytes: int, seed: int) -> int:
    """How many pages of memory from an address on hold the line of that seed."""
    pages = np.frombuffer(content, dtype="<u8").reshape(-1, PAGE_BYTES // 8)
    pfns = np.arange(len(pages), dtype=np.uint64) + np.uint64(start_bytes // PAGE_BYTES)
    numbers = seeded(seed, pfns)
    lines = (numbers >> np.uint64(32)) % np.uint64(PAGE_BYTES // LINE_BYTES)
    first = lines.astype(np.int64) * (LINE_BYTES // 8)
    good = np.ones(len(pages), dtype=bool)
    with np.errstate(over="ignore"):
        for word in range(LINE_BYTES // 8):
            wanted = numbers + np.uint64(word) * WORD_STEP
            good &= pages[np.arange(len(pages)), first + word] == wanted
    return int(good.sum())


async def _good_pages(
    guest: Guest, ranges: Sequence[tuple[int, int]], seed: int, folder: Path
) -> int:
    """Read the machine's memory behind the guest's back."""
    good = 0
    for start_bytes, size_bytes in ranges:
        file = folder / "memory"
        where = {"val": start_bytes, "size": size_bytes, "filename": str(file)}
        await guest.execute("pmemsave", where)
        good += good_pages(file.read_bytes(), start_bytes, seed)
        file.unlink()
    return good


async def _run_until(guest: Guest, record: str, files: GuestFiles) -> None:
    async with asyncio.timeout(LIMIT_S):
        await guest.resume()
        assert await guest.next_stop() is Stop.PAUSED, files.console.read_text()
    said = last_record(files.records)
    assert said is not None
    assert said["record"] == record, said


async def _boot_twice(
    guest: Guest, files: GuestFiles, trial: dict[str, Any], then_permille: int
) -> SecondBoot:
    folder, ranges, seed = files.console.parent, lent_ranges(trial), trial["seed"]
    await _run_until(guest, "ready", files)
    await guest.tell(seed << 10 | trial["dose_permille"])
    await _run_until(guest, "host", files)
    await _run_until(guest, "host", files)
    while_lent = await _good_pages(guest, ranges, seed, folder)
    await guest.execute("set-action", {"reboot": "reset"})
    await guest.execute("system_reset", {})
    os.truncate(files.records, 0)  # QEMU appends, and the next boot counts its records anew
    await _run_until(guest, "ready", files)
    await guest.tell(seed << 10 | then_permille)
    await _run_until(guest, "host", files)
    after = await _good_pages(guest, ranges, seed, folder)
    return SecondBoot(sum(size for _, size in ranges) // PAGE_BYTES, while_lent, after)


async def _start(cell: Cell, files: GuestFiles) -> Guest:
    args = [*machine_args(cell_machine(cell, QEMU)), *file_args(files)]
    return await start_guest(QEMU, args, files.messages, 4 * GIB)


def boot_twice(results: Path, trial_file: Path, folder: Path, then_permille: int) -> SecondBoot:
    """Run a trial's host once more until it stands with its memory lent, and boot it again.

    Args:
        results: of the run that made the trial.
        trial_file: the cell's, of one trial.
        folder: an empty one.
        then_permille: the dose of the load in the second life.
    """
    (line,) = trial_file.read_text().splitlines()
    trial = json.loads(line)
    cell = Cell.from_json(json.dumps(trial["cell"]))
    images = results / "guest" / cell.kernel
    plugins = (f"strategies/{cell.variant.strategy}.cpio", f"loads/{cell.load}.cpio")
    initrd = folder / "initrd"
    initrd.write_bytes(b"".join((images / n).read_bytes() for n in ("base.cpio", *plugins)))
    (folder / "parameters").write_text(guest_parameters(cell, layout=0))
    files = GuestFiles(
        kernel=unpacked_kernel(results / "kernels" / cell.kernel / "kernel.json").image,
        initrd=initrd,
        device_tree=None,
        parameters=folder / "parameters",
        console=folder / "console",
        records=folder / "records",
        messages=folder / "messages",
        discards=folder / "discards",
    )

    async def run() -> SecondBoot:
        guest = await _start(cell, files)
        try:
            return await _boot_twice(guest, files, trial, then_permille)
        finally:
            await guest.end()

    return asyncio.run(run())
