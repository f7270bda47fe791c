# SPDX-License-Identifier: GPL-2.0-only
"""Run the trials of one cell: points in, one result per trial out.

This module and its imports decide what a trial is and what is written of it. Modules that only keep
and report results (`boots.run`, its journal and its progress) are not among them: when they change,
no trial is made anew.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carveout.boots.cell_trials import CellTrials, Result
from carveout.boots.trial import Ending, run_trial
from carveout.common.errors import CarveoutError
from carveout.common.files import read_ends, sha256_of_json
from carveout.guests.command_line import GuestFiles, Machine, machine_args, synchronous_args
from carveout.guests.device_tree import merge_device_tree
from carveout.guests.engines import Boot, Engine, EngineFactory
from carveout.guests.guest import GuestDiedError, Usage
from carveout.guests.limits import check_takes_files
from carveout.records.channel import RECORDS_VERSION
from carveout.study.cell import Cell, Point
from carveout.study.geometry import GRANULES, RAM_START_BYTES


@dataclass(frozen=True)
class CellRun:
    """A cell with all that its trials need on this machine.

    Attributes:
        boots: what determines the boot of each of its hosts, by their layouts.
        made_by: the digest of what decides about a trial and is not part of its id.
        folder: for saved states, consoles and the like; it goes with the job.
        log: the file that gets the guests' consoles.
        points: the only ones that are run, of a part of the cell; None for all.
    """

    cell: Cell
    boots: Mapping[int, Boot]
    wall_limit_s: float
    open_engine: EngineFactory
    at_once: int
    made_by: str
    folder: Path
    log: Path
    points: frozenset[Point] | None = None

    def boot_of(self, point: Point) -> Boot:
        """Return what determines the boot of the host that a trial is of."""
        return self.boots[self.cell.layout_of(point.seed)]

    def trial_ids(self) -> dict[Point, str]:
        """Return the ids of all trials that may be run, by their points."""
        points = self.cell.points() if self.points is None else sorted(self.points)
        return {point: trial_id(self.boot_of(point), point) for point in points}

    def boot_ids(self) -> list[str]:
        """Return the ids of the boots of its hosts, by their layouts."""
        return [trial_id(boot, None) for boot in self.boots.values()]


def guest_parameters(cell: Cell, layout: int) -> str:
    """Return what a cell's guest of a layout knows before any trial, as shell assignments."""
    values: dict[str, str | int] = {
        "STATED_PAGEBLOCK_BYTES": cell.pageblock_bytes,
        "STATED_SECTION_BYTES": cell.section_bytes,
        "STATED_RAM_START_BYTES": RAM_START_BYTES,
        "NEEDS": "\n".join(
            f"{need['file']}|{need['why']}|{need.get('says', '')}" for need in cell.variant.needs
        ),
        "RAM_BYTES": cell.ram_bytes,
        "BOOT_RAM_BYTES": cell.variant.boot_ram_bytes,
        "LENDABLE_BYTES": cell.lendable_bytes,
        "RESERVE_BYTES": cell.reserve_bytes,
        "LAYOUT": layout,
        "GUEST_LIMIT_S": cell.guest_limit_s,
        "REQUESTS_BYTES": " ".join(str(size) for size in cell.requests_bytes),
        "QUESTION": cell.question,
        "LOAD_WORKS": "yes" if cell.load_works else "no",
        "CHURN_STEPS": cell.churn_steps,
        "OWNER_REGAINS": "yes" if cell.variant.owner_regains else "no",
        "RUNS_VM": "yes" if cell.runs_vm else "no",
        "GRANULE": cell.granule,
        "GRANULE_BYTES": GRANULES[cell.granule] or "",
        **{name.upper(): value for name, value in cell.variant.parameters.items()},
    }
    return "".join(f'{name}="{value}"\n' for name, value in values.items())


def cell_machine(cell: Cell, qemu: str) -> Machine:
    """Return the machine of a cell's hosts, as this QEMU emulates it."""
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
        virtualization=cell.runs_vm,
    )


def cell_device_tree(cell: Cell, machine: Machine, kernel: Path, folder: Path) -> Path | None:
    """Return the device tree that a cell's variant makes of its machine's, if it makes any."""
    variant = cell.variant
    if variant.device_tree is None:
        return None
    where = f"{variant.strategy} {variant.name}"
    return merge_device_tree(machine, kernel, variant.device_tree, folder, where)


def trial_id(boot: Boot, point: Point | None) -> str:
    """Return the digest of all that determines a trial, in hex; without a point, of its boot."""
    return sha256_of_json(
        {
            "digests": boot.digests,
            "machine": machine_args(boot.machine),
            "parameters": boot.parameters,
            "point": point and asdict(point),
        }
    )[:32]


def unavailable_trials(run: CellRun, reason: str | None) -> list[dict[str, Any]]:
    """Return the trials of a cell that cannot be had on its machine: nothing was run for them.

    They say so in the tables, at each dose that is known before any trial is made.

    Args:
        run: the cell.
        reason: why its variant cannot give the granule, or what the kernel lacks.
    """
    ending = Ending(cause=None, message=reason, records=[])
    return [_trial(run, point, ending) for point in run.cell.planned_points()]


async def run_cell(
    run: CellRun, made: Iterable[Result], keep: Callable[[Result], None]
) -> list[Result]:
    """Run the trials of a cell, ``at_once`` at a time.

    Args:
        run: the cell and what its trials need.
        made: results of an earlier run that still hold.
        keep: is called with each result as soon as it is made.

    Returns:
        One object per guest, in the order of the points. It has ``run`` (what belongs to the
        runner's machine) and ``trial`` (a pure function of what its id digests); a boot whose
        state was saved has no ``trial``.

    Raises:
        CarveoutError: a trial could not be made; all others were kept.
    """
    if not run.cell.is_available:
        return [
            {"trial": trial} for trial in unavailable_trials(run, run.cell.variant.why_no_other)
        ]
    trials = CellTrials(run.cell, made, run.points)
    async with _Hosts(run, keep) as hosts:
        try:
            await _run_missing(run, hosts, trials, keep)
        except _UnavailableError as error:
            missing = unavailable_trials(run, str(error))
            return [*hosts.booted, *({"trial": trial} for trial in missing)]
    return [*hosts.booted, *trials.in_order()]


class _Hosts(contextlib.AsyncExitStack):
    """The engines of a cell's hosts, each opened when the first trial wants it.

    Attributes:
        booted: what the boots took that were made for them.
    """

    def __init__(self, run: CellRun, keep: Callable[[Result], None]) -> None:
        super().__init__()
        self.booted: list[Result] = []
        self._run = run
        self._keep = keep
        self._engines: dict[int, Engine] = {}
        self._opening = asyncio.Lock()

    async def engine(self, point: Point) -> Engine:
        """Return the engine of the host that a trial is of."""
        layout = self._run.cell.layout_of(point.seed)
        async with self._opening:
            if layout not in self._engines:
                self._engines[layout] = await self._open(self._run.boot_of(point))
        return self._engines[layout]

    async def _open(self, boot: Boot) -> Engine:
        folder = Path(tempfile.mkdtemp(dir=self._run.folder))
        opened = self._run.open_engine(boot, folder, self._run.wall_limit_s)
        engine = await self.enter_async_context(opened)
        if engine.boot_usage is not None:
            usage = _usage(self._run, boot, None, "ready", engine.boot_usage)
            self.booted.append({"run": usage})
            self._keep(self.booted[-1])
        return engine


class _UnavailableError(Exception):
    """A guest said before its trial that its kernel lacks what the cell needs."""


async def _run_missing(
    run: CellRun, hosts: _Hosts, trials: CellTrials, keep: Callable[[Result], None]
) -> None:
    """Run the missing trials of a cell; a guest that dies loses only its own."""
    lost: list[str] = []

    async def work() -> None:
        while (point := trials.next_point()) is not None:
            try:
                engine = await hosts.engine(point)
                result = await _run_point(run, engine, point)
            except GuestDiedError as error:
                lost.append(f"{point}: {error}")
                continue
            ending = result["trial"]["ending"]
            if ending["cause"] == "unavailable":
                raise _UnavailableError(ending["message"])
            keep(result)
            trials.add(result)

    try:
        while True:
            async with asyncio.TaskGroup() as group:
                for _ in range(run.at_once):
                    group.create_task(work())
            if not trials.climb():
                break
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    if lost:
        raise CarveoutError(
            f"{run.cell.path}: lost {len(lost)} trials, twice each; the others are kept, and the "
            f"next run makes only what is missing: {lost[0]}"
        )


async def _run_point(run: CellRun, engine: Engine, point: Point) -> Result:
    """Run one trial, and once more if its records are torn, since the disk may have lost some."""
    result = await _run_again_if_it_dies(run, engine, point)
    if result["trial"]["ending"]["cause"] != "torn_records":
        return result
    again = await _run_again_if_it_dies(run, engine, point)
    if again["trial"]["ending"]["cause"] == "torn_records" and again["trial"] != result["trial"]:
        raise GuestDiedError(
            "wanted what the guest said, found records that are torn, twice and not alike; is the "
            "disk of TMPDIR full at times?"
        )
    return again


async def _run_again_if_it_dies(run: CellRun, engine: Engine, point: Point) -> Result:
    """Run one trial, and once more if QEMU dies, since that says nothing about the guest."""
    try:
        return await _run_once(run, engine, point)
    except GuestDiedError:
        return await _run_once(run, engine, point)


async def _run_once(run: CellRun, engine: Engine, point: Point) -> Result:
    async with engine.guest() as (guest, files):
        try:
            ending = await run_trial(guest, files, point, run.wall_limit_s)
            if ending.cause is not None:
                check_takes_files(run.folder)
            usage = guest.usage()
        finally:
            _log(run.log, point, files)
    cause = ending.cause or "completed"
    return {
        "trial": _trial(run, point, ending),
        "run": _usage(run, run.boot_of(point), point, cause, usage),
    }


def _log(log: Path, point: Point, files: GuestFiles) -> None:
    """Append the guest's console and what QEMU said of it to the log."""
    with log.open("a", encoding="utf-8") as stream:
        for file in (files.console, files.messages):
            stream.write(f"== {point}: {file.name} ==\n")
            stream.write(read_ends(file))


def _trial(run: CellRun, point: Point, ending: Ending) -> dict[str, Any]:
    boot = run.boot_of(point)
    return {
        "records_version": RECORDS_VERSION,
        "trial_id": trial_id(boot, point),
        "digests": boot.digests,
        "cell": json.loads(run.cell.to_json()),
        **asdict(point),
        "layout": run.cell.layout_of(point.seed),
        "ending": {"cause": ending.cause, "message": ending.message},
        "records": list(ending.records),
    }


def _usage(
    run: CellRun, boot: Boot, point: Point | None, guest_exit: str, usage: Usage
) -> dict[str, Any]:
    """Return what one guest took: a trial's, or without a point the boot whose state was saved."""
    return {
        "process": "boot" if point is None else "trial",
        "made_by": run.made_by,
        "trial_id": trial_id(boot, point),
        "strategy": run.cell.variant.strategy,
        "variant": run.cell.variant.name,
        "scenario": run.cell.scenario,
        "dose_target": point and point.dose_permille / 10,
        "seed": point and point.seed,
        "guest_exit": guest_exit,
        "qemu_version": boot.digests["qemu"],
        "wall_ns": usage.wall_ns,
        "ready_wall_ns": usage.ready_wall_ns,
        "qemu_user_ns": usage.user_ns,
        "qemu_system_ns": usage.system_ns,
        "qemu_peak_rss_bytes": usage.peak_rss_bytes,
    }
