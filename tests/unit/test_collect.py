# SPDX-License-Identifier: GPL-2.0-only
"""From records to rows: every trial makes its rows, whatever became of its guest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.synthetic.records import (
    KERNEL_FACTS,
    RAM_BYTES,
    cell,
    run,
    trial,
    whole_cycle,
    write_kernel,
)

from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.common.sizes import GIB, MIB, parse_size
from carveout.study.cell import CellPath
from carveout.tables.collect import collect
from carveout.tables.parquet import read_metadata, read_table
from carveout.tables.rows import TrialRows

CELL = CellPath("debian-6.12", "4GiB", "cma", "area", "idle-0.twice")
TABLE_NAMES = ("trials", "phases", "runs")


def rows(records: list[dict[str, Any]], cause: str | None = None) -> list[dict[str, Any]]:
    rows = TrialRows()
    rows.add({**KERNEL_FACTS, **trial(records, cause)})
    made: list[dict[str, Any]] = rows.tables()["trials"].to_pylist()
    return made


def test_a_trial_that_ends_well() -> None:
    first, second = rows(whole_cycle(1, 256 * MIB) + whole_cycle(2, 0))
    assert (first["outcome"], second["outcome"]) == ("granted", "refused")
    assert first["scenario"] == "idle-10.twice"
    assert first["regained_bytes"] == 256 * MIB
    assert first["memmap_lent_bytes"] == 4 * MIB
    assert first["verify"] == "ok"
    assert first["stranded_bytes"] == 0


def test_less_than_asked_is_partial() -> None:
    assert rows(whole_cycle(1, 254 * MIB))[0]["outcome"] == "partial"


@pytest.mark.parametrize("fault", ["pages_bad", "pages_overlapping", "pages_free"])
def test_one_wrong_page_fails_the_verification(fault: str) -> None:
    records = whole_cycle(1, 256 * MIB)
    next(r for r in records if r["record"] == "verify")[fault] = 1
    assert rows(records)[0]["verify"] == "failed"


def test_a_page_that_was_not_checked_fails_the_verification() -> None:
    records = whole_cycle(1, 256 * MIB)
    next(r for r in records if r["record"] == "verify")["pages_checked"] -= 1
    assert rows(records)[0]["verify"] == "failed"


def test_absent_frames_need_no_pattern() -> None:
    records = whole_cycle(1, 256 * MIB)
    next(r for r in records if r["record"] == "verify")["pages_checked"] = 0
    lent = next(r for r in records if r.get("phase") == "lent")
    lent["lent_absent_bytes"] = 256 * MIB
    assert rows(records)[0]["verify"] == "ok"


@pytest.mark.parametrize("cause", ["oom", "panic", "hang", "wall_limit", "torn_records"])
def test_a_guest_that_dies_before_its_first_request(cause: str) -> None:
    first, second = rows([], cause)
    assert (first["outcome"], first["cause"], first["stage"]) == ("crashed", cause, "load")
    assert (second["outcome"], second["cause"], second["stage"]) == (
        "crashed",
        cause,
        "earlier_cycle",
    )
    assert first["message"] == f"it was a {cause}"
    assert first["lend_ns"] is None


def test_a_guest_that_dies_in_its_second_cycle() -> None:
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 256 * MIB)[:7]
    first, second = rows(records, "panic")
    assert first["outcome"] == "granted"
    assert (second["outcome"], second["stage"]) == ("crashed", "verify")
    assert second["granted_bytes"] == 256 * MIB


def test_hidden_memory_and_idle_huge_pages_are_stranded() -> None:
    records = whole_cycle(1, 0)
    records[1] |= {"present_bytes": RAM_BYTES - 1024 * MIB, "hugetlb_unlent_bytes": 2 * MIB}
    assert rows(records)[0]["stranded_bytes"] == 1026 * MIB


def written(folder: Path, cells: Mapping[CellPath, Sequence[Mapping[str, Any]]]) -> Path:
    """A results folder with the outputs of cells."""
    for name, trials in cells.items():
        for kind, lines in (("trials", trials), ("runs", [run(made) for made in trials])):
            path = folder / kind / f"{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
        write_kernel(folder, name.kernel)
    return folder


def some_cells() -> dict[CellPath, list[dict[str, Any]]]:
    """Two cells on each of two machines, one of which stopped early, and one trial that died."""
    cells: dict[CellPath, list[dict[str, Any]]] = {}
    for ram, scenario, seeds in (
        *(("4GiB", "idle-0.twice", 5), ("4GiB", "page_cache-10.twice", 1)),
        *(("16GiB", "idle-0.twice", 2), ("16GiB", "page_cache-10.twice", 0)),
    ):
        load, dose = scenario.removesuffix(".twice").split("-")
        members = {
            "cell": cell(ram_bytes=parse_size(ram, ""), load=load, dose_percent=int(dose)),
            "trial_id": ram + scenario,
        }
        records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 0)
        cells[replace(CELL, ram=ram, scenario=scenario)] = [
            trial([] if seed == 2 else records, "panic" if seed == 2 else None, **members)
            | {"seed": seed, "trial_id": f"{ram}-{scenario}-{seed}"}
            for seed in range(1, seeds + 1)
        ]
    return cells


def digests(results: Path) -> list[str]:
    return [sha256_of(results / "tables" / f"{name}.parquet") for name in TABLE_NAMES]


def test_trials_on_another_kernel_of_the_same_name_are_refused(tmp_path: Path) -> None:
    cells = some_cells()
    first = next(iter(cells.values()))
    first[1] |= {"digests": first[1]["digests"] | {"kernel": "ab" * 32}}
    with pytest.raises(CarveoutError, match=r"found one on abababababab; .* remove the file"):
        collect(written(tmp_path, cells), cells)


def test_trials_of_another_format_are_refused(tmp_path: Path) -> None:
    cells = some_cells()
    del next(iter(cells.values()))[0]["records_version"]
    with pytest.raises(CarveoutError, match="wanted trials of records version 2, found 1; CHANGE"):
        collect(written(tmp_path, cells), cells)


def test_collection_makes_all_rows_of_all_cells(tmp_path: Path) -> None:
    cells = some_cells()
    collect(written(tmp_path, cells), cells)
    tables = {
        name: read_table(name, tmp_path / "tables" / f"{name}.parquet") for name in TABLE_NAMES
    }
    assert [len(tables[name]) for name in TABLE_NAMES] == [16, 36, 8]
    assert tables["trials"]["ram_bytes"].is_monotonic_increasing
    assert (tables["trials"]["trials_asked"] == 5).all()
    assert set(tables["runs"]["ram_bytes"]) == {4 * GIB, 16 * GIB}
    assert (
        read_metadata(tmp_path / "tables" / "phases.parquet")["qemu_version"] == "7.2.22 (Debian)"
    )


@pytest.mark.parametrize(("processes", "piece_bytes"), [(1, 3000), (1, 30_000), (2, 30_000)])
def test_the_tables_are_the_same_however_they_are_collected(
    processes: int, piece_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = some_cells()
    results = written(tmp_path, cells)
    collect(results, cells)
    wanted = digests(results)
    monkeypatch.setattr("carveout.tables.collect._PIECE_BYTES", piece_bytes)
    collect(results, list(reversed(cells)), processes)
    assert digests(results) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["idle-0.twice.jsonl", "No such file"]),
        ('{"cut', ["idle-0.twice.jsonl", "wanted an object a line"]),
        ("twice", ["found 2 of the id"]),
        ("backwards", ["wanted rows in the order of", "seed"]),
    ],
)
def test_what_cannot_be_collected_is_one_line_and_leaves_nothing(
    text: str | None, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that a piece has no more than one trial: what is wrong lies between pieces.
    monkeypatch.setattr("carveout.tables.collect._PIECE_BYTES", 500)
    cells = {CELL: [trial([], "oom", seed=seed, trial_id=str(seed)) for seed in (1, 2)]}
    if text == "twice":
        other = {"cell": cell(ram_bytes=16 * GIB)}
        cells[replace(CELL, ram="16GiB")] = [made | other for made in cells[CELL]]
    path = written(tmp_path, cells) / "trials" / f"{CELL}.jsonl"
    if text is None:
        path.unlink()
    elif text == "backwards":
        path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    elif text != "twice":
        path.write_text(text)
    with pytest.raises(CarveoutError) as error:
        collect(tmp_path, cells)
    assert [word for word in words if word not in str(error.value)] == [], error.value
    assert "\n" not in str(error.value)
    assert not any((tmp_path / "tables").glob("*"))


def test_what_is_no_column_type_is_one_line(tmp_path: Path) -> None:
    cells = {CELL: [trial([], "oom", seed="one")]}
    with pytest.raises(CarveoutError, match="table trials"):
        collect(written(tmp_path, cells), cells)


def test_what_this_version_does_not_write_is_found_among_many_files(tmp_path: Path) -> None:
    cells = some_cells()
    wrong = [name for name, trials in cells.items() if trials][1]
    del cells[wrong][0]["records"]
    with pytest.raises(CarveoutError, match=f"{wrong}.jsonl.*KeyError: 'records'"):
        collect(written(tmp_path, cells), cells)
