# SPDX-License-Identifier: GPL-2.0-only
"""How a trial's guest comes to be: booted, or forked from the saved state of a booted one.

An engine is opened for one cell and hands out one guest a trial. Strategies, loads and `run_trial`
see a guest that stands still with its trial's parameters before it, and no more. Because boots
repeat to the bit, both engines give the same trials.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from carveout.errors import CarveoutError
from carveout.limits import check_room
from carveout.qemu import (
    PARAMETER_FILE_BYTES,
    Guest,
    GuestFiles,
    Machine,
    Stop,
    Usage,
    file_args,
    machine_args,
    start_guest,
)
from carveout.states import SavedState, program_stamp
from carveout.trial import last_record


@dataclass(frozen=True)
class Boot:
    """All that determines a cell's boot: nothing of a single trial.

    Attributes:
        digests: of what QEMU and the guest are made of, by name.
        state_limit_bytes: what a saved state of it may take on disk.
    """

    machine: Machine
    kernel: Path
    initrd: Path
    parameters: str
    digests: Mapping[str, str]
    state_limit_bytes: int

    def identity(self) -> dict[str, str]:
        """What a fork must have in common with the guest whose state was saved."""
        return {
            **self.digests,
            "program": program_stamp(self.machine.qemu),
            "arguments": " ".join(machine_args(self.machine)),
            "boot parameters": self.parameters,
        }


@dataclass(frozen=True)
class ReadyHost:
    """A host that was booted until it stood ready: its state, and what it had said by then."""

    state: SavedState
    files: GuestFiles


class Engine:
    """Makes the guests of one cell: forks of a ready host, or boots when there is none.

    Attributes:
        boot_usage: what the boot of the ready host took, if one was tried.
    """

    def __init__(
        self, boot: Boot, ready: ReadyHost | None = None, boot_usage: Usage | None = None
    ) -> None:
        self._boot = boot
        self._ready = ready
        self.boot_usage = boot_usage

    @contextlib.asynccontextmanager
    async def guest(
        self, trial_parameters: str, folder: Path
    ) -> AsyncIterator[tuple[Guest, GuestFiles]]:
        """One guest that stands still, and its files in ``folder``; the caller ends it."""
        files = _guest_files(self._boot, trial_parameters, folder)
        if self._ready is None:
            yield await _start(self._boot, files), files
        else:
            yield await self._fork(self._ready, files), files

    async def _fork(self, ready: ReadyHost, files: GuestFiles) -> Guest:
        ready.state.check(self._boot.identity())
        shutil.copyfile(ready.files.console, files.console)
        shutil.copyfile(ready.files.records, files.records)
        return await _start(self._boot, _without_images(files), ready.state.stream)


class EngineFactory(Protocol):
    """Opens an engine for a cell; ``folder`` is the engine's own until it is closed."""

    def __call__(
        self, boot: Boot, folder: Path, wall_limit_s: float
    ) -> AbstractAsyncContextManager[Engine]:
        """The engine, ready for its first trial."""


@contextlib.asynccontextmanager
async def open_cold(
    boot: Boot,
    folder: Path,  # noqa: ARG001
    wall_limit_s: float,  # noqa: ARG001
) -> AsyncIterator[Engine]:
    """An engine that boots every trial from the first instruction."""
    yield Engine(boot)


@contextlib.asynccontextmanager
async def open_fork(boot: Boot, folder: Path, wall_limit_s: float) -> AsyncIterator[Engine]:
    """Boots once and saves the state in ``folder``, where it lies until the engine closes.

    A host that does not live to be ready, or needs the runner before that, has nothing to fork:
    then every trial boots, and shows what happens.
    """
    check_room(folder, boot.state_limit_bytes)
    files = _guest_files(boot, "", folder)
    state = SavedState(folder)
    guest = await _start(boot, files)
    try:
        is_ready = await _becomes_ready(guest, files, wall_limit_s)
        if is_ready:
            await guest.save(state.stream)
            state.describe(boot.identity())
    finally:
        usage = await guest.end()
    yield Engine(boot, ReadyHost(state, files) if is_ready else None, usage)


ENGINES: dict[str, EngineFactory] = {"cold": open_cold, "fork": open_fork}


async def _becomes_ready(guest: Guest, files: GuestFiles, wall_limit_s: float) -> bool:
    try:
        async with asyncio.timeout(wall_limit_s):
            await guest.resume()
            stop = await guest.next_stop()
    except TimeoutError:
        return False
    if stop is not Stop.PAUSED or last_record(files)["record"] != "ready":
        return False
    guest.note_ready()
    return True


def _guest_files(boot: Boot, trial_parameters: str, folder: Path) -> GuestFiles:
    return GuestFiles(
        kernel=boot.kernel,
        initrd=boot.initrd,
        boot_parameters=_parameter_file(folder / "boot.env", boot.parameters),
        trial_parameters=_parameter_file(folder / "trial.env", trial_parameters),
        console=folder / "console.log",
        records=folder / "records.jsonl",
    )


def _without_images(files: GuestFiles) -> GuestFiles:
    """The same with an empty kernel and initrd.

    The saved RAM has both. QEMU must be told of a kernel, since it makes another machine without
    one (PSCI), but what it loads is overwritten: 45 MB to read and to touch for nothing.
    """
    empty = files.console.parent / "empty"
    empty.write_bytes(bytes(PARAMETER_FILE_BYTES))
    return replace(files, kernel=empty, initrd=empty)


async def _start(boot: Boot, files: GuestFiles, state: Path | None = None) -> Guest:
    args = [*machine_args(boot.machine), *file_args(files)]
    return await start_guest(
        boot.machine.qemu,
        args,
        files.console.parent / "qemu.log",
        file_limit_bytes=boot.state_limit_bytes,
        state=state,
    )


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
