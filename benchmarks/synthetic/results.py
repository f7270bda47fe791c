# SPDX-License-Identifier: GPL-2.0-only
"""Make up the outputs of a large job, to measure collection and redrawing: nothing is booted.

The cells are those of a large job: 10 strategy variants, 4 loads (with other requests and doses
when there are more than 40 cells, on more machines when there are more than 1000), and two requests
per trial, each of which becomes a row of the table `trials`. Every trial has 6 pageblock maps of
its own, of a host of 1 GiB as in the main job. Nothing of it depends on the main job's config.

Files and lines have the form in which the runner writes them. The words printed are the arguments
with which `python -m carveout.collection.collect` finds the cells.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.synthetic import records as made_records
from benchmarks.synthetic.trials import books, pageblock_maps
from benchmarks.synthetic.variants import (
    LENDABLE_BYTES,
    LOADS,
    RAM_BYTES,
    REQUESTS_BYTES,
    VARIANTS,
    MadeVariant,
)
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import sha256_of_json, write_atomically
from carveout.common.sizes import GIB, MIB, format_size
from carveout.records.lines import sealed_line
from carveout.study.cell import scenario_name

_VARIANTS = VARIANTS[:10]
_SCENARIOS_A_MACHINE = 100
_KERNEL = "debian-6.12"
_REQUESTS = "quarter_then_whole"
_GRANULE = "page"
_FIRST_DOSE = 10
# Keys of a config that asks for the first cells: a job with them redraws the made-up tables, with
# the pageblocks of a trial that is among them.
JOB: Mapping[str, Any] = {
    "ram": [format_size(RAM_BYTES)],
    "lendable": format_size(LENDABLE_BYTES),
    "requests": {_REQUESTS: [format_size(size_bytes) for size_bytes in REQUESTS_BYTES]},
    "granules": [_GRANULE],
    "strategies": {variant.strategy: "all" for variant in _VARIANTS},
    "loads": {load: [0 if load == "idle" else _FIRST_DOSE] for load in LOADS},
    "figures": {
        "pageblock_map": {
            "strategy": "alloc_contig_range",
            "variant": "whole_memory",
            "scenario": scenario_name("unmovable_pages", _REQUESTS, _GRANULE),
            "dose": _FIRST_DOSE,
            "seed": 1,
            "cycle": 2,
        }
    },
}
# The maps are made for a host four times as large: every fourth pageblock is taken.
_TAKEN_OF_MAPS = 4
# How many pageblocks differ between two seeds of a real cell under load.
_OF_THE_SEED = 45
# Gives the same bytes as the runner's json.dumps: keys sorted, and all content is ASCII.
_LINE = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True)
class MadeCell:
    """One cell of the made-up job."""

    ram_gib: int
    variant: MadeVariant
    load: str
    dose_percent: int

    @property
    def requests(self) -> str:
        """The name of the list of requests: cells of one load differ in it."""
        is_first = self.dose_percent in (0, _FIRST_DOSE)
        return _REQUESTS if is_first else f"{_REQUESTS}_{self.dose_percent}"

    @property
    def parts(self) -> tuple[str, str, str]:
        """The machine's, the variant's and the scenario's part of the cell's path."""
        return (
            f"{_KERNEL}/{self.ram_gib}GiB",
            f"{self.variant.strategy}/{self.variant.variant}",
            scenario_name(self.load, self.requests, _GRANULE),
        )

    @property
    def path(self) -> str:
        """The path of the cell's output, without the suffix."""
        return "/".join(self.parts)

    def to_json(self, seeds: int) -> dict[str, Any]:
        """Return the cell as the runner writes it into each of its trials."""
        ram_bytes = self.ram_gib * GIB
        base = made_records.cell()
        return base | {
            "kernel": _KERNEL,
            "ram_bytes": ram_bytes,
            "load": self.load,
            "doses_permille": [self.dose_percent * 10],
            "requests": self.requests,
            "requests_bytes": list(REQUESTS_BYTES),
            "seeds": seeds,
            "variant": base["variant"]
            | {
                "strategy": self.variant.strategy,
                "name": self.variant.variant,
                "boot_ram_bytes": ram_bytes,
            },
        }


def made_cells(count: int) -> list[MadeCell]:
    """Return the cells of a job: all combinations of its machines, variants and scenarios."""
    scenarios, rest = divmod(count, len(_VARIANTS))
    machines = -(-scenarios // _SCENARIOS_A_MACHINE)
    if count <= 0 or rest or scenarios % machines:
        raise CarveoutError(
            f"--cells: wanted a multiple of {len(_VARIANTS)}, above 1000 one that machines of "
            f"up to {_SCENARIOS_A_MACHINE} scenarios share evenly, such as 10000; found {count}"
        )
    doses = (_FIRST_DOSE, *(dose for dose in range(1, 99) if dose != _FIRST_DOSE))
    loaded = [(load, dose) for dose in doses for load in LOADS if load != "idle"]
    return [
        MadeCell(RAM_BYTES // GIB + machine, variant, load, dose)
        for machine in range(machines)
        for variant in _VARIANTS
        for load, dose in [("idle", 0), *loaded][: scenarios // machines]
    ]


def made_trials(cell: MadeCell, seeds: int, asked: int) -> Iterator[dict[str, Any]]:
    """Yield the trials of a cell, seed after seed."""
    random = np.random.default_rng(int(sha256_of_json(cell.path)[:15], 16))
    content = cell.to_json(asked)
    maps = {
        phase: np.frombuffer("".join(blocks[::_TAKEN_OF_MAPS]).encode(), np.uint8)
        for phase, blocks in pageblock_maps(random, cell.variant, cell.load).items()
    }
    for seed in range(1, seeds + 1):
        yield _trial(random, cell, content, seed, maps)


def _trial(
    random: np.random.Generator,
    cell: MadeCell,
    content: Mapping[str, Any],
    seed: int,
    maps: Mapping[str, "np.ndarray[Any, np.dtype[np.uint8]]"],
) -> dict[str, Any]:
    places = random.integers(10, 375, _OF_THE_SEED)
    letters = np.frombuffer(b"FMU", np.uint8)[random.integers(0, 3, _OF_THE_SEED)]
    records: list[dict[str, Any]] = []
    cause = None
    for cycle, request_bytes in enumerate(REQUESTS_BYTES, start=1):
        censuses = {}
        for place, phase in enumerate(maps):
            blocks = maps[phase].copy()
            blocks[places] = letters
            blocks[375 + cycle : 375 + cycle + place] = ord("M")
            censuses[phase] = _census(cell, phase, request_bytes, seed) | {
                "pageblocks": blocks.tobytes().decode()
            }
        made = _cycle(random, cell, cycle, request_bytes, censuses)
        if made[-1]["record"] == "fault":
            cause = "oom"
        records += made
        if cause:
            break
    return made_records.trial(
        records if cause else [*records, {"record": "end"}],
        cause,
        trial_id=sha256_of_json([cell.path, seed])[:32],
        cell=content,
        dose_permille=cell.dose_percent * 10,
        seed=seed,
    )


_ZONES = [
    {"name": name, "managed_pages": pages, "present_pages": pages, "spanned_pages": pages}
    for name, pages in (("DMA", 786_432), ("DMA32", 0), ("Normal", 262_144), ("Movable", 0))
]


def _census(cell: MadeCell, phase: str, request_bytes: int, seed: int) -> dict[str, Any]:
    """Return the members of a census that differ between variants, phases and seeds."""
    lent_bytes = request_bytes if phase == "lent" else 0
    held = books(cell.variant, cell.load, 0, cell.ram_gib * GIB)
    return {
        "accounts": held,
        "memmap_bytes": held["memmap_host"],
        "memmap_counter_bytes": held["memmap_host"],
        "memmap_lent_bytes": 0 if cell.variant.memmap_hidden else lent_bytes // 64,
        "struct_page_bytes": 64,
        "linear_map_table_bytes": 2 * MIB,
        "page_table_bytes": 2 * MIB + 4096 * (seed % 97),
        "mem_free_bytes": 2500 * MIB - lent_bytes - 4096 * (seed % 1009),
        "mem_available_bytes": 2600 * MIB - lent_bytes - 4096 * (seed % 1013),
        "zones": _ZONES,
    }


def _cycle(
    random: np.random.Generator,
    cell: MadeCell,
    cycle: int,
    request_bytes: int,
    censuses: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    variant = cell.variant
    chance = variant.chance[list(LOADS).index(cell.load)] ** cycle
    scale = request_bytes / REQUESTS_BYTES[0] * (1 + cell.dose_percent / 50)
    lend_ns = int(variant.lend_ns * scale * random.lognormal(0, 0.5))
    lent: dict[str, Any] = {
        "request_bytes": request_bytes,
        "asked_bytes": request_bytes,
        "lend_ns": lend_ns,
    }

    def whole(granted_bytes: int, **returned: int) -> list[dict[str, Any]]:
        held = books(variant, cell.load, granted_bytes, cell.ram_gib * GIB)
        seen = {**censuses, "lent": {**censuses["lent"], "accounts": held}}
        return made_records.whole_cycle(cycle, granted_bytes, lent, seen, returned)

    if random.random() < chance:
        lent["pages_migrated"] = int(random.integers(0, 60_000))
        return whole(request_bytes, give_back_ns=int(lend_ns * random.uniform(0.05, 0.3)))
    if variant.strategy == "baseline":
        fault = {"record": "fault", "stage": "lend", "cause": "oom", "message": "it was a oom"}
        return [*whole(0)[:3], fault]
    if variant.strategy == "virtio-mem":
        lent |= {"stage": "resize", "refused_by": "driver", "reason": "not_reached"}
        return whole(request_bytes // 2)
    blocker = {
        "pfn": int(random.integers(262_144, 1_310_720)),
        "type": "slab",
        "flags": "slab",
        "owner": "",
    }
    lent |= {
        "stage": "alloc",
        "errno": "ENOMEM" if cell.load == "page_cache" else "EBUSY",
        "blocker": blocker if variant.strategy == "alloc_contig_range" else None,
    }
    return whole(0)


def write_cell(results: Path, cell: MadeCell, seeds: int, asked: int) -> None:
    """Write the two files of a cell, as its boot job does."""
    trials, runs = bytearray(), bytearray()
    for trial in made_trials(cell, seeds, asked):
        trials += sealed_line(orjson.dumps(trial, option=_LINE))
        runs += sealed_line(orjson.dumps(made_records.run(trial), option=_LINE))
    write_atomically(results / "trials" / f"{cell.path}.jsonl", bytes(trials))
    write_atomically(results / "runs" / f"{cell.path}.jsonl", bytes(runs))


@entry_point
def main() -> None:
    """Make the outputs of as many cells and rows as asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks.synthetic.results", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the folder to make them in")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table trials")
    parser.add_argument("--cells", type=int, default=40)
    wanted = parser.parse_args()
    cells = made_cells(wanted.cells)
    trials = wanted.rows // len(REQUESTS_BYTES)
    least, more = divmod(trials, len(cells))
    made_records.write_kernel(wanted.results, _KERNEL)
    for number, cell in enumerate(cells):
        write_cell(wanted.results, cell, least + (number < more), least + 1)
    words = itertools.chain.from_iterable(
        (f"--{name}", *dict.fromkeys(part))
        for name, part in zip(
            ("machines", "variants", "scenarios"),
            zip(*(c.parts for c in cells), strict=True),
            strict=True,
        )
    )
    print(" ".join(words))


if __name__ == "__main__":
    sys.exit(main())
