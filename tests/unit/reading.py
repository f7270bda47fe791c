# SPDX-License-Identifier: GPL-2.0-only
"""Reads the numbers of a report again, as a stranger would: by what stands on the page.

Shares no code with what writes them: HTML is parsed here, a number is read back from its text with
its unit, and tables are read from their CSV files.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

VOID = {"meta", "link", "br", "img", "input", "hr"}
UNITS = {
    "": 1.0,
    "bytes": 1.0,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "ns": 1.0,
    "µs": 1e3,
    "us": 1e3,
    "ms": 1e6,
    "s": 1e9,
}
# Percent that the tables have as percent; all else in percent is a share there.
PERCENT = ("dose_target", "dose_achieved", "turning_point", "_dose", "half_dose_least")
# Where digits may stand that are no number of a table.
NAMED = {"code", "script", "style", "svg", "figcaption", "title"}
WORDS = (
    *(
        "real arm64 kernels",
        "the 95 % Wilson interval",
        "Intervals are of 95 %",
        "(95 % interval",
        "As good, within 5 %:",
    ),
    *("by 1 % or more and are told", "stage 2"),
)


@dataclass(eq=False)
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    parent: "Element | None" = None
    children: "list[Element | str]" = field(default_factory=list)

    def text(self) -> str:
        """Return all text within."""
        return "".join(part if isinstance(part, str) else part.text() for part in self.children)

    def every(self, *tags: str) -> "Iterator[Element]":
        """Yield the elements within that have one of the tags."""
        for part in self.children:
            if isinstance(part, Element):
                if part.tag in tags:
                    yield part
                yield from part.every(*tags)

    def above(self, *tags: str, of_class: str = "") -> "Element | None":
        """Return the nearest element around it with a tag and a class."""
        found = self.parent
        while found and not (
            (not tags or found.tag in tags)
            and (not of_class or of_class in found.attributes.get("class", "").split())
        ):
            found = found.parent
        return found


# Of tables that were looked at.
_HEADINGS: "dict[Element, list[Element]]" = {}


class Reader(HTMLParser):
    """Makes elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("", {})
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        new = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(new)
        if tag not in VOID:
            self.here = new

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element that ends as it begins, as those of a drawing do."""
        attributes = {name: value or "" for name, value in attrs}
        self.here.children.append(Element(tag, attributes, self.here))

    def handle_endtag(self, tag: str) -> None:
        """End an element, and those in it that nothing ends."""
        found: Element | None = self.here
        while found and found.tag != tag:
            found = found.parent
        assert found, f"</{tag}> ends nothing"
        assert found.parent
        self.here = found.parent

    def handle_data(self, data: str) -> None:
        """Add text."""
        self.here.children.append(data)


class Tables:
    """The tables behind a page, as their files have them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, pd.DataFrame] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._read:
            csv = self.folder / f"{name}.csv"
            self._read[name] = (
                pd.read_csv(csv, keep_default_na=False, na_values=[""])
                if csv.exists()
                else pd.read_parquet(self.folder / f"{name}.parquet")
            )
        return self._read[name]

    def row(self, name: str, number: int) -> dict[str, Any]:
        """Return a row by its number, from 1."""
        if name not in self._rows:
            self._rows[name] = [
                {str(column): value for column, value in row.items()}
                for row in self[name].to_dict("records")
            ]
        return self._rows[name][number - 1]


def titles(folder: Path) -> dict[tuple[str, str], str]:
    """How people call each variant."""
    found = {}
    for path in sorted(folder.glob("*/strategy.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, variant in content["variants"].items():
            found[path.parent.name, name] = variant["title"]
    return found


@functools.lru_cache(maxsize=2)
def parsed(page: str) -> Element:
    """Return a page's root."""
    return Reader(page).root


def read_number(text: str, column: str) -> tuple[float, float]:
    """A number as its text has it, and by how much the digits that are shown may be off."""
    match = re.fullmatch(r"([+-]?\d+(?:\.(\d+))?(?:e([+-]\d+))?) ?([A-Za-zµ%]*)", text)
    assert match, f"no number: {text!r}"
    digits, decimals, power, unit = match.groups()
    step = 10.0 ** (int(power or 0) - len(decimals or ""))
    factor = UNITS.get(unit, 1.0)
    if unit == "%" and not any(part in column for part in PERCENT):
        factor = 0.01
    assert unit in UNITS or unit == "%", f"no unit: {unit!r}"
    return float(digits) * factor, step * factor / 2 * 1.001


def place_of(number: Element) -> tuple[str, int, str]:
    """From which table, row and column a number says it is."""
    own = dict(number.attributes)
    line, table, cell = number.above("tr"), number.above("table"), number.above("td")
    name = own.get("data-table") or (table.attributes["data-table"] if table else "")
    row = own.get("data-row") or (line.attributes.get("data-row", "") if line else "")
    column = own.get("data-column") or ""
    if not column and cell and table:
        column = heading_of(cell, table).attributes.get("data-column", "")
    return name, int(row), column


def heading_of(cell: Element, table: Element) -> Element:
    """The lowest heading above a cell."""
    line = cell.parent
    assert line
    position = [part for part in line.children if isinstance(part, Element)].index(cell)
    if table not in _HEADINGS:
        _HEADINGS[table] = _lowest_headings(table)
    return _HEADINGS[table][position]


def _lowest_headings(table: Element) -> list[Element]:
    (head,) = table.every("thead")
    lines = list(head.every("tr"))
    taken: dict[tuple[int, int], Element] = {}
    for y, line in enumerate(lines):
        x = 0
        for heading in line.every("th"):
            while (y, x) in taken:
                x += 1
            for dy in range(int(heading.attributes.get("rowspan", 1))):
                for dx in range(int(heading.attributes.get("colspan", 1))):
                    taken[y + dy, x + dx] = heading
    width = 1 + max(x for _, x in taken)
    return [taken[len(lines) - 1, x] for x in range(width)]


def rows_where(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The rows that `column=value;...` names."""
    for part in filter(None, where.split(";")):
        column, _, value = part.partition("=")
        texts = table[column].astype(str)
        if pd.api.types.is_float_dtype(table[column]) or pd.api.types.is_integer_dtype(
            table[column]
        ):
            table = table[table[column].astype(float) == float(value)]
        else:
            table = table[texts == value]
    return table


def tallied(table: pd.DataFrame, attributes: Mapping[str, str]) -> float:
    """What some rows of a table come to."""
    rows = rows_where(table, attributes["data-where"])
    how, column = attributes["data-how"], attributes["data-column"]
    if how == "seeds_to_tell":
        seeds = 2
        while max(len(rows) - 1, 1) * 2.0 ** (1 - seeds) >= 0.05:
            seeds += 1
        return float(seeds)
    found: dict[str, Any] = {
        "rows": lambda: len(rows),
        "distinct": lambda: len(set(rows[column])),
        "sum": lambda: sum(rows[column]),
        "median": lambda: rows[column].quantile(0.5),
        "min": lambda: min(rows[column].dropna()),
        "max": lambda: max(rows[column].dropna()),
    }
    return float(found[how]())


def wrong_numbers(page: str, tables: Tables) -> list[str]:
    """Every number of a page that is not what the tables have, or not where it says."""
    wrong = []
    for number in parsed(page).every("data"):
        said, text = float(number.attributes["value"]), number.text()
        if "data-how" in number.attributes:
            own = tables[number.attributes["data-table"]]
            there, column = tallied(own, number.attributes), number.attributes["data-column"]
        else:
            name, row, column = place_of(number)
            there = float(tables.row(name, row)[column])
        shown, off = read_number(text, column)
        if said != there or abs(shown - there) > off:
            wrong.append(f"{text} ({said}) for {there}: {number.attributes}")
    return wrong


def strangers(page: str, tables: Tables, names: Mapping[tuple[str, str], str]) -> list[str]:
    """Every number that stands with a variant or a machine which its row is not of."""
    wrong = []
    for number in parsed(page).every("data"):
        if "data-how" in number.attributes:
            continue
        name, row_number, _ = place_of(number)
        row = tables.row(name, row_number)
        if "strategy" in row and "variant" in row:
            title = names.get(
                (row["strategy"], row["variant"]), f"{row['strategy']} {row['variant']}"
            )
            beside = variants_beside(number)
            if title not in beside and strategy_of_all(number) != row["strategy"]:
                wrong.append(f"{number.text()} of {title} stands at {beside}")
        machine = number.above(of_class="machine")
        if machine and "granule" in row:
            label = next(machine.every("summary", "h3")).text()
            granule = {"page": "in any pages", "single": "as one single range"}.get(
                row["granule"], f"in pieces of {row['granule']}"
            )
            kernel = label.startswith(f"{row['kernel']} ({row['kernel_version']}")
            if not label.endswith(granule) or not (kernel or name == "kernels"):
                wrong.append(f"{number.text()} of {row['kernel']}, {granule} stands under {label}")
    return wrong


def variants_beside(number: Element) -> list[str]:
    """The variants that the words around a number name: its line, its heading, its sentence."""
    line, table, cell = number.above("tr"), number.above("table"), number.above("td")
    if line and table and cell:
        return [next(line.every("th")).text(), heading_of(cell, table).text()]
    sentence = number.above("li", "p")
    assert sentence, number.attributes
    return [part.text() for part in sentence.every("bdi")]


def strategy_of_all(number: Element) -> str:
    """The strategy that a number is of, where the words behind it say that all variants have it."""
    sentence, place = number.above("p"), number.above("dd")
    if not sentence or not place or not place.parent:
        return ""
    behind = sentence.children[sentence.children.index(number) + 1 :]
    text = "".join(part if isinstance(part, str) else part.text() for part in behind)
    if not re.match(r"[^();]*\(all variants\)", text):
        return ""
    around = [part for part in place.parent.children if isinstance(part, Element)]
    (link,) = around[around.index(place) - 1].every("a")
    return link.attributes["href"].removeprefix("#strategy-")


def loose_digits(page: str) -> list[str]:
    """Digits that are no marked number, no name and none of the page's own few words."""
    found: list[str] = []

    def walk(element: Element) -> None:
        for part in element.children:
            if isinstance(part, str):
                found.append(part)
            elif (
                part.tag == "data"
                or part.tag in NAMED
                or "name" in part.attributes.get("class", "")
            ):
                found.append("\0")
            else:
                walk(part)

    walk(parsed(page))
    text = re.sub(r"\s+", " ", "".join(found))
    for words in WORDS:
        text = text.replace(words, "")
    return [text[max(0, m.start() - 40) : m.end() + 20] for m in re.finditer(r"\d", text)]


def wrong_data(page: str, tables: Tables) -> list[str]:
    """What the page's long tables hold that is not what the tables' files have."""
    wrong = []
    for script in parsed(page).every("script"):
        if script.attributes.get("type") == "application/json":
            content = json.loads(script.text())
            table = tables[content["table"]]
            rows = table.iloc[[row - 1 for row in content["rows"]]]
            for column in content["columns"]:
                if column["column"] in table and "texts" not in column:
                    there = [None if pd.isna(v) else float(v) for v in rows[column["column"]]]
                    wrong += [
                        f"{content['table']} {column['column']}: {said} for {known}"
                        for said, known in zip(column["values"], there, strict=True)
                        if said != known
                    ]
    return wrong
