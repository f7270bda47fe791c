# SPDX-License-Identifier: GPL-2.0-only
"""What people and guests may write is refused in one line or contained, however ill it is meant."""

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carveout.common import schemas
from carveout.common.errors import CarveoutError
from carveout.common.files import read_ends
from carveout.guests.command_line import GuestFiles, Machine, file_args, machine_args
from carveout.records.channel import MOST_CHANNEL_BYTES, parse_last_record, parse_records

STAGE = {"seq": 0, "record": "stage", "stage": "boot"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KINDS = ("hello", "stage", "ready", "load", "host", "fault", "end", "lend", "census", "no such")


def parsed(line: bytes) -> tuple[list[Mapping[str, Any]], str | None]:
    """What is read of a line and a good one after it; a problem is said in one line."""
    records, problem = parse_records(line + b"\n")
    assert parse_last_record(line + b"\n")[1] == problem
    if problem is not None:
        assert problem.isprintable()
        assert records == []
    return list(records), problem


@given(st.binary(max_size=200).filter(lambda line: b"\n" not in line))
def test_no_bytes_of_a_channel_are_more_than_a_bad_line(line: bytes) -> None:
    parsed(line)


@given(st.sampled_from(KINDS), st.dictionaries(st.text(), JSON, max_size=5))
def test_forged_fields_are_refused_or_can_be_written_and_read(
    kind: str, fields: dict[str, Any]
) -> None:
    """What passes is JSON to everybody: the tables are made by another reader than the runner."""
    line = json.dumps({**STAGE, **fields, "record": kind}).encode()
    for record in parsed(line)[0]:
        assert orjson.loads(json.dumps(record)) == record


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({"record": "load", "dose_achieved_percent": float("nan")}, "is no JSON"),
        ({"record": "load", "dose_achieved_percent": float("inf")}, "is no JSON"),
        ({"record": "stage", "stage": "boot", "cycle": 2**63}, "is no record: key cycle"),
        ({"record": "stage", "stage": "boot", "cycle": 1.0}, "is no record: key cycle"),
        ({"record": "stage", "stage": "boot\n"}, "is no record: key stage"),
        ({"record": "stage", "stage": "boot", "trial_id": "x"}, "unknown key trial_id"),
        ({"record": "host_reply", "return": {}}, "is no record: key record"),
        ({"record": "discards", "discarded_bytes": 1}, "is no record: key record"),
        (
            {"record": "fault", "stage": "x", "cause": "error", "message": "\ud800"},
            "is no JSON",
        ),
        (
            {"record": "fault", "stage": "x", "cause": "error", "message": "x" * 70000},
            "is no record: key message",
        ),
        ({"record": "host", "execute": "quit", "arguments": {}}, "is no record: key execute"),
        (
            {"record": "host", "execute": "count_discards", "arguments": {"record": "end"}},
            "key arguments: unknown key record",
        ),
        *(
            (
                {"record": "host", "execute": "qom-set", "arguments": arguments},
                "is no record: key arguments",
            )
            for arguments in (
                {"path": "/chardevs/console", "property": "size", "value": 1},
                {"path": "/machine", "property": "kernel", "value": 1},
                {"path": "/machine/peripheral/../x", "property": "size", "value": 1},
                {"path": "/machine", "property": "type", "value": "x"},
            )
        ),
    ],
)
def test_a_forged_record_is_refused(members: dict[str, Any], wanted: str) -> None:
    records, problem = parsed(json.dumps({"seq": 0, **members}).encode())
    assert records == []
    assert wanted in str(problem)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"seq":' + b"9" * 5000 + b"}", b'"\xff\xfe"'])
def test_a_line_that_breaks_a_parser_is_a_bad_line(line: bytes) -> None:
    assert "line 1 is no JSON" in str(parsed(line)[1])


def test_a_channel_without_end_is_not_parsed() -> None:
    line = json.dumps(STAGE).encode() + b"\n"
    records, problem = parse_records(line + bytes(MOST_CHANNEL_BYTES))
    assert records == []
    assert problem == "the channel holds more than 64 MiB"


def test_of_a_console_of_gigabytes_the_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    with path.open("wb") as stream:
        stream.write(b"first words")
        stream.truncate(3 * 2**30)  # sparse: it takes no room
        stream.seek(0, os.SEEK_END)
        stream.write(b"last words")
    text = read_ends(path)
    assert text.startswith("first words")
    assert text.endswith("last words")
    assert f"[... {3 * 2**30 + 10 - 2 * 2**20} bytes are left out ...]" in text
    assert len(text) < 2**21 + 100
    path.write_bytes(b"short")
    assert read_ends(path) == "short"


def bomb(levels: int) -> str:
    inner = {level: ", ".join([f"*a{level - 1}"] * 10) for level in range(1, levels)}
    lines = [f"a{level}: &a{level} [{aliases}]" for level, aliases in inner.items()]
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *lines])


def merge_bomb(levels: int) -> str:
    inner = {level: ", ".join([f"*a{level - 1}"] * 10) for level in range(1, levels)}
    lines = [f"a{level}: &a{level} {{<<: [{aliases}]}}" for level, aliases in inner.items()]
    return "\n".join(["a0: &a0 {x: 1}", *lines])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (bomb(12), "wanted at most 1000000 values, found 1"),
        (merge_bomb(12), "wanted at most 1000000 values, found"),
        ("a: &a [*a]", "contains itself"),
        ("a: &a {b: *a}", "contains itself"),
        ("[" * 500_000 + "]" * 500_000, "at most 60 deep"),
        ("[" * 100 + "]" * 100, "at most 60 deep"),
        ("a: \x00", "wanted YAML, found"),
        ("!!python/object/apply:os.system [id]", "wanted YAML, found"),
        ("a: 2024-02-30", "'2024-02-30', which is no timestamp"),
        ("a: !!int abc", "'abc', which is no int"),
        ("a: !!int ''", "'', which is no int"),
        ("a: !!bool maybe", "'maybe', which is no bool"),
        ("a: !!timestamp foo", "'foo', which is no timestamp"),
        ("a: " + "9" * 5000, "5000 characters that is no text"),
        ("a: 0x" + "f" * 5000, "5002 characters that is no text"),
        ("a: 1" + ":0" * 100_000, "200001 characters that is no text"),
    ],
)
def test_yaml_that_would_take_all_memory_is_refused(text: str, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / "strategy.yaml"
    path.write_text(text)
    with pytest.raises(CarveoutError) as error:
        schemas.load_yaml(path)
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


def test_a_config_that_snakemake_has_read_is_held_against_the_same_bound() -> None:
    content = yaml.safe_load(bomb(12))
    with pytest.raises(CarveoutError, match=r"job\.yaml: wanted at most 1000000 values"):
        schemas.check({"results": content["a11"]}, "config", "job.yaml")


@pytest.mark.parametrize("value", [[16**5000], {"a": -(16**5000)}, {"a": {16**5000: 1}}])
def test_a_number_that_python_does_not_write_is_refused(value: Any) -> None:
    with pytest.raises(CarveoutError, match=r"job\.yaml: wanted numbers of at most 10000 bits"):
        schemas.check({**ROOM, "seeds": value}, "config", "job.yaml")


ROOM: dict[str, Any] = {
    "results": "out",
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"one": ["64MiB"]},
    "strategies": {"baseline": "all"},
    "loads": {"idle": [0]},
    "seeds": 1,
}


@given(st.sampled_from([*ROOM, "a key", ""]), JSON)
def test_a_config_is_read_or_refused_in_one_line(key: str, value: Any) -> None:
    """All else of it is in order, so it is this value that is looked at."""
    said = ""
    try:
        schemas.check({**ROOM, key: value}, "config", "job.yaml")
    except CarveoutError as error:
        said = str(error)
    assert not said or (said.isprintable() and key in said)
    assert said or key in ROOM


@pytest.mark.parametrize(
    "changes",
    [
        {"results": "a\nb"},
        {"results": "--help"},
        {"results": "{kernel}"},
        {"results": "<logs>"},
        {"results": "a\x1b[2J"},
        {"requests": {"one\n": ["64MiB"]}},
        {"requests": {"../x": ["64MiB"]}},
        {"requests": {"$(id)": ["64MiB"]}},
        {"strategies": {"../baseline": "all"}},
        {"strategies": {"baseline": ["a; id"]}},
        {"kernels": ["../../etc"]},
        {"ram": ["99999999999999999999GiB"]},
        {"lendable": "1e9GiB"},
        {"seeds": 10**40},
        {"seeds": 3.0},
        {"seeds": float("inf")},
        {"loads": {"idle": [float("nan")]}},
        {"loads": {"idle": {"from": 0, "to": float("inf"), "step": 1, "finest": 1}}},
        {"limits": {"wall_s": 10**400}},
        {"limits": {"job_s": 1.0e-320}},
        {"limits": {"job_s": 10**400}},
        {"limits": {"state": "999999999999GiB"}},
        {"cpu_model": "max -netdev user"},
        {"cpu_model": "max\n"},
        {"qemu": "-x"},
        {"qemu": "qemu\nx"},
        {"strategy_folders": ["a\nb"]},
        {"own_kernels": {"x": {"page_bytes": 4096, "tree": "{x}", "config": ["lab"]}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_hostile_value_is_refused_in_one_line(changes: dict[str, Any]) -> None:
    schemas.check({**ROOM}, "config", "job.yaml")
    with pytest.raises(CarveoutError, match=rf"job\.yaml: key {next(iter(changes))}") as error:
        schemas.check({**ROOM, **changes}, "config", "job.yaml")
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500


def test_the_command_line_gives_a_guest_its_own_files_alone(tmp_path: Path) -> None:
    machine = Machine("qemu", "max", 1, 2**30, "", (), virtualization=False)
    folder = tmp_path / "a,id=x b"
    names = ("parameters", "console", "records", "messages", "discards")
    files = GuestFiles(Path("k"), Path("i"), None, *(folder / name for name in names))
    words = [*machine_args(machine), *file_args(files)]
    assert words.count("-nodefaults") == words.count("-no-user-config") == 1
    sandbox = words[words.index("-sandbox") + 1].split(",")
    assert {"on", "spawn=deny", "elevateprivileges=deny"} <= set(sandbox)
    reaching = {
        "-netdev",
        "-nic",
        "-net",
        "-drive",
        "-hda",
        "-virtfs",
        "-fsdev",
        "-monitor",
        "-qmp",
    }
    assert not reaching & set(words)
    assert not any("semihosting" in word for word in words)
    chardevs = [value for option, value in pairwise(words) if option == "-chardev"]
    assert all(value.startswith("file,id=") for value in chardevs)
    doubled = str(folder).replace(",", ",,")
    assert f"file,id=console,path={doubled}/console,append=on" in chardevs
