# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU gives back of the guest's RAM to the machine below: the memory that its owner regains.

QEMU says so of each piece in an event, when it is told to. It writes them to a file line by line,
and waits for each: while the guest stands, the file is complete. Nothing of it reaches the guest.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from carveout.common.errors import CarveoutError
from carveout.guests.command_line import GuestFiles
from carveout.guests.guest import Guest

_EVENT = "ram_block_discard_range"
# The event that is made to be the last line: where the disk or a limit cut the file, it is missing.
_LAST_EVENT, _LAST_COMMAND = "qmp_enter_query_status", "query-status"
_LINE = re.compile(
    rf"{_EVENT} (?P<block>.+)@(?P<address>0x[0-9a-f]+) \+ (?P<length>0x[0-9a-f]+): "
    r"madvise: \d+ fallocate: \d+ ret: (?P<result>-?\d+)"
)

# Of a block of RAM, by its name: from here, and so many bytes. Where QEMU keeps the block changes
# from run to run, but not how its pieces lie to each other.
Piece = tuple[str, int, int]


@dataclass(frozen=True)
class Discards:
    """What was discarded; what was more than once counts once, and neighbours are one extent."""

    discarded_bytes: int
    extents: int
    largest_extent_bytes: int

    def as_record(self) -> Mapping[str, int]:
        """Return what is written of it in a trial."""
        return {
            "discarded_bytes": self.discarded_bytes,
            "extents": self.extents,
            "largest_extent_bytes": self.largest_extent_bytes,
        }


async def mark_discards(guest: Guest, files: GuestFiles) -> None:
    """Let QEMU write down from here on what a standing guest makes it discard.

    Raises:
        ExecuteError: this QEMU cannot.
    """
    path = str(files.discards).replace("\\", "\\\\").replace('"', '\\"')
    # Opened anew each time: the next line is the first, whatever an earlier guest has written.
    await guest.execute("human-monitor-command", {"command-line": f'logfile "{path}"'})
    os.truncate(files.discards, 0)
    await _watch(guest, _EVENT, is_watched=True)


async def count_discards(guest: Guest, files: GuestFiles) -> Discards:
    """Return what was discarded since the mark, of a guest that stands.

    Raises:
        ExecuteError: this QEMU cannot.
        CarveoutError: the file says something else.
    """
    await _watch(guest, _EVENT, is_watched=False)
    await _watch(guest, _LAST_EVENT, is_watched=True)
    await guest.execute(_LAST_COMMAND, {})
    await _watch(guest, _LAST_EVENT, is_watched=False)
    pieces = parse_discards(files.discards.read_text(encoding="utf-8"))
    os.truncate(files.discards, 0)
    return unite(pieces)


async def _watch(guest: Guest, event: str, *, is_watched: bool) -> None:
    await guest.execute("trace-event-set-state", {"name": event, "enable": is_watched})


def parse_discards(said: str) -> list[Piece]:
    """Return the pieces that QEMU says it discarded, in its order.

    Raises:
        CarveoutError: the last line is missing, one says something else, or a discard failed.
    """
    lines = said.splitlines()
    if not said.endswith("\n") or not lines[-1].startswith(_LAST_EVENT):
        raise CarveoutError(
            f"wanted all of what QEMU discards, found {len(said)} bytes without an end; "
            "make room on the disk of TMPDIR, or raise the key limits.state of the config"
        )
    return [_parse_line(line) for line in lines[:-1]]


def _parse_line(line: str) -> Piece:
    said = _LINE.fullmatch(line)
    if said is None or said["result"] != "0":
        raise CarveoutError(f"wanted what QEMU discarded, found {line[:200]!r}")
    return said["block"], int(said["address"], 16), int(said["length"], 16)


def unite(pieces: Iterable[Piece]) -> Discards:
    """Return how much of the RAM the pieces are, and in how many extents it lies."""
    lengths: list[int] = []
    block, end = "", 0
    for name, address, length in sorted(pieces):
        if name == block and address <= end:
            lengths[-1] += max(address + length - end, 0)
            end = max(end, address + length)
        else:
            lengths.append(length)
            block, end = name, address + length
    return Discards(sum(lengths), len(lengths), max(lengths, default=0))
