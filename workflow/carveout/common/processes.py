# SPDX-License-Identifier: GPL-2.0-only
"""Other programs, run to their end: the one way, with the one form of error."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from carveout.common.errors import CarveoutError


def run_program(
    command: Sequence[str],
    purpose: str,
    *,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a program that needs no input and return what it printed.

    Args:
        command: the program, by name or path, and its arguments.
        purpose: what it is run for, for the error: `unpack a.deb`.
        folder: where it is run.
        variables: added to the environment. Its language is always English.

    Raises:
        CarveoutError: it is not there, or it failed; with what it said of errors.
    """
    if shutil.which(command[0]) is None:
        raise CarveoutError(
            f"cannot {purpose}: wanted the program {command[0]}, found none in PATH; "
            "run envs/install.sh"
        )
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C", **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        errors = [line for line in said if "rror" in line or line.startswith("E:")]
        raise CarveoutError(
            f"could not {purpose}: {' '.join(errors[:3] or said[-1:] or ['it said nothing'])}"
        )
    return done.stdout.strip()
