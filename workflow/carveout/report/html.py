# SPDX-License-Identifier: GPL-2.0-only
"""Grids and figures as HTML."""

import base64
import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby, pairwise
from pathlib import Path
from urllib.parse import urlencode

from markupsafe import Markup, escape

from carveout.wording.grids import Grid, Head, Line
from carveout.wording.marks import Name, Number, Part


def grid_html(grid: Grid) -> Markup:
    """Return a grid as a table.

    What numbers have in common is said once: the table's name by the table, a row by its line, a
    column by its heading.
    """
    columns = [
        _most([line.cells[place] for line in grid.lines], "column")
        for place in range(len(grid.heads))
    ]
    body = Markup("\n").join(_line(line, grid, columns) for line in grid.lines)
    return Markup(
        '<div class="wide"><table class="grid" data-table="{}">\n<thead>{}</thead>\n'
        "<tbody>\n{}\n</tbody></table></div>"
    ).format(grid.table, _heads(grid, columns), body)


def trials_link(where: Mapping[str, str]) -> str:
    """Return the address of some trials on the page."""
    return f"#trials?{urlencode(where)}"


def inline_svg(path: Path, label: str) -> Markup:
    """Return an SVG file's content for use within HTML, with ids that no other figure has."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    own = re.sub(r"\W", "_", path.stem)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{own}-\1"', text)
    text = re.sub(r'(href=")#|(url\()#', rf"\g<1>\g<2>#{own}-", text)
    # The page sets the width; the height follows from the view box.
    tag, rest = text.split(">", 1)
    tag = re.sub(r' (?:width|height)="[^"]*"', "", tag)
    described = Markup(' role="img" aria-label="{}"').format(label)
    return Markup(f"{tag}{described}>{rest}") + _sheets(text, own)


def _sheets(svg: str, own: str) -> Markup:
    """Return a figure once more, cut where it says for paper: each sheet shows a part of it."""
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    whole = re.search(rf'<g id="({own}-figure_\d+)"', svg)
    cuts = re.search(r'data-cuts="([\d. ]+)"', svg)
    if not (view and whole and cuts):
        return Markup("")
    ends = [0.0, *map(float, cuts[1].split()), float(view[2])]
    form = Markup('<svg viewBox="0 {:g} {} {:g}"><use href="#{}"/></svg>')
    parts = [form.format(top, view[1], end - top, whole[1]) for top, end in pairwise(ends)]
    return Markup('<div class="sheets" aria-hidden="true">{}</div>').format(Markup("").join(parts))


def packed(text: str | bytes) -> str:
    """Return what the page's script unpacks: figures, whose words are drawn, shrink to a tenth."""
    content = text if isinstance(text, bytes) else text.encode("utf-8")
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def proportions(svg: str) -> str:
    """Return how wide a figure is for its height, so that its place is kept until it is there."""
    view = re.search(r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"', svg)
    return f"{view[1]} / {view[2]}" if view else "auto"


def _heads(grid: Grid, columns: list[str]) -> Markup:
    grouped = any(head.group for head in grid.heads)
    stub = Markup('<th scope="col"{}>{}</th>').format(_rows_of(2 if grouped else 1), grid.stub)
    if not grouped:
        cells = [_head(head, column) for head, column in zip(grid.heads, columns, strict=True)]
        return Markup("<tr>{}{}</tr>").format(stub, Markup("").join(cells))
    upper, lower = [stub], []
    pairs = list(zip(grid.heads, columns, strict=True))
    for group, members in groupby(pairs, key=lambda pair: pair[0].group):
        own = list(members)
        if group:
            upper.append(
                Markup('<th class="group" data-dt-order="disable" colspan="{}">{}</th>').format(
                    len(own), _own_words(group)
                )
            )
            lower += [_head(head, column) for head, column in own]
        else:
            upper += [_head(head, column, rows=2) for head, column in own]
    return Markup("<tr>{}</tr>\n<tr>{}</tr>").format(Markup("").join(upper), Markup("").join(lower))


def _head(head: Head, column: str, rows: int = 1) -> Markup:
    place = Markup(' data-column="{}"').format(column) if column else ""
    kind = Markup(' class="number"') if head.is_number else ""
    form = Markup('<th scope="col"{}{}{}>{}</th>')
    return form.format(_rows_of(rows), kind, place, _own_words(head.title))


def _own_words(title: str) -> Markup:
    """Return a heading; one with digits in it is a size or a name."""
    return escape(Name(title) if re.search(r"\d", title) else title)


def _rows_of(rows: int) -> Markup:
    return Markup(' rowspan="{}"').format(rows) if rows > 1 else Markup("")


def _line(line: Line, grid: Grid, columns: list[str]) -> Markup:
    row = int(_most([cell for cell in line.cells if _is_of(cell, grid.table)], "row") or 0)
    cells = Markup("").join(
        _cell(cell, head, grid.table, row, column)
        for cell, head, column in zip(line.cells, grid.heads, columns, strict=True)
    )
    title: Part | Markup = line.title
    if line.trials:
        title = Markup('<a href="{}">{}</a>').format(trials_link(line.trials), line.title)
    place = Markup(' data-row="{}"').format(row) if row else ""
    return Markup('<tr{}><th scope="row">{}</th>{}</tr>').format(place, title, cells)


def _cell(cell: Part, head: Head, table: str, row: int, column: str) -> Markup:
    form = Markup('<td class="number">{}</td>') if head.is_number else Markup("<td>{}</td>")
    return form.format(_within(cell, table, row, column))


def _within(part: Part, table: str, row: int, column: str) -> Markup:
    """Return a part as HTML, its numbers without what the table around them says."""
    if isinstance(part, Number):
        return part.html(table, row, column)
    if isinstance(part, str) or not hasattr(part, "parts"):
        return escape(part)
    return Markup("").join(_within(own, table, row, column) for own in part.parts)


def _most(cells: Iterable[Part], what: str) -> str:
    """Return the row or column that most numbers of some cells have."""
    found = Counter(str(getattr(own, what)) for cell in cells for own in _numbers(cell))
    return found.most_common(1)[0][0] if found else ""


def _numbers(part: Part) -> Iterable[Number]:
    if isinstance(part, Number):
        yield part
    elif not isinstance(part, str) and hasattr(part, "parts"):
        for own in part.parts:
            yield from _numbers(own)


def _is_of(cell: Part, table: str) -> bool:
    return any(own.table == table for own in _numbers(cell))
