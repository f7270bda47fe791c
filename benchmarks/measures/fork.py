# SPDX-License-Identifier: GPL-2.0-only
"""Fork against cold boot: the same trials of the same cells, one way after the other."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.bench import BASELINE, IDLE, MAIN_CONFIG, Bench, seconds
from benchmarks.table import Row
from carveout.common.schemas import load_yaml
from carveout.study.cell import Cell
from carveout.wording.labels import load_label

FIRST_INSTRUCTION = "start of a guest to its trial's first instruction"
_QUANTITIES = {
    FIRST_INSTRUCTION: ("ready_wall_ns",),
    "wall time of a whole trial": ("wall_ns",),
    "processor time of a whole trial": ("qemu_user_ns", "qemu_system_ns"),
}
_COLD, _FIRST, _FORK = "cold boot", "first fork, with QEMU's start", "fork"
_MOST_OF_COLD = 0.1


def measure(bench: Bench) -> list[Row]:
    """Measure cold boots and forks in turn, under each load of the main job at its first dose.

    The strategy is the one that adds nothing, the baseline.
    """
    main_loads = load_yaml(MAIN_CONFIG)["loads"]
    loads = {load: [_first_dose(doses)] for load, doses in main_loads.items()}
    job = bench.job("job", **BASELINE, loads=IDLE if bench.quick else loads)
    job.build_images()
    rounds = 1 if bench.quick else 3
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for cell in job.cells:
            _, cold = job.run_cell(cell, boot="cold", seeds=2)
            _, forked = job.run_cell(cell, boot="fork", seeds=3)
            for quantity, columns in _QUANTITIES.items():
                first, *further = seconds(forked, "trial", *columns)
                load = _load_of(cell)
                samples[quantity, load, _COLD] += seconds(cold, "trial", *columns)
                samples[quantity, load, _FIRST] += [first]
                samples[quantity, load, _FORK] += further
    return list(_rows(samples, [_load_of(cell) for cell in job.cells]))


def _first_dose(doses: Sequence[float] | Mapping[str, float]) -> float:
    """Return the first of a list of doses, or of a ladder's."""
    return doses["from"] if isinstance(doses, Mapping) else doses[0]


def _load_of(cell: Cell) -> str:
    (dose_permille,) = cell.doses_permille
    return load_label(cell.load, dose_permille / 10)


def _rows(samples: dict[tuple[str, str, str], list[float]], loads: list[str]) -> Iterator[Row]:
    for quantity in _QUANTITIES:
        for load in loads:
            for way in (_COLD, _FIRST, _FORK):
                has_limit = way != _COLD and quantity == FIRST_INSTRUCTION
                yield Row(
                    measure="fork",
                    quantity=quantity,
                    case=_case(way, load),
                    unit="s",
                    samples=samples[quantity, load, way],
                    ratio_to=None if way == _COLD else _case(_COLD, load),
                    ratio_at_most=_MOST_OF_COLD if has_limit else None,
                )


def _case(way: str, load: str) -> str:
    return f"{way}, {load}"
