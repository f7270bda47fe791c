# SPDX-License-Identifier: GPL-2.0-only
"""Peer: QEMU in a shell loop, with the same kernel, images, machine and trials as one cell.

Each trial boots, as `boot: cold` does. Nobody holds QEMU's monitor, so the guest's two stops per
trial are told not to stop the machine: it waits out the instant by itself and goes on.
"""

import shlex
import shutil
from pathlib import Path

from benchmarks.bench import IDLE, Bench, Job, images_of
from benchmarks.cost import Cost
from benchmarks.table import Row
from carveout.errors import CarveoutError
from carveout.kernels import unpacked_kernel
from carveout.matrix import Cell
from carveout.qemu import GuestFiles, file_args, machine_args
from carveout.qemus import qemu_program
from carveout.runner import boot_parameters, cell_machine, trial_parameters

_PLAIN = "plain QEMU in a shell loop"


def measure(bench: Bench) -> list[Row]:
    """The same seeds three times: by the shell, by carveout cold, by carveout forked."""
    job = bench.job("job", strategies={"baseline": "all"}, loads=IDLE)
    job.build_images()
    (cell,) = job.cells
    seeds = 1 if bench.quick else cell.seeds
    costs = {
        _PLAIN: _run_loop(bench, job, cell, seeds),
        "carveout, cold boots": job.run_cell(cell, boot="cold", seeds=seeds)[0],
        "carveout, forks": job.run_cell(cell, boot="fork", seeds=seeds)[0],
    }
    return [
        Row(
            "plain_qemu", quantity, case, unit, [value], ratio_to=None if case == _PLAIN else _PLAIN
        )
        for quantity, unit, values in (
            ("trials", "1/min", {name: seeds / cost.wall_s * 60 for name, cost in costs.items()}),
            ("processor time a trial", "s", {n: cost.cpu_s / seeds for n, cost in costs.items()}),
        )
        for case, value in values.items()
    ]


def _run_loop(bench: Bench, job: Job, cell: Cell, seeds: int) -> Cost:
    folder = bench.folder / "plain"
    folder.mkdir()
    script = folder / "loop.sh"
    script.write_text(_loop(job, cell, folder, seeds), encoding="utf-8")
    cost = bench.run("plain", ["sh", "-eu", str(script)])
    ended = (folder / "records.jsonl").read_text(encoding="utf-8").count('"record":"end"')
    if ended != seeds:
        raise CarveoutError(
            f"{script}: wanted {seeds} trials that came to their end, found {ended}; the benchmark "
            "compares what is not the same"
        )
    return cost


def _loop(job: Job, cell: Cell, folder: Path, seeds: int) -> str:
    """The shell script: all that it needs beside QEMU is the files of the guest."""
    qemu = qemu_program(str(job.results / "qemu.json"))
    kernel = unpacked_kernel(job.results / "kernels" / cell.kernel / "kernel.json")
    files = GuestFiles(
        kernel=kernel.image,
        initrd=folder / "initrd",
        boot_parameters=folder / "boot.env",
        trial_parameters=folder / "trial.env",
        console=folder / "console.log",
        records=folder / "records.jsonl",
    )
    with files.initrd.open("wb") as initrd:
        for name in images_of(cell):
            image = job.results / "guest" / cell.kernel / f"{name}.cpio"
            with image.open("rb") as stream:
                shutil.copyfileobj(stream, initrd)
    files.boot_parameters.write_text(boot_parameters(cell), encoding="utf-8")
    for seed in range(1, seeds + 1):
        parameters = folder / f"trial-{seed}.env"
        parameters.write_text(trial_parameters(cell, seed), encoding="utf-8")
    trials = shlex.quote(str(folder / "trial"))
    command = [
        qemu,
        *machine_args(cell_machine(cell, qemu)),
        "-action",
        "panic=none",
        *file_args(files),
    ]
    return (
        f"for seed in $(seq {seeds}); do\n"
        f"\tcp {trials}-$seed.env {trials}.env\n"
        f"\t{shlex.join(command)}\n"
        "done\n"
    )
