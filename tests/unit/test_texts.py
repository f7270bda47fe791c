# SPDX-License-Identifier: GPL-2.0-only
"""Texts: what they point to is there, and nothing waits to be filled in."""

import re
from pathlib import Path

import pytest

from carveout.common.schemas import load_yaml
from carveout.study.matrix import read_matrix
from carveout.wording.labels import Labels

TEXTS = [Path(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
    *Path("docs").glob("*.md"),
    Path("config/README.md"),
    Path("results/README.md"),
]
WORKFLOW = Path("workflow")
SMOKE = Path("config/smoke.yaml")
# In the README: memmap and what is set aside, who pays, success and time, what comes back.
TABLES_OF_THE_SMALL_JOB = 4


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_links_lead_to_files(text: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text.read_text(encoding="utf-8")):
        assert (text.parent / target).exists(), target


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_files_that_are_named_exist(text: Path) -> None:
    """A path in backquotes with a folder in it is one of the repository, or below the package."""
    for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)+\.\w+)`", text.read_text(encoding="utf-8")):
        if not name.startswith(("results/", "early_range/", "strategies/", "tables/runs")):
            places = [Path(name), WORKFLOW / name, WORKFLOW / "carveout" / name, text.parent / name]
            assert any(place.exists() for place in places), name


def test_the_comparison_that_the_readme_shows_is_of_the_small_job_as_it_is() -> None:
    config = load_yaml(SMOKE)
    cells = read_matrix(config, str(SMOKE), WORKFLOW).cells
    variants = {(cell.variant.strategy, cell.variant.name) for cell in cells}
    loads, seeds = len(config["loads"]), config["seeds"]
    said = f"{len(variants)} strategy variants x {loads} loads x {seeds} seeds"
    _, small_job = Path("README.md").read_text(encoding="utf-8").split(said)
    labels = Labels.read(sorted(WORKFLOW.glob("strategies/*/strategy.yaml")))
    for strategy, variant in variants:
        title = re.escape(labels.variant(strategy, variant))
        shown = re.findall(rf"^ {title}  ", small_job, re.MULTILINE)
        assert len(shown) == TABLES_OF_THE_SMALL_JOB, title


def test_the_frontier_that_the_readme_shows_is_of_the_main_job_as_it_is() -> None:
    config = load_yaml(Path("config/config.yaml"))
    cells = read_matrix(config, "config/config.yaml", WORKFLOW).cells
    readme = Path("README.md").read_text(encoding="utf-8")
    labels = Labels.read(sorted(WORKFLOW.glob("strategies/*/strategy.yaml")))
    frontier, _ = readme.split("What the small job found")
    for granule in config["granules"]:
        (table,) = re.findall(rf"in pieces of {granule};|as one {granule} range;", frontier)
        _, _, rows = frontier.partition(table)
        rows, _, _ = rows.partition("\n\n\n")
        titles = {
            labels.variant(cell.variant.strategy, cell.variant.name)
            for cell in cells
            if cell.is_available and cell.granule == granule
        }
        shown = set(re.findall(r"^ (\S.*?)  +\d+ MiB  ", rows, re.MULTILINE))
        assert shown <= titles
        # A run of the main job is older than some of what it has now: that is said by name.
        (newer,) = re.findall(r"newer than this run and not in it: ([^\n]*(?:\n[^\n]+)*)", frontier)
        assert all(title in " ".join(newer.split()) for title in titles - shown)


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_nothing_waits_to_be_filled_in(text: Path) -> None:
    assert not re.findall(r"@[A-Z]+@|\bTODO\b|\bFIXME\b|\bTBD\b", text.read_text(encoding="utf-8"))
