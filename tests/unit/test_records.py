# SPDX-License-Identifier: GPL-2.0-only
"""The record channel: whole lines pass, torn, foreign and missing ones are named."""

import json
import re

import pytest

from carveout.records.channel import parse_last_record, parse_records


def line(seq: int, record: str = "stage", **members: object) -> bytes:
    fields = {"stage": "boot", "cycle": 0} if record == "stage" else {}
    return json.dumps({"seq": seq, "record": record, **fields, **members}).encode() + b"\n"


def test_whole_lines_pass_in_order() -> None:
    records, problem = parse_records(line(0) + line(1, stage="load") + line(2, "end"))
    assert problem is None
    assert [record["record"] for record in records] == ["stage", "stage", "end"]


def test_nothing_yet_is_no_problem() -> None:
    assert parse_records(b"") == ([], None)


@pytest.mark.parametrize(
    ("channel", "wanted"),
    [
        (line(0) + line(1)[:-5], "line 2 has no end"),
        (line(0) + b"[ 1.0] kernel says\n", "line 2 is no JSON"),
        (line(0) + line(2), "line 2: wanted seq 1, found 2"),
        (line(0) + line(1)[:-8] + line(2), "line 2 is no JSON"),
        (line(0) + line(1, "lend"), "line 2 is no record"),
        (line(0) + line(1, colour="red"), "line 2 is no record"),
        (line(0) + b"\x80\xff\n", "line 2 is no JSON"),
    ],
)
def test_a_bad_line_is_named_and_what_came_before_is_kept(channel: bytes, wanted: str) -> None:
    records, problem = parse_records(channel)
    assert len(records) == 1
    assert problem is not None
    assert wanted in problem


def test_the_last_record_is_checked_alone() -> None:
    channel = line(0) + b"torn\n" + line(2, "ready")
    assert parse_last_record(channel) == ({"seq": 2, "record": "ready"}, None)


@pytest.mark.parametrize(
    ("channel", "wanted"),
    [
        (b"", "no whole line"),
        (line(0) + line(1)[:-5], "no whole line"),
        (line(0) + line(0), "line 2: wanted seq 1, found 0"),
        (line(0, "ready", cycle=1), "line 1 is no record: key .top level.: unknown key cycle"),
    ],
)
def test_a_bad_last_record_is_named(channel: bytes, wanted: str) -> None:
    record, problem = parse_last_record(channel)
    assert record is None
    assert re.match(wanted, problem or "")
