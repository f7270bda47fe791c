# SPDX-License-Identifier: GPL-2.0-only
"""The journal: results of the same code and trials are taken over, nothing else is."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from carveout.boots.journal import Journal
from carveout.records.lines import read_line
from carveout.study.cell import Point

IDS = {Point(50, 1): "one", Point(50, 2): "two"}


def result(
    seed: int, trial_id: str, *, cause: str | None = None, made_by: str = "code"
) -> dict[str, Any]:
    trial = {"dose_permille": 50, "seed": seed, "trial_id": trial_id, "ending": {"cause": cause}}
    return {"trial": trial, "run": {"trial_id": trial_id, "made_by": made_by}}


def boot(boot_id: str, wall_ns: int = 1) -> dict[str, Any]:
    return {"run": {"trial_id": boot_id, "made_by": "code", "wall_ns": wall_ns}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journals/cell.jsonl"


@pytest.fixture
def journal(path: Path) -> Journal:
    made = Journal(path, "code")
    made.start([])
    made.add(boot("boot"))
    made.add(result(1, "one"))
    made.add(result(2, "two"))
    return made


def test_what_was_made_is_found(journal: Journal) -> None:
    assert journal.trials(IDS) == [result(1, "one"), result(2, "two")]
    assert journal.boots("boot") == [boot("boot")]


def test_a_line_that_was_cut_short_is_not(journal: Journal, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])
    assert journal.trials(IDS) == [result(1, "one")]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"run": 3}', '{"run": {"made_by": "code"}'])
def test_a_line_that_is_no_result_is_as_if_it_were_not_there(
    journal: Journal, path: Path, line: str
) -> None:
    path.write_text(f"{line}\n{path.read_text()}")
    assert journal.trials(IDS) == [result(1, "one"), result(2, "two")]


def test_a_line_in_which_a_digit_was_changed_is_not(journal: Journal, path: Path) -> None:
    path.write_text(path.read_text().replace('"dose_permille":50', '"dose_permille":51', 1))
    assert journal.trials(IDS) == [result(2, "two")]
    assert journal.trials(IDS | {Point(51, 1): "one"}) == [result(2, "two")]


def test_trials_that_are_others_now_do_not_count(journal: Journal) -> None:
    assert journal.trials({Point(50, 1): "one", Point(50, 2): "another"}) == [result(1, "one")]
    assert journal.trials({Point(50, 1): "one"}) == [result(1, "one")]
    assert journal.boots("another") == []


def test_what_other_code_has_made_does_not_count(journal: Journal, path: Path) -> None:
    assert Journal(path, "other code").trials(IDS) == []
    assert Journal(path, "other code").boots("boot") == []
    assert journal.trials(IDS), "what was opened before still reads its own"


def test_of_two_boots_the_last_counts(journal: Journal) -> None:
    journal.add(boot("boot", wall_ns=2))
    assert journal.boots("boot") == [boot("boot", wall_ns=2)]


def test_a_new_start_keeps_what_it_is_given(journal: Journal) -> None:
    journal.start([result(2, "two")])
    assert journal.trials(IDS) == [result(2, "two")]


def test_a_packed_journal_outlives_its_job(journal: Journal, path: Path) -> None:
    journal.pack([boot("boot"), result(1, "one"), result(2, "two")])
    assert not path.exists()
    again = Journal(path, "code")
    assert again.trials(IDS) == [result(1, "one"), result(2, "two")]
    assert again.boots("boot") == [boot("boot")]
    packed = path.with_suffix(".jsonl.gz")
    assert len(gzip.decompress(packed.read_bytes()).splitlines()) == 3
    whole = packed.read_bytes()
    for damaged in (whole[:-9], whole[:20] + bytes(20) + whole[40:], b"no gzip"):
        packed.write_bytes(damaged)
        assert again.trials(IDS) == [], "a damaged one is as if it were not there"


def test_what_was_packed_before_is_kept(journal: Journal, path: Path) -> None:
    journal.pack([result(1, "one"), result(2, "two")])
    fewer = Journal(path, "code")
    fewer.start([result(1, "one")])
    fewer.pack([result(1, "one")])
    assert journal.trials(IDS) == [result(1, "one"), result(2, "two")]
    other = Journal(path, "other code")
    other.pack([result(1, "one", made_by="other code")])
    assert journal.trials(IDS) == [], "but nothing of other code"


def test_the_same_results_pack_to_the_same_bytes(journal: Journal, path: Path) -> None:
    journal.start([])
    journal.pack([result(1, "one")])
    first = path.with_suffix(".jsonl.gz").read_bytes()
    journal.pack([result(1, "one")])
    assert path.with_suffix(".jsonl.gz").read_bytes() == first
    assert read_line(gzip.decompress(first)) == result(1, "one")
