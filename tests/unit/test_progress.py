# SPDX-License-Identifier: GPL-2.0-only
"""Progress: one file of a run, counted by all its jobs."""

from pathlib import Path

import pytest

from carveout.boots.progress import Progress, begin, describe


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
    begin(path, [3])
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
    begin(tmp_path / "progress", [2])
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
