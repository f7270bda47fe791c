# SPDX-License-Identifier: GPL-2.0-only
"""Growth with the guest's RAM: boot, save, state, forks, a whole idle trial and QEMU's memory."""

import psutil

from benchmarks.bench import BASELINE, IDLE, Bench, seconds
from benchmarks.cost import disk_bytes
from benchmarks.table import Row, not_run
from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB, format_size
from carveout.guests.command_line import most_memory_bytes

_LENDABLE = "256MiB"
_UNITS = {"saved state on disk": "bytes", "peak memory of a QEMU": "bytes"}


def measure(bench: Bench) -> list[Row]:
    """Measure the same idle cell on machines of doubling RAM; what is lent stays the same."""
    sizes = [gib * GIB for gib in ((1, 2) if bench.quick else (1, 2, 4, 8, 16))]
    seeds = 2 if bench.quick else 3
    found: dict[int, dict[str, list[float]] | CarveoutError] = {}
    for ram_bytes in sizes:
        try:
            found[ram_bytes] = _samples(bench, ram_bytes, seeds)
        except CarveoutError as error:
            found[ram_bytes] = error
    return [row for ram_bytes in sizes for row in _rows(ram_bytes, found[ram_bytes], sizes[0])]


def _samples(bench: Bench, ram_bytes: int, seeds: int) -> dict[str, list[float]]:
    available_bytes = psutil.virtual_memory().available
    if available_bytes < most_memory_bytes(ram_bytes):
        raise CarveoutError(
            f"wanted {format_size(most_memory_bytes(ram_bytes))} of memory, "
            f"found {available_bytes // GIB}GiB available"
        )
    job = bench.job(
        format_size(ram_bytes),
        **BASELINE,
        loads=IDLE,
        ram=[format_size(ram_bytes)],
        lendable=_LENDABLE,
        requests={"whole": [_LENDABLE]},
    )
    job.build_images()

    def state_bytes(_: psutil.Process) -> int:
        return disk_bytes(*bench.temporary.glob("carveout-*/ready/state"))

    (cell,) = job.cells
    cost, runs = job.run_cell(cell, {"state": state_bytes}, seeds=seeds)
    boot_s = seconds(runs, "boot", "ready_wall_ns")
    first_fork_s, *fork_s = seconds(runs, "trial", "ready_wall_ns")
    return {
        "boot": boot_s,
        "save": [seconds(runs, "boot", "wall_ns")[0] - boot_s[0]],
        "first fork": [first_fork_s],
        "fork": fork_s,
        "wall time of a whole trial": seconds(runs, "trial", "wall_ns"),
        "saved state on disk": [cost.peaks["state"]],
        "peak memory of a QEMU": [max(run["qemu_peak_rss_bytes"] for run in runs)],
    }


def _rows(
    ram_bytes: int, found: dict[str, list[float]] | CarveoutError, first_bytes: int
) -> list[Row]:
    case = format_size(ram_bytes)
    if isinstance(found, CarveoutError):
        return [not_run("ram", "boot", case, found)]
    return [
        Row(
            measure="ram",
            quantity=quantity,
            case=case,
            unit=_UNITS.get(quantity, "s"),
            samples=samples,
            size=ram_bytes,
            ratio_to=None if ram_bytes == first_bytes else format_size(first_bytes),
        )
        for quantity, samples in found.items()
    ]
