# SPDX-License-Identifier: GPL-2.0-only
"""What a job may take of the runner's machine, checked before it takes it."""

import shutil
import tempfile
from pathlib import Path

import psutil

from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB
from carveout.guests.command_line import most_memory_bytes
from carveout.guests.snapshots import most_snapshot_bytes


def job_memory_mb(touched_bytes: int, guests: int) -> int:
    """Return what guests that touch so much RAM take of the machine's memory at most, in MiB."""
    return guests * most_memory_bytes(touched_bytes) // MIB


def job_disk_mb(state_limit_bytes: int, guests: int) -> int:
    """Return what a job's saved state and its copies take of the disk of TMPDIR, in MiB."""
    return most_snapshot_bytes(guests, state_limit_bytes) // MIB


def check_memory(needed_bytes: int, what: str) -> None:
    """Refuse a job whose guests may need more memory than the machine has available.

    Raises:
        CarveoutError: naming both.
    """
    available_bytes = psutil.virtual_memory().available
    if available_bytes < needed_bytes:
        raise CarveoutError(
            f"{what}: wanted {needed_bytes // MIB} MiB of memory for its guests, "
            f"found {available_bytes // MIB} MiB available; "
            "give it fewer threads, or make the machine's ram smaller"
        )


def check_room(folder: Path, needed_bytes: int) -> None:
    """Refuse a folder whose disk has less room than a job's saved state may take.

    Raises:
        CarveoutError: naming the folder and what it has.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise CarveoutError(
            f"{folder}: wanted room for up to {needed_bytes // MIB} MiB of a saved state and its "
            f"copies (key limits.state of the config), found {free_bytes // MIB} MiB; "
            "make room, or let TMPDIR name a folder on another disk"
        )


def check_takes_files(folder: Path) -> None:
    """Refuse a disk that is full: QEMU says nothing of what it could not write there.

    Raises:
        CarveoutError: naming the folder.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(MIB))
    except OSError as error:
        raise CarveoutError(
            f"{folder}: wanted a disk that takes what a guest says, found: {error.strerror}; make "
            "room on the disk of TMPDIR and run again, which makes only what is missing"
        ) from error
