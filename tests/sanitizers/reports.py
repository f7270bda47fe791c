# SPDX-License-Identifier: GPL-2.0-only
"""What sanitizers said on the consoles of a run, and which of it counts against carveout."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

# A line of the kernel's log, without its time stamp.
_LINE = re.compile(r"^(?:\[ *\d+\.\d+\] )?(.*)$")
# What begins a report. Lines of ===== stand around some, and hold nothing.
_TITLE = re.compile(
    r"\bBUG: |\bWARNING: |\bUBSAN: |kernel BUG at |Internal error: |Unable to handle kernel"
    r"|INFO: (?:possible|suspicious|trying|task|rcu)|list_(?:add|del) corruption"
)
_RACE = re.compile(r"BUG: KCSAN: ")
_MOST_LINES = 45


@dataclass(frozen=True)
class Report:
    """One report of a sanitizer.

    Attributes:
        title: its first line.
        text: it and the lines after it, up to the next report.
    """

    title: str
    text: str

    @property
    def counts(self) -> bool:
        """Whether it counts against carveout.

        All do but data races between the kernel's own functions, of which there are many. All of
        these kernels is built in but carveout and what plants errors, so that a function with a
        module's name in brackets is of one of these.
        """
        return not _RACE.search(self.title) or "[" in self.title


def reports_in(console: str) -> list[Report]:
    """Return the reports on a console, in their order."""
    lines = [_message(line) for line in console.splitlines()]
    begins = [number for number, line in enumerate(lines) if _TITLE.search(line)]
    return [
        Report(lines[begin].strip(), "\n".join(lines[begin : min(end, begin + _MOST_LINES)]))
        for begin, end in pairwise([*begins, len(lines)])
    ]


def reports_of(results: Path) -> dict[Path, list[Report]]:
    """Return the reports of each cell of a results folder, by its log."""
    logs = sorted(results.glob("logs/boots/**/*.log"))
    return {
        log.relative_to(results): reports_in(log.read_text(encoding="utf-8", errors="replace"))
        for log in logs
    }


def unfinished_trials(results: Path) -> list[str]:
    """Return the trials that did not come to their end, with the reason."""
    return [
        f"{path.relative_to(results)}: {trial['ending']['cause']}: {trial['ending']['message']}"
        for path in sorted(results.glob("trials/**/*.jsonl"))
        for trial in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if trial["ending"]["cause"] is not None
    ]


def summary(reports: Mapping[Path, Sequence[Report]], *, counting: bool) -> str:
    """Return one paragraph for each title, with how often and where, and one of its texts."""
    found = defaultdict(list)
    for log, report in _all(reports):
        if report.counts == counting:
            found[report.title].append((log, report))
    return "\n".join(_paragraphs(found.values(), whole=counting))


def _paragraphs(groups: Iterable[Sequence[tuple[Path, Report]]], *, whole: bool) -> Iterator[str]:
    for group in sorted(groups, key=len, reverse=True):
        log, report = group[0]
        cells = len({where for where, _ in group})
        yield f"{len(group)} times in {cells} cells, such as {log}:\n    " + (
            report.text.replace("\n", "\n    ") if whole else report.title
        )


def _all(reports: Mapping[Path, Sequence[Report]]) -> Iterator[tuple[Path, Report]]:
    for log, those in reports.items():
        for report in those:
            yield log, report


def _message(line: str) -> str:
    match = _LINE.match(line)
    return match[1] if match else line
