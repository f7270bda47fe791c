# SPDX-License-Identifier: GPL-2.0-only
"""The house: rooms as the document draws them, arrows only downstream, nothing too large."""

import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from carveout.drawing.catalogue import CATALOGUE
from carveout.study.sources import PACKAGE_PARENT, modules_of

CARVEOUT = PACKAGE_PARENT / "carveout"
DOCUMENT = Path("docs/architecture.md").read_text(encoding="utf-8")
ROOMS = sorted(path.parent.name for path in CARVEOUT.glob("*/__init__.py"))
MOST_LINES = 400
MOST_FILES = 10


def modules() -> Iterator[str]:
    """All modules that are not doors."""
    for path in CARVEOUT.glob("*/*.py"):
        if path.name != "__init__.py":
            yield f"carveout.{path.parent.name}.{path.stem}"


def imports_of(module: str) -> set[str]:
    """What a module needs, directly or not."""
    return {name for name in modules_of(module) if name.count(".") == 2 and name != module}


def room(module: str) -> str:
    return module.split(".")[1]


def real_arrows() -> set[tuple[str, str]]:
    """(from, to): a module of the room `to` itself imports one of the room `from`."""
    arrows = set()
    for module in modules():
        path = PACKAGE_PARENT / (module.replace(".", "/") + ".py")
        arrows |= {(name, room(module)) for name in imported_by(path)} - {(room(module),) * 2}
    return arrows


def imported_by(path: Path) -> set[str]:
    """The rooms that a file names in its imports."""
    text = path.read_text(encoding="utf-8")
    return set(re.findall(r"^\s*(?:from|import) carveout\.(\w+)", text, re.MULTILINE))


def drawn_arrows(line: str) -> set[tuple[str, str]]:
    """The arrows of one kind in the document's drawing, which leaves `common` out."""
    (drawing,) = re.findall(r"```mermaid\n(.*?)```", DOCUMENT, re.DOTALL)
    arrow = rf"^ *(\w+) {re.escape(line)}\|[^|]+\| (\w+)$"
    return set(re.findall(arrow, drawing, re.MULTILINE))


def file_arrows() -> set[tuple[str, str]]:
    """(from, to): a rule of the room `to` takes what one of the room `from` makes."""
    graph = subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "--forceall", "--rulegraph", "dot"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
    rooms = {
        rule: path.stem
        for path in Path("workflow/rules").glob("*.smk")
        for rule in re.findall(r"^rule (\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    rooms |= {rule: "boots" for rule in names.values() if rule.startswith("boot_")}
    rooms |= {f"draw_{entry.room}": entry.room for entry in CATALOGUE.values()}
    pairs = [(names[one], names[other]) for one, other in re.findall(r"(\d+) -> (\d+)", graph)]
    found = {(rooms.get(one, ""), rooms.get(other, "")) for one, other in pairs}
    return {(one, other) for one, other in found if one and other and one != other}


def test_the_solid_arrows_are_the_imports() -> None:
    real = {(one, other) for one, other in real_arrows() if one != "common"}
    assert drawn_arrows("-->") == real


def test_the_dotted_arrows_are_files_that_rules_hand_on_without_an_import() -> None:
    files = file_arrows()
    assert len(files) >= 8
    assert drawn_arrows("-.->") == files - real_arrows()


def test_arrows_go_downstream_only() -> None:
    order = downstream_order()
    assert order[0] == "common"
    assert order[-1] == "report"


def downstream_order() -> list[str]:
    """The rooms, each after those that it needs; a circle raises CycleError."""
    graph: dict[str, set[str]] = {name: set() for name in ROOMS}
    for one, other in real_arrows() | file_arrows():
        graph[other].add(one)
    return list(TopologicalSorter(graph).static_order())


def test_rules_import_no_room_that_is_further_down() -> None:
    order = downstream_order()
    for path in Path("workflow/rules").glob("*.smk"):
        if path.stem in order:
            for name in imported_by(path) - {path.stem}:
                assert order.index(name) < order.index(path.stem), f"{path} imports {name}"


def test_the_leaf_for_all_needs_nobody() -> None:
    assert not [arrow for arrow in real_arrows() if arrow[1] == "common"]


def test_modules_make_no_circle() -> None:
    list(TopologicalSorter({module: imports_of(module) for module in modules()}).static_order())


def test_every_room_has_a_door_and_is_drawn() -> None:
    drawn = {name for line in ("-->", "-.->") for arrow in drawn_arrows(line) for name in arrow}
    for name in ROOMS:
        door = (CARVEOUT / name / "__init__.py").read_text(encoding="utf-8")
        assert re.fullmatch(r'# SPDX.*\n"""[A-Z].*[.]"""\n', door), f"{name}: one sentence, no code"
        assert name in drawn | {"common"}


def test_every_stage_has_a_room_and_rules_of_its_name() -> None:
    text = Path("Snakefile").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    (stages,) = [line.strip("# ").split(" -> ") for line in lines if line.startswith("# study -> ")]
    assert len(stages) >= 6
    for stage in stages:
        assert stage in ROOMS
        assert f'include: "workflow/rules/{stage}.smk"' in lines
        assert Path(f"workflow/rules/{stage}.smk").exists()


@pytest.mark.parametrize("name", ROOMS)
def test_no_room_has_too_many_files(name: str) -> None:
    assert len(list((CARVEOUT / name).glob("*.py"))) <= MOST_FILES


def test_no_file_is_too_long() -> None:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    sources = [Path(name) for name in listed.splitlines()]
    kinds = {".py", ".smk", ".c", ".h", ".sh", ".yaml", ".md", ".jinja"}
    lengths = {
        str(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources
        if path.is_file() and (path.suffix in kinds or path.name in ("init", "Snakefile"))
    }
    assert len(lengths) > 150
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}
