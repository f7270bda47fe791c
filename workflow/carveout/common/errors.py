# SPDX-License-Identifier: GPL-2.0-only
"""The one error that a user is meant to read, how an entry point prints it, and how it is ended."""

import errno
import functools
import signal
import sys
from collections.abc import Callable
from types import FrameType

SIGTERM_STATUS = 128 + signal.SIGTERM  # as a shell says it

# What a disk says of itself; all else may be an error of ours, which its traceback tells.
_OF_DISKS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room there and run again"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable and run again"),
    errno.EIO: "its disk fails: keep results on another one",
}


class CarveoutError(Exception):
    """What was wanted, what was found, which file and key, what to do: all in one line."""


def entry_point(main: Callable[[], None]) -> Callable[[], int]:
    """Turn a `CarveoutError` of `main`, or an error of a disk, into one line and exit status 1.

    A Ctrl-C prints nothing and gives exit status 130. A program that is told to end (SIGTERM), as
    it is when its Snakemake ends, first tidies up.
    """

    @functools.wraps(main)
    def run() -> int:
        if main.__module__ == "__main__":  # and not a function that Snakemake calls
            exit_on_sigterm()
        try:
            main()
        except CarveoutError as error:
            print(f"carveout: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            if error.errno not in _OF_DISKS:
                raise
            print(
                f"carveout: {error.filename}: wanted a file that can be used, found "
                f"{error.strerror}; {_OF_DISKS[error.errno]}",
                file=sys.stderr,
            )
            return 1
        except KeyboardInterrupt:
            return 130  # as a shell says it of SIGINT
        return 0

    return run


def exit_on_sigterm() -> None:
    """Leave Python by SystemExit at SIGTERM, so that all is cleaned up, with a shell's status."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(SIGTERM_STATUS)
