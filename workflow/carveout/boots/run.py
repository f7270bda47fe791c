# SPDX-License-Identifier: GPL-2.0-only
"""Run one cell, or a part of it, as a job: ``python -m carveout.boots.run``.

Out comes one line of JSON per trial; of a part, whose trials are in its journal, an empty file.

A guest that panics, hangs or runs out of memory is a trial with that ending. Only an experiment
that could not be made (QEMU missing, an image that is not there) ends with an error.
"""

import argparse
import hashlib
import json
import platform
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from carveout.boots.cell_run import (
    CellRun,
    cell_device_tree,
    cell_machine,
    guest_parameters,
    run_cell,
)
from carveout.boots.cell_trials import Result
from carveout.boots.journal import Journal, made_by
from carveout.boots.parts import Part
from carveout.boots.progress import Progress
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import job_folder, sha256_of, write_atomically
from carveout.common.schemas import load_digest
from carveout.guests.command_line import most_memory_bytes
from carveout.guests.ending import run_until_sigterm
from carveout.guests.engines import ENGINES, Boot
from carveout.guests.limits import check_memory, check_room
from carveout.guests.snapshots import most_snapshot_bytes
from carveout.kernels.kernel import unpacked_kernel
from carveout.machines.emulators import checked_qemu
from carveout.records.lines import sealed_lines
from carveout.records.outcomes import request_outcomes
from carveout.study.cell import Cell


def _join_images(images: Sequence[Path], folder: Path) -> Path:
    """Join several archives to one initrd, which the kernel unpacks one after another."""
    initrd = folder / "initrd"
    with initrd.open("wb") as stream:
        for image in images:
            stream.write(_checked_image(image))
    return initrd


def _checked_image(image: Path) -> bytes:
    """Return an archive, if it is the one of which the digest was written down."""
    content, beside = image.read_bytes(), image.with_suffix(".sha256")
    wanted, found = load_digest(beside), hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise CarveoutError(
            f"{image}: wanted the archive of which {beside.name} beside it has the sha256, "
            f"{wanted[:12]}, found one of {found[:12]}; remove it, and the next run makes it anew"
        )
    return content


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
    parser.add_argument("--trials", type=Path, help="output: one line per trial")
    parser.add_argument("--runs", type=Path, help="output: one line per guest")
    parser.add_argument("--part", type=Part.parse, help="run only this part of the cell: 3-of-8")
    parser.add_argument("--done", type=Path, help="output of a part, whose trials are all made")
    parser.add_argument("--parts", type=int, default=0, help="how many parts were run before")
    parser.add_argument("--journal", required=True, type=Path, help="trials made so far")
    parser.add_argument("--log", required=True, type=Path, help="output: the guests' consoles")
    parser.add_argument("--progress", required=True, type=Path, help="the workflow's progress file")
    return parser.parse_args()


def _cell_run(args: argparse.Namespace, cell: Cell, folder: Path) -> CellRun:
    """Return all that the cell's trials need; what it takes of the disk is in ``folder``."""
    qemu, version = checked_qemu(args.qemu)
    kernel = unpacked_kernel(args.kernel, "Image")
    initrd = _join_images(args.images, folder)
    machine = cell_machine(cell, qemu)
    device_tree = cell_device_tree(cell, machine, kernel.image, folder)
    digests = {
        "kernel": sha256_of(kernel.image),
        "initrd": sha256_of(initrd),
        "qemu": version,
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
        folder=folder,
        log=args.log,
        points=args.part.points_of(cell) if args.part else None,
    )


def _run_and_tell(run: CellRun, journal: Journal, progress: Progress, planned: int) -> list[Result]:
    """Run the trials that are not made yet, and count all of them.

    Args:
        run: the cell.
        journal: what was made of it.
        progress: the run's.
        planned: how many trials are this job's by the plan.
    """
    cell = json.loads(run.cell.to_json())
    # A trial does not depend on how many others there are; what is written of its cell does.
    made = [
        {**result, "trial": {**result["trial"], "cell": cell}}
        for result in journal.trials(run.trial_ids())
    ]
    earlier_boots = [boot for boot_id in run.boot_ids() for boot in journal.boots(boot_id)]
    journal.start([*earlier_boots, *made])
    taken_over = min(len(made), planned)
    unmade = planned - taken_over
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

    results = run_until_sigterm(run_cell(run, made, keep))
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
    write_atomically(runs, sealed_lines(result["run"] for result in results if "run" in result))
    write_atomically(
        trials, sealed_lines(result["trial"] for result in results if "trial" in result)
    )


def _planned(cell: Cell, args: argparse.Namespace) -> int:
    """Return how many trials are this job's by the plan: those of parts are theirs."""
    if args.part:
        return len(args.part.points_of(cell))
    return 0 if args.parts else cell.planned_trials()


def _run_job(args: argparse.Namespace, progress: Progress) -> None:
    cell = Cell.from_json(args.cell)
    # The QEMU of a layout waits for its next trial while those of others have theirs.
    layouts = args.part.layouts_of(cell) if args.part else cell.layouts
    needed_bytes = args.at_once * layouts * most_memory_bytes(cell.touched_bytes)
    check_memory(needed_bytes, str(cell.path))
    if args.engine == "fork":
        room_bytes = layouts * most_snapshot_bytes(args.at_once, args.state_limit_bytes)
        check_room(Path(tempfile.gettempdir()), room_bytes)
    args.log.write_text("", encoding="utf-8")
    with job_folder() as folder:
        run = _cell_run(args, cell, folder)
        journal = Journal(args.journal, run.made_by, args.part and str(args.part))
        results = _run_and_tell(run, journal, progress, _planned(cell, args))
        journal.pack(result for result in results if "run" in result)
        if not cell.lends:
            _check_counted(run, results)
    if args.part:
        write_atomically(args.done, "")
        return
    write_outputs(results, args.trials, args.runs)
    progress.finish_cell()


@entry_point
def main() -> None:
    """Run one cell, or a part of it."""
    args = _arguments()
    progress = Progress(args.progress)
    try:
        _run_job(args, progress)
    except CarveoutError as error:
        # Nobody looks at the terminal of a job on another machine.
        progress.fail(f"{platform.node()}: {error}")
        raise


if __name__ == "__main__":
    raise SystemExit(main())
