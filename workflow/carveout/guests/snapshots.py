# SPDX-License-Identifier: GPL-2.0-only
"""Saved states: what a host was when it stood ready, and whether a fork may be made of it.

A state is a folder: the image that QEMU wrote, and beside it, written last and at once, the
description of what made it. A folder without its description is no state.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.common.schemas import load_sealed, write_sealed

_IMAGE = "state"
_DESCRIPTION = "state.json"
_REMEDY = (
    "something has changed it on the disk of TMPDIR; run the job again, and let TMPDIR name a "
    "folder on another disk if that does not help"
)


def most_snapshot_bytes(at_once: int, limit_bytes: int) -> int:
    """Return the most that the state of a job takes on disk: itself, and a copy for each QEMU."""
    return (1 + at_once) * limit_bytes


def program_stamp(program: str) -> str:
    """Return what changes when a program's file is replaced: its path, size and time of change.

    To ask the program for its version each time would cost more than the fork.
    """
    path = Path(shutil.which(program) or program).resolve()
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


class DamagedStateError(CarveoutError):
    """What was saved is not what is there."""


def check_digest(image: Path, wanted: str) -> None:
    """Refuse a state, or a copy of one, that is not as it was left.

    Raises:
        DamagedStateError: naming both digests.
    """
    found = sha256_of(image)
    if found != wanted:
        raise DamagedStateError(
            f"{image}: wanted the state that was saved, whose sha256 is {wanted[:12]}, found "
            f"{found[:12]}: {_REMEDY}"
        )


class SavedState:
    """The state of one standing guest, on disk."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / _IMAGE
        self._description = folder / _DESCRIPTION

    def describe(self, made_by: Mapping[str, str]) -> None:
        """Write what made the image, which QEMU has just written whole.

        Args:
            made_by: all that a guest must have in common with the one saved, each under its name.
        """
        content = {"made_by": dict(made_by), "image_sha256": sha256_of(self.image)}
        write_sealed(self._description, content)

    def copy_to(self, image: Path, wanted: Mapping[str, str]) -> None:
        """Copy the image, if the state is the wanted one, and as it was saved.

        Raises:
            CarveoutError: it is not, or there is no room for a copy.
        """
        self.check(wanted)
        try:
            shutil.copyfile(self.image, image)
        except OSError as error:
            raise CarveoutError(
                f"{image}: wanted a copy of the saved state, found: {error.strerror}; "
                "make room on the disk of TMPDIR"
            ) from error
        check_digest(image, self._read_description()["image_sha256"])

    def check(self, wanted: Mapping[str, str]) -> None:
        """Refuse a state that was not saved whole, or that another machine left.

        Raises:
            CarveoutError: naming what differs.
        """
        made_by = self._read_description()["made_by"]
        for name in sorted({*wanted, *made_by}):
            if made_by.get(name) != wanted.get(name):
                raise CarveoutError(
                    f"{self.image}: wanted a saved state of {name} {wanted.get(name)}, "
                    f"found one of {made_by.get(name)}; run the job again to save it anew"
                )

    def _read_description(self) -> dict[str, Any]:
        if not self._description.exists():
            raise CarveoutError(
                f"{self._description}: wanted the description of a saved state, found none: "
                "it was never saved whole; run the job again"
            )
        try:
            return load_sealed(self._description, "state", _REMEDY)
        except CarveoutError as error:
            raise DamagedStateError(str(error)) from error
