# SPDX-License-Identifier: GPL-2.0-only
"""Progress: one file of a run, counted by all its jobs."""

from collections import Counter
from pathlib import Path

import pytest

from carveout.progress import Progress, begin, describe


def test_a_line_says_what_is_done_the_rate_and_the_time_left() -> None:
    plan = {"trials": 40, "cells": 8, "start_s": 1000.0}
    line = describe(plan, Counter(completed=9, panic=1, cell=2), now_s=1060.0)
    assert line == (
        "carveout: 10/40 trials, 2/8 cells, 10.0 trials/min, 3:00 left (9 completed, 1 panic)"
    )


def test_jobs_count_into_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results" / "progress"
    begin(path, trials=2, cells=1)
    Progress(path).count("completed")
    other = Progress(path)
    other.count("oom")
    other.finish_cell()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("carveout: 2/2 trials, 1/1 cells")
    assert last.endswith("(1 completed, 1 oom)")


def test_a_runner_without_a_plan_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Progress(tmp_path / "progress").count("completed")
    assert capsys.readouterr().err == ""
