# SPDX-License-Identifier: GPL-2.0-only
"""Reads the tables of the mail's text again: shares no code with what writes them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

WIDTH = 72
_RULE = re.compile(r"-+(  -+)+")
_ALIKE = "In every line that has it: "


@dataclass(frozen=True)
class Cell:
    """A cell of a table of the text: where it stands, and what it says.

    Attributes:
        machine: the heading above.
        title: of the table, as one line.
        line: the title of one variant; a line that is of several gives a cell of each.
        column: the heading.
        text: what it says.
        is_alike: whether the title says it of all lines that have it.
    """

    machine: str
    title: str
    line: str
    column: str
    text: str
    is_alike: bool = False


def parts(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each machine's label with its lines."""
    rule = "=" * WIDTH + "\n"
    _, *found = text.split(rule)
    for label, lines in zip(found[::2], found[1::2], strict=True):
        yield " ".join(label.split()), lines.splitlines()


def short_forms(text: str) -> Mapping[str, str]:
    """What the text says that its short forms stand for: the long form's short one."""
    match = re.search(r"^In the tables (.*?)\.\n\n", text, re.MULTILINE | re.DOTALL)
    assert match
    told = [item.split(": ", 1) for item in " ".join(match[1].split()).split("; ")]
    return {long: short for short, long in told}


def cells(text: str) -> Iterator[Cell]:
    """Every cell of every table: a rule of dashes says where its columns are."""
    for machine, lines in parts(text):
        for place, line in enumerate(lines):
            if _RULE.fullmatch(line):
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
    _, _, alike = title.partition(_ALIKE)
    for names, *texts in rows:
        for name in names.split("; "):
            for head, cell in zip(heads[1:], texts, strict=True):
                yield Cell(machine, title, name, head, cell)
            for match in re.finditer(r"([^:]+): ([^,]+)(?:, |$)", alike):
                yield Cell(machine, title, name, match[1], match[2], is_alike=True)


def sentences(text: str, start: str) -> Iterator[tuple[str, str]]:
    """Each machine with its paragraph that begins so, as one line up to the next such line."""
    for machine, lines in parts(text):
        for block in "\n".join(lines).split("\n\n"):
            if block.startswith(start):
                yield machine, " ".join(block.split())
