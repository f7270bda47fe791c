# SPDX-License-Identifier: GPL-2.0-only
"""Folders of jobs: each has its own, and what killed ones left is removed by the next."""

import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from carveout.common.files import job_folder
from carveout.study.sources import PACKAGE_PARENT

JOB = """
from carveout.common.files import job_folder
with job_folder() as folder:
    (folder / "state").write_text("RAM")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def start() -> tuple[subprocess.Popen[str], Path]:
    """A process that has a folder until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", JOB],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_with_its_job(temporary: Path) -> None:
    with job_folder() as folder:
        assert list(folder.iterdir()) == []
        (folder / "inner").mkdir()
    assert list(temporary.iterdir()) == []


def test_a_folder_goes_with_a_job_that_fails(temporary: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), job_folder():
        raise RuntimeError("inside")
    assert list(temporary.iterdir()) == []


def test_what_a_killed_job_left_goes_and_what_one_at_work_has_stays(temporary: Path) -> None:
    killed, left = start()
    at_work, held = start()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (left / "state").exists()
    others = [f"carveout-job-{platform.node()}{end}" for end in ("+file", "-2+folder")]
    (temporary / others[0]).write_text("somebody's")
    (temporary / others[1]).mkdir()
    with job_folder() as folder:
        assert not left.exists()
        assert (held / "state").exists()
        assert folder not in (left, held)
    at_work.communicate("\n")
    assert at_work.returncode == 0
    assert sorted(path.name for path in temporary.iterdir()) == sorted(others)


def test_no_module_makes_a_folder_in_tmpdir_that_nobody_removes_after_a_kill() -> None:
    made = re.compile(r"TemporaryDirectory|mkdtemp\((?!.*dir=)")
    files = list((PACKAGE_PARENT / "carveout").rglob("*.py"))
    assert len(files) > 100
    assert [path for path in files if made.search(path.read_text(encoding="utf-8"))] == []
