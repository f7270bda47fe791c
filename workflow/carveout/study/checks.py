# SPDX-License-Identifier: GPL-2.0-only
"""What a config may not ask for: each function refuses one thing, before anything is booted."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from carveout.common.errors import CarveoutError
from carveout.common.sizes import format_size, parse_size
from carveout.study.cell import Cell
from carveout.study.doses import Doses
from carveout.study.geometry import Geometry
from carveout.study.plugins import Plugin
from carveout.study.requests import CENSUS, Requests


def check_replication(config: Mapping[str, Any], source: str) -> None:
    """Refuse a rule that wants more seeds than there are."""
    rule = config.get("replication")
    if rule is not None and rule["least_seeds"] > config["seeds"]:
        raise CarveoutError(
            f"{source}: key replication.least_seeds: wanted at most the {config['seeds']} of the "
            f"key seeds, found {rule['least_seeds']}"
        )


def check_sections(
    key: str, sizes: Sequence[str], where: str, geometry: Geometry, why: str
) -> None:
    """Refuse sizes of a key that are no whole number of sections; `why` is told with the error."""
    for text in sizes:
        if parse_size(text, f"{where} {key}") % geometry.section_bytes:
            raise CarveoutError(
                f"{where} {key}: wanted a multiple of the memory section of "
                f"{format_size(geometry.section_bytes)} of kernel {geometry.kernel}, "
                f"found {text}; {why}"
            )


def check_room(config: Mapping[str, Any], source: str) -> None:
    """Refuse a lendable size that leaves Linux nothing."""
    lendable_bytes = parse_size(config["lendable"], f"{source}: key lendable")
    for text in config["ram"]:
        if lendable_bytes >= parse_size(text, f"{source}: key ram"):
            raise CarveoutError(
                f"{source}: key lendable: wanted less than the RAM of {text}, "
                f"found {config['lendable']}; Linux needs the rest"
            )


def check_censuses(
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


def check_once(source: str, cells: Sequence[Cell]) -> None:
    """Refuse two cells of one name, of one size written in two ways or of two parts."""
    counts = Counter(str(cell.path) for cell in cells)
    for path, count in counts.items():
        if count > 1:
            raise CarveoutError(
                f"{source}: wanted every cell once, found {path} {count} times; write no size of "
                "the key ram in two ways, and give parts of the key also different kernels, ram, "
                "strategies or loads, or their requests different names"
            )


def check_asked_once(source: str, cells: Sequence[Cell]) -> None:
    """Refuse two names for the same requests, whose trials would be the same ones."""
    alike = defaultdict(list)
    for cell in cells:
        of_host = (cell.kernel, cell.ram_bytes, cell.variant.strategy, cell.variant.name, cell.load)
        alike[of_host, cell.granule, cell.question, cell.requests_bytes].append(cell)
    for those in alike.values():
        for cell, other in combinations(those, 2):
            if _without_points(cell) == _without_points(other) and (
                set(cell.points()) & set(other.points())
            ):
                raise CarveoutError(
                    f"{source}: key requests.{other.requests}: wanted other sizes or another "
                    f"question than those of {cell.requests}, found the same, which would be the "
                    f"same trials of {cell.path}; remove one of them"
                )


def _without_points(cell: Cell) -> Cell:
    """Return what all trials of a cell have in common, however its requests are called."""
    return replace(
        cell, requests="", doses_permille=(), ladder=None, replication=None, first_seed=1, seeds=1
    )


def check_lends(source: str, cells: Sequence[Cell]) -> None:
    """Refuse a config that lends nothing: there would be nothing to compare."""
    if all(cell.question == CENSUS for cell in cells):
        raise CarveoutError(
            f"{source}: key requests: wanted sizes to lend, found the question {CENSUS} alone; "
            "a census of hosts goes beside them, in a part of the key also"
        )


def check_doses(
    config: Mapping[str, Any],
    where: str,
    geometry: Geometry,
    loads: Mapping[str, Plugin],
    doses: Mapping[str, Doses],
) -> None:
    """Refuse a dose of pageblocks that is less than one of them, of a ladder the finest too."""
    least_blocks = min(parse_size(text, f"{where} ram") for text in config["ram"])
    least_blocks //= geometry.pageblock_bytes
    for name, load in loads.items():
        if load.content["dose"]["of"] != "pageblocks":
            continue
        for permille in doses[name].possible_permille:
            if 0 < permille * least_blocks < 1000:
                raise CarveoutError(
                    f"{where} loads.{name}: wanted doses of a pageblock at least, found "
                    f"{permille / 10:g} % of {least_blocks} pageblocks of "
                    f"{format_size(geometry.pageblock_bytes)} with kernel {geometry.kernel}; "
                    "raise the dose or the key ram"
                )


def check_available(config: Mapping[str, Any], source: str, cells: Sequence[Cell]) -> None:
    """Refuse a granule that nobody can give: there would be nothing to compare."""
    for granule in config["granules"]:
        if not any(cell.is_available for cell in cells if cell.granule == granule):
            raise CarveoutError(
                f"{source}: key granules: wanted a granule that some variant of the key strategies "
                f"can give, found {granule}; {cells[0].variant.strategy} {cells[0].variant.name}: "
                f"{cells[0].variant.why_no_other}"
            )


def check_pieces(
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


def check_map(config: Mapping[str, Any], source: str, cells: Sequence[Cell]) -> None:
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
    raise CarveoutError(
        f"{source}: key figures.pageblock_map: wanted a trial that this config runs, found "
        f"{wanted['strategy']} {wanted['variant']} {wanted['scenario']} dose {wanted['dose']} "
        f"seed {wanted['seed']} cycle {wanted['cycle']}; name one that it does"
    )


def check_reference(config: Mapping[str, Any], source: str, cells: Sequence[Cell]) -> None:
    """Refuse to hold all variants against one that the config does not run."""
    known = dict.fromkeys(f"{cell.variant.strategy}/{cell.variant.name}" for cell in cells)
    if config.get("reference", next(iter(known))) not in known:
        raise CarveoutError(
            f"{source}: key reference: wanted a strategy and variant of the key strategies, found "
            f"{config['reference']}; known are {', '.join(known)}"
        )


def check_only(config: Mapping[str, Any], source: str, cells: Sequence[Cell]) -> None:
    """Refuse figures of what the config does not run."""
    variants = [f"{cell.variant.strategy}/{cell.variant.name}" for cell in cells]
    known = {
        "strategies": [*(cell.variant.strategy for cell in cells), *variants],
        "kernels": [cell.kernel for cell in cells],
        "loads": [cell.load for cell in cells],
        "granules": [cell.granule for cell in cells],
    }
    for key, names in config["figures"].get("only", {}).items():
        for name in names:
            if name not in known[key]:
                raise CarveoutError(
                    f"{source}: key figures.only.{key}: wanted what this config runs, found "
                    f"{name}; it runs {', '.join(dict.fromkeys(known[key]))}"
                )
