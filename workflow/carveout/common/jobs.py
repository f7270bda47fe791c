# SPDX-License-Identifier: GPL-2.0-only
"""What a run of the workflow is to its jobs and to other runs."""

import errno
import fcntl
import os
import platform
import sys
from pathlib import Path
from typing import IO

from carveout.common.errors import CarveoutError

_held: list[IO[str]] = []


def prepare_environment(package_parent: Path) -> None:
    """Let jobs run the Python that runs Snakemake, activated or not, and find this package."""
    python_folder = Path(sys.executable).parent
    os.environ["PATH"] = f"{python_folder}:{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(package_parent)


def hold_results(results: Path) -> None:
    """Keep other runs out of a results folder for as long as this process lives.

    The kernel drops the lock with its holder: whatever ends a run, the next can begin.

    Raises:
        CarveoutError: another run is at work there, or nothing can be written there.
    """
    path = results / ".running"
    try:
        results.mkdir(parents=True, exist_ok=True)
        path.touch()
        stream = path.open(encoding="utf-8")
    except OSError as error:
        raise CarveoutError(
            f"{results} (key results of the config): wanted a folder that can be written, found: "
            f"{error.strerror}; make it writable, or name another folder"
        ) from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CarveoutError(
            f"{results}: wanted a results folder in which nothing runs, found another run at work "
            f"in it ({stream.read().strip()}); wait for its end, or give this "
            "run another folder: --config results=DIR"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise  # some clusters' file systems have no locks
    path.write_text(f"process {os.getpid()} on {platform.node()}\n", encoding="utf-8")
    _held.append(stream)
