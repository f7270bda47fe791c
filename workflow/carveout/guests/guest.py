# SPDX-License-Identifier: GPL-2.0-only
"""One running guest: a QEMU process, seen through its monitor."""

import asyncio
import contextlib
import fcntl
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

import psutil
from qemu.qmp import EventListener, ExecuteError, Message, QMPClient, QMPError, Runstate

from carveout.common.errors import CarveoutError
from carveout.common.sizes import KIB

# A guest is told its trial through a UART, while it stands still. 8 bytes are the trigger level
# that Linux sets: so many the UART's FIFO takes before the guest reads (QEMU's
# serial_can_receive()), and at so many the guest is interrupted at once. With more or fewer bytes,
# the host's timing would decide when the guest sees what it is told.
_WORD_BYTES = 8


class GuestDiedError(CarveoutError):
    """QEMU ended on its own or stood still: nothing is known of its guest, which may run again."""


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


_EXIT_LIMIT_S = 5
_HAND_OVER_LIMIT_S = 5

_EVENT_STOPS = {
    ("GUEST_PANICKED", "pause"): Stop.PAUSED,
    ("WATCHDOG", "pause"): Stop.WATCHDOG,
    ("SHUTDOWN", "guest-shutdown"): Stop.POWERED_OFF,
    ("SHUTDOWN", "guest-reset"): Stop.RESET,
}

# The names of a saved state, of the image that holds it, and of the image's file.
_STATE, _IMAGE, _IMAGE_FILE = "ready", "state", "state-file"


@dataclass(frozen=True)
class Usage:
    """What a guest took of the runner's machine.

    Attributes:
        wall_ns: from its start to its end. A guest starts with its QEMU, or when a QEMU that has
            ended another trial begins to restore it.
        ready_wall_ns: from its start to the trial's first instruction; None when it had none.
        user_ns: QEMU's processor time in user mode, which the kernel counts in ticks of 10 ms.
        system_ns: likewise, in the kernel.
        peak_rss_bytes: the most that QEMU has held, from its own start on.
    """

    wall_ns: int
    ready_wall_ns: int | None
    user_ns: int
    system_ns: int
    peak_rss_bytes: int


@dataclass
class _Start:
    """When a guest started, what its QEMU had taken by then, and how far it has come."""

    time_ns: int
    user_s: float = 0
    system_s: float = 0
    ready_ns: int | None = None
    is_at_end: bool = False


class Guest:
    """One QEMU process and its monitor. It starts standing still; `resume` lets it run."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        monitor: QMPClient,
        word_channel: socket.socket,
        start_ns: int,
    ) -> None:
        self._process = process
        self._monitor = monitor
        self._word_channel = word_channel
        self._events = EventListener({"STOP", *(event for event, _ in _EVENT_STOPS)})
        self._job_events = EventListener({"JOB_STATUS_CHANGE"})
        self._start = _Start(start_ns)
        self._is_paused = False
        monitor.register_listener(self._events)
        monitor.register_listener(self._job_events)

    @property
    def is_paused(self) -> bool:
        """Whether the guest has paused by itself and stands there."""
        return self._is_paused

    @property
    def is_at_end(self) -> bool:
        """Whether the guest stands at the end of its trial: its QEMU is free for another."""
        return self._start.is_at_end

    def note_ready(self) -> None:
        """Note that the trial's first instruction is the next that the guest runs."""
        self._start.ready_ns = time.monotonic_ns()

    def note_end(self) -> None:
        """Note that the guest has nothing more to do."""
        self._start.is_at_end = True

    async def resume(self) -> None:
        """Let the guest run on."""
        self._is_paused = False
        await self.execute("cont", {})

    async def execute(self, command: str, arguments: Mapping[str, Any]) -> object:
        """Run one QMP command and return its answer; only while the guest stands still."""
        return await self._monitor.execute(command, dict(arguments))

    async def tell(self, word: int) -> None:
        """Tell a standing guest a number of 28 bits; its UART has all of it when this returns.

        Raises:
            GuestDiedError: QEMU has ended.
            CarveoutError: the UART does not take it.
        """
        with _named_errors("takes what a guest is told"):
            self._word_channel.sendall(f"{word:0{_WORD_BYTES - 1}x}\n".encode())
        end_s = time.monotonic() + _HAND_OVER_LIMIT_S
        while _unread_bytes(self._word_channel):
            await self.execute("query-status", {})  # a turn of QEMU's main loop
            if time.monotonic() > end_s:
                raise CarveoutError(
                    f"wanted a guest whose UART takes {_WORD_BYTES} bytes while it stands, found "
                    "one that does not; was /dev/ttyS1 open when the guest paused?"
                )

    async def save(self, state: Path) -> None:
        """Write the state of a standing guest, RAM included, to a file: an image of QEMU's own.

        Raises:
            GuestDiedError: QEMU has ended.
            CarveoutError: QEMU could not write it, for lack of room for instance.
        """
        with _named_errors("saves a guest's state"):
            await self._save(state)

    async def _save(self, state: Path) -> None:
        state.touch()
        file = {"driver": "file", "filename": str(state), "node-name": _IMAGE_FILE}
        empty = {"driver": "qcow2", "file": _IMAGE_FILE, "size": 0}
        await self.execute("blockdev-add", file)
        try:
            await self._run_job("blockdev-create", {"options": empty})
            await self._open_image(_IMAGE_FILE)
            await self._run_job("snapshot-save", _SNAPSHOT)
            await self.execute("blockdev-del", {"node-name": _IMAGE})
        except _JobError as error:
            raise CarveoutError(
                f"{state}: wanted the guest's state in a file, found that QEMU could not write it: "
                f"{error} after {state.stat().st_size} bytes; "
                "make room on the disk of TMPDIR, or raise the key limits.state of the config; "
                "for a machine whose state QEMU cannot save, set boot: cold"
            ) from error
        await self.execute("blockdev-del", {"node-name": _IMAGE_FILE})

    async def load(self, state: Path) -> None:
        """Bring a standing guest to a state, which stays this QEMU's own for `restore`.

        Args:
            state: a copy of what `save` wrote under the same arguments; QEMU writes to it.

        Raises:
            GuestDiedError: QEMU has ended.
            CarveoutError: the state is not one of this guest.
        """
        with _named_errors("loads a guest's state"):
            file = {"driver": "file", "filename": str(state)}
            try:
                # QEMU then need not hand every few pages of the state to a thread and back.
                await self._open_image(file | {"aio": "io_uring"})
            except ExecuteError:  # not in this QEMU, or not allowed on this machine
                await self._open_image(file)
            await self._load_snapshot()

    async def restore(self) -> None:
        """Start another guest in this QEMU, from the state that the one before was loaded from.

        Raises:
            GuestDiedError: QEMU has ended.
            CarveoutError: the state is there no longer.
        """
        with _named_errors("restores a guest's state"):
            times = psutil.Process(self._process.pid).cpu_times()
            self._start = _Start(time.monotonic_ns(), times.user, times.system)
            await self._load_snapshot()

    async def _load_snapshot(self) -> None:
        await self._run_job("snapshot-load", _SNAPSHOT)
        # What the guest before did is of no interest to this one.
        for events in (self._events, self._job_events, self._monitor.events):
            events.clear()
        self._is_paused = True

    async def _open_image(self, file: object) -> None:
        image = {"driver": "qcow2", "file": file, "node-name": _IMAGE}
        await self.execute("blockdev-add", image)

    async def _run_job(self, command: str, arguments: Mapping[str, Any]) -> None:
        """Run a command that QEMU makes a job of, to its end."""
        await self.execute(command, {"job-id": command, **arguments})
        is_over = False
        while not is_over:
            event = await self._next_of(self._job_events)
            if event is None:
                raise EOFError
            is_over = cast(dict[str, str], event["data"])["status"] == "concluded"
        (job,) = cast(list[dict[str, str]], await self.execute("query-jobs", {}))
        await self.execute("job-dismiss", {"id": command})
        if "error" in job:
            raise _JobError(job["error"])

    async def next_stop(self) -> Stop:
        """Wait until the guest stands still or is gone, and return why."""
        stop = None
        while (event := await self._next_of(self._events)) is not None:
            if event["event"] == "STOP" and stop is not None:
                self._is_paused = stop is Stop.PAUSED
                return stop  # the reason comes first; only now do all CPUs stand
            stop = _stop_of(event)
            if stop not in (Stop.PAUSED, Stop.WATCHDOG):
                return stop
        return Stop.DIED

    async def _next_of(self, events: EventListener) -> Message | None:
        """Return the next of the monitor's events, or None when QEMU closed the monitor."""
        event = asyncio.ensure_future(events.get())
        closed = asyncio.ensure_future(self._monitor.runstate_changed())
        try:
            await asyncio.sleep(0)  # both wait now, and no change from here on is missed
            if self._monitor.runstate is Runstate.RUNNING:
                await asyncio.wait({event, closed}, return_when=asyncio.FIRST_COMPLETED)
            # A monitor that closes may have said why just before.
            return await event if event.done() or not events.empty() else None
        finally:
            event.cancel()
            closed.cancel()

    def usage(self) -> Usage:
        """Return what the guest took so far; QEMU must not have been ended yet."""
        times = psutil.Process(self._process.pid).cpu_times()
        start = self._start
        return Usage(
            wall_ns=time.monotonic_ns() - start.time_ns,
            ready_wall_ns=None if start.ready_ns is None else start.ready_ns - start.time_ns,
            user_ns=round((times.user - start.user_s) * 1e9),
            system_ns=round((times.system - start.system_s) * 1e9),
            peak_rss_bytes=peak_rss_bytes(self._process.pid),
        )

    async def end(self) -> None:
        """End QEMU if it still runs, and wait for it."""
        self._process.kill()
        # A monitor whose QEMU went first says so with the end of its stream.
        with contextlib.suppress(QMPError, EOFError, OSError):
            await self._monitor.disconnect()
        self._word_channel.close()
        await asyncio.to_thread(self._process.wait)


class _JobError(Exception):
    """A job of QEMU's failed."""


@contextlib.contextmanager
def _named_errors(does: str) -> Iterator[None]:
    """Turn the errors of a QEMU that has ended or refuses into ones that say what was wanted."""
    try:
        yield
    except (_JobError, ExecuteError) as error:
        raise CarveoutError(f"wanted a QEMU that {does}, found: {error}") from error
    except (EOFError, OSError, psutil.Error, QMPError) as error:
        raise GuestDiedError(f"wanted a QEMU that {does}, found that it ended") from error


_SNAPSHOT = {"tag": _STATE, "vmstate": _IMAGE, "devices": [_IMAGE]}


def peak_rss_bytes(pid: int) -> int:
    """Return the most memory that a process has held, or 0 if it has ended and is a zombie."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * KIB
    return 0


def _unread_bytes(channel: socket.socket) -> int:
    """Return how much was sent into a local socket and not read yet, in the kernel's own bytes."""
    answer = fcntl.ioctl(channel, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


async def start_guest(
    qemu: str, args: Sequence[str], messages: Path, file_limit_bytes: int
) -> Guest:
    """Start QEMU with its guest standing before the first instruction.

    QEMU dies with the thread that starts it (setpriv --pdeathsig), so that nothing outlives a
    runner that is killed. It runs in a session of its own, so that a Ctrl-C reaches the runner
    alone. When it writes more than a file may hold, the write fails, and QEMU lives on to say so:
    Python leaves SIGXFSZ ignored in it.

    Args:
        qemu: the program.
        args: its arguments beside those of the monitor and of the channel for `Guest.tell`.
        messages: the file that gets what QEMU itself says.
        file_limit_bytes: the most that each file that QEMU writes may hold: state, console,
            records.

    Raises:
        CarveoutError: QEMU did not start; the message holds what it said.
    """
    start_ns = time.monotonic_ns()
    monitor_end, monitor_of_qemu = socket.socketpair()
    word_channel, word_channel_of_qemu = socket.socketpair()
    inherited = (monitor_of_qemu.fileno(), word_channel_of_qemu.fileno())
    command = [
        *("prlimit", f"--fsize={file_limit_bytes}", "--"),
        *("setpriv", "--pdeathsig", "KILL", "--", qemu, *args, "-S"),
        *("-chardev", f"socket,id=monitor,fd={inherited[0]}"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"socket,id=word,fd={inherited[1]}"),
        *("-device", "pci-serial,chardev=word"),
    ]
    with monitor_of_qemu, word_channel_of_qemu, messages.open("ab") as stream:
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
    guest = Guest(process, monitor, word_channel, start_ns)
    try:
        await monitor.connect(monitor_end)
    except QMPError as error:
        code = await asyncio.to_thread(_end_of, process)
        word_channel.close()
        said = " ".join(messages.read_text(errors="replace").split())
        kind = GuestDiedError if code < 0 else CarveoutError
        ended = f"a signal, {-code}" if code < 0 else f"status {code}"
        raise kind(
            f"{qemu}: wanted a guest that stands ready, found that QEMU ended with {ended}: "
            f"{said or error}; see the strategy's qemu_args, the key cpu_model and the memory left"
        ) from error
    except BaseException:
        await guest.end()
        raise
    return guest


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a QEMU that has closed its monitor, negative if a signal ended it."""
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
