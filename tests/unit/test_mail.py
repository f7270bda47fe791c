# SPDX-License-Identifier: GPL-2.0-only
"""The summary: fit for a mail, and each of its numbers read again from the tables' files."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from carveout.report.mail import summary_text
from carveout.report.write import read_tables
from carveout.wording.labels import Labels
from tests.unit.checking_mail import checked, of_machine, says
from tests.unit.made_tables import NEEDS
from tests.unit.reading import Tables, read_number, titles
from tests.unit.reading_mail import cells, parts, sentences, short_forms

STRATEGIES = Path("workflow/strategies")


@pytest.fixture(scope="module")
def text(rich_tables: Path) -> str:
    """The summary of a run of which nothing is missing."""
    return summary_text(
        read_tables(rich_tables),
        Labels.read(sorted(STRATEGIES.glob("*/strategy.yaml"))),
        NEEDS,
        {"To repeat it": "snakemake --configfile config/config.yaml"},
    )


@pytest.fixture(scope="module")
def tables(rich_tables: Path) -> Tables:
    """The tables' files."""
    return Tables(rich_tables)


@pytest.fixture(scope="module")
def names(text: str, tables: Tables) -> dict[str, tuple[str, str]]:
    """The variant that each title is of, in the short form that the text itself explains."""
    known = titles(STRATEGIES)
    pairs = tables["variants"][["strategy", "variant"]].drop_duplicates().itertuples(index=False)
    found = {}
    for pair in pairs:
        title = known.get(tuple(pair), " ".join(pair))
        for long, short in short_forms(text).items():
            title = title.replace(long, short)
        found[title] = tuple(pair)
    return found


def test_it_fits_a_mail(text: str) -> None:
    assert max(map(len, text.splitlines())) == 72
    assert text.isascii()
    assert not re.search(r"[ \t]$", text, re.MULTILINE)


def test_of_hosts_that_were_only_counted_it_says_so(rich_tables: Path) -> None:
    tables = {
        name: table if name == "runs" else table.iloc[:0]
        for name, table in read_tables(rich_tables).items()
    }
    head, *further = summary_text(tables, Labels.read([]), NEEDS, {}).split("\n\n")
    assert head.startswith("carveout: which way")
    assert not re.findall(r"^\w+: *$", "\n".join(further), re.MULTILINE), "no name of nothing"
    assert "No memory was asked for: these hosts were only counted" in further[-1]


def test_it_opens_with_what_was_run_and_what_is_fit_for_what(text: str) -> None:
    lines = text.splitlines()
    assert lines[0].startswith("carveout: which way")
    assert "To repeat it: snakemake --configfile config/config.yaml" in lines
    order = ["Kernel: ", "Seeds: 5", "By need", "A few static VMs", "Lent of", "What most"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_every_number_of_its_tables_is_what_the_tables_files_have(
    text: str, tables: Tables, names: dict[str, tuple[str, str]]
) -> None:
    found = list(cells(text))
    assert len(found) > 1500
    assert {cell.line for cell in found} == set(names)
    assert [cell for cell in found if not says(cell, tables, names)] == []


@pytest.mark.parametrize(
    ("title", "column"),
    [
        ("Lent of", "anonymous memory"),
        ("Time to lend", "page cache"),
        ("Time to give", "unmovable pages"),
        ("Up to which dose", "anonymous memory"),
        ("memmap", "lent, by host"),
        ("memmap", "stranded"),
        ("What comes back", "regained"),
        ("A VM", "ran"),
    ],
)
def test_a_wrong_number_is_found(
    text: str, tables: Tables, names: dict[str, tuple[str, str]], title: str, column: str
) -> None:
    of_column = [c for c in cells(text) if c.title.startswith(title) and c.column == column]
    shown = next(cell for cell in of_column if re.search(r"\d", cell.text))
    digit = re.search(r"\d", shown.text)
    assert digit
    other = str((int(digit[0]) + 1) % 10)
    changed = shown.text[: digit.start()] + other + shown.text[digit.end() :]
    assert not says(replace(shown, text=changed), tables, names)


def test_a_wrong_range_of_doses_is_found(
    text: str, tables: Tables, names: dict[str, tuple[str, str]]
) -> None:
    of_fewer = [cell for cell in cells(text) if re.search(r"\((at|to) ", cell.text)]
    assert {cell.text[cell.text.index("(") :] for cell in of_fewer} == {
        "(at 10%)",
        "(at 50%)",
        "(to 20%)",
    }
    for cell in of_fewer:
        for before, after in (("at ", "to "), ("to ", "at "), ("0%", "1%"), ("(", "( +9.0%) (")):
            if before in cell.text:
                changed = replace(cell, text=cell.text.replace(before, after))
                assert not says(changed, tables, names)


def test_the_head_says_what_was_run(text: str, tables: Tables) -> None:
    runs, trials = tables["runs"], tables["trials"]
    head = " ".join(text.partition("=" * 72)[0].split())
    assert f"Trials: {(runs['process'] == 'trial').sum()} trials " in head
    outcomes = re.search(r"Outcomes: (.*?) Seeds: ", head)
    assert outcomes
    failed = trials[trials["verify"] == "failed"]["outcome"].value_counts()
    told = re.findall(r"([a-z ]+) \((\d+) of them failed their verification\)", outcomes[1])
    assert {name.strip().replace(" ", "_"): int(count) for name, count in told} == failed.to_dict()
    assert told
    said = re.findall(r"(\d+) ([a-z ]+?)(?:,| and|$)", re.sub(r" \(.*?\)", "", outcomes[1]))
    counts = trials["outcome"].value_counts().drop("not_available", errors="ignore")
    assert {name.replace(" ", "_"): int(count) for count, name in said} == counts.to_dict()
    seeds = sorted(set(trials["seed"]))
    assert f"Seeds: {len(seeds)} ({seeds[0]} to {seeds[-1]})" in head
    assert ("Seeds vary where a load's pages lie; nothing else varies." in head) == (
        trials["layout"].nunique() == 1
    )


def test_who_is_best_for_a_need_is_said_with_its_measure(text: str, tables: Tables) -> None:
    known, found = titles(STRATEGIES), 0
    for need, title in NEEDS.items():
        for machine, said in sentences(text, "A few static VMs."):
            if "what changed" in machine:
                continue
            own = said[said.index(f"{title}. ") + len(title) + 2 :]
            own = min((own.split(f" {other}. ")[0] for other in NEEDS.values()), key=len)
            rows = [r for r in of_machine(tables, "needs", machine) if r["need"] == need]
            best = [row for row in rows if row["best"]]
            first = [row for row in best if pd.isna(row["tells_apart"])]
            same = [row for row in best if row["measure"] == first[0]["measure"]]
            alike = [row for row in best if row not in same]
            if not best:
                assert own.strip() == "No variant qualifies."
                continue
            match = re.fullmatch(
                r"Best(, alike)? \(lend per GiB (.*?)\): (.*?)\.(?: As good, within 5%: (.*)\.)?",
                own.strip(),
            )
            assert match, own
            of = {known.get((r["strategy"], r["variant"]), ""): r["measure"] for r in alike}
            assert set(match[3].split("; ")) == {known[r["strategy"], r["variant"]] for r in same}
            assert bool(match[1]) == (len(same) > 1)
            assert checked(match[2], first[0]["measure"], "ns")
            for item in (match[4] or "").split("; ") if alike else ():
                name, _, measure = item.rpartition(" (")
                assert checked(measure.rstrip(")"), of.pop(name), "ns")
                found += 1
            assert not of
    assert found


def test_what_most_often_ended_lends_short_is_counted(text: str, tables: Tables) -> None:
    known = titles(STRATEGIES)
    for machine, lines in parts(text):
        if "what changed" in machine:
            continue
        start = lines.index(
            "What most often ended lends short, of each strategy, in how many trials"
        )
        body = "\n".join(lines[start + 1 :])
        found = re.findall(r"^  (\d+)  (.*?):", body, re.MULTILINE)
        rows = of_machine(tables, "failures", machine)
        pairs = {
            (
                str(row["count"]),
                known.get(pair := (row["strategy"], row["variant"]), " ".join(pair)),
            )
            for row in rows
            if row["count"] == max(r["count"] for r in rows if r["strategy"] == row["strategy"])
        }
        assert set(found) <= pairs
        assert len(found) == len({row["strategy"] for row in rows})


def test_what_another_kernel_changes_is_told_as_the_robot_does(text: str, tables: Tables) -> None:
    changes = tables["changes"]
    told = re.findall(r"^ +(\S+ \S+) +\+200\.0% +(\S+ \S+)$", text, re.MULTILINE)
    significant = changes[changes["significant"]]
    assert len(told) == len(significant) > 0
    for before, after in told:
        factor = read_number(after, "ns")[0] / read_number(before, "ns")[0]
        assert factor == pytest.approx(3, rel=0.02)
    head = re.findall(r"^(\d+) of (\d+) comparisons", text, re.MULTILINE)
    assert sum(int(count) for count, _ in head) == len(significant)
    assert sum(int(count) for _, count in head) == len(changes)
