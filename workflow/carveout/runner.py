# SPDX-License-Identifier: GPL-2.0-only
"""Runs the trials of one cell: seeds in, one line of JSON a trial out.

A guest that panics, hangs or runs out of memory is a trial with that ending. Only an experiment
that could not be made (QEMU missing, an image that is not there) ends with an error.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.engines import ENGINES, Boot, Engine, EngineFactory
from carveout.errors import entry_point
from carveout.files import sha256_of, sha256_of_json, write_atomically
from carveout.kernels import unpacked_kernel
from carveout.matrix import Cell
from carveout.progress import Progress
from carveout.qemu import Machine, Usage, machine_args, qemu_version, synchronous_args
from carveout.qemus import qemu_program
from carveout.trial import Ending, run_trial


@dataclass(frozen=True)
class CellRun:
    """A cell with all that its trials need on this machine."""

    cell: Cell
    boot: Boot
    digests: dict[str, str]
    wall_limit_s: float
    open_engine: EngineFactory
    log: Path


def boot_parameters(cell: Cell) -> str:
    """``boot.env``: what a cell's guest knows before any trial, as shell assignments."""
    return _assignments(
        {
            "RAM_BYTES": cell.ram_bytes,
            "BOOT_RAM_BYTES": cell.variant.boot_ram_bytes,
            "LENDABLE_BYTES": cell.lendable_bytes,
            "GUEST_LIMIT_S": cell.guest_limit_s,
            **{name.upper(): value for name, value in cell.variant.parameters.items()},
        }
    )


def trial_parameters(cell: Cell, seed: int) -> str:
    """``trial.env``: what makes one trial of a cell, as shell assignments."""
    return _assignments(
        {
            "SEED": seed,
            "DOSE_PERCENT": cell.dose_percent,
            "REQUESTS_BYTES": " ".join(str(size) for size in cell.requests_bytes),
        }
    )


def trial_id(run: CellRun, seed: int) -> str:
    """The digest of all that determines a trial, in hex."""
    return sha256_of_json(
        {
            "digests": run.digests,
            "machine": machine_args(run.boot.machine),
            "boot": run.boot.parameters,
            "trial": trial_parameters(run.cell, seed),
        }
    )[:32]


async def run_cell(run: CellRun, at_once: int, progress: Progress) -> list[dict[str, Any]]:
    """Runs all seeds of a cell, ``at_once`` at a time.

    Returns:
        One object a trial, in the order of the seeds: ``trial`` (a pure function of what its id
        digests) and ``run`` (what belongs to the runner's machine).
    """
    places = asyncio.Semaphore(at_once)

    async def run_seed(engine: Engine, seed: int) -> dict[str, Any]:
        async with places:
            result = await _run_seed(run, engine, seed)
            progress.count(result["trial"]["ending"]["cause"] or "completed")
            return result

    with tempfile.TemporaryDirectory(prefix="carveout-") as folder:
        async with run.open_engine(run.boot, Path(folder), run.wall_limit_s) as engine:
            seeds = range(1, run.cell.seeds + 1)
            return await asyncio.gather(*(run_seed(engine, seed) for seed in seeds))


async def _run_seed(run: CellRun, engine: Engine, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="carveout-") as name:
        folder = Path(name)
        parameters = trial_parameters(run.cell, seed)
        async with engine.guest(parameters, folder) as (guest, files):
            try:
                ending = await run_trial(guest, files, run.wall_limit_s)
            finally:
                usage = await guest.end()
                _log(run.log, seed, folder)
        return {"trial": _trial(run, seed, ending), "run": _usage(run, seed, ending, usage)}


def _log(log: Path, seed: int, folder: Path) -> None:
    """Keeps the guest's console and what QEMU said of it."""
    with log.open("a", encoding="utf-8") as stream:
        for name in ("console.log", "qemu.log"):
            stream.write(f"== seed {seed}: {name} ==\n")
            stream.write((folder / name).read_text(encoding="utf-8", errors="replace"))


def _trial(run: CellRun, seed: int, ending: Ending) -> dict[str, Any]:
    return {
        "trial_id": trial_id(run, seed),
        "digests": run.digests,
        "cell": json.loads(run.cell.to_json()),
        "seed": seed,
        "ending": {"cause": ending.cause, "message": ending.message},
        "records": list(ending.records),
    }


def _usage(run: CellRun, seed: int, ending: Ending, usage: Usage) -> dict[str, Any]:
    return {
        "trial_id": trial_id(run, seed),
        "strategy": run.cell.variant.strategy,
        "variant": run.cell.variant.name,
        "scenario": run.cell.scenario,
        "seed": seed,
        "guest_exit": ending.cause or "completed",
        "qemu_version": run.digests["qemu"],
        "wall_ns": usage.wall_ns,
        "qemu_user_ns": usage.user_ns,
        "qemu_system_ns": usage.system_ns,
        "qemu_peak_rss_bytes": usage.peak_rss_bytes,
    }


def _assignments(values: dict[str, str | int]) -> str:
    return "".join(f'{name}="{value}"\n' for name, value in values.items())


def _lines(objects: Sequence[dict[str, Any]]) -> str:
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
    parser.add_argument("--at-once", type=int, default=1, help="guests side by side")
    parser.add_argument("--kernel", required=True, type=Path, help="kernel.json of the kernel")
    parser.add_argument("--images", required=True, nargs="+", type=Path, help="initramfs archives")
    parser.add_argument("--trials", required=True, type=Path, help="output: one line a trial")
    parser.add_argument("--runs", required=True, type=Path, help="output: one line a QEMU process")
    parser.add_argument("--log", required=True, type=Path, help="output: the guests' consoles")
    parser.add_argument("--progress", required=True, type=Path, help="the workflow's progress file")
    return parser.parse_args()


@entry_point
def main() -> None:
    """Runs one cell."""
    args = _arguments()
    progress = Progress(args.progress)
    cell = Cell.from_json(args.cell)
    qemu = qemu_program(args.qemu)
    machine = Machine(
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
    kernel = unpacked_kernel(args.kernel)
    with tempfile.TemporaryDirectory(prefix="carveout-") as name:
        boot = Boot(
            machine=machine,
            kernel=kernel.image,
            initrd=_join_images(args.images, Path(name)),
            parameters=boot_parameters(cell),
        )
        run = CellRun(
            cell=cell,
            boot=boot,
            digests={
                "kernel": sha256_of(kernel.image),
                "initrd": sha256_of(boot.initrd),
                "qemu": qemu_version(qemu),
            },
            wall_limit_s=args.wall_limit_s,
            open_engine=ENGINES[args.engine],
            log=args.log,
        )
        args.log.write_text("", encoding="utf-8")
        results = asyncio.run(run_cell(run, args.at_once, progress))
    write_atomically(args.runs, _lines([result["run"] for result in results]))
    write_atomically(args.trials, _lines([result["trial"] for result in results]))
    progress.finish_cell()


if __name__ == "__main__":
    raise SystemExit(main())
