# SPDX-License-Identifier: GPL-2.0-only
"""Plain text: the lines of a mail."""

import shlex
import textwrap
from collections.abc import Iterable

# No line of a mail is wider.
MAIL_WIDTH = 72


def wrapped(text: str, indent: str = "", first: str | None = None) -> str:
    """Return a text in lines that are no wider than a mail's."""
    lines = textwrap.wrap(
        text,
        MAIL_WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    return "\n".join(lines) + "\n"


def heading(title: str) -> str:
    """Return a title, underlined."""
    return f"{title}\n{'-' * len(title)}\n"


def listed(lines: Iterable[str]) -> str:
    """Return the points of a list."""
    return "".join(wrapped(line, "  ", "- ") for line in lines)


def command_lines(command: str) -> str:
    """Return a command in lines that a shell reads as one."""
    lines, line = [], " "
    for word in map(shlex.quote, shlex.split(command)):
        if len(line) + len(word) > MAIL_WIDTH - 3 and line.strip():
            lines.append(line)
            line = "   "
        line += f" {word}"
    return " \\\n".join([*lines, line]) + "\n"
