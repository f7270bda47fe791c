# SPDX-License-Identifier: GPL-2.0-only
"""How other programs are run to their end: in one way, with one form of error."""

import ctypes
import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from carveout.common.errors import CarveoutError

_NEEDED = ("PATH", "HOME", "TMPDIR")
_MOST_ENDING_S = 10
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


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
        CarveoutError: the program is missing or not for this machine, or it failed; then the
            message has the first errors that it printed, and all of its output is printed.
    """
    if shutil.which(command[0]) is None:
        raise CarveoutError(
            f"cannot {purpose}: wanted the program {command[0]}, found none in PATH; "
            "run envs/install.sh"
        )
    environment = {**_environment(is_apart=is_apart), "LC_ALL": "C", **(variables or {})}
    try:
        status, printed, complained = _run(command, folder, environment)
    except OSError as error:  # a program for another machine, say
        raise CarveoutError(f"cannot {purpose}: {command[0]}: {error.strerror}") from error
    if status != 0:
        print(printed, complained, sep="", flush=True)  # for the log of the job
        said = (complained.strip() or printed.strip()).splitlines()
        errors = [line for line in said if "rror" in line or line.startswith("E:")]
        words = " ".join(errors[:3] or said[-1:] or ["it said nothing"])
        raise ProgramError(f"could not {purpose}: {words}", "\n".join(said))
    return printed.strip()


def _run(
    command: Sequence[str], folder: Path | None, environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Return how a program ended, what it printed and what it complained of."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # Not setpriv, which gives to a shell what is no program of this machine. And no thread of
        # a job holds a lock that this would wait for.
        preexec_fn=_end_with_our_job,  # noqa: PLW1509
    ) as process:
        try:
            printed, complained = process.communicate()
        except BaseException:
            _end(process)
            raise
    return process.returncode, printed, complained


def _end_with_our_job() -> None:
    """Let this process end when the job that has begun it ends, however that ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()  # and not killed at once: make ends what it runs
    try:
        process.wait(_MOST_ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()


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
