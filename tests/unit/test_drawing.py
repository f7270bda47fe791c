# SPDX-License-Identifier: GPL-2.0-only
"""What figures share: which there are and when, which rows they are of, pages, and marks."""

import importlib
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import seaborn
import yaml
from matplotlib.figure import Figure, SubFigure

from carveout.common.errors import CarveoutError
from carveout.common.schemas import load_yaml
from carveout.drawing import style
from carveout.drawing.catalogue import CATALOGUE, by_room, drawn, module_of
from carveout.drawing.choice import chosen
from carveout.drawing.layout import Part, compose
from carveout.drawing.marks import Mark, beside, read_marks
from carveout.study.matrix import Matrix, read_matrix
from carveout.wording.labels import Labels

PUBLISHED = Path("workflow/claims/published.yaml")
SMALL = Path("config/smoke.yaml")
AGAIN = {"sizes": ["64MiB"], "question": "cycles", "times": 3}


def small(**changes: Any) -> tuple[Matrix, dict[str, Any]]:
    """The small job with some keys changed."""
    config = load_yaml(SMALL) | changes
    return read_matrix(config, str(SMALL), Path("workflow")), config["figures"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_figure_has_a_module_tables_and_a_caption(name: str) -> None:
    module = importlib.import_module(module_of(name))
    assert tuple(module.COLUMNS) == CATALOGUE[name].tables
    title, *rest = Path(f"workflow/report/{name}.rst").read_text(encoding="utf-8").splitlines()
    assert title.startswith("**")
    assert title.endswith("**")
    assert any(rest)


def test_every_module_of_the_rooms_is_in_the_catalogue() -> None:
    rooms = {entry.room for entry in CATALOGUE.values()}
    found = {
        path.stem
        for room in rooms
        for path in Path(f"workflow/carveout/{room}").glob("*.py")
        if path.stem != "__init__"
    }
    assert found == set(CATALOGUE)


def test_what_a_config_has_no_data_for_is_left_out() -> None:
    left_out = {"capacity", "kernels", "memmap_by_ram", "cycles"}
    matrix, keys = small()
    assert set(drawn(matrix.cells, keys)) == set(CATALOGUE) - left_out
    assert "pageblock_map" not in drawn(matrix.cells, {})


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("capacity", {"loads": {"anonymous_memory": [10, 50], "unmovable_pages": [10]}}),
        ("kernels", {"kernels": ["debian-6.12", "debian-6.1"]}),
        ("cycles", {"also": [{"requests": {"again": AGAIN}, "loads": {"anonymous_memory": [30]}}]}),
        ("memmap_by_ram", {"also": [{"requests": {"none": {"question": "census"}}}]}),
    ],
)
def test_what_a_config_has_data_for_is_drawn(name: str, changes: dict[str, Any]) -> None:
    matrix, keys = small(**changes)
    assert name in drawn(matrix.cells, keys)


def test_the_figures_of_a_room_are_drawn_together() -> None:
    rooms = by_room(list(CATALOGUE))
    assert [name for names in rooms.values() for name in names] == list(CATALOGUE)
    assert all(CATALOGUE[name].room == room for room, names in rooms.items() for name in names)


def test_a_restriction_decides_what_there_is_data_for() -> None:
    matrix, keys = small(kernels=["debian-6.12", "debian-6.1"])
    assert "kernels" in drawn(matrix.cells, keys)
    assert "kernels" not in drawn(matrix.cells, keys | {"only": {"kernels": ["debian-6.1"]}})


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"width": "poster"}, "key figures.width: 'poster' is not one of"),
        ({"only": {"doses": [1]}}, "key figures.only: unknown key doses"),
        (
            {"only": {"loads": ["noise"]}},
            "key figures.only.loads: wanted what this config runs, found noise; it runs idle, ",
        ),
        (
            {"only": {"strategies": ["cma/zone"]}},
            "key figures.only.strategies: wanted what this config runs, found cma/zone; it runs ",
        ),
    ],
)
def test_a_figure_of_what_is_not_there_is_one_line(keys: dict[str, Any], wanted: str) -> None:
    with pytest.raises(CarveoutError) as caught:
        small(figures=keys)
    assert str(caught.value).startswith(f"{SMALL}: {wanted}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        ({}, "abcd"),
        ({"strategies": ["cma"]}, "ab"),
        ({"strategies": ["cma/area", "mem"]}, "acd"),
        ({"loads": ["idle"]}, "ac"),
        ({"kernels": ["two"], "granules": ["2M"]}, "d"),
        ({"kernels": ["one"], "granules": ["single"]}, "abc"),
    ],
)
def test_a_figure_is_of_what_is_named(only: dict[str, list[str]], wanted: str) -> None:
    columns = ["row", "strategy", "variant", "load", "kernel", "granule"]
    rows = [
        ("a", "cma", "area", "idle", "one", "single"),
        ("b", "cma", "own_area", "page_cache", "one", "single"),
        ("c", "mem", "carve_out", "idle", "one", "single"),
        ("d", "mem", "carve_out", "page_cache", "two", "2M"),
    ]
    table = pd.DataFrame(rows, columns=columns)
    assert "".join(chosen(table, only)["row"]) == wanted
    scenarios = table.assign(scenario=table["load"] + ".half.2M").drop(columns="load")
    assert "".join(chosen(scenarios, only)["row"]) == wanted
    assert chosen(table[["row"]], only).equals(table[["row"]])


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "carveout.drawing.draw", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": "workflow"},
    )


def test_nothing_of_what_is_named_is_one_line(tmp_path: Path) -> None:
    table = tmp_path / "blockers.parquet"
    write_blockers(table)
    words = ["blockers", "--tables", str(table), "--folder", str(tmp_path)]
    done = run(*words, "--only", json.dumps({"loads": ["idle"]}))
    assert done.returncode == 1
    assert done.stderr.startswith("carveout: ")
    assert done.stderr.count("\n") == 1
    assert "found none of loads idle; see figures.only in the config" in done.stderr
    done = run(*words, "--width", "column")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no font is looked for in vain"
    assert "Verdana, Arial, sans-serif" in (tmp_path / "blockers.svg").read_text(encoding="utf-8")
    done = run("cost", *words[1:])
    assert done.stderr == "carveout: wanted the table trials for the figure cost, found blockers\n"


def write_blockers(path: Path) -> None:
    from carveout.tables.parquet import write_table  # noqa: PLC0415

    row = {
        "kernel": "a", "kernel_version": "1", "kernel_pinned": "1", "ram_bytes": 2**30,
        "granule": "2M", "strategy": "cma", "variant": "area", "load": "page_cache",
        "in_the_way": "slab", "owner": None, "count": 1, "shorts": 2, "example_trial_id": "x",
        "example_dose": 10.0, "example_pfn": None,
    }  # fmt: skip
    write_table("blockers", pd.DataFrame([row]), path)


def one_part(rows: float, notes: tuple[str, ...] = ()) -> Figure:
    def draw(part: SubFigure) -> None:
        part.subplots().plot([0, 1])

    return compose({"": Part(rows, draw, notes=notes)})


@pytest.mark.parametrize("page", style.PAGES)
def test_a_page_decides_the_size_and_the_font(page: str) -> None:
    with style.on_page(page):
        figure = one_part(8)
        assert figure.get_figwidth() == style.PAGES[page].width_in
        height_in = style.PAGES[page].height_in
        assert height_in is None or figure.get_figheight() == height_in
        assert style.font_pt() == style.PAGES[page].font_pt
    assert one_part(8).get_figwidth() == style.PAGES["report"].width_in


def parts(count: int, rows: float) -> Figure:
    """A figure of parts of several panels each."""

    def draw(part: SubFigure) -> None:
        for ax in part.subplots(4, 1):
            ax.plot([0, 1])

    return compose({f"machine {n}": Part(rows, draw, notes=["a note"]) for n in range(count)})


def cut_pt(figure: Figure, folder: Path) -> list[float]:
    style.save(figure, "tall", folder / "tall.svg", folder / "tall.png")
    found = re.search(f'{style.CUTS}="([^"]+)"', (folder / "tall.svg").read_text(encoding="utf-8"))
    return [float(place) for place in found[1].split()] if found else []


def test_a_tall_figure_is_cut_above_machines_where_they_fit_a_sheet(tmp_path: Path) -> None:
    assert cut_pt(parts(1, 20), tmp_path) == []
    (cut,) = cut_pt(parts(2, 20), tmp_path)
    height_pt = parts(2, 20).get_figheight() * 72
    assert cut == pytest.approx(height_pt / 2, abs=3)


def test_a_machine_that_is_taller_than_a_sheet_is_cut_between_panels(tmp_path: Path) -> None:
    figure = parts(1, 60)
    cuts = cut_pt(figure, tmp_path)
    assert cuts
    height_pt = figure.get_figheight() * 72
    # An SVG has 72 points an inch.
    for box in (ax.get_window_extent() for ax in figure.get_axes()):
        assert not [cut for cut in cuts if box.y0 < height_pt - cut < box.y1]
    ends = [0, *cuts, height_pt]
    assert max(stop - start for start, stop in pairwise(ends)) <= style.width_em() * 8.5 * 1.6


def test_letters_can_be_read_at_400_pixels() -> None:
    page = style.PAGES["report"]
    assert page.font_pt / 72 * 400 / page.width_in >= 7.4


def test_what_has_no_room_on_a_slide_says_so() -> None:
    with style.on_page("slide"):
        one_part(20)
        with pytest.raises(CarveoutError, match=r"7\.5 in high.*figures\.only"):
            one_part(100)


def test_notes_are_broken_into_lines_that_fit() -> None:
    part = Part(1, print, notes=["word " * 60])
    with style.on_page("report"):
        wide = len(part.note_lines)
    with style.on_page("column"):
        assert len(part.note_lines) > wide > 1


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("CMA area", 1),
        ("alloc_contig_range(), all memory, lowest first", 2),
        ("device DAX, hot-added while idle, memmap on itself", 2),
    ],
)
def test_a_name_is_broken_where_it_must_be(name: str, lines: int) -> None:
    figure = Figure()
    ax = figure.subplots()
    style.draw_variant_rows(ax, Labels(), [("strategy", "variant")])
    with style.on_page("report"):
        assert style.in_lines(name).count("\n") + 1 == lines
    assert style.in_lines(name).replace("\n", " ") == name


def test_the_palette_is_seaborns() -> None:
    known = seaborn.color_palette("colorblind").as_hex()
    assert list(style.PALETTE) == [*known[:7], "#000000", *known[8:]]


def test_marks_are_read_by_figure_and_unit(tmp_path: Path) -> None:
    entry = {"claim": "c", "value": 2, "unit": "percent", "source": "s", "figure": "frontier"}
    entries = [
        entry | {"where": {"strategy": "cma"}},
        entry | {"unit": "ratio", "where": {"strategy": "cma"}},
        entry | {"figure": "cost", "where": {"strategy": "cma"}},
        entry | {"where": {}},
    ]
    path = tmp_path / "published.yaml"
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    assert read_marks(path, "frontier", "percent") == [Mark("c", 2, "s", {"strategy": "cma"})]


def test_a_mark_stands_beside_rows_that_it_names() -> None:
    rows = pd.DataFrame({"strategy": ["cma", "mem"], "load": ["idle", "page_cache"]})
    both = Mark("c", 2, "s", {"strategy": "cma", "load": "idle"})
    neither = Mark("c", 2, "s", {"strategy": "cma", "load": "page_cache"})
    of_variants = Mark("c", 2, "s", {"strategy": "mem", "granule": "2M"})
    assert beside([both, neither, of_variants], rows) == [both, of_variants]


def test_what_was_published_has_figures_that_mark_it() -> None:
    published = load_yaml(PUBLISHED)
    marked = [name for name, entry in CATALOGUE.items() if entry.marks]
    assert {entry["figure"] for entry in published} <= set(CATALOGUE)
    for name in marked:
        assert read_marks(PUBLISHED, name, str(CATALOGUE[name].marks)), name
