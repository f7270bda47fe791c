# SPDX-License-Identifier: GPL-2.0-only
"""How a trial's guest comes to be. A cold boot starts each at its first instruction.

An engine is made for one cell and hands out one guest a trial. Strategies, loads and `run_trial`
see a guest that stands still with its trial's parameters before it, and no more: an engine that
restores a saved state instead of booting is another class here.
"""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from carveout.errors import CarveoutError
from carveout.qemu import (
    PARAMETER_FILE_BYTES,
    Guest,
    GuestFiles,
    Machine,
    file_args,
    machine_args,
    start_guest,
)


@dataclass(frozen=True)
class Boot:
    """All that determines a cell's boot: nothing of a single trial."""

    machine: Machine
    kernel: Path
    initrd: Path
    parameters: str


class Engine(Protocol):
    """Makes the guests of one cell."""

    def guest(
        self, trial_parameters: str, folder: Path
    ) -> AbstractAsyncContextManager[tuple[Guest, GuestFiles]]:
        """One guest that stands still, and its files in ``folder``; the caller ends it."""


class ColdEngine:
    """Boots every trial from the first instruction."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot

    @contextlib.asynccontextmanager
    async def guest(
        self, trial_parameters: str, folder: Path
    ) -> AsyncIterator[tuple[Guest, GuestFiles]]:
        """A guest before its first instruction."""
        files = GuestFiles(
            kernel=self._boot.kernel,
            initrd=self._boot.initrd,
            boot_parameters=_parameter_file(folder / "boot.env", self._boot.parameters),
            trial_parameters=_parameter_file(folder / "trial.env", trial_parameters),
            console=folder / "console.log",
            records=folder / "records.jsonl",
        )
        args = [*machine_args(self._boot.machine), *file_args(files)]
        guest = await start_guest(self._boot.machine.qemu, args, folder / "qemu.log")
        yield guest, files


ENGINES = {"cold": ColdEngine}


def _parameter_file(path: Path, text: str) -> Path:
    """Writes shell assignments, padded with line ends to the fixed size."""
    content = text.encode()
    if len(content) > PARAMETER_FILE_BYTES:
        raise CarveoutError(
            f"{path.name}: wanted at most {PARAMETER_FILE_BYTES} bytes of parameters, "
            f"found {len(content)}; shorten the variant's parameters"
        )
    path.write_bytes(content.ljust(PARAMETER_FILE_BYTES, b"\n"))
    return path
