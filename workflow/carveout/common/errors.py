# SPDX-License-Identifier: GPL-2.0-only
"""The one error that a user is meant to read, and how an entry point prints it."""

import functools
import sys
from collections.abc import Callable


class CarveoutError(Exception):
    """What was wanted, what was found, which file and key, what to do: all in one line."""


def entry_point(main: Callable[[], None]) -> Callable[[], int]:
    """Turn a `CarveoutError` of `main` into one line on stderr and exit status 1.

    A Ctrl-C prints nothing and gives exit status 130.
    """

    @functools.wraps(main)
    def run() -> int:
        try:
            main()
        except CarveoutError as error:
            print(f"carveout: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130  # as a shell says it of SIGINT
        return 0

    return run
