# SPDX-License-Identifier: GPL-2.0-only
"""The comparison as plain text: what a run prints, and what goes straight into a mail."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import rich.box
import rich.table

from carveout.report import views
from carveout.wording.labels import Labels, comparable_parts
from carveout.wording.plain import as_text
from carveout.wording.quantities import bytes_label


def frontier_text(points: pd.DataFrame, labels: Labels) -> str:
    """Return how much can be lent while how much is carried, a table per machine and granule.

    Args:
        points: the table `curves`.
        labels: the strategies' descriptions.
    """
    return "\n".join(
        f"{machine}; what is lent under growing doses of each load, of "
        f"{bytes_label(rows['request_bytes'].max())} asked for\n"
        + _text_table(views.frontier_view(rows, labels))
        for machine, rows in comparable_parts(points)
    )


def comparison_text(
    comparison: pd.DataFrame, labels: Labels, unavailable: Mapping[str, str] | None = None
) -> str:
    """Return the comparison as plain text, a few tables per machine, and what cannot be had.

    Args:
        comparison: the table.
        labels: the strategies' descriptions.
        unavailable: what `carveout.wording.labels.unavailable_labels` says.
    """
    texts = []
    missing = dict(unavailable or {})
    for machine, rows in comparable_parts(comparison):
        parts = views.comparison_parts(views.comparison_view(rows, labels))
        texts += [
            f"{machine}; {title}\n" + _text_table(part)
            for title, part in zip(views.COMPARISON_PARTS, parts, strict=True)
        ]
        if (of_vms := views.vm_view(rows, labels)) is not None:
            texts.append(f"{machine}; {views.VM_PART}\n" + _text_table(of_vms))
        if machine in missing:
            texts.append(f"Not available {machine.rpartition(', ')[2]}: {missing.pop(machine)}\n")
    texts += [f"{machine}\nNot available: {all_of_it}\n" for machine, all_of_it in missing.items()]
    return "\n".join(texts)


def _text_table(view: pd.DataFrame) -> str:
    """Return a view as text, as narrow as its cells allow."""
    cells = view.map(lambda cell: cell.replace(" %", "%").replace("(", "").replace(")", ""))
    headings = [
        [line for part in column for line in _heading(part, int(cells[column].str.len().max()))]
        for column in cells.columns
    ]
    lines = max(len(heading) for heading in headings)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("\n" * (lines - 1) + "strategy", no_wrap=True)
    for heading in headings:
        table.add_column(
            "\n".join([""] * (lines - len(heading)) + heading), justify="right", no_wrap=True
        )
    for title, row in zip(cells.index, cells.to_numpy(), strict=True):
        table.add_row(title, *row)
    return as_text(table)


def _heading(text: str, width: int) -> list[str]:
    """Return a heading in lines about as narrow as the column's cells."""
    return textwrap.wrap(text, max(width, 8), break_long_words=False)


def show_comparison(results: Path) -> None:
    """Print the comparison and where the report lies, if there is one."""
    page = results / "report.html"
    if page.is_file():
        print((results / "comparison.txt").read_text(encoding="utf-8"))
        print(f"The report is {page}")
