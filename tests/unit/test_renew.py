# SPDX-License-Identifier: GPL-2.0-only
"""What the texts show of runs is what the runs found, word for word."""

import re
from pathlib import Path

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_runs, made_trials
from docs import renew
from docs.effort import effort

from carveout.common.errors import CarveoutError
from carveout.statistics.curves import describe_curves
from carveout.statistics.summarize import summarize
from carveout.tables.parquet import read_table, write_table

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
<!-- from docs/runs/excerpt.txt: another machine / By need ... /  -->
```
By need

  Best: whatever stood here.
```
After.
"""


@pytest.mark.parametrize("text", renew.TEXTS, ids=str)
def test_texts_show_what_runs_found(text: Path) -> None:
    assert renew.renewed(text) == text.read_text(encoding="utf-8")


def test_the_readme_shows_some_of_a_run() -> None:
    readme = Path("README.md").read_text(encoding="utf-8")
    assert len(re.findall("<!-- from docs/runs/excerpt.txt", readme)) >= 2
    tables = re.sub(r"<!-- from[^`]*```\n.*?```\n", "", readme, flags=re.DOTALL)
    # A table of a run that no run has made anew.
    assert not re.findall(r"^ *strategy +.*\n.*-----", tables, re.MULTILINE)


def test_figures_of_texts_are_of_runs_or_of_the_benchmark() -> None:
    shown = {
        name
        for text in renew.TEXTS
        for name in re.findall(r"docs/figures/(\w+)\.png", text.read_text(encoding="utf-8"))
    }
    known = {name for kept in renew.RUNS.values() for name in kept.figures}
    assert shown <= known | {"bench"}
    assert {path.stem for path in Path("docs/figures").glob("*.png")} == known | {"bench"}


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text that shows what a run once found, beside what it found since."""
    monkeypatch.setattr(renew, "DOCS", tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/excerpt.txt").write_text(SUMMARY)
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
    with pytest.raises(CarveoutError, match=r"summary\.txt: wanted what run excerpt found"):
        renew.keep("excerpt", text.parent / "nowhere")


def test_of_a_benchmark_its_text_is_kept_and_no_effort(text: Path) -> None:
    results = text.parent / "bench"
    results.mkdir()
    (results / "bench.txt").write_text("cells: 3 s\n")
    renew.keep("growth", results)
    kept = [path.name for path in (text.parent / "runs").iterdir()]
    assert sorted(kept) == ["excerpt.txt", "growth.txt"]
    assert renew.kept_text("growth").read_text() == "cells: 3 s\n"


def test_what_a_run_took_is_counted_in_its_tables(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    trials = made_trials(2)
    ladder = '{"coarsest_permille":400,"finest_permille":100}'
    low = trials[(trials["load"] == "unmovable_pages") & (trials["outcome"] != "not_available")]
    low = low.assign(dose_target=10.0, dose_achieved=10.0, ladder=ladder)
    high = low.assign(dose_target=40.0, dose_achieved=40.0, trial_id=low["trial_id"] + "high")
    write_table("trials", pd.concat([low, high]), tables / "trials.parquet")
    write_table("runs", made_runs(2), tables / "runs.parquet")
    summary = summarize(read_table("trials", tables / "trials.parquet"))
    write_table("summary", summary, tables / "summary.parquet")
    summary = read_table("summary", tables / "summary.parquet")
    lost = summary["granted_mean_bytes"].mask(summary["dose_target"] == 40, 0)
    curves = describe_curves(summary.assign(granted_mean_bytes=lost), trials.iloc[:0])
    write_table("curves", curves, tables / "curves.parquet")
    # Two of the four doses from 10 to 40 %; half is lost somewhere in three of the steps.
    runs = made_runs(2)
    seconds = (runs["qemu_user_ns"] + runs["qemu_system_ns"]).sum() / 1e9
    turning = (curves["granted_most_bytes"] > 0).sum()
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials/cell.jsonl").write_bytes(bytes(len(runs) * 3_000))
    wall_s = runs["wall_ns"].mean() / 1e9
    table_bytes = sum(path.stat().st_size for path in tables.iterdir())
    each_kb = table_bytes / len(runs) / 1e3
    assert effort(tmp_path).splitlines() == [
        f"Boots 0, trials {len(runs)}; QEMU's processor time {seconds / 3600:.1f} h",
        f"Curves {len(curves)}, of which {turning} turn,"
        " 0 of them between two doses of the finest step",
        "Trials, of those of all doses at the finest step: 50%",
        f"A trial with its share of boots: {wall_s:.1f} s of one core's wall time,"
        f" {seconds / len(runs):.1f} s of QEMU's processor time",
        "On disk for each: trials 3.0 kB, runs 0.0 kB, journals 0.0 kB, logs 0.0 kB,"
        f" tables {each_kb:.1f} kB",
        f"A million such: {wall_s / 3.6e-3:,.0f} h of a core, {wall_s / 0.36:,.0f} h on 100 cores,"
        f" {3 + each_kb:,.0f} GB",
    ]
