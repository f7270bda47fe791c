# SPDX-License-Identifier: GPL-2.0-only
"""What a job may take of the runner's machine, checked before it takes it."""

import shutil
from pathlib import Path

import psutil

from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB


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
