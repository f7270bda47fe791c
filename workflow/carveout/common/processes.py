# SPDX-License-Identifier: GPL-2.0-only
"""How other programs are run to their end: in one way, with one form of error."""

import multiprocessing
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from carveout.common.errors import CarveoutError

_NEEDED = ("PATH", "HOME", "TMPDIR")
# A program ends with the job that runs it, however that ends.
_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


class ProgramError(CarveoutError):
    """A program failed.

    Attributes:
        said: all that it said, of which the message has the first errors.
    """

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def run_program(
    command: Sequence[str],
    purpose: str,
    *,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    is_apart: bool = False,
) -> str:
    """Run a program that needs no input and return what it printed.

    Args:
        command: the program, by name or path, and its arguments.
        purpose: what it is run for, for the error: `unpack a.deb`.
        folder: where it is run.
        variables: added to the environment. Its language is always English.
        is_apart: whether the environment has nothing else of the user's but where programs and
            temporary files are: what decides about bytes that are to be the same everywhere.

    Raises:
        CarveoutError: the program is missing, or it failed; then the message has the first errors
            that it printed, and all of its output is printed.
    """
    if shutil.which(command[0]) is None:
        raise CarveoutError(
            f"cannot {purpose}: wanted the program {command[0]}, found none in PATH; "
            "run envs/install.sh"
        )
    with subprocess.Popen(
        [*_WITH_US, *command],
        cwd=folder,
        env={**_environment(is_apart=is_apart), "LC_ALL": "C", **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            printed, complained = process.communicate()
        except BaseException:
            process.terminate()  # and not killed: make ends what it runs
            raise
    if process.returncode != 0:
        print(printed, complained, sep="", flush=True)  # for the log of the job
        said = (complained.strip() or printed.strip()).splitlines()
        errors = [line for line in said if "rror" in line or line.startswith("E:")]
        words = " ".join(errors[:3] or said[-1:] or ["it said nothing"])
        raise ProgramError(f"could not {purpose}: {words}", "\n".join(said))
    return printed.strip()


def _environment(*, is_apart: bool) -> dict[str, str]:
    names = _NEEDED if is_apart else os.environ.keys()
    return {name: os.environ[name] for name in names if name in os.environ}


def is_success(command: Sequence[str]) -> bool:
    """Return whether a program whose answer is its exit status says yes."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 0


def end_with_parent() -> None:
    """Let this process, a worker of multiprocessing's, end when the one that began it ends.

    A worker whose job was killed would wait for a next piece of work for ever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is some process's"

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
