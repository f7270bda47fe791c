# SPDX-License-Identifier: GPL-2.0-only
"""What a config asks for: machines x strategy variants x scenarios, checked before any boot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.common import schemas
from carveout.common.errors import CarveoutError
from carveout.common.sizes import format_size, parse_size
from carveout.study.cell import Cell, Variant
from carveout.study.doses import Doses, read_doses
from carveout.study.geometry import GRANULES, Geometry, geometry_of
from carveout.study.plugins import Plugin, find_plugins, read_plugin, render
from carveout.study.requests import CENSUS, Requests, check_granule, read_requests


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

    @property
    def cells(self) -> list[Cell]:
        """All cells, in the order of the config."""
        return [cell for part in self.parts for cell in part]

    @property
    def kernels(self) -> list[str]:
        """The names of all kernels, in the order of the config."""
        return list(dict.fromkeys(cell.kernel for cell in self.cells))


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
    parts = [
        _read_part(part, where, workflow_folder) for where, part in _parts(config, source).items()
    ]
    matrix = Matrix(
        parts=[part.cells for part in parts],
        strategies={name: of for part in parts for name, of in part.strategies.items()},
        loads={name: of for part in parts for name, of in part.loads.items()},
        state_limit_bytes=parse_size(config["limits"]["state"], f"{source}: key limits.state"),
    )
    _check_once(source, matrix.cells)
    _check_lends(source, matrix.cells)
    _check_map(config, source, matrix.cells)
    return matrix


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


def _read_part(config: dict[str, Any], source: str, workflow_folder: Path) -> _Part:
    strategies = _read_plugins(config, source, workflow_folder, "strategy", "strategies")
    loads = _read_plugins(config, source, workflow_folder, "load", "loads")
    geometries = _geometries(config, source)
    doses = {
        name: read_doses(
            config["loads"][name], f"{source}: key loads.{name}", loads[name].content["dose"]["of"]
        )
        for name in config["loads"]
    }
    _check_replication(config, source)
    lendable_bytes = parse_size(config["lendable"], f"{source}: key lendable")
    where = f"{source}: key"
    requests = {}
    for kernel, geometry in geometries.items():
        _check_sections(config, where, geometry)
        requests[kernel] = _requests(config, where, lendable_bytes, geometry, loads)
        _check_doses(config, where, geometry, loads, doses)
        _check_pieces(config, where, geometry, strategies)
        _check_censuses(where, requests[kernel], doses)
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
            replication=config.get("replication"),
            guest_limit_s=config["limits"]["guest_s"],
        )
        for kernel, geometry in geometries.items()
        for ram_bytes in _rams(config, source, lendable_bytes)
        for variant in _variants(config, source, strategies, geometry, ram_bytes)
        for load in config["loads"]
        for name, asked in requests[kernel].items()
        for granule in config["granules"]
    ]
    _check_available(config, source, cells)
    return _Part(cells, strategies, loads)


def _read_plugins(
    config: Mapping[str, Any], source: str, workflow_folder: Path, kind: str, key: str
) -> dict[str, Plugin]:
    folders = [workflow_folder / key, *(Path(folder) for folder in config[f"{kind}_folders"])]
    found = find_plugins(kind, folders)
    return {
        name: read_plugin(kind, name, found, f"{source}: key {key}.{name}") for name in config[key]
    }


def _geometries(config: Mapping[str, Any], source: str) -> dict[str, Geometry]:
    """Return the geometry of each kernel of a config."""
    path = Path("config/kernels.yaml")
    known = {**schemas.load_yaml(path)["kernels"], **config["own_kernels"]}
    for name in config["kernels"]:
        if name not in known:
            raise CarveoutError(
                f"{source}: key kernels: unknown kernel {name}; "
                f"known in {path} and own_kernels are {', '.join(sorted(known))}"
            )
    return {name: geometry_of(name, known[name]) for name in config["kernels"]}


def _check_replication(config: Mapping[str, Any], source: str) -> None:
    rule = config.get("replication")
    if rule is not None and rule["least_seeds"] > config["seeds"]:
        raise CarveoutError(
            f"{source}: key replication.least_seeds: wanted at most the {config['seeds']} of the "
            f"key seeds, found {rule['least_seeds']}"
        )


def _check_sections(config: Mapping[str, Any], where: str, geometry: Geometry) -> None:
    """Refuse what is no whole number of sections: mem= and virtio-mem work by these."""
    for key, sizes in (("lendable", [config["lendable"]]), ("ram", config["ram"])):
        for text in sizes:
            if parse_size(text, f"{where} {key}") % geometry.section_bytes:
                raise CarveoutError(
                    f"{where} {key}: wanted a multiple of the memory section of "
                    f"{format_size(geometry.section_bytes)} of kernel {geometry.kernel}, "
                    f"found {text}; mem= and virtio-mem work by whole sections"
                )


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


def _check_censuses(
    where: str, requests: Mapping[str, Requests], doses: Mapping[str, Doses]
) -> None:
    """Refuse to climb a ladder of doses by what is lent where nothing is."""
    for name, asked in requests.items():
        for load, of_load in doses.items():
            if asked.question == CENSUS and of_load.ladder:
                raise CarveoutError(
                    f"{where} loads.{load}: wanted a list of doses, since requests.{name} lends "
                    "nothing by which a ladder could climb; list the doses, in a part of the key "
                    "also if others need the ladder"
                )


def _check_once(source: str, cells: Sequence[Cell]) -> None:
    """Refuse parts that have a cell in common."""
    counts = Counter(str(cell.path) for cell in cells)
    for path, count in counts.items():
        if count > 1:
            raise CarveoutError(
                f"{source}: key also: wanted every cell once, found {path} in {count} parts; give "
                "the parts different kernels, ram, strategies or loads, or their requests "
                "different names"
            )


def _check_lends(source: str, cells: Sequence[Cell]) -> None:
    """Refuse a config that lends nothing: there would be nothing to compare."""
    if all(cell.question == CENSUS for cell in cells):
        raise CarveoutError(
            f"{source}: key requests: wanted sizes to lend, found the question {CENSUS} alone; "
            "a census of hosts goes beside them, in a part of the key also"
        )


def _check_doses(
    config: Mapping[str, Any],
    where: str,
    geometry: Geometry,
    loads: Mapping[str, Plugin],
    doses: Mapping[str, Doses],
) -> None:
    """Refuse a dose of pageblocks that is less than one of them."""
    least_blocks = min(parse_size(text, f"{where} ram") for text in config["ram"])
    least_blocks //= geometry.pageblock_bytes
    for name, load in loads.items():
        if load.content["dose"]["of"] != "pageblocks":
            continue
        for permille in doses[name].permille:
            if 0 < permille * least_blocks < 1000:
                raise CarveoutError(
                    f"{where} loads.{name}: wanted doses of a pageblock at least, found "
                    f"{permille / 10:g} % of {least_blocks} pageblocks of "
                    f"{format_size(geometry.pageblock_bytes)} with kernel {geometry.kernel}; "
                    "raise the dose or the key ram"
                )


def _rams(config: Mapping[str, Any], source: str, lendable_bytes: int) -> list[int]:
    sizes_bytes = [parse_size(text, f"{source}: key ram") for text in config["ram"]]
    for text, size_bytes in zip(config["ram"], sizes_bytes, strict=True):
        if lendable_bytes >= size_bytes:
            raise CarveoutError(
                f"{source}: key lendable: wanted less than the RAM of {text}, "
                f"found {config['lendable']}; Linux needs the rest"
            )
    return sizes_bytes


def _variants(
    config: Mapping[str, Any],
    source: str,
    strategies: Mapping[str, Plugin],
    geometry: Geometry,
    ram_bytes: int,
) -> list[Variant]:
    sizes_bytes = {
        "ram_bytes": ram_bytes,
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
    if not boot_ram.isdecimal():
        raise CarveoutError(f"{where}.boot_ram_bytes: wanted a number of bytes, found {boot_ram!r}")
    values["boot_ram_bytes"] = int(boot_ram)
    return Variant(
        strategy=strategy.name,
        name=name,
        parameters=parameters,
        boot_ram_bytes=int(boot_ram),
        kernel_args=render(content.get("kernel_args", ""), values, where),
        qemu_args=tuple(render(text, values, where) for text in content.get("qemu_args", [])),
        granules=geometry.granules_of(content.get("granules", tuple(GRANULES))),
        why_no_other=content.get("why_no_other"),
    )


def _check_available(config: Mapping[str, Any], source: str, cells: Sequence[Cell]) -> None:
    """Refuse a granule that nobody can give: there would be nothing to compare."""
    for granule in config["granules"]:
        if not any(cell.is_available for cell in cells if cell.granule == granule):
            raise CarveoutError(
                f"{source}: key granules: wanted a granule that some variant of the key strategies "
                f"can give, found {granule}; {cells[0].variant.strategy} {cells[0].variant.name}: "
                f"{cells[0].variant.why_no_other}"
            )


def _check_pieces(
    config: Mapping[str, Any], where: str, geometry: Geometry, strategies: Mapping[str, Plugin]
) -> None:
    """Refuse a lendable size that a variant cannot set aside whole."""
    for name, wanted in config["strategies"].items():
        known = strategies[name].content["variants"]
        for variant in known if wanted == "all" else set(wanted) & set(known):
            piece_bytes = known[variant].get("piece_bytes", geometry.pageblock_bytes)
            if parse_size(config["lendable"], f"{where} lendable") % piece_bytes:
                raise CarveoutError(
                    f"{where} lendable: wanted a multiple of the pieces of {name} {variant}, "
                    f"{format_size(piece_bytes)} with kernel {geometry.kernel}, "
                    f"found {config['lendable']}"
                )


def _check_map(config: Mapping[str, Any], source: str, cells: Sequence[Cell]) -> None:
    """Refuse a config that does not run the trial whose pageblock map is to be drawn."""
    wanted = config["figures"].get("pageblock_map")
    if wanted is None:
        return
    for cell in cells:
        names = {
            "strategy": cell.variant.strategy,
            "variant": cell.variant.name,
            "scenario": cell.scenario,
        }
        if all(wanted[key] == value for key, value in names.items()):
            sure_seeds = cell.replication["least_seeds"] if cell.replication else cell.seeds
            is_run = wanted["dose"] in [dose / 10 for dose in cell.doses_permille]
            is_run &= cell.is_available
            is_run &= wanted["seed"] <= sure_seeds and wanted["cycle"] <= len(cell.requests_bytes)
            if is_run:
                return
            break
    raise CarveoutError(
        f"{source}: key figures.pageblock_map: wanted a trial that this config runs, found "
        f"{wanted['strategy']} {wanted['variant']} {wanted['scenario']} dose {wanted['dose']} "
        f"seed {wanted['seed']} cycle {wanted['cycle']}; name one that it does"
    )
