# SPDX-License-Identifier: GPL-2.0-only
"""Run one cell as a job: ``python -m carveout.boots.run``; one line of JSON per trial out.

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
from pathlib import Path
from typing import Any

from carveout.boots.cell_run import (
    CellRun,
    cell_device_tree,
    cell_machine,
    guest_parameters,
    run_cell,
)
from carveout.boots.cell_trials import Result
from carveout.boots.journal import Journal, made_by
from carveout.boots.progress import Progress
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import sha256_of, write_atomically
from carveout.guests.command_line import most_memory_bytes
from carveout.guests.engines import ENGINES, Boot
from carveout.guests.limits import check_memory, check_room
from carveout.guests.snapshots import most_snapshot_bytes
from carveout.kernels.kernel import unpacked_kernel
from carveout.machines.emulators import qemu_program, qemu_version
from carveout.records.outcomes import request_outcomes
from carveout.study.cell import Cell


def _lines(objects: Iterable[Mapping[str, Any]]) -> str:
    return "".join(
        json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n" for entry in objects
    )


def _join_images(images: Sequence[Path], folder: Path) -> Path:
    """Join several archives to one initrd, which the kernel unpacks one after another."""
    initrd = folder / "initrd"
    with initrd.open("wb") as stream:
        for image in images:
            stream.write(image.read_bytes())
    return initrd


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m carveout.boots.run", description=__doc__)
    parser.add_argument("--cell", required=True, help="the cell, as one line of JSON")
    parser.add_argument("--qemu", required=True, help="qemu.json, or a program")
    parser.add_argument("--engine", required=True, choices=sorted(ENGINES))
    parser.add_argument("--record-schema", required=True, type=Path)
    parser.add_argument("--wall-limit-s", required=True, type=float)
    parser.add_argument("--state-limit-bytes", required=True, type=int, help="room of one state")
    parser.add_argument("--at-once", type=int, default=1, help="guests side by side")
    parser.add_argument("--kernel", required=True, type=Path, help="kernel.json of the kernel")
    parser.add_argument("--images", required=True, nargs="+", type=Path, help="initramfs archives")
    parser.add_argument("--code", required=True, help="the digest of what decides about a trial")
    parser.add_argument("--trials", required=True, type=Path, help="output: one line per trial")
    parser.add_argument("--runs", required=True, type=Path, help="output: one line per guest")
    parser.add_argument("--journal", required=True, type=Path, help="trials made so far")
    parser.add_argument("--log", required=True, type=Path, help="output: the guests' consoles")
    parser.add_argument("--progress", required=True, type=Path, help="the workflow's progress file")
    return parser.parse_args()


def _cell_run(args: argparse.Namespace, cell: Cell, folder: Path) -> CellRun:
    """Return all that the cell's trials need, with their initrd in ``folder``."""
    qemu = qemu_program(args.qemu)
    kernel = unpacked_kernel(args.kernel)
    initrd = _join_images(args.images, folder)
    machine = cell_machine(cell, qemu)
    device_tree = cell_device_tree(cell, machine, kernel.image, folder)
    digests = {
        "kernel": sha256_of(kernel.image),
        "initrd": sha256_of(initrd),
        "qemu": qemu_version(qemu),
        **({"device_tree": sha256_of(device_tree)} if device_tree else {}),
    }
    return CellRun(
        cell=cell,
        boots={
            layout: Boot(
                machine=machine,
                kernel=kernel.image,
                initrd=initrd,
                device_tree=device_tree,
                parameters=guest_parameters(cell, layout),
                digests=digests,
                state_limit_bytes=args.state_limit_bytes,
            )
            for layout in cell.each_layout()
        },
        wall_limit_s=args.wall_limit_s,
        open_engine=ENGINES[args.engine],
        at_once=args.at_once,
        made_by=made_by(args.code, args.record_schema, args.engine),
        log=args.log,
    )


def _run_and_tell(run: CellRun, journal: Journal, progress: Progress) -> list[Result]:
    """Run the trials that are not made yet, and count all of them."""
    cell = json.loads(run.cell.to_json())
    # A trial does not depend on how many others there are; what is written of its cell does.
    made = [
        {**result, "trial": {**result["trial"], "cell": cell}}
        for result in journal.trials(run.trial_ids())
    ]
    earlier_boots = [boot for boot_id in run.boot_ids() for boot in journal.boots(boot_id)]
    journal.start([*earlier_boots, *made])
    taken_over = min(len(made), run.cell.planned_trials())
    unmade = run.cell.planned_trials() - taken_over
    progress.skip(taken_over)

    def keep(result: Result) -> None:
        journal.add(result)
        if trial := result.get("trial"):
            nonlocal unmade
            unmade -= 1
            if unmade < 0:
                progress.skip(unmade)
                unmade = 0
            progress.count(
                trial["ending"]["cause"] or "completed",
                [of.outcome for of in request_outcomes(trial)],
            )

    results = asyncio.run(run_cell(run, made, keep))
    progress.skip(unmade)  # the cell ended early
    booted = {result["run"]["trial_id"] for result in results if "trial" not in result}
    not_again = [boot for boot in earlier_boots if boot["run"]["trial_id"] not in booted]
    return [*not_again, *results]


def _check_counted(run: CellRun, results: Iterable[Result]) -> None:
    """Refuse hosts that were to be counted and were not: no row of a table would tell of them.

    Raises:
        CarveoutError: naming the cell and how its host ended.
    """
    for result in results:
        trial = result["trial"]
        if not any(record["record"] == "census" for record in trial["records"]):
            cause, message = trial["ending"]["cause"], trial["ending"]["message"]
            raise CarveoutError(
                f"{run.cell.path}: wanted a census of its host, found that it ended with "
                f"{cause or 'not_available'}: {message}; see {run.log}, or leave the variant out "
                "of that part of the key also"
            )


def write_outputs(results: Sequence[Result], trials: Path, runs: Path) -> None:
    """Write what became of a cell: a line per trial, and a line per guest."""
    write_atomically(runs, _lines(result["run"] for result in results if "run" in result))
    write_atomically(trials, _lines(result["trial"] for result in results if "trial" in result))


@entry_point
def main() -> None:
    """Run one cell."""
    # A job that gets SIGTERM cleans up like one that is interrupted.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    args = _arguments()
    cell = Cell.from_json(args.cell)
    # The QEMU of a layout waits for its next trial while those of others have theirs.
    guests = args.at_once * cell.layouts
    check_memory(guests * most_memory_bytes(cell.touched_bytes), str(cell.path))
    if args.engine == "fork":
        room_bytes = cell.layouts * most_snapshot_bytes(args.at_once, args.state_limit_bytes)
        check_room(Path(tempfile.gettempdir()), room_bytes)
    args.log.write_text("", encoding="utf-8")
    progress = Progress(args.progress)
    with tempfile.TemporaryDirectory(prefix="carveout-") as folder:
        run = _cell_run(args, cell, Path(folder))
        journal = Journal(args.journal, run.made_by)
        results = _run_and_tell(run, journal, progress)
        journal.pack(result for result in results if "run" in result)
        if not cell.lends:
            _check_counted(run, results)
    write_outputs(results, args.trials, args.runs)
    progress.finish_cell()


if __name__ == "__main__":
    raise SystemExit(main())
