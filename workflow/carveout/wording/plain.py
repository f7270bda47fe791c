# SPDX-License-Identifier: GPL-2.0-only
"""Tables as plain text."""

import io

import rich.console
import rich.table

# Wide enough for all columns: a terminal may wrap lines, but nothing is cut off.
_TEXT_WIDTH = 240


def as_text(table: rich.table.Table) -> str:
    """Return a table as lines without colours and without blanks at their ends."""
    stream = io.StringIO()
    rich.console.Console(file=stream, width=_TEXT_WIDTH, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().strip("\n").splitlines()) + "\n"
