# SPDX-License-Identifier: GPL-2.0-only
"""Statements: confirmed by tables, contradicted by tables that are changed, not tested without."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from benchmarks.synthetic.trials import made_phases, made_trials

from carveout.claims.evidence import CHECKABLE, Evidence, kinds_of
from carveout.claims.needs import columns_needed, read_needs
from carveout.claims.statements import read_pages, read_published
from carveout.claims.verdicts import judge_pages
from carveout.common.errors import CarveoutError
from carveout.statistics.summarize import describe_variants
from carveout.tables.parquet import read_table, write_table

STRATEGIES = sorted(Path("workflow/strategies").glob("*/strategy.yaml"))
PUBLISHED = Path("workflow/claims/published.yaml")
PAGES = sorted(set(Path("workflow/claims").glob("*.yaml")) - {PUBLISHED})
NEEDS = sorted(Path("workflow/needs").glob("*.yaml"))

IN_FULL = {
    "says": "The memmap is paid in full.",
    "source": "mm/cma.c",
    "check": {
        "table": "variants",
        "rows": 'strategy == "cma"',
        "where": {"full_bytes": "GIB / page_bytes * struct_page_bytes"},
        "holds": "memmap_per_lent_gib_bytes == full_bytes",
        "shows": ["memmap_per_lent_gib_bytes", "full_bytes"],
    },
}


class Tables:
    """The made-up tables of one folder, which a test changes before they are judged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trials, self.phases = made_trials().copy(), made_phases().copy()

    def verdict(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """What the tables say to one statement."""
        page = self.folder / "page.yaml"
        page.write_text(yaml.safe_dump({"title": "a page", "statements": [statement]}))
        pages = read_pages([page])
        self._write(with_variants=statement.get("check", {}).get("table") == "variants")
        claims = judge_pages(pages, Evidence(self.folder, columns_needed(pages, [])))
        path = self.folder / "claims.parquet"
        write_table("claims", claims, path)
        (row,) = read_table("claims", path).to_dict("records")
        return {str(name): None if pd.isna(value) else value for name, value in row.items()}

    def _write(self, *, with_variants: bool) -> None:
        for name, rows in (("trials", self.trials), ("phases", self.phases)):
            write_table(name, rows, self.folder / f"{name}.parquet")
        if with_variants:
            trials = read_table("trials", self.folder / "trials.parquet")
            write_table("variants", describe_variants(trials), self.folder / "variants.parquet")


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def statement(says: str = "It is so.", **check: Any) -> dict[str, Any]:
    return {"says": says, "source": "a test", "check": {"table": "trials"} | check}


def test_a_statement_is_confirmed_with_its_numbers(tables: Tables) -> None:
    found = tables.verdict(IN_FULL)
    assert (found["verdict"], found["rows"], found["rows_held"]) == ("confirmed", 2, 2)
    assert found["numbers"] == "memmap_per_lent_gib_bytes 16 MiB; full_bytes 16 MiB"
    assert (found["page"], found["number"], found["strategy"]) == ("page", 1, None)


def test_it_is_contradicted_by_tables_that_are_changed(tables: Tables) -> None:
    of_cma = (tables.trials["strategy"] == "cma") & (tables.trials["cycle"] == 1)
    tables.trials.loc[of_cma, "memmap_lent_bytes"] //= 2
    found = tables.verdict(IN_FULL)
    assert (found["verdict"], found["rows"], found["rows_held"]) == ("contradicted", 2, 1)
    assert found["numbers"].startswith("not in 1 of 2 rows, at worst cma, area")
    assert found["numbers"].endswith("memmap_per_lent_gib_bytes 8 MiB; full_bytes 16 MiB")


def test_it_is_not_tested_without_its_rows(tables: Tables) -> None:
    tables.trials = tables.trials[tables.trials["strategy"] != "cma"]
    found = tables.verdict(IN_FULL)
    assert (found["verdict"], found["rows"], found["numbers"]) == ("not_tested", 0, None)
    assert found["why_not_tested"] == "this run has no row of the table variants that it is of"
    said = copy.deepcopy(IN_FULL)
    said["check"]["lacks"] = "CMA area"  # type: ignore[index]
    assert tables.verdict(said)["why_not_tested"] == "this run has no CMA area"


def test_it_is_not_tested_where_the_kernel_cannot_run_it(tables: Tables) -> None:
    of_cma = tables.trials["strategy"] == "cma"
    tables.trials.loc[of_cma, ["outcome", "message"]] = ["not_available", "built without CMA"]
    tables.trials.loc[of_cma, ["kernel_release", "errno", "refused_by"]] = None
    found = tables.verdict(statement(rows='strategy == "cma"', holds="granted_bytes > 0"))
    assert found["verdict"] == "not_tested"
    assert found["why_not_tested"] == "not available: built without CMA"
    check = {"rows": 'strategy == "cma"', "holds": "not_available > 0 and trials == 0"}
    found = tables.verdict(statement(table="variants", **check))
    assert found["verdict"] == "confirmed"


def test_it_is_not_tested_where_nothing_was_measured(tables: Tables) -> None:
    found = tables.verdict(statement(holds="pressure_left_bytes > 0"))
    assert found["verdict"] == "not_tested"
    assert re.fullmatch(
        r"not measured in any of \d+ rows: pressure_left_bytes", found["why_not_tested"]
    )


def test_what_is_not_known_counts_on_neither_side(tables: Tables) -> None:
    tables.trials["pressure_left_bytes"] = [4096] + [None] * (len(tables.trials) - 1)
    found = tables.verdict(statement(holds="pressure_left_bytes > 0"))
    assert (found["verdict"], found["rows"]) == ("confirmed", 1)


def test_without_a_table_nothing_of_it_is_tested(tables: Tables) -> None:
    found = tables.verdict(statement(table="curves", holds="granted_most_bytes > 0"))
    assert found["why_not_tested"] == "there is no table curves"


@pytest.mark.parametrize(
    ("of", "holds", "verdict"),
    [
        ("all", "seed >= 1", "confirmed"),
        ("all", "seed >= 2", "contradicted"),
        ("any", "seed >= 5", "confirmed"),
        ("any", "seed >= 6", "not_tested"),
        ("none", "seed >= 6", "confirmed"),
        ("none", "seed >= 5", "contradicted"),
        (0.8, "seed >= 2", "confirmed"),
        (0.9, "seed >= 2", "contradicted"),
    ],
)
def test_in_how_many_rows_it_has_to_hold(
    tables: Tables, of: str | float, holds: str, verdict: str
) -> None:
    found = tables.verdict(statement(holds=holds, of=of))
    assert found["verdict"] == verdict
    if of == "none" and verdict == "contradicted":
        assert "seed 5" in found["numbers"]


AGAINST: dict[str, Any] = {
    "rows": 'strategy == "cma" and variant == "area" and against_lend_ns > 0',
    "against": {"rows": 'strategy == "baseline" and variant == "ordinary_pages"'},
    "where": {"ratio": "lend_ns / against_lend_ns"},
    "holds": "ratio > 1",
}


def test_rows_are_held_against_others_one_by_one(tables: Tables) -> None:
    of_cma, ordinary = (
        (tables.trials["strategy"] == name) & (tables.trials["outcome"] == "granted")
        for name in ("cma", "baseline")
    )
    parts = [name for name in tables.trials if re.fullmatch(r"lend_\w+_ns", str(name))]
    for rows, lend_ns in ((of_cma, 3000), (ordinary, 1000)):
        tables.trials.loc[rows, parts] = 0
        tables.trials.loc[rows, ["lend_ns", "lend_rest_ns"]] = lend_ns
    tables.trials = tables.trials[of_cma | ordinary]
    found = tables.verdict(statement(**AGAINST))
    assert found["verdict"] == "confirmed"
    assert found["numbers"] == "ratio 3"
    assert 0 < found["rows"] <= of_cma.sum()
    found = tables.verdict(statement(**{**AGAINST, "holds": "ratio < 1"}))
    assert found["verdict"] == "contradicted"


def test_of_several_rows_a_statistic_is_taken(tables: Tables) -> None:
    against: dict[str, Any] = {
        "rows": 'strategy == "baseline"',
        "by": ["kernel", "load"],
        "statistic": "max",
    }
    check: dict[str, Any] = {"rows": 'strategy == "cma"', "against": against}
    check["holds"] = "against_seed == 5"
    assert tables.verdict(statement(**check))["verdict"] == "confirmed"
    check["against"] = {**against, "statistic": "min"}
    assert tables.verdict(statement(**check))["verdict"] == "contradicted"


def test_without_rows_to_hold_against_it_is_not_tested(tables: Tables) -> None:
    check: dict[str, Any] = {
        **AGAINST,
        "against": {"rows": 'strategy == "mem" and variant == "nothing"'},
    }
    assert tables.verdict(statement(**check))["verdict"] == "not_tested"


def test_what_no_table_can_tell_says_why(tables: Tables) -> None:
    found = tables.verdict({"says": "It is ugly.", "source": "he", "untestable": "a judgement"})
    assert (found["verdict"], found["why_not_tested"]) == ("not_tested", "a judgement")


def test_a_strategys_statements_are_of_its_own_rows(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.verdict(IN_FULL)
    folder = tmp_path / "cma"
    folder.mkdir()
    check = {
        "table": "trials",
        "against": {"rows": 'variant == "area"', "by": ["load", "seed", "cycle"]},
        "holds": "granted_bytes == against_granted_bytes",
    }
    (folder / "strategy.yaml").write_text(
        yaml.safe_dump(
            {
                "title": "CMA area",
                "description": "An area.",
                "variants": {"area": {"title": "CMA area"}},
                "expects": [{"says": "It is itself.", "source": "a test", "check": check}],
            }
        )
    )
    pages = read_pages([folder / "strategy.yaml"])
    claims = judge_pages(pages, Evidence(tmp_path, columns_needed(pages, [])))
    rows = tables.trials[tables.trials["strategy"] == "cma"]
    assert claims["rows"].tolist() == [len(rows)]
    assert claims["verdict"].tolist() == ["confirmed"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"table": "trial"}, "key table: unknown table trial; there are trials, phases, summary"),
        ({"holds": "granted > 0"}, "key holds: 'granted > 0': unknown column granted; there are"),
        ({"rows": "seed +"}, "key rows: wanted an expression, found 'seed +'"),
        ({"shows": ["granted"]}, "key shows: unknown column granted; there are"),
        ({"where": {"seed": "cycle"}}, "key where.seed: there is a column of this name"),
        ({"against": {"rows": "seed"}}, "key against.rows: 'seed': its value is a number"),
        ({"against": {"rows": "seed > 1", "by": ["x"]}}, "key against.by: unknown column x"),
        ({"rows": 'variant == "area"'}, "wanted the strategy with the variant"),
        ({"of": 2}, "key statements.0.check.of"),
        ({"hold": "seed > 1"}, "unknown key hold"),
    ],
)
def test_a_malformed_check_is_one_line_that_names_its_place(
    tables: Tables, changed: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(CarveoutError) as error:
        tables.verdict(statement(**{"holds": "seed > 0", **changed}))
    text = str(error.value)
    assert "page.yaml" in text
    assert said in text
    assert "\n" not in text


def test_two_pages_of_one_name_are_refused() -> None:
    with pytest.raises(CarveoutError, match="a page named mail is there already"):
        read_pages([PAGES[-1], PAGES[-1]])


def test_every_statement_of_the_repository_has_a_source_and_a_check_over_real_columns() -> None:
    pages = read_pages([*STRATEGIES, *PAGES])
    assert {page.name for page in pages} == {
        *(path.parent.name for path in STRATEGIES),
        *("field", "kernel", "mail"),
    }
    needs = read_needs(NEEDS)
    for table, columns in columns_needed(pages, needs).items():
        assert table in CHECKABLE
        assert columns <= set(kinds_of(table))
    tested = [one for page in pages for one in page.statements if one.check is not None]
    assert len(tested) > 100
    assert all(one.source for page in pages for one in page.statements)


def test_the_mail_is_quoted() -> None:
    """The page answers sentences, in the words of those who wrote them, and quotes no passages."""
    (mail,) = [page for page in read_pages(PAGES) if page.name == "mail"]
    quoted = [quote for one in mail.statements for quote in re.findall(r'"([^"]+)"', one.says)]
    assert len(quoted) >= len(mail.statements) - 3
    assert all(len(quote) < 140 for quote in quoted)


def test_published_figures_are_found_by_the_figure_that_marks_them() -> None:
    published = read_published(PUBLISHED)
    assert all(entry.source for entry in published)
    of_cost = read_published(PUBLISHED, "cost")
    assert of_cost
    assert {entry.figure for entry in of_cost} == {"cost"}
    assert len(of_cost) < len(published)
