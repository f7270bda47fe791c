# SPDX-License-Identifier: GPL-2.0-only
"""What an entry point says of errors: one line of a user's and of a disk's, a traceback of ours."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carveout.common.errors import SIGTERM_STATUS, CarveoutError, entry_point
from carveout.common.files import append_line, write_atomically

FULL = Path("/dev/full")


def status_of(error: BaseException) -> int:
    @entry_point
    def main() -> None:
        raise error

    return main()


def test_an_error_is_a_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(CarveoutError("wanted a, found b")) == 1
    assert capsys.readouterr().err == "carveout: wanted a, found b\n"
    assert status_of(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_a_disk_refuses_is_a_line_with_the_file(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(OSError(number, os.strerror(number), "results/trials")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("carveout: results/trials: wanted a file that can be used, found ")
    assert line.endswith(" run again")


def test_another_error_of_the_system_is_ours() -> None:
    with pytest.raises(FileNotFoundError):
        status_of(FileNotFoundError(errno.ENOENT, "no such file", "results/trials"))


def test_a_full_disk_is_told_with_the_file_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        append_line(FULL, "a line\n")
    monkeypatch.setattr(os, "replace", lambda *_: FULL.write_text("text"))
    with pytest.raises(OSError, match="No space left on device") as error:
        write_atomically(tmp_path / "file", "text")
    assert error.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


_WRITES = """
import sys
import time
from pathlib import Path
from carveout.common.errors import entry_point
from carveout.common.files import file_made_aside

@entry_point
def main():
    with file_made_aside(Path(sys.argv[1], "made")):
        print("begun", flush=True)
        time.sleep(60)

main()
"""


def test_a_program_that_is_told_to_end_leaves_nothing_half_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITES, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "begun\n"
        program.terminate()
    assert program.returncode == SIGTERM_STATUS
    assert list(tmp_path.iterdir()) == []
