# SPDX-License-Identifier: GPL-2.0-only
"""The books: one list of accounts, in code, schema and document alike; transfers sum to zero."""

import re
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.synthetic.records import accounts, census, lend, trial, whole_cycle
from benchmarks.synthetic.trials import books
from benchmarks.synthetic.variants import LOADS, RAM_BYTES, REQUESTS_BYTES, VARIANTS

from carveout.common.schemas import load_yaml
from carveout.common.sizes import MIB
from carveout.records.channel import problem_of
from carveout.tables.accounts import ACCOUNTS, DRAWN, GROUPS, column, transfers
from carveout.tables.definitions import PAGEBLOCK_LETTERS, TABLES

RECORD = load_yaml(Path("workflow/schemas/record.schema.yaml"))["$defs"]
DOCUMENT = Path("docs/measuring.md").read_text(encoding="utf-8")


def test_the_guest_keeps_the_same_accounts_in_the_same_order() -> None:
    assert list(ACCOUNTS) == RECORD["accounts"]["required"]
    assert list(ACCOUNTS) == list(RECORD["accounts"]["properties"])


def test_the_table_has_a_column_for_each() -> None:
    columns = [name for name in TABLES["phases"].columns if name.startswith("account_")]
    assert columns == [column(name) for name in ACCOUNTS]


def test_the_document_says_the_same_of_each() -> None:
    told = re.findall(r"^\| `(\w+)` \| (.+?) \|$", DOCUMENT, re.MULTILINE)
    assert [row for row in told if row[0] in ACCOUNTS] == list(ACCOUNTS.items())


def test_the_document_says_which_sums_have_a_name() -> None:
    told = {
        name: tuple(re.findall(r"`(\w+)`", sums))
        for name, sums in re.findall(r"^- `(\w+)` = (.+?)[.:]", DOCUMENT, re.MULTILINE)
    }
    assert told == GROUPS


def test_sums_are_of_accounts_each_once() -> None:
    for group in GROUPS.values():
        assert set(group) <= set(ACCOUNTS)
        assert len(set(group)) == len(group)
    assert GROUPS["movable_only"] == GROUPS["cma_area"] + GROUPS["movable_zone"]


def test_nothing_is_both_stranded_and_of_use_nor_lent_and_either() -> None:
    apart = [GROUPS[name] for name in ("stranded", "serving", "memmap", "lent_out")]
    told = Counter(name for group in apart for name in group)
    assert set(told.values()) == {1}
    assert set(ACCOUNTS) - set(told) == {"reserved"}


def test_what_is_drawn_is_every_account_once() -> None:
    assert Counter(name for drawn in DRAWN.values() for name in drawn) == Counter(list(ACCOUNTS))


def test_the_guest_knows_the_same_letters() -> None:
    pattern = RECORD["census"]["properties"]["pageblocks"]["pattern"]
    assert pattern == f"^[{PAGEBLOCK_LETTERS}]+$"


def test_transfers_sum_to_zero() -> None:
    before, lent = accounts(), accounts(lent=256 * MIB, page_tables=2 * MIB)
    found = transfers(before, lent)
    assert found == {"free": -257 * MIB, "page_tables": MIB, "lent": 256 * MIB}
    assert transfers(before, before) == {}
    with pytest.raises(ValueError, match="found 4096 bytes"):
        transfers(before, lent | {"lent": 256 * MIB + 4096})


def test_made_up_books_balance_too() -> None:
    for variant in VARIANTS:
        for load in LOADS:
            for lent_bytes in (0, *REQUESTS_BYTES):
                held = books(variant, load, lent_bytes)
                assert sum(held.values()) == RAM_BYTES
                assert min(held.values()) >= 0


def test_made_up_records_are_records() -> None:
    made = trial([*whole_cycle(1, 256 * MIB), *whole_cycle(2, 0)])
    for record in made["records"]:
        assert problem_of(record) is None, record["record"]


@pytest.mark.parametrize("name", ACCOUNTS)
def test_a_census_without_an_account_is_no_record(name: str) -> None:
    record = {"seq": 0, **census(1, "before")}
    record["accounts"] = {key: value for key, value in record["accounts"].items() if key != name}
    assert name in (problem_of(record) or "")


@pytest.mark.parametrize(
    "members", [{"refused_by": "somebody"}, {"errno": "no_candidate"}, {"attempts": -1}]
)
def test_a_refusal_is_somebodys_word(members: dict[str, object]) -> None:
    assert problem_of({"seq": 0, **lend(1, 0)}) is None
    assert problem_of({"seq": 0, **lend(1, 0), **members}) is not None
