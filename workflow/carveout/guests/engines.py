# SPDX-License-Identifier: GPL-2.0-only
"""How a trial's guest comes to be: booted, or forked from the saved state of a booted one.

An engine is opened for one cell and hands out one guest per trial. Strategies, loads and
`run_trial` see a guest that stands still, before its boot or before it is told its point, and no
more. Because boots repeat to the bit, both engines give the same trials.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from qemu.qmp import QMPError

from carveout.common.files import sha256_of
from carveout.guests.command_line import GuestFiles, Machine, file_args, machine_args
from carveout.guests.guest import Guest, GuestDiedError, Stop, Usage, start_guest
from carveout.guests.snapshots import (
    DamagedStateError,
    SavedState,
    check_digest,
    program_stamp,
)
from carveout.records.channel import last_record, parse_records, read_channel

# QEMU refuses an image of no bytes.
_EMPTY_IMAGE_BYTES = 4096


@dataclass(frozen=True)
class Boot:
    """All that determines a cell's boot, and nothing of a single trial: that adds only its point.

    Attributes:
        device_tree: in place of QEMU's own, or None.
        digests: of what QEMU and the guest are made of, by name.
        state_limit_bytes: what a saved state of it may take on disk.
    """

    machine: Machine
    kernel: Path
    initrd: Path
    device_tree: Path | None
    parameters: str
    digests: Mapping[str, str]
    state_limit_bytes: int

    def identity(self) -> dict[str, str]:
        """Return what a fork must have in common with the guest whose state was saved."""
        return {
            **self.digests,
            "program": program_stamp(self.machine.qemu),
            "arguments": " ".join(machine_args(self.machine)),
            "parameters": self.parameters,
        }


@dataclass(frozen=True)
class ReadyHost:
    """A host that was booted until it stood ready: its state, and what it had said by then."""

    state: SavedState
    files: GuestFiles


class Engine:
    """Makes the guests of one cell: forks of a ready host, or boots when there is none.

    A fork is a guest that is loaded from the ready host's state. A QEMU whose guest came to its
    end restores the next guest in itself. This saves what takes a new QEMU longest: to start, and
    to touch memory for the first time.

    Attributes:
        boot_usage: what the boot of the ready host took, if one was tried.
    """

    def __init__(
        self,
        boot: Boot,
        folder: Path,
        wall_limit_s: float,
        ready: ReadyHost | None = None,
        boot_usage: Usage | None = None,
    ) -> None:
        self.boot_usage = boot_usage
        self._boot = boot
        self._folder = folder
        self._wall_limit_s = wall_limit_s
        self._ready = ready
        self._ended: list[tuple[Guest, GuestFiles]] = []
        self._as_loaded: dict[Path, str] = {}

    @contextlib.asynccontextmanager
    async def guest(self) -> AsyncIterator[tuple[Guest, GuestFiles]]:
        """Yield one guest that stands still, before its first instruction or ready; and its files.

        Raises:
            GuestDiedError: a QEMU ended on its own meanwhile.
        """
        guest, files = await self._standing_guest()
        try:
            yield guest, files
        finally:
            if self._ready and guest.is_at_end:
                self._ended.append((guest, files))
            else:
                await _discard(guest, files)

    async def close(self) -> None:
        """End the QEMUs that wait for another guest."""
        for guest, files in self._ended:
            await _discard(guest, files)

    async def _standing_guest(self) -> tuple[Guest, GuestFiles]:
        async with _within(self._wall_limit_s, "a guest that stands"):
            if self._ready is None:
                return await self._boot_guest()
            return await self._restored(self._ready) or await self._fork(self._ready)

    async def _boot_guest(self) -> tuple[Guest, GuestFiles]:
        files = guest_files(self._boot, Path(tempfile.mkdtemp(dir=self._folder)))
        return await _start(self._boot, files), files

    async def _restored(self, ready: ReadyHost) -> tuple[Guest, GuestFiles] | None:
        """Return a guest in a QEMU whose guest came to its end; None when no such QEMU lives."""
        while self._ended:
            guest, files = self._ended.pop()
            with contextlib.suppress(GuestDiedError, DamagedStateError):
                async with _discarded_on_error(guest, files):
                    check_digest(_image(files), self._as_loaded[_image(files)])
                    await guest.restore()
                    # QEMU appends to its files: cut off what the guest before has written.
                    os.truncate(files.console, ready.files.console.stat().st_size)
                    os.truncate(files.records, ready.files.records.stat().st_size)
                    os.truncate(files.messages, 0)
                return guest, files
        return None

    async def _fork(self, ready: ReadyHost) -> tuple[Guest, GuestFiles]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            files = _without_images(guest_files(self._boot, folder))
            image = _image(files)
            ready.state.copy_to(image, self._boot.identity())
            shutil.copyfile(ready.files.console, files.console)
            shutil.copyfile(ready.files.records, files.records)
            guest = await _start(self._boot, files)
        except BaseException:
            shutil.rmtree(folder)
            raise
        async with _discarded_on_error(guest, files):
            await guest.load(image)
            # QEMU writes to a copy when it opens it, and then no more.
            self._as_loaded[image] = sha256_of(image)
        return guest, files


@contextlib.asynccontextmanager
async def _within(wall_limit_s: float, wanted: str) -> AsyncIterator[None]:
    """Give up what takes longer: that QEMU stands still says nothing of its guest."""
    try:
        async with asyncio.timeout(wall_limit_s):
            yield
    except TimeoutError as error:
        raise GuestDiedError(
            f"wanted {wanted}, found none in {wall_limit_s} s (limits.wall_s)"
        ) from error


async def _discard(guest: Guest, files: GuestFiles) -> None:
    await guest.end()
    shutil.rmtree(files.console.parent)


@contextlib.asynccontextmanager
async def _discarded_on_error(guest: Guest, files: GuestFiles) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        await _discard(guest, files)
        raise


class EngineFactory(Protocol):
    """Opens an engine for a cell; ``folder`` is the engine's own until it is closed."""

    def __call__(
        self, boot: Boot, folder: Path, wall_limit_s: float
    ) -> AbstractAsyncContextManager[Engine]:
        """Open the engine, ready for its first trial."""


@contextlib.asynccontextmanager
async def open_cold(boot: Boot, folder: Path, wall_limit_s: float) -> AsyncIterator[Engine]:
    """Yield an engine that boots every trial from the first instruction."""
    yield Engine(boot, folder, wall_limit_s)


@contextlib.asynccontextmanager
async def open_fork(boot: Boot, folder: Path, wall_limit_s: float) -> AsyncIterator[Engine]:
    """Boot once, save the state in ``folder``, and yield an engine whose guests are its forks.

    The state must lie there until the engine closes. A host that dies before it is ready, or needs
    the runner before that, has nothing to fork: then every trial boots, and shows what happens. A
    QEMU that dies on its own says nothing of its host, which is booted once more.
    """
    try:
        ready, usage = await _boot_until_ready(boot, folder, wall_limit_s)
    except GuestDiedError:
        ready, usage = await _boot_until_ready(boot, folder, wall_limit_s)
    engine = Engine(boot, folder, wall_limit_s, ready, usage)
    try:
        yield engine
    finally:
        await engine.close()


ENGINES: dict[str, EngineFactory] = {"cold": open_cold, "fork": open_fork}


async def _boot_until_ready(
    boot: Boot, folder: Path, wall_limit_s: float
) -> tuple[ReadyHost | None, Usage]:
    """Boot a host; return its saved state, if it came to be ready, and what the boot took."""
    folder = folder / "ready"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = guest_files(boot, folder)
    state = SavedState(folder)
    async with _within(wall_limit_s, "a guest that stands"):
        guest = await _start(boot, files)
    try:
        is_ready = await _becomes_ready(guest, files, wall_limit_s)
        if is_ready:
            async with _within(wall_limit_s, "a guest whose state is saved"):
                await guest.save(state.image)
            state.describe(boot.identity())
        return ReadyHost(state, files) if is_ready else None, guest.usage()
    finally:
        await guest.end()


async def _becomes_ready(guest: Guest, files: GuestFiles, wall_limit_s: float) -> bool:
    try:
        async with asyncio.timeout(wall_limit_s):
            await guest.resume()
            stop = await guest.next_stop()
    except TimeoutError:
        return False
    except (QMPError, EOFError):
        stop = Stop.DIED
    if stop is Stop.DIED:
        raise GuestDiedError("wanted a host that boots, found that QEMU ended without a word of it")
    said = last_record(files.records)
    if stop is not Stop.PAUSED or said is None or said["record"] != "ready":
        return False
    # What the disk has lost of its words would be lost in each fork: then every trial boots.
    _, problem = parse_records(read_channel(files.records))
    if problem is not None:
        return False
    guest.note_ready()
    return True


def guest_files(boot: Boot, folder: Path) -> GuestFiles:
    """Write a guest's parameters into a folder and return the guest's files there."""
    parameters = folder / "parameters.env"
    parameters.write_text(boot.parameters, encoding="utf-8")
    return GuestFiles(
        kernel=boot.kernel,
        initrd=boot.initrd,
        device_tree=boot.device_tree,
        parameters=parameters,
        console=folder / "console.log",
        records=folder / "records.jsonl",
        messages=folder / "qemu.log",
        discards=folder / "discards.log",
    )


def _image(files: GuestFiles) -> Path:
    """Return where a fork's own copy of the saved state lies."""
    return files.console.parent / "state"


def _without_images(files: GuestFiles) -> GuestFiles:
    """Return the same files with an empty kernel and initrd.

    The saved RAM has both. QEMU must be given a kernel, since it makes another machine without one
    (PSCI). But the saved RAM overwrites what QEMU loads: with the real files, it would read and
    touch 45 MB for nothing.
    """
    empty = files.console.parent / "empty"
    empty.write_bytes(bytes(_EMPTY_IMAGE_BYTES))
    return replace(files, kernel=empty, initrd=empty)


async def _start(boot: Boot, files: GuestFiles) -> Guest:
    args = [*machine_args(boot.machine), *file_args(files)]
    return await start_guest(boot.machine.qemu, args, files.messages, boot.state_limit_bytes)
