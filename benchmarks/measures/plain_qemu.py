# SPDX-License-Identifier: GPL-2.0-only
"""Peer: QEMU in a shell loop, with the same kernel, images, machine and trials as one cell.

Each trial boots, as with `boot: cold`. Nothing is connected to QEMU's monitor, so QEMU is told not
to stop the machine at the guest's two stops per trial: the guest waits for an instant by itself and
goes on. The guest's seed and dose are among its parameters, since nobody tells it any, and the
guest powers off at its end.
"""

import shlex
import shutil
from pathlib import Path

from benchmarks.bench import BASELINE, IDLE, Bench, Job, images_of
from benchmarks.cost import Cost
from benchmarks.table import Row
from carveout.boots.cell_run import cell_device_tree, cell_machine, guest_parameters
from carveout.common.errors import CarveoutError
from carveout.guests.command_line import file_args, machine_args
from carveout.guests.engines import Boot, guest_files
from carveout.kernels.kernel import unpacked_kernel
from carveout.machines.emulators import qemu_program
from carveout.study.cell import Cell

_SEEDS = 25
_PLAIN = "plain QEMU in a shell loop"


def measure(bench: Bench) -> list[Row]:
    """Run the same seeds three times: in a shell loop, by cold boots and by forks."""
    job = bench.job("job", **BASELINE, loads=IDLE)
    job.build_images()
    (cell,) = job.cells
    seeds = 1 if bench.quick else _SEEDS
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
    """Write the guest's files and return the shell script, which needs only these and QEMU."""
    qemu = qemu_program(str(job.results / "qemu.json"))
    machine = cell_machine(cell, qemu)
    kernel = unpacked_kernel(job.results / "kernels" / cell.kernel / "kernel.json").image
    boot = Boot(
        machine=machine,
        kernel=kernel,
        initrd=folder / "initrd",
        device_tree=cell_device_tree(cell, machine, kernel, folder),
        parameters=guest_parameters(cell, layout=0),
        digests={},
        state_limit_bytes=0,
    )
    files = guest_files(boot, folder)
    with files.initrd.open("wb") as initrd:
        for name in images_of(cell):
            image = job.results / "guest" / cell.kernel / f"{name}.cpio"
            with image.open("rb") as stream:
                shutil.copyfileobj(stream, initrd)
    for seed in range(1, seeds + 1):
        parameters = folder / f"seed-{seed}.env"
        parameters.write_text(f"{boot.parameters}SEED={seed}\nDOSE_PERMILLE=0\n", encoding="utf-8")
    seeds_files = shlex.quote(str(folder / "seed"))
    command = [
        *(qemu, *machine_args(boot.machine), *file_args(files)),
        *("-action", "panic=none,shutdown=poweroff"),
    ]
    return (
        f"for seed in $(seq {seeds}); do\n"
        f"\tcp {seeds_files}-$seed.env {shlex.quote(str(files.parameters))}\n"
        f"\t{shlex.join(command)}\n"
        "done\n"
    )
