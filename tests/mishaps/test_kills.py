# SPDX-License-Identifier: GPL-2.0-only
"""Whatever is killed, at whatever moment: no trial is lost, doubled or changed."""

import random
import shutil
import time
from collections import Counter

import psutil
import pytest

from tests.conftest import wait_until
from tests.mishaps.study import Study, told

KINDS = ("snakemake", "runner", "qemu")
_LONGEST_WAIT_S = 12


def kill_one(study: Study, kind: str, chance: random.Random) -> bool:
    """Kills one process of a kind, if one lives."""
    living = study.processes(kind)
    if not living:
        return False
    try:
        chance.choice(living).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def test_a_hundred_kills_change_no_trial(study: Study, request: pytest.FixtureRequest) -> None:
    kills = request.config.getoption("--kills")
    chance = random.Random(kills)
    wanted = study.digests("whole")
    killed: Counter[str] = Counter()
    runs = whole_runs = 0
    run, is_whole, before = None, False, 0
    while killed.total() < kills or not is_whole:
        if run is None:
            run, before = study.start("killed"), killed.total()
            runs += 1
        end_s = time.monotonic() + chance.uniform(0, _LONGEST_WAIT_S)
        while run.poll() is None and time.monotonic() < end_s:
            time.sleep(0.02)
        if run.poll() is None and killed.total() < kills:
            kind = chance.choice(KINDS)
            killed[kind] += kill_one(study, kind, chance)
            continue
        said, _ = run.communicate()
        assert "Traceback" not in said, said
        is_whole = run.returncode == 0
        assert is_whole or killed.total() > before, said
        if is_whole:
            assert study.digests("killed") == wanted
            assert set(study.times_made("killed").values()) == {1}
            study.assert_nothing_is_left("killed")
            shutil.rmtree(study.checkout / "killed")
            whole_runs += 1
        run = None
    print(f"trials.parquet has sha256 {wanted['tables/trials.parquet']}")
    print(f"{killed.total()} kills ({dict(killed)}) in {runs} runs, {whole_runs} of them whole")


@pytest.mark.parametrize("kind", ["job", "qemu"])
def test_a_killed_snakemake_takes_its_jobs_with_it(study: Study, kind: str) -> None:
    run = study.start("killed")
    wait_until(lambda: study.processes(kind))
    run.kill()
    run.communicate()
    study.wait_for_no("runner", "job", "qemu")
    study.run("killed")
    assert study.digests("killed") == study.digests("whole")
    study.assert_nothing_is_left("killed")


def test_two_runs_in_one_folder_are_one_run_and_a_line(study: Study) -> None:
    run = study.start("shared")
    wait_until(lambda: study.processes("runner"))
    (line,) = told(study.run("shared", fails=True))
    assert line.startswith("carveout: shared: wanted a results folder in which nothing runs, found")
    assert f"(process {run.pid} on " in line
    said, _ = run.communicate()
    assert run.returncode == 0, said
    assert study.digests("shared") == study.digests("whole")
    study.assert_nothing_is_left("shared")
