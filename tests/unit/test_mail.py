# SPDX-License-Identifier: GPL-2.0-only
"""The summary: fit for a mail, and each of its numbers read again from the tables' files."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from carveout.report.mail import summary_text
from carveout.report.write import read_tables
from carveout.wording.labels import Labels
from tests.unit.made_tables import NEEDS, REFERENCE
from tests.unit.reading import Tables, read_number, titles

STRATEGIES = Path("workflow/strategies")
GRANULES = {"in any pages": "page", "in pieces of 2M": "2M"}
Rows = list[dict[str, Any]]


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


@dataclass(frozen=True)
class Cell:
    """A cell of a table of the text: where it stands, and what it says."""

    machine: str
    title: str
    line: str
    column: str
    text: str


def parts(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each machine's label with its lines."""
    rule = "=" * 72 + "\n"
    _, *found = text.split(rule)
    for label, lines in zip(found[::2], found[1::2], strict=True):
        yield " ".join(label.split()), lines.splitlines()


def cells(text: str) -> Iterator[Cell]:
    """Every cell of every table: a rule of dashes says where its columns are."""
    for machine, lines in parts(text):
        for place, line in enumerate(lines):
            if re.fullmatch(r"-+(  -+)+", line):
                yield from _cells_of(machine, lines, place)


def _cells_of(machine: str, lines: list[str], place: int) -> Iterator[Cell]:
    first = max(n for n in range(place) if not lines[n])
    start = max((n for n in range(first) if not lines[n]), default=-1) + 1
    title = " ".join(" ".join(lines[start:first]).split())
    spans = [match.span() for match in re.finditer("-+", lines[place])]
    heads = [
        " ".join(" ".join(line[a:b] for line in lines[first + 1 : place]).split()) for a, b in spans
    ]
    rows: list[list[str]] = []
    for line in lines[place + 1 :]:
        if not line:
            break
        if line.startswith("  "):
            rows[-1][0] += f" {line.strip()}"
        else:
            rows.append([line[a:b].strip() for a, b in spans])
    for row in rows:
        for head, cell in zip(heads[1:], row[1:], strict=True):
            yield Cell(machine, title, row[0], head, cell)


@functools.cache
def of_machine(tables: Tables, name: str, machine: str) -> Rows:
    """The rows of a table that are of a machine."""
    table = tables[name]
    kernel, granule = machine.partition(" (")[0], machine.rpartition(", ")[2]
    own = table[(table["kernel"] == kernel) & (table["granule"] == GRANULES[granule])]
    return [{str(name): value for name, value in row.items()} for row in own.to_dict("records")]


def pick(rows: Rows, pair: tuple[str, str], **where: Any) -> Rows:
    """The rows of a variant, with some values."""
    wanted = {"strategy": pair[0], "variant": pair[1], **where}
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def largest(rows: Rows, known: str = "") -> dict[str, Any]:
    """The row of the largest request that knows something, else of the smallest."""
    ordered = sorted(rows, key=lambda row: (row["request_bytes"], row.get("cycle", 0)))
    fit = [row for row in ordered if not known or pd.notna(row[known])]
    return fit[-1] if fit else ordered[0]


def checked(cell: str, value: float, column: str) -> bool:
    """Whether a cell says a value; a dash says that there is none."""
    if pd.isna(value):
        return cell == "-"
    shown, off = read_number(cell, column)
    return abs(shown - value) <= off


class Known:
    """What the tables have for a cell of the text."""

    def __init__(self, tables: Tables, machine: str, pair: tuple[str, str]) -> None:
        self.pair = pair
        self.rows = {
            name: pick(of_machine(tables, name, machine), pair)
            for name in ("variants", "summary", "curves", "comparisons")
        }

    def of_variants(self, column: str, known: str = "memmap_per_lent_gib_bytes") -> float:
        """A number of the largest request that was lent."""
        own = pick(self.rows["variants"], self.pair)
        return float(largest(own, known)[column])

    def curve(self, load: str) -> dict[str, Any]:
        """The last curve of the largest request under a load."""
        return largest(pick(self.rows["curves"], self.pair, load=load))

    def cells(self, load: str) -> Rows:
        """The cells of that curve, the lowest dose first."""
        curve = self.curve(load)
        where = {name: curve[name] for name in ("load", "requests", "cycle", "request_bytes")}
        own = pick(self.rows["summary"], self.pair, **where)
        return sorted(own, key=lambda row: float(row["dose_target"]))

    def gain(self, load: str) -> tuple[float, bool]:
        """By how much more than the baseline is granted in the mean, and whether it is told."""
        own = pick(self.rows["comparisons"], self.pair, load=load, quantity="granted_bytes")
        row = largest(own)
        there = (row["value"] - row["against_value"]) / row["against_value"]
        return float(there), row["verdict"] in ("differs", "exact")


@functools.cache
def known_of(tables: Tables, machine: str, pair: tuple[str, str]) -> Known:
    """What the tables have of a variant on a machine."""
    return Known(tables, machine, pair)


def says_capacity(cell: Cell, known: Known) -> bool:
    """Whether a cell of how much is lent under a load is what the tables have."""
    load = re.sub(r"Lent under (.*), of .*", r"\1", cell.title).replace(" ", "_")
    curve = known.curve(load)
    most, turns = curve["most_dose"], curve["turning_point"]
    ends = [curve["turning_point_least"], curve["turning_point_most"]]
    bound, dose = cell.text.removeprefix(">="), "dose_target"
    forms = {
        "at best": lambda: checked(cell.text, curve["granted_most_bytes"], "bytes"),
        "half to": lambda: (
            checked(cell.text, turns, dose)
            if pd.notna(turns) or pd.isna(curve["half_until_dose"])
            else cell.text.startswith(">=") and checked(bound, most, dose)
        ),
        "of seeds": lambda: (
            cell.text == "-"
            if any(map(pd.isna, ends))
            else all(map(checked, cell.text.split(" to "), ends, [dose, dose]))
        ),
        "carried to": lambda: (
            cell.text.startswith(">=") and checked(bound, most, dose)
            if pd.isna(curve["refused_from_dose"])
            else checked(cell.text, curve["carries_until_dose"], dose)
        ),
        "mean": lambda: says_gain(cell, known, load),
    }
    return bool(forms[cell.column]())


def says_gain(cell: Cell, known: Known, load: str) -> bool:
    """Whether a cell says by how much more than the baseline is lent, and whether that is told."""
    if known.pair == REFERENCE:
        return cell.text == "(   0.00%)"
    there, told = known.gain(load)
    form = r"\*\s*(-?[\d.]+)%\*" if told else r"\(\s*(-?[\d.]+)%\)"
    match = re.fullmatch(form, cell.text)
    return match is not None and abs(float(match[1]) - there * 100) < 0.0051


def says_whole(cell: Cell, known: Known) -> bool:
    """Whether a cell of how many lends were whole is what the tables have."""
    load = re.sub(r"How many lends under (.*) were whole", r"\1", cell.title).replace(" ", "_")
    own = known.cells(load)
    whole = [row["successes"] == row["trials"] for row in own]
    fewest = min(own, key=lambda row: (row["successes"] / row["trials"], row["dose_target"]))
    if cell.column == "all up to":
        count = whole.index(False) if False in whole else len(whole)
        return checked(
            cell.text, own[count - 1]["dose_target"] if count else float("nan"), "dose_target"
        )
    if cell.column == "at":
        return checked(cell.text, fewest["dose_target"], "dose_target")
    counts = f"{fewest['successes']}/{fewest['trials']}"
    if fewest["deterministic"]:
        return cell.text == f"{counts} alike"
    low, high = (f"{round(fewest[f'success_{end}'] * 100)}%" for end in ("low", "high"))
    return cell.text == f"{counts} ({low} to {high})"


TIMES = {
    "lend": "lend_ns_per_gib_p50",
    "give back": "give_back_ns_per_gib_p50",
    "extents": "extents_p50",
}
PAID = {
    f"{time}, by {who}": f"memmap_{column}{payer}_bytes"
    for time, column in (("idle", "idle_"), ("lent", ""))
    for who, payer in (("host", "host"), ("itself", "self"), ("nobody", "nobody"))
}
ASIDE = {
    "stranded": "stranded_bytes",
    "CMA area": "cma_area_bytes",
    "of it in use": "cma_used_bytes",
    "ZONE_MOVABLE": "movable_zone_bytes",
}
BACK = {
    "regained": "regained_share",
    "kept back": "kept_back_share",
    "for movable": "reuse_movable_share",
    "for unmovable": "reuse_unmovable_share",
    "the owner's": "owner_discarded_share",
}


def says_time(cell: Cell, known: Known, baseline: Known) -> bool:
    """Whether a cell of how long lends take is what the tables have."""
    if cell.column == "clearing":
        return checked(cell.text, known.of_variants("zero_ns_per_gib_p50", "zero_ns_p50"), "ns")
    if cell.column != "better":
        return checked(cell.text, known.of_variants(TIMES[cell.column]), TIMES[cell.column])
    own, other = (one.of_variants("lend_ns_per_gib_p50") for one in (known, baseline))
    shown = float(cell.text.strip("()% "))
    return abs(shown - (other - own) / other * 100) < 0.0051


def says_vm(cell: Cell, known: Known) -> bool:
    """Whether a cell of VMs is what the tables have."""
    asked = [row for row in known.rows["variants"] if row["vm_asked"] > 0]
    ran = [row for row in asked if row["vm_ran"] > 0]
    row = largest(ran or asked)
    if cell.column == "ran":
        return cell.text == f"{row['vm_ran']}/{row['vm_asked']}"
    if cell.column == "host well":
        return cell.text == f"{row['vm_survived']}/{row['vm_ran']}"
    if cell.column == "first ins.":
        return checked(cell.text, row["vm_first_instruction_ns_p50"], "ns")
    if cell.column == "by blocks":
        return checked(cell.text, row["vm_block_share"], "share")
    is_device = row["vm_device_share"] > 0
    return checked(cell.text, float("nan") if is_device else row["vm_run_ns_per_gib_p50"], "ns")


def says(cell: Cell, tables: Tables, names: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a cell is what the tables have."""
    known = known_of(tables, cell.machine, names[cell.line])
    idle = min(known.rows["variants"], key=lambda row: float(row["request_bytes"]))
    forms: dict[str, Callable[[], bool]] = {
        "Lent under": lambda: says_capacity(cell, known),
        "How many lends": lambda: says_whole(cell, known),
        "Median time": lambda: says_time(cell, known, known_of(tables, cell.machine, REFERENCE)),
        "memmap: who pays": lambda: checked(
            cell.text,
            idle[PAID[cell.column]]
            if cell.column.startswith("idle")
            else known.of_variants(PAID[cell.column]),
            "bytes",
        ),
        "memmap that describes": lambda: checked(
            cell.text,
            largest(
                pick(
                    known.rows["variants"],
                    known.pair,
                    request_bytes=int(read_number(cell.column.removeprefix("of "), "bytes")[0]),
                )
            )["memmap_per_lent_gib_bytes"],
            "bytes",
        ),
        "Set aside": lambda: checked(cell.text, idle[ASIDE[cell.column]], "bytes"),
        "What comes back": lambda: checked(
            cell.text, known.of_variants(BACK[cell.column]), "share"
        ),
        "A VM": lambda: says_vm(cell, known),
    }
    (form,) = (form for start, form in forms.items() if cell.title.startswith(start))
    return form()


@pytest.fixture(scope="module")
def names(tables: Tables) -> dict[str, tuple[str, str]]:
    """The variant that each title is of."""
    known = titles(STRATEGIES)
    pairs = tables["variants"][["strategy", "variant"]].drop_duplicates().itertuples(index=False)
    return {known.get(tuple(pair), " ".join(pair)): tuple(pair) for pair in pairs}


def test_it_fits_a_mail(text: str) -> None:
    assert max(map(len, text.splitlines())) == 72
    assert text.isascii()
    assert not re.search(r"[ \t]$", text, re.MULTILINE)


def test_it_opens_with_what_was_run_and_what_is_fit_for_what(text: str) -> None:
    lines = text.splitlines()
    assert lines[0].startswith("carveout: which way")
    assert "To repeat it: snakemake --configfile config/config.yaml" in lines
    order = ["Kernel: ", "Seeds: 5", "By need", "A few static VMs", "Lent under", "What failed"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_every_number_of_its_tables_is_what_the_tables_files_have(
    text: str, tables: Tables, names: dict[str, tuple[str, str]]
) -> None:
    found = list(cells(text))
    assert len(found) > 2000
    assert {cell.line for cell in found} == set(names)
    assert [cell for cell in found if not says(cell, tables, names)] == []


@pytest.mark.parametrize(
    ("title", "column"),
    [
        ("Lent under anonymous memory", "mean"),
        ("Lent under anonymous memory", "half to"),
        ("How many lends under page cache", "the fewest"),
        ("Median time", "better"),
        ("memmap: who pays", "lent, by host"),
        ("Set aside", "stranded"),
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
    wrong = Cell(shown.machine, shown.title, shown.line, shown.column, changed)
    assert not says(wrong, tables, names)


def test_every_failure_is_counted(text: str, tables: Tables) -> None:
    known = titles(STRATEGIES)
    for machine, lines in parts(text):
        if "what changed" in machine:
            continue
        start = lines.index("What failed, in how many trials")
        body = "\n".join(lines[start + 1 :])
        found = re.findall(r"^  (\d+)  (.*?):", body, re.MULTILINE)
        rows = of_machine(tables, "failures", machine)
        pairs = [(row["count"], (row["strategy"], row["variant"])) for row in rows]
        wanted = [(str(count), known.get(pair, " ".join(pair))) for count, pair in pairs]
        assert sorted(found) == sorted(wanted)


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
