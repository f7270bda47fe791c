# SPDX-License-Identifier: GPL-2.0-only
"""Other programs: what they print is returned, and what they fail with is one line."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from carveout.common import processes
from carveout.common.errors import CarveoutError
from carveout.common.processes import is_success, run_program
from tests.conftest import wait_until


def test_what_a_program_prints_is_returned_without_its_complaints() -> None:
    assert run_program(["sh", "-c", "echo said; echo complained >&2"], "speak") == "said"


def test_program_runs_in_a_folder_with_variables_in_english_and_without_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("INHERITED", "i")
    said = run_program(
        ["sh", "-c", 'pwd; echo "$LC_ALL $INHERITED $ADDED $(cat)"'],
        "look around",
        folder=tmp_path,
        variables={"ADDED": "a"},
    )
    assert said == f"{tmp_path}\nC i a"


def test_program_that_runs_apart_sees_nothing_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LLVM", "KBUILD_OUTPUT", "MAKEFLAGS", "KCFLAGS"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    said = run_program(["env"], "look around", variables={"ADDED": "a"}, is_apart=True)
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names <= {"ADDED", "HOME", "LC_ALL", "PATH", "TMPDIR"}
    assert f"TMPDIR={tmp_path}" in said.splitlines()


def test_missing_program_is_named_with_what_to_do() -> None:
    with pytest.raises(CarveoutError) as error:
        run_program(["nosuchprogram", "word"], "unpack a.deb")
    assert str(error.value) == (
        "cannot unpack a.deb: wanted the program nosuchprogram, found none in PATH; "
        "run envs/install.sh"
    )


@pytest.mark.parametrize("content", [b"\x7fELF of another machine", b"echo done\n", b""])
def test_program_that_this_machine_cannot_run_is_named(tmp_path: Path, content: bytes) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o755)
    with pytest.raises(CarveoutError) as error:
        run_program([str(program)], "ask")
    assert str(error.value) == f"cannot ask: {program}: Exec format error"


def test_what_is_said_in_no_utf_8_is_said() -> None:
    with pytest.raises(CarveoutError, match="could not ask: caf\ufffd"):
        run_program(["sh", "-c", r"printf 'caf\351' >&2; exit 1"], "ask")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "echo first >&2; echo E: second >&2; echo >&2; echo last error >&2",
            "E: second last error",
        ),
        ("printf 'E: %s\\n' 1 2 3 4 >&2", "E: 1 E: 2 E: 3"),
        ("echo talk; echo why; echo no; echo what is wrong >&2", "what is wrong"),
        ("echo talk; echo what is wrong", "what is wrong"),
        ("echo one >&2; echo two >&2", "two"),
        ("true", "it said nothing"),
    ],
)
def test_failure_is_one_line_of_what_was_said_of_errors(script: str, words: str) -> None:
    with pytest.raises(CarveoutError) as error:
        run_program(["sh", "-c", f"{script}; exit 3"], "unpack a.deb")
    assert str(error.value) == f"could not unpack a.deb: {words}"


def test_all_that_a_failed_program_said_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CarveoutError):
        run_program(["sh", "-c", "echo one; echo two; echo E: three >&2; exit 1"], "count")
    assert capsys.readouterr().out == "one\ntwo\nE: three\n\n"


def test_exit_status_is_an_answer() -> None:
    assert is_success(["sh", "-c", "exit 0"])
    assert not is_success(["sh", "-c", "exit 1"])


_RUNS_A_PROGRAM = """
from carveout.common.processes import run_program
run_program(["sh", "-c", "trap 'kill $!' TERM; sleep 600 & wait"], "wait")
"""
_HAS_WORKERS = """
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from carveout.common.processes import end_with_parent
forkserver = multiprocessing.get_context("forkserver")
with ProcessPoolExecutor(2, forkserver, initializer=end_with_parent) as pool:
    list(pool.map(time.sleep, [0] * 4 + [600]))
"""


@pytest.mark.parametrize(("program", "children"), [(_RUNS_A_PROGRAM, 1), (_HAS_WORKERS, 3)])
def test_what_a_job_began_ends_with_it_however_it_ends(program: str, children: int) -> None:
    job = subprocess.Popen([sys.executable, "-c", program])
    begun = wait_until(lambda: _offspring(job.pid, children))
    job.kill()
    job.wait()
    _, left = psutil.wait_procs(begun, timeout=20)
    assert left == []


def test_a_program_that_does_not_end_when_told_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_MOST_ENDING_S", 0.5)
    begun = []

    def interrupt(program: subprocess.Popen[str]) -> None:
        begun.append(program)
        assert program.stdout is not None
        program.stdout.readline()  # it ignores what it is told from here on
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_program(["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.1; done"], "wait")
    assert begun[0].returncode == -signal.SIGKILL


def _offspring(pid: int, least: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children(recursive=True)
    return found if len(found) > least else []
