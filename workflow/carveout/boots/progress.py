# SPDX-License-Identifier: GPL-2.0-only
"""How far a run is: trials and cells done, rate, time left, outcomes so far.

Jobs of one run share one file: its first line says what the run is to do, every trial that ends
appends a line. Lines are short and appended by one write each, so that jobs need no lock.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from carveout.boots.parts import work_s
from carveout.common.files import append_line
from carveout.study.cell import Cell

_SHOW_INTERVAL_S = 5
_AN_HOUR_S = 3600
_ERROR = "error"


def begin(
    path: Path, cells: Sequence[Cell], cores: int, *, boots_each: bool, made: int = 0
) -> None:
    """Start the progress of a run that is to make some cells, if any, and say how long it takes.

    Args:
        path: the run's file.
        cells: what it is to make.
        cores: on how many it makes them.
        boots_each: whether every trial boots, or is a fork.
        made: how many of their trials are those of parts that an earlier run has made.
    """
    if cells:
        path.parent.mkdir(parents=True, exist_ok=True)
        plan = {
            "trials": sum(cell.planned_trials() for cell in cells) - made,
            "cells": len(cells),
            "start_s": time.time(),
        }
        path.write_text(json.dumps(plan) + "\n", encoding="utf-8")
        print(foretell(cells, cores, boots_each=boots_each), file=sys.stderr)


def foretell(cells: Iterable[Cell], cores: int, *, boots_each: bool) -> str:
    """Return one line on how much is to be made and about how long that takes.

    What an interrupted run has made of a cell already is not known here and counted again. Of a
    ladder only the doses are known with which it begins, and seeds that may end early are counted.
    """
    made = [cell for cell in cells if cell.is_available]
    trials = sum(cell.planned_trials() for cell in made)
    needed_s = sum(work_s(cell, cell.planned_trials(), boots_each=boots_each) for cell in made)
    least = "at least " if any(cell.ladder for cell in made) else ""
    most = "at most " if any(cell.replication for cell in made) else ""
    bound = "" if least and most else least or most
    return (
        f"carveout: to make: {len(made)} cells with {bound}{trials} trials, which takes "
        f"{bound}{_hours(needed_s / cores)} on {cores} cores like those of the README, "
        "and what it takes to fetch and to build kernels that the cache does not have"
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= _AN_HOUR_S else f"{seconds / 60:.0f} min"


class Progress:
    """Counts one cell's trials into the run's file and shows the whole run's state on stderr.

    A long job shows it every few seconds, and every job when it ends.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown_s = time.monotonic()

    def count(self, ending: str, outcomes: Sequence[str]) -> None:
        """Count one trial by how it ended and by what became of its lends."""
        self._append(" ".join(["trial", ending, *outcomes]))
        if time.monotonic() - self._shown_s >= _SHOW_INTERVAL_S:
            self._show()

    def skip(self, trials: int) -> None:
        """Take trials off the plan: an earlier run made them, or they are no longer needed.

        A negative number adds trials: a ladder has more doses than were planned.
        """
        if trials:
            self._append(f"skip {trials}")

    def finish_cell(self) -> None:
        """Count one cell whose trials are all made."""
        self._append("cell")
        self._show()

    def fail(self, error: str) -> None:
        """Note why a job could not be done."""
        self._append(f"{_ERROR} {error}")

    def _append(self, line: str) -> None:
        append_line(self._path, f"{line}\n")

    def _show(self) -> None:
        self._shown_s = time.monotonic()
        head, *lines = _lines(self._path)[:-1]
        if head.startswith("{"):
            print(describe(json.loads(head), lines, time.time()), file=sys.stderr)


def errors(path: Path) -> list[str]:
    """Return why jobs of the run could not be done, each reason once."""
    if not path.is_file():
        return []
    found = (line.partition(f"{_ERROR} ") for line in _lines(path))
    return list(dict.fromkeys(error for before, mark, error in found if mark and not before))


def _lines(path: Path) -> list[str]:
    # A network's file system may tear what two machines append at once; it is only shown.
    return path.read_text(encoding="utf-8", errors="replace").split("\n")


def describe(plan: dict[str, float], lines: Sequence[str], now_s: float) -> str:
    """Return one line on a run: what is done, at which rate, what is left, lends, bad ends.

    Args:
        plan: what `begin` wrote.
        lines: what jobs appended: ``trial ENDING OUTCOME...``, ``skip TRIALS`` or ``cell``.
        now_s: the time, in seconds since the epoch.
    """
    cells = skipped = trials = 0
    endings: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for line in lines:
        match line.split():
            case ["cell"]:
                cells += 1
            case ["skip", count] if count.removeprefix("-").isdecimal():
                skipped += int(count)
            case ["trial", ending, *became]:
                trials += 1
                endings[ending] += 1
                outcomes.update(became)
    planned = round(plan["trials"]) - skipped
    elapsed_s = max(now_s - plan["start_s"], 1e-9)
    left_s = round((planned - trials) * elapsed_s / max(trials, 1))
    del endings["completed"]
    return (
        f"carveout: {trials}/{planned} trials, {cells}/{plan['cells']:.0f} cells, "
        f"{60 * trials / elapsed_s:.0f} trials/min, {left_s // 60}:{left_s % 60:02d} left; "
        f"lends: {_words(outcomes)}" + (f"; hosts: {_words(endings)}" if endings else "")
    )


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items())) or "none yet"
