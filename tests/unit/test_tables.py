# SPDX-License-Identifier: GPL-2.0-only
"""Tables: same rows same bytes, and nothing that does not fit its schema."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from benchmarks.synthetic.trials import made_metadata, made_phases, made_runs, made_trials

from carveout.common.errors import CarveoutError
from carveout.tables.definitions import TABLES, TABLES_VERSION
from carveout.tables.parquet import read_metadata, read_table, write_table

MADE = {"trials": made_trials, "phases": made_phases, "runs": made_runs}


@pytest.mark.parametrize("name", MADE)
def test_a_table_comes_back_as_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.parquet"
    write_table(name, MADE[name](), path)
    read = read_table(name, path)
    assert list(read.columns) == list(TABLES[name].columns)
    write_table(name, read, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", MADE)
def test_same_rows_give_the_same_bytes_in_any_order_and_type(name: str, tmp_path: Path) -> None:
    frame = MADE[name]()
    shuffled = frame.sample(frac=1, random_state=3)[list(reversed(frame.columns))].astype(object)
    write_table(name, frame, tmp_path / "a.parquet", {"b": "2", "a": "1"})
    write_table(name, shuffled, tmp_path / "b.parquet", {"a": "1", "b": "2"})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_the_file_carries_the_given_metadata_and_nothing_else(tmp_path: Path) -> None:
    write_table("trials", made_trials(), tmp_path / "t.parquet", made_metadata())
    assert read_metadata(tmp_path / "t.parquet") == made_metadata() | {
        "tables_version": TABLES_VERSION
    }


def test_a_table_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.parquet"
    write_table("trials", made_trials(), path)
    old = pyarrow.parquet.read_table(path)
    for metadata, found in ((None, "1"), ({"tables_version": "9"}, "9")):
        pyarrow.parquet.write_table(old.replace_schema_metadata(metadata), path)
        with pytest.raises(CarveoutError, match=f"wanted tables version .*, found {found}; CHANGE"):
            read_table("trials", path)


def test_an_empty_table_can_be_written_and_read(tmp_path: Path) -> None:
    write_table("runs", made_runs().iloc[:0], tmp_path / "runs.parquet")
    assert read_table("runs", tmp_path / "runs.parquet").empty


def test_reading_some_rows_and_columns(tmp_path: Path) -> None:
    write_table("phases", made_phases(), tmp_path / "phases.parquet")
    read = read_table(
        "phases", tmp_path / "phases.parquet", ["phase", "cycle"], {"strategy": "cma", "seed": 1}
    )
    assert list(read["phase"]) == ["before", "lent", "after"]


def change(**columns: Any) -> pd.DataFrame:
    return made_trials().assign(**columns)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (made_trials().drop(columns="seed"), ["missing: seed"]),
        (change(extra=1), ["unknown: extra"]),
        (change(seed="one"), ["Int64", "column seed"]),
        (change(granted_bytes=0.5), ["Int64", "column granted_bytes"]),
        (change(seed=-1), ["column seed", "-1"]),
        (change(outcome="lost"), ["column outcome", "lost"]),
        (change(kernel=None), ["column kernel"]),
        (change(dose_target=101), ["column dose_target", "101"]),
        (change(outcome="granted", granted_bytes=0), ["granted_bytes >= request_bytes"]),
        (change(outcome="refused", granted_bytes=5), ["refused", "granted_bytes = 0"]),
        (change(outcome="partial"), ["partial"]),
        (change(outcome="crashed", cause=None), ["crashed", "cause"]),
        (change(trial_id="same"), ["one row for each trial_id, cycle"]),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(
    frame: pd.DataFrame, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "trials.parquet"
    with pytest.raises(CarveoutError) as error:
        write_table("trials", frame, path)
    assert all(word in str(error.value) for word in [*words, "trials.parquet"])
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    write_table("runs", made_runs(), tmp_path / "runs.parquet")
    with pytest.raises(CarveoutError, match="table trials"):
        read_table("trials", tmp_path / "runs.parquet")


@pytest.mark.parametrize("content", [None, b"no parquet"])
def test_a_missing_or_broken_file_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "trials.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CarveoutError, match=r"trials\.parquet"):
        read_table("trials", path)
