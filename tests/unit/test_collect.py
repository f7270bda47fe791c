# SPDX-License-Identifier: GPL-2.0-only
"""From the files of cells to tables: all rows of all cells, or one line and nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.synthetic.records import (
    accounts,
    cell,
    census,
    run,
    trial,
    whole_cycle,
    write_kernel,
)

from carveout.collection.collect import collect
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.common.sizes import GIB, MIB, parse_size
from carveout.records.channel import RECORDS_VERSION
from carveout.records.lines import sealed_lines
from carveout.study.cell import CellPath
from carveout.tables.parquet import read_metadata, read_table

CELL = CellPath("debian-6.12", "4GiB", "cma", "area", "idle.twice.page")
TABLE_NAMES = ("trials", "phases", "runs")


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
