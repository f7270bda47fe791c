# SPDX-License-Identifier: GPL-2.0-only
"""Folders of jobs on the disk of TMPDIR: saved states lie there, and no job leaves any.

A job that ends removes its folder. One that is killed cannot: the next job on the machine does,
which knows by a lock on the folder, one that the kernel drops with its holder, whose job is gone.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NEW, _LOCKED = "carveout-new-", "carveout-job-"


@contextlib.contextmanager
def job_folder() -> Iterator[Path]:
    """Yield a folder of this job's own, once those of jobs that were killed are removed."""
    _remove_left_over()
    new = Path(tempfile.mkdtemp(prefix=_NEW))
    with _locked(new):
        # Only now may another job see it, which would remove a folder that nobody holds.
        folder = new.with_name(new.name.replace(_NEW, _LOCKED))
        new.rename(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_LOCKED}*"):
        # Held by a job at work, another user's, or just removed.
        with contextlib.suppress(OSError), _locked(folder):
            shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, or raise an OSError where another process does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
