# SPDX-License-Identifier: GPL-2.0-only
"""What was in the way: every lend that ended short is in one row, under what its trial says."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials

from carveout.statistics.blockers import list_blockers
from carveout.statistics.summarize import summarize
from carveout.tables.parquet import read_table, write_table
from carveout.tables.schema import COMPARABLE


@pytest.fixture
def trials(tmp_path: Path) -> pd.DataFrame:
    write_table("trials", made_trials(), tmp_path / "trials.parquet")
    return read_table("trials", tmp_path / "trials.parquet")


def some_short(trials: pd.DataFrame, count: int) -> pd.DataFrame:
    """Lends that ended short without a word, of one variant under one load, each of a trial."""
    rows = trials.iloc[:count].assign(
        **{name: trials[name].iloc[0] for name in (*COMPARABLE, "strategy", "variant", "load")},
        trial_id=[f"t{number}" for number in range(count)],
        **dict.fromkeys(("blocker", "errno", "reason")),
        explained=False,
        seed=range(1, count + 1),
        dose_target=10.0,
        cycle=1,
    )
    return rows.reset_index(drop=True)


def set_row(trials: pd.DataFrame, row: int, **columns: Any) -> None:
    for name, value in columns.items():
        trials[name] = trials[name].astype(object)
        trials.loc[row, name] = value


def page(pfn: int, kind: str, owner: str = "") -> str:
    return json.dumps({"flags": "", "owner": owner, "pfn": pfn, "type": kind}, sort_keys=True)


def test_the_table_fits_its_schema_and_counts_every_lend_once(
    trials: pd.DataFrame, tmp_path: Path
) -> None:
    blockers = list_blockers(trials)
    write_table("blockers", blockers, tmp_path / "blockers.parquet")
    short = int(trials["explained"].notna().sum())
    assert blockers["shorts"].sum() == summarize(trials)["short"].sum() == short > 0
    key = ["strategy", "variant", "load"]
    of_summary = summarize(trials).groupby(key)["short"].sum()
    of_blockers = blockers.groupby(key)["shorts"].sum().reindex(of_summary.index, fill_value=0)
    assert (of_blockers == of_summary).all()


def test_a_page_is_named_by_its_type_and_owner(trials: pd.DataFrame) -> None:
    short = some_short(trials, 4)
    set_row(short, 0, blocker=page(7, "slab", "alloc_inode,new_inode"), explained=True)
    set_row(short, 1, blocker=page(5, "slab", "alloc_inode,new_inode"), explained=True)
    set_row(short, 2, blocker=page(9, "slab"), explained=True)
    set_row(short, 3, blocker=page(1, "page table"), explained=True, errno="EPERM")
    found = list_blockers(short.iloc[::-1]).sort_values(["in_the_way", "shorts"])
    names = ["in_the_way", "owner", "count", "shorts", "example_trial_id", "example_pfn"]
    assert found[names].astype(object).where(found[names].notna(), None).to_numpy().tolist() == [
        ["page table", None, 1, 1, "t3", 1],
        ["slab", None, 1, 1, "t2", 9],
        ["slab", "alloc_inode,new_inode", 2, 2, "t0", 7],
    ]


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"reason": "host_needs_the_rest", "explained": True}, "host_needs_the_rest"),
        ({"reason": "device_is_full", "explained": True}, "device_is_full"),
        ({"errno": "EPERM", "explained": True}, "veto"),
        ({"errno": "ENOMEM"}, "unexplained"),
        ({"reason": "no_candidate"}, "unexplained"),
    ],
)
def test_where_no_page_is_named_it_is_told_what_else(
    trials: pd.DataFrame, columns: dict[str, Any], wanted: str
) -> None:
    short = some_short(trials, 1)
    set_row(short, 0, **columns)
    (row,) = list_blockers(short).to_dict("records")
    assert row["in_the_way"] == wanted
    assert pd.isna(row["example_pfn"])


def test_lends_of_one_trial_are_several_and_the_first_dose_is_the_example(
    trials: pd.DataFrame,
) -> None:
    short = some_short(trials, 3)
    set_row(short, 0, trial_id="two lends", cycle=2, dose_target=20.0)
    set_row(short, 1, trial_id="two lends", dose_target=20.0)
    set_row(short, 2, trial_id="another", dose_target=5.0)
    (row,) = list_blockers(short).to_dict("records")
    assert (row["count"], row["shorts"]) == (2, 3)
    assert (row["example_trial_id"], row["example_dose"]) == ("another", 5)


def test_where_all_was_granted_nothing_was_in_the_way(trials: pd.DataFrame, tmp_path: Path) -> None:
    blockers = list_blockers(trials[trials["outcome"] == "granted"])
    write_table("blockers", blockers, tmp_path / "blockers.parquet")
    assert blockers.empty
