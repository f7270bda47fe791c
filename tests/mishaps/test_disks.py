# SPDX-License-Identifier: GPL-2.0-only
"""Disks that are full or cannot be written: one line, and the next run goes on. Wants root."""

import os
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.mishaps.study import Study, mount, mounted, told

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks, which only root can")


def fill(disk: Path) -> Path:
    """Leaves no room on a disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(2**16))
        except OSError:
            return filler


def is_made_read_only(disk: Path) -> bool:
    """Whether a disk could be made one that cannot be written."""
    command = ["mount", "-o", "remount,ro", str(disk)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_results_on_a_full_disk_go_on_once_there_is_room(study: Study, share: float) -> None:
    files = (path for path in (study.checkout / "whole").rglob("*") if path.is_file())
    room_bytes = round(share * sum(path.stat().st_size for path in files))
    with mounted(study.checkout / "small", str(room_bytes)) as disk:
        lines = told(study.run("small", fails=True))
        assert lines
        assert all("No space left on device" in line for line in lines)
        assert all("make room" in line for line in lines)
        mount("-o", "remount,size=1g", str(disk))
        study.run("small")
        assert study.digests("small") == study.digests("whole")
        study.assert_nothing_is_left("small")


def test_results_that_cannot_be_written_are_one_line(study: Study) -> None:
    with mounted(study.checkout / "fixed", "64m") as disk:
        mount("-o", "remount,ro", str(disk))
        (line,) = told(study.run("fixed", fails=True))
        assert line == (
            "carveout: fixed (key results of the config): wanted a folder that can be written, "
            "found: Read-only file system; make it writable, or name another folder"
        )


def test_results_that_cannot_be_written_any_more_go_on_later(study: Study) -> None:
    with mounted(study.checkout / "halfway", "1g") as disk:
        run = study.start("halfway")
        wait_until(lambda: study.made_now("halfway"))
        wait_until(lambda: is_made_read_only(disk))  # not while a file is open for writing
        said, _ = run.communicate()
        assert run.returncode != 0
        # Snakemake removes empty folders at its end, and says so at length when it cannot.
        assert not re.search(r'File ".*/workflow/carveout/', said), said
        assert any("Read-only file system" in line for line in told(said)), said
        mount("-o", "remount,rw", str(disk))
        study.run("halfway")
        assert study.digests("halfway") == study.digests("whole")
        study.assert_nothing_is_left("halfway")


def test_a_full_disk_of_tmpdir_makes_no_trial_of_what_it_lost(study: Study, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "1600m") as disk:
        small = replace(study, temporary=disk)
        run = small.start("crowded")
        wait_until(lambda: small.made_now("crowded"))
        filler = fill(disk)
        while run.poll() is None:
            with filler.open("ab", buffering=0) as stream:
                try:
                    while True:
                        stream.write(bytes(2**12))
                except OSError:
                    time.sleep(0.01)
        said, _ = run.communicate()
        assert run.returncode != 0
        assert "Traceback" not in said, said
        assert any("make room" in line for line in told(said)), said
        filler.unlink()
        small.run("crowded")
        assert small.digests("crowded") == small.digests("whole")
        small.assert_nothing_is_left("crowded")
