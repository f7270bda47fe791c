# SPDX-License-Identifier: GPL-2.0-only
"""SIGTERM ends a job once: it ends what it began, and being told to again does not cut that short.

A job is told to end by Snakemake, and again when Snakemake itself ends before it.
"""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

from carveout.common.errors import SIGTERM_STATUS, exit_on_sigterm

Result = TypeVar("Result")


def run_until_sigterm(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end; SIGTERM cancels it, and once it has ended, Python is left.

    Python's own way, an exception wherever it happens to be, would leave tasks half cancelled.
    """
    try:
        return asyncio.run(_cancelled_by_sigterm(work))
    except asyncio.CancelledError:
        sys.exit(SIGTERM_STATUS)


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, Result]) -> Result:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "a coroutine is run by a task"

    def cancel(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        if not task.cancelling():  # as it is after Ctrl-C
            loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGTERM, cancel)
    try:
        return await work
    finally:
        if task.cancelling():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            exit_on_sigterm()
