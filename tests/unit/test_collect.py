# SPDX-License-Identifier: GPL-2.0-only
"""From records to rows: every trial makes its rows, whatever became of its guest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.synthetic.records import (
    KERNEL_FACTS,
    ZERO_NS_A_PAGE,
    accounts,
    cell,
    census,
    run,
    trial,
    whole_cycle,
    write_kernel,
)

from carveout.collection.collect import collect
from carveout.collection.rows import TrialRows
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.common.sizes import GIB, MIB, parse_size
from carveout.records.channel import RECORDS_VERSION
from carveout.records.lines import sealed_lines
from carveout.study.cell import CellPath
from carveout.tables.parquet import read_metadata, read_table
from carveout.tables.rules import REUSE_COLUMNS

CELL = CellPath("debian-6.12", "4GiB", "cma", "area", "idle.twice.page")
TABLE_NAMES = ("trials", "phases", "runs")


def rows(records: list[dict[str, Any]], cause: str | None = None) -> list[dict[str, Any]]:
    rows = TrialRows()
    rows.add({**KERNEL_FACTS, **trial(records, cause)})
    made: list[dict[str, Any]] = rows.tables()["trials"].to_pylist()
    return made


def test_a_trial_that_ends_well() -> None:
    first, second = rows(whole_cycle(1, 256 * MIB) + whole_cycle(2, 0))
    assert (first["outcome"], second["outcome"]) == ("granted", "refused")
    assert (first["scenario"], first["dose_target"]) == ("idle.twice.page", 10)
    assert first["regained_bytes"] == 256 * MIB
    assert first["kept_back_bytes"] == 0
    assert first["physical_bytes"] == 410 * MIB
    assert first["scribbled_bytes"] == 2744 * MIB
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
    lent["accounts"] = accounts(machine=256 * MIB)
    assert rows(records)[0]["verify"] == "ok"


@pytest.mark.parametrize("cause", ["oom", "panic", "hang", "torn_records"])
def test_a_guest_that_dies_before_its_first_request(cause: str) -> None:
    first, second = rows([], cause)
    outcome = "load_refused" if cause == "oom" else "crashed"
    assert (first["outcome"], first["cause"], first["stage"]) == (outcome, cause, "load")
    assert (second["outcome"], second["cause"], second["stage"]) == (
        outcome,
        cause,
        "earlier_cycle",
    )
    assert first["message"] == f"it was a {cause}"
    assert first["lend_ns"] is None


def test_a_load_that_a_lend_killed_is_told_from_one_that_did_not_fit() -> None:
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 256 * MIB)[:3]
    first, second = rows(records, "oom")
    assert first["outcome"] == "granted"
    assert (second["outcome"], second["stage"]) == ("load_killed", "lend")
    assert second["asked_bytes"] is None


def test_what_a_careful_monitor_asked_for_is_beside_the_request() -> None:
    records = whole_cycle(1, 96 * MIB, {"asked_bytes": 100 * MIB})
    row = rows(records)[0]
    assert (row["outcome"], row["asked_bytes"], row["reserve_bytes"]) == (
        *("partial", 100 * MIB, 32 * MIB),
    )


def test_a_guest_that_dies_in_its_second_cycle() -> None:
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 256 * MIB)[:7]
    first, second = rows(records, "panic")
    assert first["outcome"] == "granted"
    assert (second["outcome"], second["stage"]) == ("crashed", "verify")
    assert second["granted_bytes"] == 256 * MIB


def with_accounts(phase: str, **held: int) -> list[dict[str, Any]]:
    """Returns a cycle that lends 256 MiB, one census of which has other books."""
    records = whole_cycle(1, 256 * MIB)
    census = next(r for r in records if r.get("phase") == phase)
    census["accounts"] = accounts(**held)
    return records


def test_stranded_is_what_linux_cannot_use() -> None:
    held = {"hidden": MIB, "no_map": 2 * MIB, "pool_idle": 4 * MIB}
    held |= {"offline": 8 * MIB, "device": 16 * MIB}
    assert rows(with_accounts("before", **held))[0]["stranded_bytes"] == 31 * MIB


def test_movable_only_counts_a_frame_once_and_tells_its_parts_apart() -> None:
    held = {"cma_idle": 40 * MIB, "cma_used": 24 * MIB}
    held |= {"movable_zone_free": 40 * MIB, "movable_zone_used": 3 * MIB}
    row = rows(with_accounts("before", **held))[0]
    assert row["movable_only_bytes"] == 107 * MIB
    assert (row["cma_area_bytes"], row["movable_zone_bytes"]) == (64 * MIB, 43 * MIB)
    assert row["cma_used_bytes"] == 24 * MIB


def test_who_saves_memmap_while_it_lends_loses_nothing_to_it() -> None:
    """Onlining memory again costs memmap: what serves Linux is as before, and no less."""
    records = whole_cycle(1, 256 * MIB)
    lent = next(r for r in records if r.get("phase") == "lent")
    lent["accounts"] = accounts(machine=256 * MIB, memmap_host=60 * MIB)
    row = rows(records)[0]
    assert row["regained_bytes"] == 252 * MIB
    assert row["kept_back_bytes"] == 0


def test_what_stays_behind_is_kept_back() -> None:
    row = rows(with_accounts("after", pool_idle=2 * MIB))[0]
    assert row["kept_back_bytes"] == 2 * MIB
    assert row["regained_bytes"] == 254 * MIB


def test_nothing_comes_back_where_nothing_was_granted() -> None:
    """Else the cycle before would be told of again."""
    records = whole_cycle(1, 256 * MIB) + whole_cycle(2, 0)
    first, second = rows(records)
    assert first["reuse_movable_bytes"] == 192 * MIB
    assert first["reuse_movable_address_bytes"] == 32 * MIB
    assert first["reuse_movable_untried_bytes"] == 32 * MIB
    assert first["reuse_unmovable_bytes"] == 0
    assert {second[name] for name in REUSE_COLUMNS} == {None}
    stale = {**next(r for r in records if r["record"] == "reuse"), "cycle": 2}
    assert {rows([*records, stale])[1][name] for name in REUSE_COLUMNS} == {None}


def test_a_refusal_says_whose_word_it_is() -> None:
    mine = {"refused_by": "carveout", "reason": "no_candidate", "errno": None, "attempts": 7}
    log = {"kernel_log": "cma: number of available pages: 32768"}
    row = rows(whole_cycle(1, 0, {"stage": "search", **mine, **log}))[0]
    assert row.items() >= {"stage": "search", **mine, **log}.items()


def test_the_clearing_of_single_pages_is_no_part_of_a_lend() -> None:
    cost = {"search_ns": 1, "migrate_ns": 2, "reclaim_ns": 3, "map_ns": 5000, "rest_ns": 4}
    lent = {"lend_ns": 5010, "costs": cost, "cleared_pages": 3, "content_ns": 70}
    row = rows(whole_cycle(1, 256 * MIB, lent))[0]
    assert row["lend_map_ns"] == 5000 - 3 * ZERO_NS_A_PAGE
    assert row["lend_ns"] == 5010 - 3 * ZERO_NS_A_PAGE
    assert row["content_ns"] == 70 + 3 * ZERO_NS_A_PAGE
    assert row["zero_ns"] == row["zero_pages"] * ZERO_NS_A_PAGE
    lent["cleared_pages"] = 1000
    row = rows(whole_cycle(1, 256 * MIB, lent))[0]
    assert (row["lend_map_ns"], row["lend_ns"]) == (0, 10)


def test_where_no_page_was_cleared_to_compare_with_nothing_is_moved() -> None:
    lent = {"lend_ns": 1000, "cleared_pages": 3}
    row = rows(whole_cycle(1, 0, lent))[0]
    assert (row["lend_ns"], row["content_ns"]) == (1000, 0)
    assert (row["zero_ns"], row["zero_pages"]) == (None, 0)


def test_a_request_of_which_nothing_was_granted_has_no_verdict() -> None:
    assert rows(whole_cycle(1, 0))[0]["verify"] == "not_checked"
    records = whole_cycle(1, 0)
    next(r for r in records if r["record"] == "verify")["pages_overlapping"] = 1
    assert rows(records)[0]["verify"] == "failed"


def test_a_page_that_is_neither_checked_nor_in_the_machine_fails_the_verification() -> None:
    records = with_accounts("lent", machine=128 * MIB, lent=128 * MIB)
    verify = next(r for r in records if r["record"] == "verify")
    verify["pages_checked"] = 128 * MIB // 4096
    assert rows(records)[0]["verify"] == "ok"
    verify["pages_checked"] -= 1
    assert rows(records)[0]["verify"] == "failed"


def written(folder: Path, cells: Mapping[CellPath, Sequence[Mapping[str, Any]]]) -> Path:
    """A results folder with the outputs of cells."""
    for name, trials in cells.items():
        for kind, lines in (("trials", trials), ("runs", [run(made) for made in trials])):
            path = folder / kind / f"{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sealed_lines(lines))
        write_kernel(folder, name.kernel)
    return folder


def some_cells() -> dict[CellPath, list[dict[str, Any]]]:
    """Three cells on two machines, one of which stopped early, and one trial that died."""
    cells: dict[CellPath, list[dict[str, Any]]] = {}
    for ram, scenario, seeds in (
        *(("4GiB", "idle.twice.page", 5), ("4GiB", "page_cache.twice.page", 1)),
        ("16GiB", "idle.twice.page", 2),
    ):
        ram_bytes = parse_size(ram, "")
        load = scenario.removesuffix(".twice.page")
        members = {
            "cell": cell(ram_bytes=ram_bytes, load=load),
            "trial_id": ram + scenario,
        }
        records = whole_cycle(1, 256 * MIB, ram_bytes=ram_bytes)
        records += whole_cycle(2, 0, ram_bytes=ram_bytes)
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
    with pytest.raises(
        CarveoutError, match=f"wanted trials of records version {RECORDS_VERSION}, found 1; CHANGE"
    ):
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


def test_a_host_that_was_only_counted_is_in_the_censuses_alone(tmp_path: Path) -> None:
    nothing = replace(CELL, scenario="idle.nothing.page")
    counted = cell(requests="nothing", requests_bytes=[], question="census")
    counted_trial = trial([census(1, "before")], cell=counted, trial_id="counted")
    cells = some_cells() | {nothing: [counted_trial]}
    collect(written(tmp_path, cells), cells)
    phases, trials = (
        read_table(name, tmp_path / "tables" / f"{name}.parquet") for name in ("phases", "trials")
    )
    (row,) = phases[phases["request_bytes"].isna()].to_dict("records")
    assert (row["trial_id"], row["phase"], row["memmap_bytes"]) == ("counted", "before", 64 * MIB)
    assert row["page_bytes"] == 4096
    assert "counted" not in set(trials["trial_id"])
    assert len(trials) == 16


def test_two_kernels_that_are_the_same_to_the_bit_have_the_same_trials(tmp_path: Path) -> None:
    cells = some_cells()
    others = {
        replace(path, kernel="commented"): [
            {**made, "cell": {**made["cell"], "kernel": "commented"}} for made in trials
        ]
        for path, trials in cells.items()
    }
    collect(written(tmp_path, cells | others), cells | others)
    trials = read_table("trials", tmp_path / "tables" / "trials.parquet")
    assert len(trials) == 32
    assert trials["trial_id"].nunique() == 8
    assert set(trials["kernel"]) == {"commented", "debian-6.12"}


@pytest.mark.parametrize(("processes", "piece_bytes"), [(1, 3000), (1, 30_000), (2, 30_000)])
def test_the_tables_are_the_same_however_they_are_collected(
    processes: int, piece_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = some_cells()
    results = written(tmp_path, cells)
    collect(results, cells)
    wanted = digests(results)
    monkeypatch.setattr("carveout.collection.collect._PIECE_BYTES", piece_bytes)
    collect(results, list(reversed(cells)), processes)
    assert digests(results) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["idle.twice.page.jsonl", "No such file"]),
        ('{"cut', ["idle.twice.page.jsonl", "wanted lines as the runner wrote them"]),
        ("twice", ["found 2 of the id"]),
        ("backwards", ["wanted rows in the order of", "seed"]),
    ],
)
def test_what_cannot_be_collected_is_one_line_and_leaves_nothing(
    text: str | None, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that a piece has no more than one trial: what is wrong lies between pieces.
    monkeypatch.setattr("carveout.collection.collect._PIECE_BYTES", 500)
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


@pytest.mark.parametrize(("trials", "runs"), [(1, 2), (2, 1), (0, 2), (0, 0)])
def test_a_cell_whose_files_lack_lines_is_refused(trials: int, runs: int, tmp_path: Path) -> None:
    written(tmp_path, {CELL: [trial([], "oom", seed=seed, trial_id=str(seed)) for seed in (1, 2)]})
    for kind, kept in {"trials": trials, "runs": runs}.items():
        path = tmp_path / kind / f"{CELL}.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    found = rf"page\.jsonl: wanted the {runs} trials of .*, found {trials}; remove both files"
    with pytest.raises(CarveoutError, match=found):
        collect(tmp_path, [CELL])


def test_a_census_that_does_not_balance_says_whose_and_by_how_much(tmp_path: Path) -> None:
    cells = some_cells()
    records = cells[CELL][2]["records"]
    lent = [record for record in records if record.get("phase") == "lent"][1]
    lent["accounts"] = lent["accounts"] | {"free": lent["accounts"]["free"] - 4096}
    wanted = (
        "wanted: the accounts sum to ram_bytes; found 4294963200 and 4294967296, which is -4096, "
        "for kernel debian-6.12, trial_id 4GiB-idle.twice.page-3, cycle 2, phase lent"
    )
    with pytest.raises(CarveoutError, match=wanted):
        collect(written(tmp_path, cells), cells)


def test_a_census_with_less_lent_than_was_granted_is_refused(tmp_path: Path) -> None:
    cells = some_cells()
    last = replace(CELL, ram="16GiB")
    lent = next(r for r in cells[last][0]["records"] if r.get("phase") == "lent")
    lent["accounts"] = accounts(lent=256 * MIB - 4096)
    wanted = (
        rf"{last}\.jsonl: trial 16GiB-idle.twice.page-1, cycle 1: wanted at least the 268435456 "
        "bytes that were taken in lent . machine of the census, found 268431360"
    )
    with pytest.raises(CarveoutError, match=wanted):
        collect(written(tmp_path, cells), cells)


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
