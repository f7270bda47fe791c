# SPDX-License-Identifier: GPL-2.0-only
"""Guests and machines that go wrong: QEMUs that stand, hosts that all panic, clocks set back."""

import contextlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from carveout.tables.parquet import read_table
from tests.conftest import wait_until
from tests.mishaps.study import Study, finish

_A_YEAR_S = 365 * 86400
# As many hosts as 20 GiB hold, each with all that its QEMU may take beside its RAM.
_SMALL_HOST = {"ram": ["256MiB"], "lendable": "128MiB"}
_AT_ONCE = "28"
_SHORT = {"state": "256MiB", "wall_s": 30}


def test_a_qemu_that_stands_is_ended_at_its_limit_and_its_trial_made_once_more(
    study: Study,
) -> None:
    stopped = study.changed("stopped", limits=_SHORT)
    run = stopped.start("stopped")
    wait_until(lambda: stopped.made_now("stopped"))
    wait_until(lambda: list(filter(_is_at_work, stopped.forks())))[0].suspend()
    finish(run)
    assert stopped.digests("stopped") == stopped.digests("whole")
    stopped.assert_nothing_is_left("stopped")


def test_qemus_that_always_stand_end_their_job_with_a_line(study: Study) -> None:
    standing = study.changed("standing", limits=_SHORT)
    run = standing.start("standing", "--cores", "1")
    wait_until(lambda: standing.made_now("standing"))
    job = wait_until(lambda: list(standing.forks().values()))[0]
    while psutil.pid_exists(job):
        for qemu, of_job in standing.forks().items():
            with contextlib.suppress(psutil.NoSuchProcess):
                if of_job == job:
                    qemu.suspend()
    said = finish(run, fails=True)
    (line,) = (
        line for line in said.splitlines() if line.startswith("carveout: ") and "twice" in line
    )
    assert "(limits.wall_s)" in line
    standing.run("standing")
    assert standing.digests("standing") == standing.digests("whole")
    standing.assert_nothing_is_left("standing")


def test_what_a_disk_loses_of_a_guests_records_is_no_row(study: Study) -> None:
    run = study.start("lossy")
    lose_some(wait_until(lambda: forks_that_have_said_more(study)))
    finish(run)
    logs = (study.checkout / "lossy/logs").rglob("*.log")
    begun = Counter(
        (log, line)
        for log in logs
        for line in log.read_text(errors="replace").splitlines()
        if line.endswith(": console.log ==")
    )
    assert sorted(begun.values())[-2:] == [1, 2], "one trial was made twice"
    assert study.digests("lossy") == study.digests("whole")
    study.assert_nothing_is_left("lossy")


def test_what_a_disk_loses_before_a_host_is_ready_is_in_no_row(study: Study) -> None:
    run = study.start("lossy")
    lose_some(wait_until(lambda: hosts_that_have_said_something(study)))
    finish(run)
    assert study.digests("lossy") == study.digests("whole")
    study.assert_nothing_is_left("lossy")


def lose_some(guests: Sequence[tuple[psutil.Process, Path]]) -> None:
    """Takes the end of what a guest has said so far off its file; it goes on behind it."""
    qemu, records = guests[0]
    qemu.suspend()
    os.truncate(records, records.stat().st_size - 5)
    qemu.resume()


def forks_that_have_said_more(study: Study) -> list[tuple[psutil.Process, Path]]:
    """QEMUs whose guests have written records since their state was saved, and their files."""
    return [
        (qemu, records)
        for qemu in study.forks()
        for records in records_of(qemu)
        if size_of(records) > size_of(records.parents[1] / "ready" / records.name)
    ]


def hosts_that_have_said_something(study: Study) -> list[tuple[psutil.Process, Path]]:
    """QEMUs whose state is to be saved, and the files of their guests' records."""
    return [
        (qemu, records)
        for qemu in study.processes("qemu")
        for records in records_of(qemu)
        if records.parent.name == "ready" and size_of(records)
    ]


def records_of(qemu: psutil.Process) -> list[Path]:
    """The file of a guest's records; none when its QEMU is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            Path(file.path) for file in qemu.open_files() if file.path.endswith("records.jsonl")
        ]
    return []


def size_of(path: Path) -> int:
    """A file's size; of one that is gone none."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _is_at_work(qemu: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(qemu.cpu_percent(0.5) > 20)
    return False


def test_a_hundred_hosts_that_panic_are_a_hundred_rows(study: Study) -> None:
    panics = study.changed(
        "panics",
        strategies={"panics": "all"},
        strategy_folders=["tests/guest/strategies"],
        loads={"idle": [0]},
        seeds=100,
        also=[],
        **_SMALL_HOST,
    )
    most = 0
    run = panics.start("panics", "--cores", _AT_ONCE, "--set-threads", f"boot_panics={_AT_ONCE}")
    while run.poll() is None:
        most = max(most, len(panics.processes("qemu")))
        time.sleep(0.5)
    finish(run)
    print(f"at most {most} guests at once")
    assert most >= int(_AT_ONCE) - 4
    panics.assert_nothing_is_left("panics")
    trials = read_table("trials", panics.checkout / "panics/tables/trials.parquet")
    assert len(trials) == 100
    assert set(trials["cause"]) == {"panic"}
    assert trials["message"].notna().all()
    panics.run("one after another")
    assert panics.digests("panics") == panics.digests("one after another")


def shift_times(study: Study, years: int) -> None:
    """Let every file be so much younger, as if the clock had gone otherwise until now."""
    for path in [*study.checkout.rglob("*"), study.checkout]:
        was = path.lstat()
        times_s = (was.st_atime + years * _A_YEAR_S, was.st_mtime + years * _A_YEAR_S)
        os.utime(path, times_s, follow_symlinks=False)


def interrupted(study: Study) -> int:
    """A run that was ended after some trials; returns how many it made."""
    run = study.start("clock")
    wait_until(lambda: study.made_now("clock") >= 3)
    run.terminate()
    finish(run, fails=True)
    return study.made_now("clock")


def assert_it_goes_on(study: Study, made: int) -> None:
    """The next run makes what is missing, nothing twice, and then there is nothing to do."""
    study.run("clock")
    assert study.digests("clock") == study.digests("whole")
    assert study.made_now("clock") + made == len(study.times_made("clock")), "none twice"
    study.assert_nothing_is_left("clock")
    assert "boot_" not in study.run("clock", "--dry-run", "--quiet", "progress")


def test_a_clock_set_forward_changes_no_trial(study: Study) -> None:
    made = interrupted(study)
    shift_times(study, years=-1)
    assert_it_goes_on(study, made)


def test_a_clock_set_back_is_told_and_changes_no_trial(study: Study) -> None:
    made = interrupted(study)
    shift_times(study, years=1)  # what was made before seems to be of the future
    assert "clock skew" in study.run("clock", fails=True)
    made += study.made_now("clock")
    told_in_docs = "find . -newermt now -exec touch -h {} +"
    assert told_in_docs in Path("docs/mishaps.md").read_text(encoding="utf-8")
    subprocess.run(["sh", "-c", told_in_docs], cwd=study.checkout, check=True)
    assert_it_goes_on(study, made)
