# SPDX-License-Identifier: GPL-2.0-only
"""What a config asks for: machines x strategy variants x scenarios, checked before any boot."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carveout.common import schemas
from carveout.common.errors import CarveoutError
from carveout.common.sizes import parse_size
from carveout.study.cell import Cell, Variant
from carveout.study.checks import (
    check_asked_once,
    check_available,
    check_censuses,
    check_doses,
    check_lends,
    check_map,
    check_once,
    check_only,
    check_pieces,
    check_reference,
    check_replication,
    check_room,
    check_sections,
)
from carveout.study.doses import read_doses
from carveout.study.geometry import GRANULES, RAM_START_BYTES, Geometry, geometry_of
from carveout.study.plugins import (
    Plugin,
    check_confined,
    check_memory,
    find_plugins,
    read_plugin,
    render,
)
from carveout.study.requests import Requests, check_granule, is_lend, read_requests

# Where the config does not name another, and runs it.
_REFERENCE = "baseline/ordinary_pages"
_PINS = Path("config/kernels.yaml")
_BY_SECTIONS = "mem= and virtio-mem work by whole sections"


@dataclass(frozen=True)
class Matrix:
    """All cells of a config, with the plug-ins that they name.

    Attributes:
        parts: the cells of each product of machines, strategy variants and scenarios.
    """

    parts: Sequence[Sequence[Cell]]
    strategies: Mapping[str, Plugin]
    loads: Mapping[str, Plugin]
    state_limit_bytes: int
    # What all variants are held against where it was run.
    reference: str

    @property
    def cells(self) -> list[Cell]:
        """All cells, in the order of the config."""
        return [cell for part in self.parts for cell in part]

    @property
    def kernels(self) -> list[str]:
        """The names of all kernels, in the order of the config."""
        return list(dict.fromkeys(cell.kernel for cell in self.cells))

    @property
    def references(self) -> list[str]:
        """What all variants are held against: on each machine the first of these that was run."""
        variants = (f"{cell.variant.strategy}/{cell.variant.name}" for cell in self.cells)
        return list(dict.fromkeys([self.reference, *variants]))

    @property
    def kernel_pairs(self) -> list[tuple[str, str]]:
        """The kernels to be held against each other: of each part the first and any other."""
        return list(
            dict.fromkeys(
                (part[0].kernel, cell.kernel)
                for part in self.parts
                for cell in part
                if cell.kernel != part[0].kernel
            )
        )


def read_matrix(config: dict[str, Any], source: str, workflow_folder: Path) -> Matrix:
    """Check a config as a whole and spell out its cells.

    Args:
        config: the parsed config; defaults of the schema are filled in.
        source: the config's file name, for errors.
        workflow_folder: where the built-in ``strategies`` and ``loads`` are.

    Raises:
        CarveoutError: the config asks for what cannot be made.
    """
    schemas.check(config, "config", source)
    kernels = _known_kernels(config, source)
    parts = [
        _read_part(part, where, workflow_folder, kernels)
        for where, part in _parts(config, source).items()
    ]
    matrix = Matrix(
        parts=[part.cells for part in parts],
        strategies={name: of for part in parts for name, of in part.strategies.items()},
        loads={name: of for part in parts for name, of in part.loads.items()},
        state_limit_bytes=parse_size(config["limits"]["state"], f"{source}: key limits.state"),
        reference=config.get("reference", _REFERENCE),
    )
    check_once(source, matrix.cells)
    check_asked_once(source, matrix.cells)
    check_lends(source, matrix.cells)
    check_map(config, source, matrix.cells)
    check_only(config, source, matrix.cells)
    check_reference(config, source, matrix.cells)
    if "part" not in config:
        return matrix
    config["figures"].pop("pageblock_map", None)  # of a trial that another part may run
    return _only(matrix, config["part"], f"{source}: key part")


# What the names of a part are held against.
_FACTORS: Mapping[str, Callable[[Cell], set[str]]] = {
    "kernels": lambda cell: {cell.kernel},
    "ram": lambda cell: {str(cell.path.ram)},
    "strategies": lambda cell: {cell.variant.strategy, str(cell.path.strategy_variant)},
    "loads": lambda cell: {cell.load},
    "requests": lambda cell: {cell.requests},
    "granules": lambda cell: {cell.granule},
}


def _only(matrix: Matrix, part: Mapping[str, Any], where: str) -> Matrix:
    """Return what a part names of a study: of each factor some values, some doses, some seeds."""
    kept = matrix.cells
    for key in part.keys() & _FACTORS.keys():
        known = set().union(*map(_FACTORS[key], matrix.cells))
        if unknown := [name for name in part[key] if name not in known]:
            raise CarveoutError(
                f"{where}.{key}: wanted what the study has, found {', '.join(unknown)}; it has "
                f"{', '.join(sorted(known))}"
            )
        kept = [cell for cell in kept if _FACTORS[key](cell) & set(part[key])]
    chosen = {str(cell.path): _some_trials(cell, part, where) for cell in kept}
    cells = [[chosen[str(c.path)] for c in of if str(c.path) in chosen] for of in matrix.parts]
    parts = [some for of in cells if (some := [cell for cell in of if cell.doses_permille])]
    if not parts:
        raise CarveoutError(f"{where}: wanted some trials of the study, found that it names none")
    run = [cell for of in parts for cell in of]
    return replace(
        matrix,
        parts=parts,
        strategies={n: matrix.strategies[n] for n in {c.variant.strategy: 0 for c in run}},
        loads={name: matrix.loads[name] for name in {cell.load: 0 for cell in run}},
    )


def _some_trials(cell: Cell, part: Mapping[str, Any], where: str) -> Cell:
    """Return a cell with the doses and seeds of a part, which may be none of its doses."""
    if "doses" in part:
        if cell.ladder:
            raise CarveoutError(
                f"{where}.doses: wanted loads with lists of doses, found {cell.load}, whose ladder "
                "reads all of its doses; leave that load to one part"
            )
        wanted = {round(float(dose) * 10) for dose in part["doses"]}
        doses = tuple(dose for dose in cell.doses_permille if dose in wanted)
        cell = replace(cell, doses_permille=doses)
    if "seeds" in part:
        begin, _, end = str(part["seeds"]).partition("-")
        first, last = int(begin), int(end or begin)
        if not first <= last <= cell.seeds or cell.replication or cell.ladder:
            raise CarveoutError(
                f"{where}.seeds: wanted some of the seeds from 1 to {cell.seeds}, without "
                "replication and ladders, which read all seeds of a dose; "
                f"found {part['seeds']} for {cell.path}"
            )
        cell = replace(cell, first_seed=first, seeds=last - first + 1)
    return cell


@dataclass(frozen=True)
class _Part:
    """One product of kernels, machines, strategy variants and scenarios."""

    cells: Sequence[Cell]
    strategies: Mapping[str, Plugin]
    loads: Mapping[str, Plugin]


def _parts(config: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """Return the products that a config consists of, by what errors call them."""
    further = {
        f"{source}: part {number} of the key also": {**config, **keys}
        for number, keys in enumerate(config["also"], start=1)
    }
    return {source: dict(config), **further}


def _read_part(
    config: dict[str, Any],
    source: str,
    workflow_folder: Path,
    kernels: Mapping[str, Geometry],
) -> _Part:
    strategies = _read_plugins(config, source, workflow_folder, "strategy", "strategies")
    loads = _read_plugins(config, source, workflow_folder, "load", "loads")
    geometries = _chosen(config, source, kernels)
    doses = {
        name: read_doses(
            config["loads"][name], f"{source}: key loads.{name}", loads[name].content["dose"]["of"]
        )
        for name in config["loads"]
    }
    lendable_bytes = parse_size(config["lendable"], f"{source}: key lendable")
    where = f"{source}: key"
    requests = {}
    if lends := any(map(is_lend, config["requests"].values())):
        check_replication(config, source)
        check_room(config, source)
    for kernel, geometry in geometries.items():
        check_sections("ram", config["ram"], where, geometry, "its memmap comes in whole sections")
        if lends:
            check_sections("lendable", [config["lendable"]], where, geometry, _BY_SECTIONS)
        requests[kernel] = _requests(config, where, lendable_bytes, geometry, loads)
        check_doses(config, where, geometry, loads, doses)
        check_censuses(where, requests[kernel], doses)
        if lends:
            check_pieces(config, where, geometry, strategies)
    cells = [
        Cell(
            kernel=kernel,
            pageblock_bytes=geometry.pageblock_bytes,
            section_bytes=geometry.section_bytes,
            ram_bytes=ram_bytes,
            cpus=config["cpus"],
            cpu_model=config["cpu_model"],
            lendable_bytes=lendable_bytes,
            reserve_bytes=parse_size(config["reserve"], f"{source}: key reserve"),
            variant=variant,
            load=load,
            doses_permille=doses[load].permille,
            ladder=doses[load].ladder,
            requests=name,
            requests_bytes=asked.sizes_bytes,
            question=asked.question,
            load_works=asked.load_works,
            churn_steps=asked.churn_steps,
            granule=granule,
            seeds=config["seeds"],
            layouts=config["layouts"],
            replication=config.get("replication") if asked.sizes_bytes else None,
            guest_limit_s=config["limits"]["guest_s"],
            runs_vm=config["vm"] and bool(asked.sizes_bytes),
        )
        for kernel, geometry in geometries.items()
        for ram_bytes in (parse_size(text, f"{where} ram") for text in config["ram"])
        for variant in _variants(config, source, strategies, geometry, ram_bytes)
        for load in config["loads"]
        for name, asked in requests[kernel].items()
        # Who is only counted gives nothing, in pieces of whatever size.
        for granule in (config["granules"] if asked.sizes_bytes else ["page"])
    ]
    if lends:
        check_available(config, source, cells)
    return _Part(cells, strategies, loads)


def _read_plugins(
    config: Mapping[str, Any], source: str, workflow_folder: Path, kind: str, key: str
) -> dict[str, Plugin]:
    folders = [workflow_folder / key, *(Path(folder) for folder in config[f"{kind}_folders"])]
    found = find_plugins(kind, folders)
    return {
        name: read_plugin(kind, name, found, f"{source}: key {key}.{name}") for name in config[key]
    }


def _known_kernels(config: Mapping[str, Any], source: str) -> dict[str, Geometry]:
    """Return the geometry of every kernel that a config may name."""
    pinned = schemas.load_yaml(_PINS)
    schemas.check(pinned, "kernels", str(_PINS))
    return {
        name: geometry_of(name, entry, where)
        for where, entries in ((str(_PINS), pinned["kernels"]), (source, config["own_kernels"]))
        for name, entry in entries.items()
    }


def _chosen(
    config: Mapping[str, Any], source: str, kernels: Mapping[str, Geometry]
) -> dict[str, Geometry]:
    """Return the kernels that a config names."""
    for name in config["kernels"]:
        if name not in kernels:
            raise CarveoutError(
                f"{source}: key kernels: unknown kernel {name}; "
                f"known in {_PINS} and own_kernels are {', '.join(sorted(kernels))}"
            )
    return {name: kernels[name] for name in config["kernels"]}


def _requests(
    config: Mapping[str, Any],
    where: str,
    lendable_bytes: int,
    geometry: Geometry,
    loads: Mapping[str, Plugin],
) -> dict[str, Requests]:
    found = {}
    for name, wanted in config["requests"].items():
        key = f"{where} requests.{name}"
        found[name] = read_requests(wanted, key, lendable_bytes, geometry.pageblock_bytes)
        for granule in config["granules"]:
            check_granule(found[name], granule, key, geometry.pageblock_bytes)
        for load in loads.values():
            if found[name].needs_work and not load.content["works"]:
                raise CarveoutError(
                    f"{key}: wanted loads that go on, found {load.name}, whose "
                    f"{load.description_file} does not say works: true"
                )
    return found


def _variants(
    config: Mapping[str, Any],
    source: str,
    strategies: Mapping[str, Plugin],
    geometry: Geometry,
    ram_bytes: int,
) -> list[Variant]:
    sizes_bytes = {
        "ram_start_bytes": RAM_START_BYTES,
        "ram_bytes": ram_bytes,
        "section_bytes": geometry.section_bytes,
        "lendable_bytes": parse_size(config["lendable"], f"{source}: key lendable"),
    }
    chosen = []
    for name, wanted in config["strategies"].items():
        known = strategies[name].content["variants"]
        for variant in known if wanted == "all" else wanted:
            if variant not in known:
                raise CarveoutError(
                    f"{source}: key strategies.{name}: unknown variant {variant}; "
                    f"known are {', '.join(known)}"
                )
            chosen.append(_fill_variant(strategies[name], variant, geometry, sizes_bytes))
    return chosen


def _fill_variant(
    strategy: Plugin, name: str, geometry: Geometry, sizes_bytes: Mapping[str, int]
) -> Variant:
    content = strategy.content["variants"][name]
    where = f"{strategy.description_file}: key variants.{name}"
    parameters = content.get("parameters", {})
    values = {**sizes_bytes, **parameters}
    boot_ram = render(content.get("boot_ram_bytes", "{{ ram_bytes }}"), values, where)
    if not re.fullmatch("[0-9]{1,18}", boot_ram):
        raise CarveoutError(
            f"{where}.boot_ram_bytes: wanted a number of bytes, found "
            f"{schemas.one_line(boot_ram)!r}"
        )
    values["boot_ram_bytes"] = int(boot_ram)
    device_tree = content.get("device_tree")
    device_tree = device_tree and render(device_tree, values, where)
    qemu_args = tuple(render(text, values, where) for text in content.get("qemu_args", []))
    check_confined(qemu_args, device_tree, where)
    check_memory(qemu_args, int(boot_ram), sizes_bytes["ram_bytes"], where)
    return Variant(
        strategy=strategy.name,
        name=name,
        parameters=parameters,
        boot_ram_bytes=int(boot_ram),
        kernel_args=render(content.get("kernel_args", ""), values, where),
        qemu_args=qemu_args,
        device_tree=device_tree,
        needs=tuple(content.get("needs", ())),
        granules=geometry.granules_of(content.get("granules", tuple(GRANULES))),
        why_no_other=content.get("why_no_other"),
        owner_regains=content.get("owner_regains", False),
    )
