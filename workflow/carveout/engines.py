# SPDX-License-Identifier: GPL-2.0-only
"""How a trial's guest comes to be: booted, or restored from the state of a booted one.

An engine is opened for one cell and hands out one guest a trial. Strategies, loads and `run_trial`
see a guest that stands still with its trial's parameters before it, and no more. Because boots
repeat to the bit, both engines give the same trials.
"""

import asyncio
import contextlib
import shutil
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
    Stop,
    file_args,
    machine_args,
    start_guest,
)
from carveout.trial import last_record


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


class EngineFactory(Protocol):
    """Opens an engine for a cell; ``folder`` is the engine's own until it is closed."""

    def __call__(
        self, boot: Boot, folder: Path, wall_limit_s: float
    ) -> AbstractAsyncContextManager[Engine]:
        """The engine, ready for its first trial."""


class ColdEngine:
    """Boots every trial from the first instruction."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot

    @contextlib.asynccontextmanager
    async def guest(
        self, trial_parameters: str, folder: Path
    ) -> AsyncIterator[tuple[Guest, GuestFiles]]:
        """A guest before its first instruction."""
        files = _guest_files(self._boot, trial_parameters, folder)
        yield await _start(self._boot, files), files


class ForkEngine:
    """Restores every trial from the state of one boot, saved where the guest said it is ready."""

    def __init__(self, boot: Boot, state: Path, booted: GuestFiles) -> None:
        self._boot = boot
        self._state = state
        self._booted = booted

    @contextlib.asynccontextmanager
    async def guest(
        self, trial_parameters: str, folder: Path
    ) -> AsyncIterator[tuple[Guest, GuestFiles]]:
        """A guest after its boot, with what it has said so far in its files."""
        files = _guest_files(self._boot, trial_parameters, folder)
        shutil.copyfile(self._booted.console, files.console)
        shutil.copyfile(self._booted.records, files.records)
        yield await _start(self._boot, files, self._state), files


@contextlib.asynccontextmanager
async def open_cold(
    boot: Boot,
    folder: Path,  # noqa: ARG001
    wall_limit_s: float,  # noqa: ARG001
) -> AsyncIterator[Engine]:
    """An engine that has nothing to prepare."""
    yield ColdEngine(boot)


@contextlib.asynccontextmanager
async def open_fork(boot: Boot, folder: Path, wall_limit_s: float) -> AsyncIterator[Engine]:
    """Boots once and saves the state, about 150 MB for Debian's kernel, until the engine closes.

    A host that does not live to be ready, or needs the runner before that, has nothing to fork:
    then every trial boots, and shows what happens.
    """
    files = _guest_files(boot, "", folder)
    guest = await _start(boot, files)
    state = folder / "state"
    try:
        is_ready = await _becomes_ready(guest, files, wall_limit_s)
        if is_ready:
            await guest.save(state)
    finally:
        await guest.end()
    yield ForkEngine(boot, state, files) if is_ready else ColdEngine(boot)


ENGINES: dict[str, EngineFactory] = {"cold": open_cold, "fork": open_fork}


async def _becomes_ready(guest: Guest, files: GuestFiles, wall_limit_s: float) -> bool:
    try:
        async with asyncio.timeout(wall_limit_s):
            await guest.resume()
            stop = await guest.next_stop()
    except TimeoutError:
        return False
    return stop is Stop.PAUSED and bool(last_record(files)["record"] == "ready")


def _guest_files(boot: Boot, trial_parameters: str, folder: Path) -> GuestFiles:
    return GuestFiles(
        kernel=boot.kernel,
        initrd=boot.initrd,
        boot_parameters=_parameter_file(folder / "boot.env", boot.parameters),
        trial_parameters=_parameter_file(folder / "trial.env", trial_parameters),
        console=folder / "console.log",
        records=folder / "records.jsonl",
    )


async def _start(boot: Boot, files: GuestFiles, state: Path | None = None) -> Guest:
    args = [*machine_args(boot.machine), *file_args(files)]
    return await start_guest(boot.machine.qemu, args, files.console.parent / "qemu.log", state)


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
