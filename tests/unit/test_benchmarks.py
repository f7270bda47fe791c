# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark's pure parts: rows, ratios, text and figure. No time is asserted."""

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from benchmarks import figure
from benchmarks.cost import disk_bytes, run
from benchmarks.measures import ladder, revision
from benchmarks.measures.fork import FIRST_INSTRUCTION as FIRST
from benchmarks.table import Row, as_csv, as_text, not_run, table_of, value_text

from carveout.common.errors import CarveoutError

HEAD = {"CPU": "made, for a test", "cores": "2"}


def rows(fork_s: float = 0.25) -> list[Row]:
    return [
        Row("fork", FIRST, "cold boot, idle", "s", [3.0, 5.0, 4.0]),
        Row("fork", FIRST, "fork, idle", "s", [fork_s], None, "cold boot, idle", 0.1),
        Row("seeds", "wall time a trial", "1 seed", "s", [8.0], 1),
        Row("seeds", "wall time a trial", "5 seeds", "s", [4.0], 5, "1 seed"),
        not_run("virtme_ng", "wall time", "virtme-ng", "wanted a program, found none"),
    ]


def test_value_is_the_median_and_ratio_is_of_medians() -> None:
    cold, fork, one, five, _ = table_of(rows()).to_dict("records")
    assert [cold[name] for name in ("value", "least", "most")] == [4, 3, 5]
    assert fork["ratio"] == pytest.approx(0.25 / 4)
    assert five["ratio"] == 0.5
    assert pd.isna(one["ratio"])


def test_what_was_not_run_has_a_reason_and_no_number() -> None:
    last = table_of(rows()).iloc[-1]
    assert pd.isna(last["value"])
    assert last["samples"] == 0
    assert last["note"] == "not run: wanted a program, found none"


def test_nothing_is_compared_with_what_was_not_run() -> None:
    table = table_of(
        [
            not_run("ram", "boot", "1GiB", "no memory"),
            Row("ram", "boot", "2GiB", "s", [3.0], 2**31, "1GiB", 2),
        ]
    )
    assert table["ratio"].isna().all()
    assert "not known" in as_text(table, HEAD)


def test_csv_opens_with_the_machine_and_reads_back() -> None:
    text = as_csv(table_of(rows()), HEAD)
    assert text.startswith("# CPU: made, for a test\n# cores: 2\nmeasure,quantity,case,ratio,")
    assert pd.read_csv(io.StringIO(text), comment="#")["measure"].to_list() == [
        row.measure for row in rows()
    ]


@pytest.mark.parametrize(("fork_s", "verdict"), [(0.4, "kept"), (0.41, "MISSED")])
def test_text_says_first_whether_limits_are_kept(fork_s: float, verdict: str) -> None:
    text = as_text(table_of(rows(fork_s)), HEAD)
    limits = text.split("\n\n")[1].splitlines()
    assert limits[0] == "limits"
    assert verdict in limits[1]
    assert "not run: wanted a program" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.25, "s", "250 ms"),
        (0.0, "s", "0 s"),
        (12.345, "s", "12.3 s"),
        (1234.5, "s", "1234 s"),
        (2**31, "bytes", "2 GiB"),
        (7.0, "1/min", "7 1/min"),
    ],
)
def test_values_have_units(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


def test_figure_is_drawn_with_what_was_not_run(tmp_path: Path) -> None:
    figure.write(table_of(rows()), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"bench.svg", "bench.png"}


def test_cost_counts_children_and_samples_gauges(tmp_path: Path) -> None:
    # It outlives the second sample: the first may find it before it is a Python.
    program = (
        "import subprocess, sys, time;"
        "subprocess.run([sys.executable, '-c', 'sum(range(10**7))']); time.sleep(1)"
    )
    cost = run([sys.executable, "-c", program], tmp_path / "log", {}, {"seven": lambda _: 7})
    assert cost.cpu_s > 0
    assert cost.wall_s > 0
    assert cost.peaks == {"seven": 7}
    assert cost.peak_memory_bytes > 2**20


def test_failed_command_is_one_line(tmp_path: Path) -> None:
    program = "import sys; print('working'); sys.exit('carveout: no such thing')"
    with pytest.raises(CarveoutError, match=r"found exit code 1; .* carveout: no such thing$"):
        run([sys.executable, "-c", program], tmp_path / "log", {})


def test_disk_is_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(bytes(range(256)) * 256)
    assert disk_bytes(tmp_path) >= 65_536
    assert disk_bytes(tmp_path / "gone") == 0


def write_runs(file: Path, *spent: tuple[str, int, float]) -> None:
    """Write what guests took: each a process with its seed and its seconds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "process": process,
            "strategy": "virtio-mem",
            "seed": seed,
            "qemu_user_ns": int(spent_s / 2 * 1e9),
            "qemu_system_ns": int(spent_s / 2 * 1e9),
        }
        for process, seed, spent_s in spent
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_a_revisions_sample_is_the_mean_over_doses_in_whatever_files_they_are(
    tmp_path: Path,
) -> None:
    boot, first = ("boot", 0, 100.0), ("trial", 1, 50.0)
    for name, trials in {
        "loaded-2.half": [("trial", 2, 1.0), ("trial", 3, 2.0)],
        "loaded-40.half": [("trial", 2, 3.0), ("trial", 3, 6.0)],
        "loaded_more.half.page": [("trial", 2, 8.0)],
    }.items():
        write_runs(tmp_path / "runs" / f"{name}.jsonl", boot, first, *trials)
    found = list(revision.samples_of(tmp_path, ["loaded", "loaded_more"]))
    assert found == [
        ("all cells", 4.0),
        ("virtio-mem, loaded", 2.0),
        ("all cells", 4.0),
        ("virtio-mem, loaded", 4.0),
        ("virtio-mem, loaded more", 8.0),
    ]


def test_revisions_that_boot_different_kernels_are_not_compared() -> None:
    revision.check_same_kernel({"this code": "4f" * 32, "other": "4f" * 32})
    with pytest.raises(CarveoutError, match=r"found images 4f4f4f4f4f4f \(this code\), 5e5e"):
        revision.check_same_kernel({"this code": "4f" * 32, "other": "5e" * 32})


def walked(**turning_points: float) -> ladder.Walked:
    points = pd.DataFrame(
        {
            "turning_point": turning_points,
            "half_until_dose": {name: point - 1 for name, point in turning_points.items()},
            "less_from_dose": {name: point + 4 for name, point in turning_points.items()},
        }
    )
    return ladder.Walked(trials=1, qemu_s=1, turning_points=points)


def test_turning_points_of_two_ladders_are_compared_curve_by_curve() -> None:
    apart_percent = ladder.farthest_apart_percent(walked(a=10, b=20), walked(b=23, a=9))
    assert apart_percent == 3
    assert walked(a=10, b=20).widest_percent == 5


@pytest.mark.parametrize(
    ("adaptive", "full", "wanted"),
    [
        (walked(a=10), walked(a=10, b=20), "found 1 that turn on one alone: b"),
        (walked(), walked(), "wanted curves that turn on the full ladder, found none"),
    ],
)
def test_ladders_that_do_not_find_the_same_are_an_error(
    adaptive: ladder.Walked, full: ladder.Walked, wanted: str
) -> None:
    with pytest.raises(CarveoutError, match=wanted):
        ladder.farthest_apart_percent(adaptive, full)
