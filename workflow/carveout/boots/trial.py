# SPDX-License-Identifier: GPL-2.0-only
"""One trial: a guest runs to its end, the host acts when asked, and every end is an outcome."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qemu.qmp import ExecuteError, QMPError

from carveout.common.errors import CarveoutError
from carveout.common.files import read_ends
from carveout.guests.command_line import GuestFiles
from carveout.guests.discards import count_discards, mark_discards
from carveout.guests.guest import Guest, GuestDiedError, Stop
from carveout.records.channel import (
    LAST_RECORDS,
    Record,
    last_record,
    parse_records,
    read_channel,
)
from carveout.study.cell import Point


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        cause: None when the guest came to its end, else ``oom``, ``panic``, ``hang``,
            ``torn_records``, ``error`` or ``books``.
        message: one line for a person, or None.
        records: the guest's whole records, with the answers to its requests to the host
            (``host_reply``, ``discards``) among them.
    """

    cause: str | None
    message: str | None
    records: Sequence[Record]


async def run_trial(guest: Guest, files: GuestFiles, point: Point, wall_limit_s: float) -> Ending:
    """Run a guest from where it stands to its end.

    Raises:
        GuestDiedError: QEMU ended on its own, or came to no end within the limit.
        CarveoutError: the guest asks for what QEMU cannot do.
    """
    replies: dict[int, Record] = {}
    try:
        async with asyncio.timeout(wall_limit_s):
            stop = await _run_to_end(guest, files, point, replies)
    except TimeoutError as error:
        raise GuestDiedError(
            f"wanted the guest's end within {wall_limit_s:g} s (limits.wall_s), found that QEMU "
            "still ran; was it stopped, or is this machine too slow for that limit?"
        ) from error
    except (QMPError, EOFError):
        stop = Stop.DIED
    if stop is Stop.DIED:
        raise GuestDiedError(
            "wanted the guest's end, found that QEMU ended without a word of it; "
            "was it killed for lack of memory? The log of this job has what it said"
        )
    records, problem = parse_records(read_channel(files.records))
    cause, message = _judge(stop, records, problem, files)
    return Ending(cause=cause, message=message, records=_with_replies(records, replies))


async def _run_to_end(
    guest: Guest, files: GuestFiles, point: Point, replies: dict[int, Record]
) -> Stop:
    """Do what the guest pauses for, until it comes to its end or stops for another reason."""
    while True:
        if guest.is_paused:
            said = last_record(files.records)
            if said is None:
                return Stop.PAUSED  # torn: nobody knows what the guest waits for
            if said["record"] in LAST_RECORDS:
                guest.note_end()
                return Stop.PAUSED
            if said["record"] == "ready":
                await guest.tell(_word(point))
                guest.note_ready()
            else:
                replies[said["seq"]] = await _act(guest, files, said)
        await guest.resume()
        stop = await guest.next_stop()
        if stop is not Stop.PAUSED:
            return stop


def _word(point: Point) -> int:
    """Return what a guest is told of its trial: read_point() in lib/boot.sh takes it apart."""
    return point.seed << 10 | point.dose_permille


async def _act(guest: Guest, files: GuestFiles, asked: Record) -> Record:
    """Do what the guest asks the host for, and return the answer as a record."""
    reply: dict[str, Any] = {"seq": asked["seq"], "record": "host_reply", "return": {}}
    try:
        match asked["execute"]:
            case "mark_discards":
                await mark_discards(guest, files)
            case "count_discards":
                discards = await count_discards(guest, files)
                reply = {"seq": asked["seq"], "record": "discards", **asked["arguments"]}
                reply |= discards.as_record()
            case command:
                reply["return"] = await guest.execute(command, asked["arguments"])
    except ExecuteError as error:
        raise CarveoutError(
            f"QEMU refused {asked['execute']} {asked['arguments']}: {error}; "
            "see the strategy's guest.sh and qemu_args"
        ) from error
    return reply


def _judge(
    stop: Stop, records: Sequence[Record], problem: str | None, files: GuestFiles
) -> tuple[str | None, str | None]:
    """Return cause and message of an ending."""
    if stop is Stop.WATCHDOG:
        return "hang", "the guest ran longer than limits.guest_s of its own time"
    if stop is Stop.RESET:
        return "panic", _panic_message(read_ends(files.console))
    return _judge_records(records, problem)


def _judge_records(records: Sequence[Record], problem: str | None) -> tuple[str | None, str | None]:
    """Return cause and message of a guest that came to its end by itself."""
    last: Mapping[str, Any] = records[-1] if records else {"record": "nothing"}
    if problem is not None:
        return "torn_records", problem
    if last["record"] not in LAST_RECORDS:
        return "torn_records", f"wanted end as the last record, found {last['record']}"
    return last.get("cause"), last.get("message")


def _panic_message(console: str) -> str:
    """Return the kernel's own words for a panic, without their time stamps, and where it was."""
    words = re.search(r"Kernel panic - not syncing: (.*)", console)
    if words is None:
        return "the guest reset itself without a panic message"
    places = re.findall(r"\] pc : (\S+)", console[: words.start()])
    return words[1].strip() + (f", at {places[-1]}" if places else "")


def _with_replies(records: Sequence[Record], replies: Mapping[int, Record]) -> list[Record]:
    merged: list[Record] = []
    for record in records:
        merged.append(record)
        if record["record"] == "host":
            merged.extend(reply for seq, reply in replies.items() if seq == record["seq"])
    return merged
