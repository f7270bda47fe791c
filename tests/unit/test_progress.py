# SPDX-License-Identifier: GPL-2.0-only
"""Progress: one file of a run, counted by all its jobs."""

import re
from pathlib import Path
from typing import Any

import pytest

from carveout.boots.progress import Progress, begin, describe, errors, foretell
from carveout.common.sizes import GIB, MIB
from tests.unit.made_cells import made_cell


def test_a_line_says_what_is_done_the_rate_the_time_left_and_what_came_of_it() -> None:
    plan = {"trials": 45, "cells": 8, "start_s": 1000.0}
    lines = [*["trial completed granted refused"] * 9, "trial panic crashed crashed"]
    line = describe(plan, [*lines, "skip 5", "cell", "cell"], now_s=1060.0)
    assert line == (
        "carveout: 10/40 trials, 2/8 cells, 10 trials/min, 3:00 left; "
        "lends: 2 crashed, 9 granted, 9 refused; hosts: 1 panic"
    )


def test_jobs_count_into_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results" / "progress"
    begin(path, [made_cell(seeds=3)], cores=1, boots_each=False)
    capsys.readouterr()
    first = Progress(path)
    first.skip(1)
    first.count("completed", ["granted"])
    other = Progress(path)
    other.count("oom", ["crashed"])
    assert capsys.readouterr().err == "", "a job that has just begun has nothing to show"
    other.finish_cell()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("carveout: 2/2 trials, 1/1 cells")
    assert last.endswith("lends: 1 crashed, 1 granted; hosts: 1 oom")


def test_a_long_job_shows_where_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    begin(tmp_path / "progress", [made_cell(seeds=2)], cores=1, boots_each=False)
    capsys.readouterr()
    progress = Progress(tmp_path / "progress")
    now_s += 10
    progress.count("completed", ["partial"])
    progress.count("completed", ["partial"])
    shown = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in shown] == ["carveout: 1/2 trials"]


def test_a_runner_without_a_plan_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Progress(tmp_path / "progress").finish_cell()
    assert capsys.readouterr().err == ""


def test_a_run_says_how_long_it_takes_before_it_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path / "progress", [made_cell(seeds=2)], cores=1, boots_each=False)
    said = capsys.readouterr().err
    assert said.startswith("carveout: to make: 1 cells with 2 trials, which takes 0 min on 1 cores")
    begin(tmp_path / "nothing", [], cores=1, boots_each=False)
    assert capsys.readouterr().err == ""


def foretold(cores: int = 1, *, boots_each: bool = False, **members: Any) -> float:
    """The hours that are foretold for a thousand cells."""
    said = foretell([made_cell(**members)] * 1000, cores, boots_each=boots_each)
    (hours,) = re.findall(r"([0-9.]+) h on", said)
    return float(hours)


def test_what_takes_longer_is_foretold_to() -> None:
    few = foretold(seeds=4)
    assert foretold(seeds=40) > 5 * few
    assert foretold(seeds=4, ram_bytes=4 * GIB) > 2 * few
    assert foretold(cores=2, seeds=4) == pytest.approx(few / 2, abs=0.1)
    assert foretold(seeds=4, requests_bytes=(MIB,) * 100) > 50 * few
    assert foretold(seeds=4, boots_each=True) > 1.5 * few
    assert foretold(seeds=4, requests_bytes=(), question="census") > 0


def test_what_is_not_booted_takes_no_time_and_a_ladder_takes_more() -> None:
    away = made_cell(granule="1G")
    assert "0 cells with 0 trials, which takes 0 min" in foretell([away], 1, boots_each=False)
    climbs = made_cell(ladder={"finest_permille": 50, "resolution": 0.25})
    assert "1 cells with at least 1 trials, which takes at least " in foretell(
        [climbs, away], 1, boots_each=False
    )
    ends = made_cell(replication={"interval_width": 0.3, "least_seeds": 1})
    assert "with at most 1 trials" in foretell([ends], 1, boots_each=False)


def test_why_jobs_on_other_machines_failed_is_told_once(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress")
    for reason in ("node1: no QEMU", "node2: no room", "node1: no QEMU"):
        progress.fail(reason)
    progress.count("completed", ["granted"])
    assert errors(tmp_path / "progress") == ["node1: no QEMU", "node2: no room"]
    assert errors(tmp_path / "nothing") == []


def test_what_two_machines_tore_does_not_end_a_job() -> None:
    plan = {"trials": 4, "cells": 1, "start_s": 0.0}
    line = describe(plan, ["skip 1trial completed", "skip", "skip \0\0", "skip 1"], now_s=60.0)
    assert line.startswith("carveout: 0/3 trials")


def test_what_parts_have_made_before_is_not_planned(tmp_path: Path) -> None:
    begin(tmp_path / "progress", [made_cell(seeds=9)], cores=1, boots_each=False, made=6)
    assert '"trials": 3,' in (tmp_path / "progress").read_text()
