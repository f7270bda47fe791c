# SPDX-License-Identifier: GPL-2.0-only
"""Lines with seals: what was written is read, and nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carveout.records.lines import read_line, sealed_line, sealed_lines

KEYS = st.text(min_size=1).filter(lambda name: name != "seal")
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | st.text(), st.lists, max_leaves=4)
OBJECTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)
TRIAL = {"trial_id": "ab", "records": [{"lend_ns": 123456}], "ending": {"cause": None}}


@given(OBJECTS)
def test_what_was_sealed_is_read(content: dict[str, Any]) -> None:
    line = sealed_lines([content]).encode()
    assert read_line(line) == read_line(line.rstrip(b"\n")) == content
    assert list(json.loads(line))[-1] == "seal", "any reader of JSON finds it at the end"


@pytest.mark.parametrize("bit", range(8))
def test_no_bit_of_a_line_can_flip(bit: int) -> None:
    line = sealed_lines([TRIAL]).encode()
    for place in range(len(line) - 1):
        flipped = bytearray(line)
        flipped[place] ^= 1 << bit
        with pytest.raises(ValueError, match=r".") as error:
            read_line(bytes(flipped))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{}", b"[]", b"3", b'{"seal":3}', b'{"trial_id":"ab"}', b'{"seal":""}'),
        sealed_lines([TRIAL]).encode()[:-4],
        sealed_lines([TRIAL]).encode().replace(b"123456", b"12345"),
        sealed_line(b'{"a":1}') + sealed_line(b'{"a":1}'),
        json.dumps(json.loads(sealed_lines([TRIAL]))).encode(),
    ],
)
def test_what_was_not_sealed_so_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_line(line)
