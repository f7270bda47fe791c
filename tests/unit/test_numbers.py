# SPDX-License-Identifier: GPL-2.0-only
"""Every number of the report, read again from the tables' files."""

import re
from pathlib import Path

import pytest

from carveout.report.page import page
from carveout.report.write import read_tables
from carveout.wording.labels import Labels
from tests.unit.made_tables import NEEDS
from tests.unit.reading import (
    Tables,
    loose_digits,
    parsed,
    strangers,
    titles,
    wrong_data,
    wrong_numbers,
)

STRATEGIES = Path("workflow/strategies")
TEMPLATE = Path("workflow/report/report.html.jinja")


@pytest.fixture(scope="module")
def html(rich_tables: Path) -> str:
    """The page of a run of which nothing is missing."""
    return page(
        read_tables(rich_tables),
        Labels.read(sorted(STRATEGIES.glob("*/strategy.yaml"))),
        needs=NEEDS,
        figures=[],
        template=TEMPLATE,
        reproduce={"To repeat it": "snakemake --configfile config/config.yaml"},
        provenance={"kernel": "4f4f"},
    )


@pytest.fixture(scope="module")
def tables(rich_tables: Path) -> Tables:
    """The tables' files."""
    return Tables(rich_tables)


def test_every_number_is_what_the_tables_have(html: str, tables: Tables) -> None:
    assert len(list(parsed(html).every("data"))) > 5000
    assert wrong_numbers(html, tables) == []


def test_every_number_stands_with_its_variant_and_its_machine(html: str, tables: Tables) -> None:
    assert strangers(html, tables, titles(STRATEGIES)) == []


def test_every_digit_is_a_number_of_a_table_or_a_name(html: str) -> None:
    assert loose_digits(html) == []


def test_the_long_tables_hold_what_the_tables_have(html: str, tables: Tables) -> None:
    assert html.count('type="application/json"') == 3
    assert wrong_data(html, tables) == []


def replaced(html: str, pattern: str, by: str) -> str:
    """The page with one thing replaced."""
    changed, count = re.subn(pattern, by, html, count=1)
    assert count == 1, pattern
    return changed


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        # A text that rounds to something else, a value of another row, another row, another column.
        (r"(<data value=\"67108864\"[^>]*>)64 MiB", r"\g<1>65 MiB"),
        (r"<data value=\"67108864\"", '<data value="67108865"'),
        (r'data-where="outcome=granted"', 'data-where="outcome=refused"'),
        (r'data-column="memmap_idle_host_bytes"', 'data-column="stranded_bytes"'),
    ],
)
def test_a_number_that_is_wrong_is_found(html: str, tables: Tables, pattern: str, by: str) -> None:
    assert wrong_numbers(replaced(html, pattern, by), tables)


def test_a_number_of_another_variant_is_found(html: str, tables: Tables) -> None:
    """The value is right, and the line is another's."""
    line = re.search(r'<tr data-row="\d+"><th scope="row">.*?CMA area.*?</tr>', html)
    assert line
    moved = html.replace(line[0], line[0].replace("CMA area", "ordinary pages"))
    assert strangers(moved, tables, titles(STRATEGIES))


def test_a_number_of_all_variants_stands_under_their_strategy(tables: Tables) -> None:
    form = (
        '<dl><dt><a href="#strategy-{}">of it</a></dt><dd><p>Against it: strands <data value="1" '
        'data-table="variants" data-row="1" data-column="stranded_bytes">1</data> while idle '
        "({}).</p></dd></dl>"
    )
    own, names = tables.row("variants", 1)["strategy"], titles(STRATEGIES)
    assert strangers(form.format(own, "all variants"), tables, names) == []
    assert strangers(form.format("another", "all variants"), tables, names)
    assert strangers(form.format(own, "some"), tables, names)


def test_a_digit_that_is_no_number_of_a_table_is_found(html: str) -> None:
    assert loose_digits(
        html.replace("No VM", "12 VMs").replace("Conclusion</h2>", "Conclusion 7</h2>")
    )


def test_a_changed_cell_of_a_long_table_is_found(html: str, tables: Tables) -> None:
    assert wrong_data(replaced(html, r'("column":"seed"[^}]*"values":\[)1', r"\g<1>9"), tables)
