# SPDX-License-Identifier: GPL-2.0-only
"""Expressions of checks: what they give, what of them is not known, and what is refused."""

import pandas as pd
import pytest

from carveout.claims.expressions import NUMBERS, TEXT, TEXTS, TRUTHS, Expression, parse
from carveout.common.errors import CarveoutError

KINDS = {"bytes": NUMBERS, "other": NUMBERS, "errno": TEXTS, "explained": TRUTHS}
FRAME = pd.DataFrame(
    {
        "bytes": pd.array([0, 4, None, 8], "Int64"),
        "other": pd.array([0, 2, 2, 16], "Int64"),
        "errno": pd.array(["EBUSY", "EPERM", None, "EBUSY"], TEXT),
        "explained": pd.array([True, False, None, True], "boolean"),
    }
)


def parsed(text: str, kind: str = TRUTHS) -> Expression:
    return parse(text, KINDS, kind, "page.yaml: statement 1")


def values(text: str, kind: str = TRUTHS) -> list[object]:
    found = parsed(text, kind).values(FRAME)
    return [None if pd.isna(value) else value for value in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes == 4", [False, True, None, False]),
        ("0 < bytes <= 4", [False, True, None, False]),
        ('errno == "EBUSY"', [True, False, None, True]),
        ('errno in ["EPERM", "EINVAL"]', [False, True, None, False]),
        ('errno not in ["EPERM"]', [True, False, None, True]),
        ('contains(errno, "BUS")', [True, False, None, True]),
        ("known(errno)", [True, True, False, True]),
        ("not explained", [False, True, None, False]),
        ("explained and bytes > 0", [False, False, None, True]),
        ("bytes > 0 or other > 0", [False, True, True, True]),
        ("1 < 2", [True, True, True, True]),
    ],
)
def test_what_is_not_known_stays_so(text: str, expected: list[object]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes >= 5", [[5, 1, 0, 0]]),
        ("bytes == 4 and other <= 2", [[4, 0, 0, 4], [0, 0, 0, 14]]),
        ("0 < bytes < 6", [[0, 0, 0, 0], [0, 0, 0, 2]]),
        ('errno == "EBUSY" and not known(errno)', []),
        ("bytes > 5 or other > 5", []),
        ("other != 2", []),
    ],
)
def test_by_how_much_a_row_misses_each_thing_that_has_to_hold(
    text: str, expected: list[list[float]]
) -> None:
    assert [miss.tolist() for miss in parsed(text).misses(FRAME)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes * 2 - 1", [-1, 7, None, 15]),
        ("bytes / other", [None, 2, None, 0.5]),
        ("other / 0", [None, None, None, None]),
        ("other % 3", [0, 2, 2, 1]),
        ("abs(-other)", [0, 2, 2, 16]),
        ("min(bytes, 5)", [0, 4, None, 5]),
        ("max(bytes, other)", [0, 4, None, 16]),
        ("GIB / MIB", [1024, 1024, 1024, 1024]),
    ],
)
def test_what_is_computed(text: str, expected: list[object]) -> None:
    assert values(text, NUMBERS) == expected


def test_a_row_of_which_it_is_not_known_is_not_picked() -> None:
    assert parsed("bytes != 4").holds(FRAME).tolist() == [True, False, False, True]


def test_the_columns_are_those_that_it_names() -> None:
    assert parsed('bytes > 4 * MIB and errno == "EBUSY" and bytes < other').names == (
        "bytes",
        "errno",
        "other",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("byte > 4", "unknown column byte; there are bytes, errno, explained, other"),
        ("bytes >", "wanted an expression"),
        ("", "wanted an expression"),
        ("bytes", "its value is a number, wanted a yes or no"),
        ('bytes == "4"', "'4' is a text, wanted a number"),
        ('errno > "E"', "errno is a text, wanted a number"),
        ("errno and explained", "errno is a text, wanted a yes or no"),
        ("bytes in errno", "wanted a list of values after `in`"),
        ('bytes in ["a"]', "'a' is a text, wanted a number"),
        ("contains(bytes, 'a')", "bytes is a number, wanted a text"),
        ("abs(bytes, other) > 0", "wanted abs(NUMBER)"),
        ("known(bytes + 1)", "wanted known(COLUMN)"),
        ("bytes is 4", "wanted a comparison by"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(CarveoutError) as error:
        parsed(text)
    assert str(error.value).startswith("page.yaml: statement 1: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__[0].__subclasses__()",
        "bytes.map(print) > 0",
        "FRAME.bytes > 0",
        "@parsed > 0",
        "`bytes` > 0",
        "open('/etc/passwd') == 1",
        "abs(x=bytes) > 0",
        "max(*[bytes, other]) > 0",
        "(lambda: bytes)() > 0",
        "[b for b in [1]] == 1",
        "(b := bytes) > 0",
        "bytes if explained else other",
        "f'{bytes}' == errno",
        "errno[0] == 'E'",
        "9 ** 9 ** 9 ** 9 > 0",
        "1 << 999999999 > 0",
        "'a' * 999999999 == errno",
        "bytes > 0; import os",
        "bytes > True",
        "bytes > 1j",
        "errno == b'a'",
        "bytes & 1 == 0",
        "explained & explained",
        "bytes\0> 0",
        "(" * 400 + "explained" + ")" * 400,
        "not " * 240 + "explained or " + "-" * 700,
        "bytes == " + "1" * 2000,
    ],
)
def test_what_is_hostile_is_refused(text: str) -> None:
    with pytest.raises(CarveoutError) as error:
        parsed(text)
    assert "\n" not in str(error.value)
