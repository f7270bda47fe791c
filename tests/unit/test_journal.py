# SPDX-License-Identifier: GPL-2.0-only
"""The journal: whole results of the same code and trials are kept, nothing else is."""

from pathlib import Path
from typing import Any

import pytest

from carveout.boots.journal import Journal

IDS = {1: "one", 2: "two"}


def result(seed: int, trial_id: str) -> dict[str, Any]:
    return {"trial": {"seed": seed, "trial_id": trial_id}, "run": {}}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "journals" / "cell.jsonl", "cell", "code")
    made.start([])
    made.add(result(1, "one"))
    made.add(result(2, "two"))
    return made


def test_what_was_made_is_found(journal: Journal) -> None:
    assert journal.read(IDS) == [result(1, "one"), result(2, "two")]


def test_a_line_that_was_cut_short_is_not(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "journals" / "cell.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert journal.read(IDS) == [result(1, "one")]


def test_trials_that_are_others_now_do_not_count(journal: Journal) -> None:
    assert journal.read({1: "one", 2: "another"}) == [result(1, "one")]


def test_other_code_or_cells_begin_anew(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "journals" / "cell.jsonl"
    assert Journal(path, "another cell", "code").read(IDS) == []
    assert Journal(path, "cell", "other code").read(IDS) == []
    assert journal.read(IDS), "what was opened before still reads its own"


def test_a_new_start_keeps_what_it_is_given(journal: Journal) -> None:
    journal.start([result(2, "two")])
    assert journal.read(IDS) == [result(2, "two")]
    journal.remove()
    assert journal.read(IDS) == []
