# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: the command line of a repeatable guest, and one running guest seen through QMP."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from qemu.qmp import EventListener, Message, QMPClient, QMPError

from carveout.errors import CarveoutError
from carveout.sizes import MIB

# What the guest reads its parameters from has one fixed size, so that a restored guest can be
# handed another file of the same name (fw_cfg files are no part of a saved state).
PARAMETER_FILE_BYTES = 4096

# What QEMU keeps of translated guest code; its default of 1 GiB would be no bound worth stating. A
# boot of Debian's kernel translates 50 MB, a trial after it 20 MB.
TRANSLATION_CACHE_BYTES = 128 * MIB

# QEMU itself beside the guest's RAM and its translations: measured 130 MB while it boots, of which
# 45 MB are copies of kernel and initrd.
_QEMU_ITSELF_BYTES = 256 * MIB

# Kernel arguments of every host under test. `quiet` and no crypto self-tests shorten the boot and
# touch no memory that is measured; panic=-1 makes a panic end the guest at once.
KERNEL_ARGS = "console=ttyAMA0 nokaslr quiet cryptomgr.notests panic=-1"


@dataclass(frozen=True)
class Machine:
    """The machine that QEMU emulates: what the command line needs beside the files."""

    qemu: str
    cpu_model: str
    cpus: int
    ram_bytes: int
    kernel_args: str
    qemu_args: Sequence[str]


@dataclass(frozen=True)
class GuestFiles:
    """The files of one guest: what it reads and what it writes."""

    kernel: Path
    initrd: Path
    boot_parameters: Path
    trial_parameters: Path
    console: Path
    records: Path


def qemu_version(qemu: str) -> str:
    """The version that a QEMU says of itself, with its distribution's suffix."""
    try:
        answer = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CarveoutError(f"{qemu}: does not run as a QEMU: {error}") from error
    match = re.search(r"version (.+)", answer.stdout)
    if match is None:
        raise CarveoutError(f"{qemu}: wanted a QEMU, found a program that says {answer.stdout!r}")
    return match[1].strip()


def most_memory_bytes(ram_bytes: int) -> int:
    """What one QEMU takes of the runner's memory at most, for a machine with so much RAM."""
    return ram_bytes + TRANSLATION_CACHE_BYTES + _QEMU_ITSELF_BYTES


def machine_args(machine: Machine) -> list[str]:
    """QEMU's arguments for a machine, without any path: they are part of a trial's digest.

    The instruction counter is the guest's clock (one instruction, one nanosecond), all seeds are
    fixed, and nothing reaches the guest but by its own synchronous reads.
    """
    return [
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-machine", "virt,gic-version=3,dtb-randomness=off"),
        *("-cpu", machine.cpu_model, "-smp", str(machine.cpus)),
        *("-m", f"{machine.ram_bytes // 2**20}M"),
        *("-accel", f"tcg,tb-size={TRANSLATION_CACHE_BYTES >> 20}"),
        *("-icount", "shift=0,sleep=off"),
        *("-seed", "1", "-rtc", "base=2020-01-01,clock=vm"),
        *("-device", "pvpanic-pci", "-action", "panic=pause"),
        *("-device", "i6300esb", "-action", "watchdog=pause"),
        *("-append", f"{KERNEL_ARGS} {machine.kernel_args}".strip()),
        *machine.qemu_args,
    ]


def file_args(files: GuestFiles) -> list[str]:
    """QEMU's arguments for a guest's files."""
    return [
        *("-kernel", str(files.kernel), "-initrd", str(files.initrd)),
        *("-fw_cfg", f"name=opt/carveout/boot,file={files.boot_parameters}"),
        *("-fw_cfg", f"name=opt/carveout/trial,file={files.trial_parameters}"),
        *("-chardev", f"file,id=console,path={files.console},append=on"),
        *("-serial", "chardev:console"),
        *("-chardev", f"file,id=records,path={files.records},append=on"),
        *("-device", "pci-serial,chardev=records"),
    ]


class GuestDiedError(CarveoutError):
    """QEMU ended on its own: nothing is known of its guest, which may be started again."""


class Stop(Enum):
    """Why a guest stands still or is gone."""

    PAUSED = "paused"
    """The guest asked for the host: it stands at an exact instruction and can go on."""
    WATCHDOG = "watchdog"
    """The guest's time limit, counted in its own time, is over."""
    POWERED_OFF = "powered_off"
    RESET = "reset"
    """The guest wanted to start anew: the kernel panicked."""
    DIED = "died"
    """QEMU ended without a word of its guest: the experiment could not be made."""


_POLL_INTERVAL_S = 0.01
_EXIT_LIMIT_S = 5
_UNBOUNDED_BYTES_PER_S = 2**40  # QEMU's default of 128 MiB/s is meant for networks

_EVENT_STOPS = {
    ("GUEST_PANICKED", "pause"): Stop.PAUSED,
    ("WATCHDOG", "pause"): Stop.WATCHDOG,
    ("SHUTDOWN", "guest-shutdown"): Stop.POWERED_OFF,
    ("SHUTDOWN", "guest-reset"): Stop.RESET,
}


@dataclass(frozen=True)
class Usage:
    """What a QEMU process took of the runner's machine.

    Attributes:
        wall_ns: from its start to its end.
        ready_wall_ns: from its start to the trial's first instruction; None when it had none.
    """

    wall_ns: int
    ready_wall_ns: int | None
    user_ns: int
    system_ns: int
    peak_rss_bytes: int


class Guest:
    """One QEMU process and its monitor. It is born standing still; `resume` lets it run."""

    def __init__(self, process: subprocess.Popen[bytes], monitor: QMPClient, start_ns: int) -> None:
        self._process = process
        self._monitor = monitor
        self._events = EventListener({"STOP", *(event for event, _ in _EVENT_STOPS)})
        self._start_ns = start_ns
        self._ready_ns: int | None = None
        monitor.register_listener(self._events)

    def note_ready(self) -> None:
        """Notes that the trial's first instruction is the next that the guest runs."""
        self._ready_ns = time.monotonic_ns()

    async def resume(self) -> None:
        """Lets the guest run on."""
        await self.execute("cont", {})

    async def execute(self, command: str, arguments: Mapping[str, Any]) -> object:
        """Runs one QMP command and returns its answer; only while the guest stands still."""
        return await self._monitor.execute(command, dict(arguments))

    async def save(self, state: Path) -> None:
        """Writes the state of a standing guest, RAM included, to a file.

        Raises:
            CarveoutError: QEMU could not write it, for lack of room for instance.
        """
        with state.open("wb") as stream:
            self._monitor.send_fd_scm(stream.fileno())
            await self.execute("getfd", {"fdname": "state"})
        await self.execute("migrate-set-parameters", {"max-bandwidth": _UNBOUNDED_BYTES_PER_S})
        await self.execute("migrate", {"uri": "fd:state"})
        answer = await self._poll("query-migrate", {"setup", "active", "device"})
        if answer["status"] != "completed":
            raise CarveoutError(
                f"{state}: wanted the guest's state in a file, found that QEMU could not write it: "
                f"{answer.get('error-desc', answer['status'])} after {state.stat().st_size} bytes; "
                "make room on the disk of TMPDIR, or raise the key limits.state of the config"
            )

    async def wait_until_restored(self) -> None:
        """Waits until a guest that is born of a saved state has all of it."""
        await self._poll("query-status", {"inmigrate"})

    async def _poll(self, query: str, unfinished: set[str]) -> dict[str, str]:
        """Asks until the answer's status is none of ``unfinished``; the guest stands still."""
        while True:
            answer = cast(dict[str, str], await self.execute(query, {}))
            if answer.get("status", "setup") not in unfinished:
                return answer
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def next_stop(self) -> Stop:
        """Waits until the guest stands still or is gone."""
        stop = None
        while (event := await self._next_event()) is not None:
            if event["event"] == "STOP" and stop is not None:
                return stop  # the reason comes first; only now do all CPUs stand
            stop = _stop_of(event)
            if stop not in (Stop.PAUSED, Stop.WATCHDOG):
                return stop
        return Stop.DIED

    async def _next_event(self) -> Message | None:
        """The monitor's next event, or None when QEMU closed the monitor."""
        event = asyncio.ensure_future(self._events.get())
        closed = asyncio.ensure_future(self._monitor.runstate_changed())
        await asyncio.wait({event, closed}, return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        # A monitor that closes may have said why just before.
        if event.done() or not self._events.empty():
            return await event
        event.cancel()
        return None

    async def end(self) -> Usage:
        """Ends QEMU if it still runs, waits for it, and says what it took."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        # A monitor whose QEMU went first says so with the end of its stream.
        with contextlib.suppress(QMPError, EOFError, OSError):
            await self._monitor.disconnect()
        _, status, usage = await asyncio.to_thread(os.wait4, self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return Usage(
            wall_ns=time.monotonic_ns() - self._start_ns,
            ready_wall_ns=None if self._ready_ns is None else self._ready_ns - self._start_ns,
            user_ns=round(usage.ru_utime * 1e9),
            system_ns=round(usage.ru_stime * 1e9),
            peak_rss_bytes=usage.ru_maxrss * 1024,
        )


async def start_guest(
    qemu: str,
    args: Sequence[str],
    messages: Path,
    file_limit_bytes: int,
    state: Path | None = None,
) -> Guest:
    """Starts QEMU with its guest standing: before the first instruction, or where it was saved.

    QEMU dies with the thread that starts it (setpriv --pdeathsig), so that nothing outlives a
    runner that is killed, and stands in a session of its own, so that a Ctrl-C reaches the runner
    alone. A write beyond the limit of a file's size fails, and QEMU lives on to say so: Python
    leaves SIGXFSZ ignored in it.

    Args:
        qemu: the program.
        args: its arguments beside those of the monitor.
        messages: the file that gets what QEMU itself says.
        file_limit_bytes: what any file may grow to that QEMU writes: state, console, records.
        state: what `Guest.save` wrote under the same arguments, or None to boot.

    Raises:
        CarveoutError: QEMU did not start; the message holds what it said.
    """
    start_ns = time.monotonic_ns()
    ours, theirs = socket.socketpair()
    command = [
        *("prlimit", f"--fsize={file_limit_bytes}", "--"),
        *("setpriv", "--pdeathsig", "KILL", "--", qemu, *args, "-S"),
        *("-chardev", f"socket,id=monitor,fd={theirs.fileno()}"),
        *("-mon", "chardev=monitor,mode=control"),
    ]
    with contextlib.ExitStack() as files:
        files.enter_context(theirs)
        inherited = [theirs.fileno()]
        if state is not None:
            inherited.append(files.enter_context(state.open("rb")).fileno())
            command += ["-incoming", f"fd:{inherited[-1]}"]
        stream = files.enter_context(messages.open("wb"))
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=inherited,
            start_new_session=True,
            restore_signals=False,
        )
    monitor = QMPClient("carveout")
    try:
        await monitor.connect(ours)
        guest = Guest(process, monitor, start_ns)
        if state is not None:
            await guest.wait_until_restored()
            guest.note_ready()
    except QMPError as error:
        code = await asyncio.to_thread(_end_of, process)
        said = " ".join(messages.read_text(errors="replace").split())
        kind = GuestDiedError if code < 0 else CarveoutError
        ended = f"a signal, {-code}" if code < 0 else f"status {code}"
        raise kind(
            f"{qemu}: wanted a guest that stands ready, found that QEMU ended with {ended}: "
            f"{said or error}; see the strategy's qemu_args, the key cpu_model and the memory left"
        ) from error
    return guest


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a QEMU that has closed its monitor; negative when a signal ended it."""
    try:
        return process.wait(_EXIT_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return 1


def _stop_of(event: Message) -> Stop:
    data = cast(dict[str, str], event.get("data", {}))
    how = data.get("action", data.get("reason", ""))
    return _EVENT_STOPS.get((str(event["event"]), how), Stop.DIED)
