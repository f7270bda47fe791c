# SPDX-License-Identifier: GPL-2.0-only
"""The guest's records: one JSON object per line, numbered, each checked against the schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carveout.common import schemas
from carveout.common.sizes import MIB

Record = Mapping[str, Any]

# Goes up when what the runner writes of a trial changes: CHANGELOG.md says how.
RECORDS_VERSION = 10

# Far more than any trial says: a channel that holds more is taken for torn.
MOST_CHANNEL_BYTES = 64 * MIB

# What a guest says last: that it came to its end, or that something went wrong in it.
LAST_RECORDS = ("end", "fault")


def read_channel(channel: Path) -> bytes:
    """Return what a guest has written so far, and one byte too many where that is too much."""
    with channel.open("rb") as stream:
        return stream.read(MOST_CHANNEL_BYTES + 1)


def parse_records(channel: bytes) -> tuple[list[Record], str | None]:
    """Return all whole records that a guest has written so far, and what is wrong after them.

    Args:
        channel: the bytes of the channel from its start.

    Returns:
        The records up to the first line that is cut short, is no JSON, breaks the schema or whose
        number does not follow the number before it; and what is wrong with that line, or None.
    """
    if len(channel) > MOST_CHANNEL_BYTES:
        return [], f"the channel holds more than {MOST_CHANNEL_BYTES // MIB} MiB"
    lines = channel.replace(b"\r\n", b"\n").split(b"\n")
    records: list[Record] = []
    for number, line in enumerate(lines[:-1]):
        record, problem = _parse_line(line, number)
        if record is None:
            return records, problem
        records.append(record)
    return records, f"line {len(lines)} has no end: {_excerpt(lines[-1])}" if lines[-1] else None


def parse_last_record(channel: bytes) -> tuple[Record | None, str | None]:
    """Return the last record that a guest has written so far, or what is wrong with it."""
    if len(channel) > MOST_CHANNEL_BYTES:
        return None, f"the channel holds more than {MOST_CHANNEL_BYTES // MIB} MiB"
    *lines, last = channel.replace(b"\r\n", b"\n").split(b"\n")
    if last or not lines:
        return None, f"no whole line: {_excerpt(last)}"
    return _parse_line(lines[-1], len(lines) - 1)


def last_record(channel: Path) -> Record | None:
    """Return what a guest that paused said last: that it is ready, asks the host, or has ended.

    None is for a channel that is torn: what is wrong with it `parse_records` says.
    """
    record, _ = parse_last_record(read_channel(channel))
    return record if record and record["record"] in ("ready", "host", *LAST_RECORDS) else None


def problem_of(record: Any) -> str | None:
    """Return None when an object is a record of its kind, else what is wrong in one line."""
    problem = schemas.matches(record, "record")
    return problem or schemas.matches(record, "record", record["record"])


def _parse_line(line: bytes, number: int) -> tuple[Record | None, str | None]:
    try:
        record = json.loads(line.decode(), parse_constant=_refuse_constant)
        if b"\\u" in line:
            json.dumps(record, ensure_ascii=False).encode()  # half a character is no text
    except (ValueError, RecursionError):
        return None, f"line {number + 1} is no JSON: {_excerpt(line)}"
    problem = problem_of(record)
    if problem is not None:
        return None, f"line {number + 1} is no record: {problem}"
    if record["seq"] != number:
        return None, f"line {number + 1}: wanted seq {number}, found {record['seq']}"
    return record, None


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python takes for JSON and others do not."""
    raise ValueError(name)


def _excerpt(line: bytes) -> str:
    return repr(line[:80].decode("ascii", "replace"))
