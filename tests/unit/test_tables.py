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
    for metadata, found in ((None, "1"), ({"tables_version": "0"}, "0")):
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
        (change(outcome="crashed", cause=None), ["a host that died has a cause"]),
        (change(outcome="load_killed", cause="panic"), ["killed by lack of memory"]),
        (change(asked_bytes=2**40), ["no more is asked of the strategy"]),
        (change(trial_id="same"), ["one row for each kernel, trial_id, cycle"]),
        (change(lend_map_ns=7), ["lend_ns is the sum of its parts", "cycle 1"]),
        (change(lend_rest_ns=change()["lend_rest_ns"] + 5), ["which is -5"]),
        (change(zero_pages=0), ["zero_ns is known where, and only where"]),
        (change(zero_ns=None), ["zero_ns is known where, and only where"]),
        (change(cma_area_bytes=0), ["movable_only_bytes is cma_area_bytes + movable_zone"]),
        (change(cma_used_bytes=2**40), ["cma_used_bytes is a part"]),
        (change(reuse_unmovable_untried_bytes=0), ["null where nothing was lent"]),
        (change(reuse_movable_address_bytes=2**40), ["null where nothing was lent"]),
        (change(returned_bytes=5), ["no more comes back than was given back"]),
        (change(verify="ok"), ["where nothing was lent, no verification is ok"]),
        (change(vm_outcome="ran"), ["a VM that ran says in how many pages"]),
        (
            change(vm_outcome="ran", vm_pages_checked=change()["lent_bytes"] // 4096 + 1),
            ["VMs that ran were in all that was lent"],
        ),
        (change(refused_by=None), ["a refused row says who refused"]),
        (change(errno=None, reason=None), ["the kernel's errno or a reason"]),
        (change(refused_by="shell", errno="EBUSY"), ["an errno is the kernel's or a driver's"]),
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


def balanced(**columns: Any) -> pd.DataFrame:
    """Censuses with other values in some columns, by as much as `free` has less."""
    changed = made_phases().assign(**columns)
    more = sum(changed[name] - made_phases()[name] for name in columns if name.startswith("acc"))
    return changed.assign(account_free_bytes=changed["account_free_bytes"] - more)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            made_phases().assign(account_lent_bytes=made_phases()["account_lent_bytes"] + 4096),
            ["accounts sum to ram_bytes", "which is +4096", "cycle 1, phase before"],
        ),
        (balanced(account_hidden_bytes=4096), ["stranded_bytes is the sum of its accounts"]),
        (balanced(account_cma_used_bytes=4096), ["movable_only_bytes is the sum"]),
        (balanced(account_reserved_bytes=4096), ["serving_bytes is the sum of its accounts"]),
        (balanced(memmap_counter_bytes=4096), ["memmap_bytes is what the kernel counts"]),
        (balanced(memmap_lent_bytes=2**40), ["memmap_lent_bytes is a part of"]),
        (made_phases().assign(pageblocks="FMURCXLPDAZ"), ["letters of FMURCXLPDA"]),
    ],
)
def test_books_that_do_not_balance_are_refused(
    frame: pd.DataFrame, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(CarveoutError) as error:
        write_table("phases", frame, tmp_path / "phases.parquet")
    assert [word for word in words if word not in str(error.value)] == [], error.value


def test_a_kernel_that_does_not_count_its_memmap_is_no_contradiction(tmp_path: Path) -> None:
    for counter in (0, None):
        frame = balanced(memmap_counter_bytes=counter)
        write_table("phases", frame, tmp_path / "phases.parquet")


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
