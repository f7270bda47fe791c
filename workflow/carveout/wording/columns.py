# SPDX-License-Identifier: GPL-2.0-only
"""Plain text for a mail: lines of 72 columns, ASCII, tables whose rules say where columns begin."""

import textwrap
from collections.abc import Iterable, Sequence

from carveout.wording.grids import Grid, Head
from carveout.wording.marks import Part

WIDTH = 72
# Below this a strategy's title is torn into too many lines.
_LEAST_STUB = 16
_GAP = "  "
# What a mail reader in a terminal may not have.
_ASCII = str.maketrans(
    {"–": "-", "µ": "u", "≥": ">=", "→": "->", "±": "+-", "“": '"', "”": '"', "’": "'", "×": "x"}
)


def plain(part: Part) -> str:
    """Return a part as ASCII, as short as it can be written."""
    text = str(part).replace("≥ ", "≥").translate(_ASCII).replace(" %", "%")
    return text.encode("ascii", "replace").decode("ascii")


def paragraph(part: Part, indent: str = "") -> str:
    """Return a part as lines that fit."""
    lines = textwrap.wrap(
        plain(part),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=True,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def heading(text: str) -> str:
    """Return a heading of a whole part."""
    rule = "=" * WIDTH
    return f"{rule}\n{paragraph(text)}\n{rule}"


def text_tables(grid: Grid) -> list[str]:
    """Return a grid as tables that fit: what is too wide goes on in a further one."""
    cells = [[plain(cell) for cell in line.cells] for line in grid.lines]
    titles = [plain(line.title) for line in grid.lines]
    widths = [
        max([len(row[place]) for row in cells] + [_least_width(head)])
        for place, head in enumerate(grid.heads)
    ]
    return [
        _table(grid, titles, cells, widths, places)
        for places in _fitting(widths, WIDTH - _LEAST_STUB)
    ]


def _fitting(widths: Sequence[int], room: int) -> Iterable[list[int]]:
    """Return the columns of each table, as many as fit beside the titles."""
    places: list[int] = []
    used = 0
    for place, width in enumerate(widths):
        if places and used + len(_GAP) + width > room:
            yield places
            places, used = [], 0
        places.append(place)
        used += len(_GAP) + width
    if places:
        yield places


def _table(
    grid: Grid,
    titles: Sequence[str],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    places: Sequence[int],
) -> str:
    room = WIDTH - sum(len(_GAP) + widths[place] for place in places)
    stub = min(room, max([len(title) for title in titles] + [len(grid.stub)]))
    heads = [_head_lines(grid.heads[place], widths[place]) for place in places]
    height = max(len(lines) for lines in heads)
    upper = []
    for line in range(height):
        texts = [([""] * (height - len(lines)) + lines)[line] for lines in heads]
        title = grid.stub if line == height - 1 else ""
        upper.append(_row(title, texts, stub, [widths[place] for place in places]))
    rule = _row("-" * stub, ["-" * widths[place] for place in places], stub, [])
    body = []
    for title, row in zip(titles, cells, strict=True):
        first, *rest = textwrap.wrap(
            title, stub, subsequent_indent="  ", break_on_hyphens=False
        ) or [""]
        texts = [row[place] for place in places]
        body.append(_row(first, texts, stub, [widths[place] for place in places]))
        body += rest
    return "\n".join([*upper, rule, *body])


def _row(title: str, texts: Sequence[str], stub: int, widths: Sequence[int]) -> str:
    padded = [
        text.rjust(width) for text, width in zip(texts, widths or map(len, texts), strict=True)
    ]
    return _GAP.join([title.ljust(stub), *padded]).rstrip()


def _head_lines(head: Head, width: int) -> list[str]:
    return textwrap.wrap(plain(head.text), width, break_long_words=False) or [""]


def _least_width(head: Head) -> int:
    return max(len(word) for word in plain(head.text).split())
