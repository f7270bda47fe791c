# SPDX-License-Identifier: GPL-2.0-only
"""Folders and files of jobs: each has its own, and what killed ones left goes with the next."""

import errno
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from carveout.common.files import file_made_aside, folder_aside, job_folder
from carveout.study.sources import PACKAGE_PARENT

JOB = """
from carveout.common.files import job_folder
with job_folder() as folder:
    (folder / "state").write_text("RAM")
    print(folder, flush=True)
    input()
"""
WRITER = """
import sys
from pathlib import Path
from carveout.common.files import file_made_aside
with file_made_aside(Path(sys.argv[1])) as stream:
    stream.write(b"a long text of one who writes slowly")
    stream.flush()
    print(flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def start(program: str = JOB, *args: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that has a folder, or a file, until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *args],
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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_writer_left_goes_when_the_same_is_written(
    tmp_path: Path, how: signal.Signals
) -> None:
    path = tmp_path / "made"
    for _ in range(3):
        killed, _ = start(WRITER, str(path))
        killed.send_signal(how)
        killed.wait()
        assert not path.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".made.")
    with file_made_aside(path) as stream:
        stream.write(b"short")
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([path], b"short")


def test_two_who_write_the_same_at_once_write_it_both(tmp_path: Path) -> None:
    path = tmp_path / "made"
    slow, _ = start(WRITER, str(path))
    with file_made_aside(path) as stream:
        stream.write(b"fast")
    assert path.read_bytes() == b"fast"
    slow.communicate("\n")
    assert slow.returncode == 0
    assert (list(tmp_path.iterdir()), path.read_bytes()[:6]) == ([path], b"a long")


def test_a_file_is_written_where_no_other_may_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with file_made_aside(tmp_path / "made") as stream:
        stream.write(b"whole")
    assert (tmp_path / "made").read_bytes() == b"whole"


def test_many_processes_at_once_have_a_folder_each(tmp_path: Path) -> None:
    """None takes another's for what a killed one left, in the moment in which it is made."""
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda number: _use_folder(tmp_path, number), range(400)))
    assert used == list(range(400))
    assert list(tmp_path.iterdir()) == []


def _use_folder(parent: Path, number: int) -> int:
    with folder_aside(parent) as folder:
        (folder / "mine").write_text(str(number))
        return int((folder / "mine").read_text())


def test_no_module_makes_a_folder_in_tmpdir_that_nobody_removes_after_a_kill() -> None:
    made = re.compile(r"TemporaryDirectory|mkdtemp\((?!.*dir=)")
    files = list((PACKAGE_PARENT / "carveout").rglob("*.py"))
    assert len(files) > 100
    assert [path for path in files if made.search(path.read_text(encoding="utf-8"))] == []
