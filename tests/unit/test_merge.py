# SPDX-License-Identifier: GPL-2.0-only
"""Results of parts become those of one run; what contradicts or does not belong is refused."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carveout.archive.lockfile import Entry, Lock
from carveout.archive.package import Package, PackageSet
from carveout.boots.journal import Journal
from carveout.boots.run import write_outputs
from carveout.common.errors import CarveoutError
from carveout.common.files import write_atomically
from carveout.merge.gather import ContradictionError, gather
from carveout.merge.parts import Part, check_target, read_parts
from carveout.merge.settle import settle
from carveout.study.cell import Cell, Point
from tests.unit.made_cells import made_cell

WHOLE = made_cell(doses_permille=(0, 100), seeds=3)
POINTS = WHOLE.points()
DIGESTS = {"kernel": "k" * 64, "initrd": "i" * 64, "qemu": "7.2"}
KERNEL = WHOLE.kernel
FACTS = ["qemu.json", f"kernels/{KERNEL}/kernel.json", f"guest/{KERNEL}/base.sha256"]


def result(point: Point, of: Cell = WHOLE, /, **members: Any) -> dict[str, Any]:
    """A trial as the runner keeps it: what it measured is a function of its point."""
    trial = {
        "trial_id": f"id-{point.dose_permille}-{point.seed}",
        "digests": DIGESTS,
        "cell": json.loads(of.to_json()),
        "dose_permille": point.dose_permille,
        "seed": point.seed,
        "layout": 0,
        "ending": {"cause": None, "message": None},
        "records": [{"record": "lend", "lend_ns": 1000 + point.seed, "seq": 0}],
        **members,
    }
    usage = {"trial_id": trial["trial_id"], "made_by": "code", "process": "trial", "wall_ns": 5}
    return {"trial": trial, "run": usage}


def boot(**members: Any) -> dict[str, Any]:
    return {"run": {"trial_id": "boot", "made_by": "code", "process": "boot"} | members}


def write_facts(folder: Path, *, version: str = "1", qemu: str = "7.2") -> None:
    busybox = Package("busybox", version, "arm64", "a" * 64, ("bookworm",))
    Lock({"guest": Entry(PackageSet({"busybox": busybox}), version)}).write(folder / "lock.yaml")
    write_atomically(folder / "qemu.json", json.dumps({"version": qemu}))
    write_atomically(folder / f"kernels/{KERNEL}/kernel.json", '{"version": "6.12"}')
    write_atomically(folder / f"guest/{KERNEL}/base.sha256", "b" * 64)


def write_part(folder: Path, results: Sequence[dict[str, Any]], **facts: str) -> Part:
    write_facts(folder, **facts)
    name = f"{WHOLE.path}.jsonl"
    write_outputs(results, folder / "trials" / name, folder / "runs" / name)
    return Part(folder)


def merge(parts: Iterable[Part], results: Path, cell: Cell = WHOLE) -> bytes:
    """Merges, and returns the trials that are written."""
    gather(list(parts), results, FACTS, ["code"])
    settle([cell], results, "snakemake")
    return (results / "trials" / f"{cell.path}.jsonl").read_bytes()


def whole_lines(folder: Path, cell: Cell = WHOLE) -> bytes:
    write_part(folder, [boot(), *(result(point, cell) for point in cell.points())])
    return (folder / "trials" / f"{cell.path}.jsonl").read_bytes()


@pytest.mark.parametrize(
    "shares",
    [
        [POINTS[:1], POINTS[1:]],
        [POINTS[3:], POINTS[:3]],
        [POINTS[::2], POINTS[1::2]],
        [POINTS, POINTS[2:4]],
        [POINTS[4:], [], POINTS[:5], POINTS[:2]],
    ],
)
def test_parts_give_the_bytes_of_the_whole_in_any_order(
    shares: list[list[Point]], tmp_path: Path
) -> None:
    """A part's own config says of fewer seeds and doses, which its trials do not depend on."""
    whole = whole_lines(tmp_path / "whole")
    small = replace(WHOLE, seeds=1, first_seed=2, doses_permille=(50,))
    parts = [
        write_part(tmp_path / f"part{number}", [boot(), *(result(p, small) for p in share)])
        for number, share in enumerate(shares)
    ]
    assert merge(parts, tmp_path / "merged") == whole
    assert merge(reversed(parts), tmp_path / "backwards") == whole
    again = [Part(tmp_path / "merged"), parts[0]]
    assert merge(again, tmp_path / "again") == whole, "what was merged is merged as any other"


def test_what_several_have_is_counted_and_told(tmp_path: Path) -> None:
    first = write_part(tmp_path / "a", [result(point) for point in POINTS])
    second = write_part(tmp_path / "b", [result(point) for point in POINTS[:2]])
    said = gather([first, second], tmp_path / "merged", FACTS, ["code"])
    assert "merged 6 trials: 6 of" in said
    assert said.endswith("; 2 more were the same in several")


def test_a_contradiction_names_trial_both_folders_and_what_differs(tmp_path: Path) -> None:
    changed = [{"record": "lend", "lend_ns": 999, "seq": 0}]
    parts = [
        write_part(tmp_path / "a", [result(point) for point in POINTS]),
        write_part(tmp_path / "b", [result(point, records=changed) for point in POINTS[:2]]),
    ]
    with pytest.raises(ContradictionError) as error:
        gather(parts, tmp_path / "merged", FACTS, ["code"])
    said = str(error.value)
    assert said.startswith(f"contradiction: trial id-0-1 ({WHOLE.path}, dose 0 %, seed 1)")
    assert f"in {tmp_path}/a and {tmp_path}/b: records[0].lend_ns is 1001 and 999" in said
    assert "and 1 further trials" in said
    assert "\n" not in said
    rows = list(csv.DictReader((tmp_path / "merged/contradictions.csv").open()))
    assert [row["trial_id"] for row in rows] == ["id-0-1", "id-0-2"]
    assert not list((tmp_path / "merged").glob("journals/**/*.gz"))
    assert not (tmp_path / "merged/merged.yaml").exists()


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({"digests": DIGESTS | {"qemu": "10.0"}, "trial_id": "x"}, r'qemu \("7\.2" and "10\.0"\)'),
        ({"digests": DIGESTS | {"initrd": "j"}, "trial_id": "x"}, "differ in initrd"),
        ({"trial_id": "x"}, "differ in what the code tells the guest"),
        (
            {"trial_id": "x", "cell": json.loads(replace(WHOLE, lendable_bytes=1).to_json())},
            r"differ in lendable_bytes \(268435456 and 1\)",
        ),
    ],
)
def test_trials_of_another_set_up_are_refused(
    members: dict[str, Any], wanted: str, tmp_path: Path
) -> None:
    parts = [
        write_part(tmp_path / "a", [result(POINTS[0])]),
        write_part(tmp_path / "b", [result(POINTS[0], **members)]),
    ]
    with pytest.raises(CarveoutError, match=wanted) as error:
        gather(parts, tmp_path / "merged", FACTS, ["code"])
    assert f"{tmp_path}/a and {tmp_path}/b" in str(error.value)


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"version": "2"}, "found guest 1 in the lock.yaml of .*a and 2 in that of .*b"),
        ({"qemu": "10.0"}, r"qemu\.json differs between .*a and .*b"),
    ],
)
def test_parts_of_another_machine_are_refused(
    facts: dict[str, str], wanted: str, tmp_path: Path
) -> None:
    parts = [
        write_part(tmp_path / "a", [result(POINTS[0])]),
        write_part(tmp_path / "b", [result(POINTS[1])], **facts),
    ]
    with pytest.raises(CarveoutError, match=wanted):
        gather(parts, tmp_path / "merged", FACTS, ["code"])


def test_what_no_part_has_is_told_and_what_is_there_is_kept(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", list(map(result, POINTS[1:5])))
    with pytest.raises(CarveoutError, match=r"that 2 are in no folder.*dose 0 %, seed 1; 'snake"):
        merge([part], tmp_path / "merged")
    journal = Journal(tmp_path / "merged/journals" / f"{WHOLE.path}.jsonl", "code")
    ids = {point: result(point)["trial"]["trial_id"] for point in POINTS}
    assert len(journal.trials(ids)) == 4, "the next run takes them over"


def test_a_config_of_another_set_up_is_refused(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", list(map(result, POINTS)))
    with pytest.raises(CarveoutError, match=r"differ in reserve_bytes \(33554432 and 1\)"):
        merge([part], tmp_path / "merged", replace(WHOLE, reserve_bytes=1))


def test_trials_of_other_code_are_refused_and_those_half_done_left_out(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", list(map(result, POINTS[1:])))
    with pytest.raises(CarveoutError, match="found those of other code"):
        gather([part], tmp_path / "merged", FACTS, ["new code"])
    write_facts(tmp_path / "b")
    for made_by in ("old code", "code"):
        path = tmp_path / "b/journals" / f"{WHOLE.path}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = Journal(path, made_by)
        found = result(POINTS[0])
        journal.add({**found, "run": {**found["run"], "made_by": made_by}})
    merged = merge([part, Part(tmp_path / "b")], tmp_path / "merged")
    assert merged == whole_lines(tmp_path / "whole")


def test_what_jobs_have_made_of_a_large_cell_is_merged_before_its_own_job_ends(
    tmp_path: Path,
) -> None:
    """Of its parts one has ended, another is at work, and the cell's own job has begun."""
    write_facts(tmp_path / "a")
    path = tmp_path / "a/journals" / f"{WHOLE.path}.jsonl"
    ended, at_work = (Journal(path, "code", part) for part in ("1-of-2", "2-of-2"))
    own = Journal(path, "code")
    ended.start([boot(), *map(result, POINTS[:2])])
    at_work.start([boot(), *map(result, POINTS[2:5])])
    own.start([boot(), *map(result, (POINTS[1], POINTS[5]))])
    ended.pack([])
    part = Part(tmp_path / "a")
    assert part.cells() == {str(WHOLE.path)}
    assert len([file for file in part.files() if "journals" in file.parts]) == 3
    merged = merge([part], tmp_path / "merged")
    assert merged == whole_lines(tmp_path / "whole")
    stamp = (tmp_path / "merged/merged.yaml").read_text()
    assert "in_several_folders: 0" in stamp, "one folder contradicts and repeats nothing"
    own.pack([])
    assert part.cells() == set(), "what has ended is told by its trials"


def test_what_is_not_available_needs_no_run(tmp_path: Path) -> None:
    lacks = {"ending": {"cause": None, "message": "no CMA"}, "records": []}
    trials = [{"trial": result(point, **lacks)["trial"]} for point in POINTS]
    parts = [
        write_part(tmp_path / name, trials[:4] if name == "a" else trials[2:]) for name in "ab"
    ]
    whole = write_part(tmp_path / "whole", trials)
    merged = merge(parts, tmp_path / "merged")
    assert merged == (whole.folder / "trials" / f"{WHOLE.path}.jsonl").read_bytes()


def test_a_folder_that_is_named_no_longer_has_no_trial_in_the_next_merge(tmp_path: Path) -> None:
    other = replace(WHOLE, load="other")
    of_other = [result(point, other, trial_id=f"other-{point}") for point in POINTS]
    first = write_part(tmp_path / "a", [result(point) for point in POINTS])
    second = write_part(tmp_path / "b", [result(POINTS[0], records=[])])
    name = f"{other.path}.jsonl"
    write_outputs(of_other, second.folder / "trials" / name, second.folder / "runs" / name)
    merged = tmp_path / "merged"
    with pytest.raises(ContradictionError):
        gather([first, second], merged, FACTS, ["code"])
    assert not (merged / "journals").exists(), "nor those of cells that do not contradict"
    write_part(tmp_path / "b", [result(POINTS[0])])
    gather([first, second], merged, FACTS, ["code"])
    gather([first], merged, FACTS, ["code"])
    with pytest.raises(CarveoutError, match=r"6 are in no folder, the first of them .*/other"):
        settle([WHOLE, other], merged, "snakemake")


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"trial_id": 3}', "\x00"])
def test_a_damaged_line_names_its_file(line: str, tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", list(map(result, POINTS)))
    path = tmp_path / "a/trials" / f"{WHOLE.path}.jsonl"
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(CarveoutError, match=r"a/trials/.*; remove the file") as error:
        gather([part], tmp_path / "merged", FACTS, ["code"])
    assert "\n" not in str(error.value)


def test_a_trial_without_its_run_is_refused(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", list(map(result, POINTS)))
    (tmp_path / "a/runs" / f"{WHOLE.path}.jsonl").write_text("")
    with pytest.raises(CarveoutError, match=r"wanted a line for trial id-0-1"):
        gather([part], tmp_path / "merged", FACTS, ["code"])


def test_a_run_without_its_trial_is_refused(tmp_path: Path) -> None:
    """As where a file of trials was cut between two lines."""
    part = write_part(tmp_path / "a", [result(point) for point in POINTS])
    trials = tmp_path / "a/trials" / f"{WHOLE.path}.jsonl"
    lines = trials.read_text().splitlines(keepends=True)
    trials.write_text("".join(lines[:-1]))
    with pytest.raises(CarveoutError, match=r"trials/.*: wanted a line for trial id-.* of .*runs/"):
        merge([part], tmp_path / "merged")


def test_folders_that_cannot_be_merged(tmp_path: Path) -> None:
    write_part(tmp_path / "site a", list(map(result, POINTS)))
    write_part(tmp_path / "b", list(map(result, POINTS)))
    both = [str(tmp_path / "site a"), str(tmp_path / "b")]
    parts = read_parts(both)
    assert parts == [Part(Path(name)) for name in both]
    assert read_parts(f"{tmp_path}/b") == parts[1:]
    for names, wanted in {
        "": "found no folder",
        "{kernel}": r"'\{kernel\}' does not match",
        f"{tmp_path}/b {tmp_path}/c": "c: wanted a results folder",
        f"{tmp_path}/b {tmp_path}/../{tmp_path.name}/b": "found it twice",
    }.items():
        with pytest.raises(CarveoutError, match=wanted):
            read_parts(names)
    check_target(tmp_path / "new", parts)
    for target in ("b", "other"):
        write_part(tmp_path / target, list(map(result, POINTS)))
        with pytest.raises(CarveoutError, match="wanted a new folder"):
            check_target(tmp_path / target, parts)
    for made in ("boots", "parts"):
        (tmp_path / made / "logs/merge").mkdir(parents=True)
        check_target(tmp_path / made, parts)
        (tmp_path / made / "logs" / made).mkdir()
        with pytest.raises(CarveoutError, match="found trials that were made there"):
            check_target(tmp_path / made, parts)
