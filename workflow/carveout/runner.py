# SPDX-License-Identifier: GPL-2.0-only
"""Runs the trials of one cell: seeds in, one line of JSON a trial out.

A guest that panics, hangs or runs out of memory is a trial with that ending. Only an experiment
that could not be made (QEMU missing, an image that is not there) ends with an error.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.cell_trials import CellTrials
from carveout.engines import ENGINES, Boot, Engine, EngineFactory
from carveout.errors import CarveoutError, entry_point
from carveout.files import sha256_of, sha256_of_json, write_atomically
from carveout.guest import GuestDiedError, Usage
from carveout.journal import Journal, Result
from carveout.kernels import unpacked_kernel
from carveout.limits import check_memory, check_room
from carveout.matrix import Cell
from carveout.outcomes import trial_outcomes
from carveout.progress import Progress
from carveout.qemu import (
    GuestFiles,
    Machine,
    machine_args,
    most_memory_bytes,
    qemu_version,
    synchronous_args,
)
from carveout.qemus import qemu_program
from carveout.states import most_state_bytes
from carveout.trial import Ending, run_trial


@dataclass(frozen=True)
class CellRun:
    """A cell with all that its trials need on this machine."""

    cell: Cell
    boot: Boot
    wall_limit_s: float
    open_engine: EngineFactory
    at_once: int
    journal: Journal
    progress: Progress
    log: Path


def guest_parameters(cell: Cell) -> str:
    """What a cell's guest knows before any trial, as shell assignments: all but the seed."""
    values: dict[str, str | int] = {
        "RAM_BYTES": cell.ram_bytes,
        "BOOT_RAM_BYTES": cell.variant.boot_ram_bytes,
        "LENDABLE_BYTES": cell.lendable_bytes,
        "GUEST_LIMIT_S": cell.guest_limit_s,
        "DOSE_PERCENT": cell.dose_percent,
        "REQUESTS_BYTES": " ".join(str(size) for size in cell.requests_bytes),
        **{name.upper(): value for name, value in cell.variant.parameters.items()},
    }
    return "".join(f'{name}="{value}"\n' for name, value in values.items())


def cell_machine(cell: Cell, qemu: str) -> Machine:
    """The machine of a cell's hosts, as this QEMU emulates it."""
    return Machine(
        qemu=qemu,
        cpu_model=cell.cpu_model,
        cpus=cell.cpus,
        ram_bytes=cell.variant.boot_ram_bytes,
        kernel_args=cell.variant.kernel_args,
        qemu_args=[
            *cell.variant.qemu_args,
            *synchronous_args(qemu, cell.variant.qemu_args),
        ],
    )


def trial_id(run: CellRun, seed: int) -> str:
    """The digest of all that determines a trial, in hex."""
    return sha256_of_json(
        {
            "digests": run.boot.digests,
            "machine": machine_args(run.boot.machine),
            "parameters": run.boot.parameters,
            "seed": seed,
        }
    )[:32]


def boot_id(run: CellRun) -> str:
    """The digest of the cell whose boot was saved, in hex: what its row has for a trial's id."""
    return sha256_of_json({"digests": run.boot.digests, "boot of": run.cell.to_json()})[:32]


async def run_cell(run: CellRun) -> list[Result]:
    """Runs the seeds of a cell, ``at_once`` at a time; those in the journal are made already.

    Returns:
        One object a guest: ``run`` (what belongs to the runner's machine) and, but for a
        boot whose state was saved, ``trial`` (a pure function of what its id digests), in the
        order of the seeds.

    Raises:
        CarveoutError: a trial could not be made; all others are in the journal.
    """
    made = run.journal.read({seed: trial_id(run, seed) for seed in range(1, run.cell.seeds + 1)})
    run.journal.start(made)
    run.progress.skip(len(made))
    trials = CellTrials(run.cell, made)
    boots: list[Result] = []
    if not trials.are_enough():
        with tempfile.TemporaryDirectory(prefix="carveout-") as folder:
            async with run.open_engine(run.boot, Path(folder), run.wall_limit_s) as engine:
                if engine.boot_usage is not None:
                    boots.append({"run": _usage(run, None, "ready", engine.boot_usage)})
                await _run_missing(run, engine, trials)
    run.progress.skip(trials.unused_seeds())
    return [*boots, *trials.in_order()]


async def _run_missing(run: CellRun, engine: Engine, trials: CellTrials) -> None:
    """Runs what is missing of a cell's trials. A guest that dies loses only itself."""
    lost: list[str] = []

    async def work() -> None:
        while (seed := trials.next_seed()) is not None:
            try:
                result = await _run_seed_again_if_it_dies(run, engine, seed)
            except GuestDiedError as error:
                lost.append(f"seed {seed}: {error}")
                continue
            run.journal.add(result)
            records = result["trial"]["records"]
            run.progress.count(
                result["trial"]["ending"]["cause"] or "completed",
                trial_outcomes(records, len(run.cell.requests_bytes)),
            )
            trials.add(result)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(run.at_once):
                group.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    if lost:
        raise CarveoutError(
            f"{run.cell.path}: lost {len(lost)} trials, twice each; the others are kept, and the "
            f"next run makes only what is missing: {lost[0]}"
        )


async def _run_seed_again_if_it_dies(run: CellRun, engine: Engine, seed: int) -> Result:
    """One trial; a QEMU that died on its own says nothing of its guest, so it gets another."""
    try:
        return await _run_seed(run, engine, seed)
    except GuestDiedError:
        return await _run_seed(run, engine, seed)


async def _run_seed(run: CellRun, engine: Engine, seed: int) -> Result:
    async with engine.guest() as (guest, files):
        try:
            ending = await run_trial(guest, files, seed, run.wall_limit_s)
            usage = guest.usage()
        finally:
            _log(run.log, seed, files)
    cause = ending.cause or "completed"
    return {"trial": _trial(run, seed, ending), "run": _usage(run, seed, cause, usage)}


def _log(log: Path, seed: int, files: GuestFiles) -> None:
    """Keeps the guest's console and what QEMU said of it."""
    with log.open("a", encoding="utf-8") as stream:
        for file in (files.console, files.messages):
            stream.write(f"== seed {seed}: {file.name} ==\n")
            stream.write(file.read_text(encoding="utf-8", errors="replace"))


def _trial(run: CellRun, seed: int, ending: Ending) -> dict[str, Any]:
    return {
        "trial_id": trial_id(run, seed),
        "digests": run.boot.digests,
        "cell": json.loads(run.cell.to_json()),
        "seed": seed,
        "ending": {"cause": ending.cause, "message": ending.message},
        "records": list(ending.records),
    }


def _usage(run: CellRun, seed: int | None, guest_exit: str, usage: Usage) -> dict[str, Any]:
    """One guest: a trial's, or without a seed the boot whose state was saved."""
    return {
        "process": "boot" if seed is None else "trial",
        "trial_id": boot_id(run) if seed is None else trial_id(run, seed),
        "strategy": run.cell.variant.strategy,
        "variant": run.cell.variant.name,
        "scenario": run.cell.scenario,
        "seed": seed,
        "guest_exit": guest_exit,
        "qemu_version": run.boot.digests["qemu"],
        "wall_ns": usage.wall_ns,
        "ready_wall_ns": usage.ready_wall_ns,
        "qemu_user_ns": usage.user_ns,
        "qemu_system_ns": usage.system_ns,
        "qemu_peak_rss_bytes": usage.peak_rss_bytes,
    }


def _lines(objects: Iterable[Mapping[str, Any]]) -> str:
    return "".join(
        json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n" for entry in objects
    )


def _join_images(images: Sequence[Path], folder: Path) -> Path:
    """One initrd of several archives: the kernel unpacks one after another."""
    initrd = folder / "initrd"
    with initrd.open("wb") as stream:
        for image in images:
            stream.write(image.read_bytes())
    return initrd


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.runner", description=__doc__)
    parser.add_argument("--cell", required=True, help="the cell, as one line of JSON")
    parser.add_argument("--qemu", required=True, help="qemu.json, or a program")
    parser.add_argument("--engine", required=True, choices=sorted(ENGINES))
    parser.add_argument("--wall-limit-s", required=True, type=float)
    parser.add_argument("--state-limit-bytes", required=True, type=int, help="room of one state")
    parser.add_argument("--at-once", type=int, default=1, help="guests side by side")
    parser.add_argument("--kernel", required=True, type=Path, help="kernel.json of the kernel")
    parser.add_argument("--images", required=True, nargs="+", type=Path, help="initramfs archives")
    parser.add_argument("--sources", required=True, nargs="+", type=Path, help="of this runner")
    parser.add_argument("--trials", required=True, type=Path, help="output: one line a trial")
    parser.add_argument("--runs", required=True, type=Path, help="output: one line a guest")
    parser.add_argument("--journal", required=True, type=Path, help="trials made so far")
    parser.add_argument("--log", required=True, type=Path, help="output: the guests' consoles")
    parser.add_argument("--progress", required=True, type=Path, help="the workflow's progress file")
    return parser.parse_args()


def _cell_run(args: argparse.Namespace, cell: Cell, folder: Path) -> CellRun:
    """All that the cell's trials need, with their initrd in ``folder``."""
    qemu = qemu_program(args.qemu)
    kernel = unpacked_kernel(args.kernel)
    initrd = _join_images(args.images, folder)
    boot = Boot(
        machine=cell_machine(cell, qemu),
        kernel=kernel.image,
        initrd=initrd,
        parameters=guest_parameters(cell),
        digests={
            "kernel": sha256_of(kernel.image),
            "initrd": sha256_of(initrd),
            "qemu": qemu_version(qemu),
        },
        state_limit_bytes=args.state_limit_bytes,
    )
    return CellRun(
        cell=cell,
        boot=boot,
        wall_limit_s=args.wall_limit_s,
        open_engine=ENGINES[args.engine],
        at_once=args.at_once,
        journal=Journal(args.journal, args.cell, args.sources),
        progress=Progress(args.progress),
        log=args.log,
    )


@entry_point
def main() -> None:
    """Runs one cell."""
    # A job that is ended cleans up as one that is interrupted.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    args = _arguments()
    cell = Cell.from_json(args.cell)
    check_memory(args.at_once * most_memory_bytes(cell.ram_bytes), cell.path)
    if args.engine == "fork":
        room_bytes = most_state_bytes(args.at_once, args.state_limit_bytes)
        check_room(Path(tempfile.gettempdir()), room_bytes)
    args.log.write_text("", encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="carveout-") as folder:
        run = _cell_run(args, cell, Path(folder))
        results = asyncio.run(run_cell(run))
    write_atomically(args.runs, _lines(result["run"] for result in results))
    write_atomically(
        args.trials, _lines(result["trial"] for result in results if "trial" in result)
    )
    run.journal.remove()
    run.progress.finish_cell()


if __name__ == "__main__":
    raise SystemExit(main())
