# SPDX-License-Identifier: GPL-2.0-only
"""What the texts show of runs is what the runs found, word for word."""

import re
from pathlib import Path

import pytest
from docs import renew

from carveout.common.errors import CarveoutError

SUMMARY = """carveout: which way?

====
one machine
====

By need

  Best: none.

Lent under idle

strategy  at best
CMA area  512 MiB

====
another machine
====

By need

  Best: CMA area.
"""
TEXT = """Before.
<!-- from docs/runs/main.txt: another machine / By need ... /  -->
```
By need

  Best: whatever stood here.
```
After.
"""


@pytest.mark.parametrize("text", renew.TEXTS, ids=str)
def test_texts_show_what_runs_found(text: Path) -> None:
    assert renew.renewed(text) == text.read_text(encoding="utf-8")


def test_the_readme_shows_some_of_the_main_job() -> None:
    readme = Path("README.md").read_text(encoding="utf-8")
    assert len(re.findall("<!-- from docs/runs/main.txt", readme)) >= 2
    tables = re.sub(r"<!-- from[^`]*```\n.*?```\n", "", readme, flags=re.DOTALL)
    # A table of a run that no run has made anew.
    assert not re.findall(r"^ *strategy +.*\n.*-----", tables, re.MULTILINE)


def test_figures_of_texts_are_of_runs_or_of_the_benchmark() -> None:
    shown = {
        name
        for text in renew.TEXTS
        for name in re.findall(r"docs/figures/(\w+)\.png", text.read_text(encoding="utf-8"))
    }
    known = {name for names in renew.FIGURES.values() for name in names}
    assert shown <= known | {"bench"}
    assert {path.stem for path in Path("docs/figures").glob("*.png")} == known | {"bench"}


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text that shows what a run once found, beside what it found since."""
    monkeypatch.setattr(renew, "DOCS", tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/main.txt").write_text(SUMMARY)
    (tmp_path / "text.md").write_text(TEXT)
    return tmp_path / "text.md"


def test_a_text_is_renewed_with_the_lines_that_it_names(text: Path) -> None:
    assert renew.renewed(text) == TEXT.replace("whatever stood here", "CMA area")


@pytest.mark.parametrize(
    ("after", "shown"), [("Lent under", "Best: none."), ("strategy", "Lent under idle")]
)
def test_a_part_ends_before_what_follows(text: Path, after: str, shown: str) -> None:
    text.write_text(
        TEXT.replace("another machine", "one machine").replace("... / ", f"... / {after}")
    )
    renewed = renew.renewed(text)
    assert shown in renewed
    assert "512 MiB" not in renewed


def test_lines_that_no_run_has_are_told(text: Path) -> None:
    text.write_text(TEXT.replace("By need ...", "By dose ..."))
    with pytest.raises(CarveoutError, match=r"wanted a line of .* that begins with 'By dose'"):
        renew.renewed(text)


def test_a_run_without_a_summary_is_told(text: Path) -> None:
    with pytest.raises(CarveoutError, match=r"summary\.txt: wanted what run main found"):
        renew.keep("main", text.parent / "nowhere")
