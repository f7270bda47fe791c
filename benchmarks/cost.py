# SPDX-License-Identifier: GPL-2.0-only
"""The cost of a command: its wall time, the processor time of all its processes, and peaks."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from carveout.common.errors import CarveoutError
from carveout.guests.guest import peak_rss_bytes

Gauge = Callable[[psutil.Process], int]

_SAMPLE_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Cost:
    """What one command took.

    Attributes:
        wall_s: from its start to its end.
        cpu_s: user and system time of the command and of all its descendants.
        peak_memory_bytes: the largest sample of `memory_bytes`.
        peaks: the largest sample of each gauge, by the gauge's name.
    """

    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    peaks: Mapping[str, int]


def run(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    gauges: Mapping[str, Gauge] | None = None,
) -> Cost:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        log: the file that gets what it prints.
        environment: variables that are added to this process's environment.
        gauges: what is sampled twice a second while it runs, each under its name.

    Raises:
        CarveoutError: it failed; the message has the last line that it printed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start_s = time.monotonic()
    with log.open("wb") as stream:
        # The kernel sends SIGTERM to the command when this process ends, whatever ended it.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    sampler = _Sampler(process.pid, {"memory": memory_bytes, **(gauges or {})})
    try:
        with sampler:
            # wait4 counts a child and those of its descendants that were waited for.
            _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    wall_s = time.monotonic() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = log.read_text(errors="replace").split("\n")
        said = next((line for line in lines if line.startswith("carveout: ")), None)
        last = said or next((line for line in reversed(lines) if line.strip()), "nothing")
        raise CarveoutError(
            f"{command[0]}: wanted it to succeed, found exit code {process.returncode}; "
            f"{log} ends in: {last.strip()}"
        )
    return Cost(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_memory_bytes=sampler.peaks.pop("memory"),
        peaks=sampler.peaks,
    )


def memory_bytes(root: psutil.Process) -> int:
    """Return the memory of a process and its descendants, or the peak of one of them if it is more.

    Memory that several processes share counts once (PSS). A peak between two samples is known
    afterwards, but only of one process (VmHWM). getrusage() does not help, since its peak includes
    the process that started the command.
    """
    total_bytes = peak_bytes = 0
    with contextlib.suppress(psutil.Error):
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error, OSError):
                total_bytes += process.memory_full_info().pss
                peak_bytes = max(peak_bytes, peak_rss_bytes(process.pid))
    return max(total_bytes, peak_bytes)


def disk_bytes(*files: Path) -> int:
    """Return the bytes that files, and all files in folders, take on disk.

    A file that disappears meanwhile counts as nothing.
    """
    total_bytes = 0
    for file in files:
        with contextlib.suppress(OSError):
            total_bytes += file.lstat().st_blocks * 512
            if file.is_dir() and not file.is_symlink():
                total_bytes += disk_bytes(*file.iterdir())
    return total_bytes


class _Sampler(threading.Thread):
    """A thread that reads gauges until its `with` block ends."""

    def __init__(self, pid: int, gauges: Mapping[str, Gauge]) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._gauges = gauges
        self._over = threading.Event()
        self.peaks = dict.fromkeys(gauges, 0)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Sample all gauges, at least once."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._pid)
            while True:
                for name, gauge in self._gauges.items():
                    self.peaks[name] = max(self.peaks[name], gauge(process))
                if self._over.wait(_SAMPLE_INTERVAL_S):
                    return
