# SPDX-License-Identifier: GPL-2.0-only
"""A job that is told to end, once or again and again, ends what it began and says nothing."""

import signal
import subprocess
import sys
import time

import pytest

# Of each way to be at work: what it does when it is told to end takes a while.
WORK = {
    "in tasks": """
async def guest(number):
    try:
        print("begun", flush=True)
        await asyncio.sleep(60)
    finally:
        for _ in range(20):
            await asyncio.sleep(0.01)
        print("ended", flush=True)

async def work():
    async with asyncio.TaskGroup() as group:
        for number in range(2):
            group.create_task(guest(number))

run_until_sigterm(work())
""",
    "before or after them": """
async def work():
    pass

run_until_sigterm(work())
try:
    for _ in range(2):
        print("begun", flush=True)
    time.sleep(60)
finally:
    time.sleep(0.2)
    for _ in range(2):
        print("ended", flush=True)
""",
}
# A shell's background job would ignore Ctrl-C.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
IMPORTS = """
import asyncio, time
from carveout.common.errors import exit_on_sigterm
from carveout.guests.ending import run_until_sigterm
exit_on_sigterm()
"""


@pytest.mark.parametrize("times", [1, 10_000])
@pytest.mark.parametrize("work", WORK)
def test_what_was_begun_is_ended_however_often_it_is_told(work: str, times: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORTS + WORK[work]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
    for _ in range(times):
        if process.poll() is not None:
            break
        process.terminate()
        time.sleep(0.0005)
    said, told = process.communicate()
    assert (process.returncode, said, told) == (128 + signal.SIGTERM, "ended\n" * 2, "")


def test_work_that_nobody_ends_gives_its_result() -> None:
    script = IMPORTS + "print(run_until_sigterm(asyncio.sleep(0, result=3)))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "3\n"


def test_who_pressed_control_c_is_not_cut_short_by_what_ends_later() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE + IMPORTS + WORK["in tasks"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        time.sleep(0.01)
        process.terminate()
    said, told = process.communicate()
    assert said == "ended\n" * 2
    assert told.endswith("KeyboardInterrupt\n")
