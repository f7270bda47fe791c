# SPDX-License-Identifier: GPL-2.0-only
"""Texts: what they point to is there, and nothing waits to be filled in."""

import re
from pathlib import Path

import pytest

from carveout.common.schemas import load_yaml
from carveout.study.matrix import read_matrix
from carveout.wording.labels import Labels
from carveout.wording.short import shortened

TEXTS = [Path(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
    *Path("docs").glob("*.md"),
    Path("config/README.md"),
    Path("results/README.md"),
]
WORKFLOW = Path("workflow")
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


def test_the_run_that_the_readme_shows_is_of_its_config_as_it_is() -> None:
    config = load_yaml(Path("config/excerpt.yaml"))
    cells = read_matrix(config, "config/excerpt.yaml", WORKFLOW).cells
    labels = Labels.read(sorted(WORKFLOW.glob("strategies/*/strategy.yaml")))
    # A cell of a table may be broken into lines.
    summary = Path("docs/runs/excerpt.txt").read_text(encoding="utf-8")
    words = " ".join(re.sub(r"(?<=\S)  +.*$", "", summary, flags=re.MULTILINE).split())
    for cell in cells:
        title = shortened(labels.variant(cell.variant.strategy, cell.variant.name))
        assert title in words, title


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_nothing_waits_to_be_filled_in(text: Path) -> None:
    assert not re.findall(r"@[A-Z]+@|\bTODO\b|\bFIXME\b|\bTBD\b", text.read_text(encoding="utf-8"))
